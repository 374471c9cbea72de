"""Commands that make something happen: ``check``, ``strategy``, ``recover``, ``test-alert``.

A running daemon owns the store, so they ask it; when none runs they work on the store themselves.
"""

import asyncio
import json
import math
import time
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from defib.cli import daemon, words
from defib.cli.context import State, state_of
from defib.errors import DefibError, UsageError
from defib.model.ids import MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.recovery import CaseState

if TYPE_CHECKING:
    from defib.engine.engine import Engine

_LOOK_EVERY_S = 0.3  #: at a recovery that the daemon works on

strategy_app = typer.Typer(help="Read and switch strategies.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("check")(check)
    app.command("recover")(recover)
    app.command("test-alert")(test_alert)
    app.add_typer(strategy_app, name="strategy")


def _monitor(state: State, monitor: str) -> MonitorId:
    """:raises UsageError: there is none of this id, in the configuration or made in another way."""
    if monitor not in {spec.id for spec in state.settings.monitors} and not _is_made(state, monitor):
        raise UsageError(f"there is no monitor {monitor!r}; 'defib status' lists them")
    return MonitorId(monitor)


def _is_made(state: State, monitor: str) -> bool:
    """Whether it was made through the API, or for an agent; True too where a daemon runs, which knows better."""
    from defib import assembly

    if daemon.find(state.settings) is not None:
        return True
    if not assembly.has_store(state.settings):
        return False
    with assembly.stored_views(state.registry, state.settings) as (_, roster, _):
        return monitor in roster.monitors


def check(context: typer.Context, monitor: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Look at one monitor now: 0 when it is well, 1 when not."""
    from defib import assembly, logs

    state = state_of(context)
    logs.configure(level="debug" if state.debug else "error")
    target = _monitor(state, monitor)
    running = daemon.find(state.settings)
    if running is not None:
        seen = running.post(f"/api/v1/monitors/{target}/check")
    else:
        with assembly.engine(state.registry, state.settings, role="'defib check'") as engine:
            seen = asyncio.run(_look(engine, target))
    last = seen["last"]
    if state.json:
        print(json.dumps(seen, indent=2, ensure_ascii=False))
    else:
        print(f"{target}: {last['outcome']}: {last['summary']} (now {seen['state']})")
    raise typer.Exit(0 if last["outcome"] == "ok" else 1)


async def _look(engine: "Engine", monitor: MonitorId) -> Any:
    from defib import assembly

    if engine.roster.monitors[monitor].is_pushed:
        raise UsageError(f"{monitor} reports by itself; there is nothing to look at")
    engine.courier.start()
    try:
        await engine.look(monitor)
        return assembly.live_views(engine).monitor(monitor)
    finally:
        await engine.wind_down()


@strategy_app.command("show")
def strategy_show(context: typer.Context) -> None:
    """The strategies, the global one, and which monitor follows which."""
    from defib import assembly
    from defib.model.options import format_duration

    state = state_of(context)
    running = daemon.find(state.settings)
    if running is not None:
        view = running.get("/api/v1/overview")
    elif assembly.has_store(state.settings):
        with assembly.stored_views(state.registry, state.settings) as (views, _, _):
            view = views.overview()
    else:  # nothing has run yet: what is configured is in force
        view = {"strategy": state.settings.strategy, "monitors": []}
    known = [
        {"name": item.name, "summary": item.summary, "interval": format_duration(item.interval),
         "timeout": format_duration(item.timeout), "fail_threshold": item.fail_threshold or "auto",
         "recovery_threshold": item.recovery_threshold, "detector": item.detector}
        for item in state.settings.strategies.values()
    ]  # fmt: skip
    followers = {item["id"]: item["strategy"] for item in view["monitors"]}
    if state.json:
        print(json.dumps({"global": view["strategy"], "strategies": known, "monitors": followers}, indent=2))
        return
    words.print_strategies(known, view["strategy"], followers)


@strategy_app.command("set")
def strategy_set(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A strategy, or 'configured' to go back to the configuration."),
    ],
    monitor: Annotated[str | None, typer.Option("--monitor", metavar="ID", help="Only this monitor.")] = None,
) -> None:
    """Switch all monitors that follow the global strategy, or one; it stays so over restarts."""
    from defib import assembly, logs

    state = state_of(context)
    logs.configure(level="debug" if state.debug else "error")
    target = _monitor(state, monitor) if monitor else None
    chosen = None if name == "configured" else name
    if chosen is not None and chosen not in state.settings.strategies:
        raise UsageError(
            f"there is no strategy {name!r}; there are: {', '.join(sorted(state.settings.strategies))}"
        )
    running = daemon.find(state.settings)
    if running is not None:
        running.put("/api/v1/strategies", {"name": chosen, "monitor": target})
    else:
        with assembly.engine(state.registry, state.settings, role="'defib strategy set'") as engine:
            asyncio.run(_switch(engine, chosen, target))
    print(f"{target or 'all monitors'}: strategy {name}")


async def _switch(engine: "Engine", name: str | None, monitor: MonitorId | None) -> None:
    await engine.switch_strategy(name, monitor, daemon.actor(), schedule=False)


class Wish(StrEnum):
    """What ``defib recover`` can do besides recovering."""

    ARM = "arm"
    DISARM = "disarm"
    CONFIGURED = "as-configured"
    CANCEL = "cancel"
    RESET = "reset"


_MODES: dict[Wish, RecoveryMode | None] = {
    Wish.ARM: RecoveryMode.AUTO, Wish.DISARM: RecoveryMode.DRY_RUN, Wish.CONFIGURED: None,
}  # fmt: skip


def recover(
    context: typer.Context,
    monitor: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")] = False,
    rung: Annotated[
        int | None, typer.Option("--rung", metavar="N", help="Start at this rung of the ladder, from 1.")
    ] = None,
    arm: Annotated[
        bool, typer.Option("--arm", help="Let Defib act by itself from now on: for ID, or for all.")
    ] = False,
    disarm: Annotated[
        bool, typer.Option("--disarm", help="Let it only say what it would do: for ID, or for all.")
    ] = False,
    as_configured: Annotated[
        bool,
        typer.Option("--as-configured", help="Go back to what the configuration says: for ID, or for all."),
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End the recovery of ID that is at work.")] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Forget what was spent on ID, and that it was given up.")
    ] = False,
) -> None:
    """Run the recovery ladder of a monitor that is at fault by hand: same gates, same verification, audited.

    Or say whether Defib may do so by itself (--arm, --disarm), end what it is doing (--cancel), or let it try again
    what it had given up (--reset).
    """
    from defib import assembly, logs

    state = state_of(context)
    logs.configure(level="debug" if state.debug else "error")
    given = (arm, disarm, as_configured, cancel, reset)
    wishes = [wish for wish, is_given in zip(Wish, given, strict=True) if is_given]
    if len(wishes) > 1 or (wishes and (dry_run or rung is not None)):
        raise UsageError("say one thing at a time; see 'defib recover --help'")
    if wishes:
        _steer(state, wishes[0], None if monitor is None else _monitor(state, monitor))
        return
    if monitor is None:
        raise UsageError("say which monitor; only --arm, --disarm and --as-configured are also for all")
    target = _monitor(state, monitor)
    running = daemon.find(state.settings)
    body = {"dry_run": dry_run, "rung": rung}
    if running is not None:
        started = running.post(f"/api/v1/monitors/{target}/recover", body)["case"]
        case, attempts = _follow(running, started)
    else:
        with assembly.engine(state.registry, state.settings, role="'defib recover'") as engine:
            case, attempts = asyncio.run(_recover(engine, target, dry_run, rung))
    if state.json:
        print(json.dumps({"case": case, "attempts": attempts}, indent=2, ensure_ascii=False))
    else:
        for attempt in attempts:
            print(f"{target}: {attempt['action']}: {attempt['outcome']} {attempt['detail']}".rstrip())
        print(f"{target}: {case['state']}: {case['reason']}")
    raise typer.Exit(0 if case["state"] in (CaseState.DONE, CaseState.PROBATION) or dry_run else 1)


def _steer(state: State, wish: Wish, target: MonitorId | None) -> None:
    """Arm, disarm, cancel or reset, through the daemon when one runs."""
    from defib import assembly

    if target is None and wish not in _MODES:
        raise UsageError(f"say which monitor to {wish}: 'defib recover ID --{wish}'")
    running = daemon.find(state.settings)
    if running is None:
        with assembly.engine(state.registry, state.settings, role=f"'defib recover --{wish}'") as engine:
            asyncio.run(_do(engine, wish, target))
    elif wish in _MODES:
        running.put("/api/v1/recovery", {"mode": _MODES[wish], "monitor": target})
    else:
        running.post(f"/api/v1/monitors/{target}/recover/{wish}")
    print(f"{target or 'all monitors'}: {_DONE[wish]}")


_DONE = {
    Wish.ARM: "recovery is armed",
    Wish.DISARM: "recovery is disarmed: it only says what it would do",
    Wish.CONFIGURED: "recovery is as configured",
    Wish.CANCEL: "the recovery is being ended",
    Wish.RESET: "recovery begins afresh",
}


async def _do(engine: "Engine", wish: Wish, target: MonitorId | None) -> None:
    """What nobody is there to do but us; whoever runs next goes on with it."""
    if wish in _MODES:
        await engine.arming.set_mode(_MODES[wish], target, daemon.actor(), begin=False)
        return
    assert target is not None
    if wish is Wish.CANCEL:
        await engine.recovery.cancel(target, daemon.actor())
    else:
        await engine.arming.reset(target, daemon.actor(), begin=False)


def _follow(running: daemon.Daemon, case: Any) -> tuple[Any, Any]:
    """Wait until the daemon has finished a case; leaving with Ctrl-C does not stop it."""
    while True:
        story = running.get(f"/api/v1/incidents/{case['incident']}")
        found = next(item for item in story["cases"] if item["id"] == case["id"])
        if found["closed_at"] or found["state"] == CaseState.PROBATION:
            return found, [item for item in story["attempts"] if item["case"] == case["id"]]
        time.sleep(_LOOK_EVERY_S)


async def _recover(engine: "Engine", monitor: MonitorId, dry_run: bool, rung: int | None) -> tuple[Any, Any]:
    from defib.engine.views import row_views

    engine.courier.start()
    engine.recovery.horizon = math.inf  # the probation is left to who watches
    try:
        case = await engine.recovery.by_hand(
            monitor, daemon.actor(), dry_run=dry_run, rung=None if rung is None else rung - 1
        )
        await engine.recovery.wait_idle()
        await asyncio.wait({asyncio.ensure_future(engine.courier.wait_tried())}, timeout=12.0)
    finally:
        await engine.wind_down()
    found = next(item for item in engine.reader.cases(incident=case.incident) if item.id == case.id)
    return row_views.case(found), [row_views.attempt(item) for item in engine.reader.attempts(case=case.id)]


def test_alert(
    context: typer.Context, channel: Annotated[str, typer.Option("--channel", metavar="NAME")]
) -> None:
    """Send a real message through the real path: 0 when the channel took it."""
    from defib import assembly, logs

    state = state_of(context)
    logs.configure(level="debug" if state.debug else "critical")
    running = daemon.find(state.settings)
    if running is not None:
        answer = running.post(f"/api/v1/channels/{channel}/test")
        accepted, detail = answer["accepted"], answer["detail"]
        for one in answer["tries"]:
            print(_try_line(one["accepted"], one["detail"], one["duration_ms"] / 1000))
    else:
        with assembly.engine(state.registry, state.settings, role="'defib test-alert'") as engine:
            accepted, detail = asyncio.run(_test(engine, channel))
    if not accepted:
        raise DefibError(f"channel {channel} did not take the message: {detail}")
    print(f"channel {channel} took the message" + (f" ({detail})" if detail else ""))


def _try_line(accepted: bool, detail: str, duration_s: float) -> str:
    return f"{'accepted' if accepted else 'not accepted'} after {duration_s:.2f} s: {detail}"


async def _test(engine: "Engine", channel: str) -> tuple[bool, str]:
    engine.courier.start()
    try:
        return await engine.test_alert(
            channel,
            timedelta(seconds=15),
            lambda one: print(_try_line(one.accepted, one.detail, one.duration_s)),
        )
    finally:
        await engine.wind_down()

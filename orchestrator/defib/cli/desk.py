"""``defib ack``, ``silence``, ``maintenance``, ``pause`` and ``resume``: what people decide about alerts.

A running daemon is asked; when none runs, the store is written, and whatever runs next goes by it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from defib.cli import daemon, words
from defib.cli.beginning import Beginning
from defib.cli.context import State, state_of
from defib.cli.moments import parse_end, parse_moment
from defib.errors import UsageError
from defib.model.alert import Severity
from defib.model.ids import IncidentId, MonitorId
from defib.model.window import Matcher, WindowKind

if TYPE_CHECKING:
    from defib.engine.engine import Engine

_PATHS = {WindowKind.SILENCE: "/api/v1/silences", WindowKind.MAINTENANCE: "/api/v1/maintenance"}


silence_app = typer.Typer(
    cls=Beginning, help="Tell nobody about some monitors for a while; everything else goes on.",
    no_args_is_help=True,
)  # fmt: skip
maintenance_app = typer.Typer(
    cls=Beginning, help="Judge, tell and repair nothing about some monitors while work is done on them.",
    no_args_is_help=True,
)  # fmt: skip

Monitors = Annotated[
    list[str] | None,
    typer.Argument(metavar="[MONITOR]…", help="These monitors; none for all that --tag takes."),
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="T", help="Monitors with this tag.")]
Everything = Annotated[bool, typer.Option("--all", help="All monitors.")]
Lasting = Annotated[str | None, typer.Option("--for", metavar="2h", help="How long it lasts.")]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="When it ends: 22:00, or 2026-12-01 22:00.")
]
Begins = Annotated[str | None, typer.Option("--from", metavar="TIME", help="When it begins; unset is now.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for people.")]
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID|MONITOR", help="As 'list' shows it; or a monitor that only this one is about, alone."
    ),
]
Over = Annotated[bool, typer.Option("--over", help="Also the newest ones that are over.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("ack")(ack)
    app.add_typer(silence_app, name="silence")
    app.add_typer(maintenance_app, name="maintenance")
    app.command("pause")(pause)
    app.command("resume")(resume)


# --- who sees to it ------------------------------------------------------------------------------------


def ack(
    context: typer.Context,
    targets: Annotated[
        list[str],
        typer.Argument(metavar="INCIDENT|MONITOR…", help="Incidents, or monitors that have an open one."),
    ],
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What is being done, for people.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Nobody sees to it any more.")] = False,
) -> None:
    """Say that you see to an incident: no reminder and no escalation."""
    state = state_of(context)
    if withdraw and note:
        raise UsageError("a note says what is being done; it does not go with --withdraw")

    async def act(engine: "Engine") -> list[str]:
        said = []
        for incident in dict.fromkeys(engine.desk.find(target) for target in targets):
            if withdraw:
                said.append(await engine.desk.withdraw(incident, daemon.actor()))
            else:
                said.append(await engine.desk.acknowledge(incident, daemon.actor(), note))
        return said

    def ask(running: daemon.Daemon) -> list[str]:
        paths = [f"/api/v1/incidents/{daemon.quoted(target)}/ack" for target in targets]
        if withdraw:
            return [running.delete(path)["said"] for path in paths]
        return [running.post(path, {"note": note})["said"] for path in paths]

    for said in _either(state, "'defib ack'", ask, act):
        print(said)


# --- silences ------------------------------------------------------------------------------------------


@silence_app.command("add")
def silence_add(
    context: typer.Context, monitors: Monitors = None, tag: Tags = None, everything: Everything = False,
    severity: Annotated[
        list[Severity] | None, typer.Option("--severity", help="Only alerts of this severity.")
    ] = None,
    incident: Annotated[
        list[str] | None, typer.Option("--incident", metavar="ID", help="Only this open incident.")
    ] = None,
    lasting: Lasting = None, until: Until = None, begins: Begins = None, reason: Reason = "",
) -> None:  # fmt: skip
    """Begin or plan a silence. 'add' may be left out."""
    about: dict[str, Sequence[str]] = {
        "monitors": monitors or (), "tags": tag or (), "severity": severity or (), "incidents": incident or (),
    }  # fmt: skip
    _begin(state_of(context), WindowKind.SILENCE, about, everything, lasting, until, begins, reason)


@silence_app.command("list")
def silence_list(context: typer.Context, over: Over = False) -> None:
    """The silences in force and to come."""
    _list(state_of(context), WindowKind.SILENCE, over)


@silence_app.command("end")
def silence_end(context: typer.Context, window: Id) -> None:
    """End a silence before its time."""
    _end(state_of(context), WindowKind.SILENCE, window)


# --- maintenance ---------------------------------------------------------------------------------------


@maintenance_app.command("start")
def maintenance_start(
    context: typer.Context, monitors: Monitors = None, tag: Tags = None, everything: Everything = False,
    lasting: Lasting = None, until: Until = None, begins: Begins = None, reason: Reason = "",
) -> None:  # fmt: skip
    """Begin or plan a maintenance. 'start' may be left out."""
    about = {"monitors": monitors or [], "tags": tag or []}
    _begin(state_of(context), WindowKind.MAINTENANCE, about, everything, lasting, until, begins, reason)


@maintenance_app.command("list")
def maintenance_list(context: typer.Context, over: Over = False) -> None:
    """The maintenance windows in force and to come; of one that comes back, the next."""
    _list(state_of(context), WindowKind.MAINTENANCE, over)


@maintenance_app.command("end")
def maintenance_end(context: typer.Context, window: Id) -> None:
    """End a maintenance before its time; one that is still to come never begins."""
    _end(state_of(context), WindowKind.MAINTENANCE, window)


# --- pauses --------------------------------------------------------------------------------------------


def pause(
    context: typer.Context, monitor: Annotated[str, typer.Argument(metavar="MONITOR")], lasting: Lasting = None,
    until: Until = None, reason: Reason = "",
) -> None:  # fmt: skip
    """Leave a monitor alone: nobody looks, judges, tells or repairs, until it is resumed."""
    state = state_of(context)
    now = _now()
    end = parse_end(lasting, until, now, now, state.settings.timezone)

    async def act(engine: "Engine") -> Any:
        return _shown(
            engine, await engine.windows.pause(MonitorId(monitor), daemon.actor(), until=end, reason=reason)
        )

    def ask(running: daemon.Daemon) -> Any:
        body = {"until": end.isoformat() if end else None, "reason": reason}
        return running.post(f"/api/v1/monitors/{daemon.quoted(monitor)}/pause", body)

    _told(state, _either(state, "'defib pause'", ask, act))


def resume(context: typer.Context, monitor: Annotated[str, typer.Argument(metavar="MONITOR")]) -> None:
    """Look at a paused monitor again, at once."""
    state = state_of(context)

    async def act(engine: "Engine") -> Any:
        return len(await engine.windows.resume(MonitorId(monitor), daemon.actor()))

    def ask(running: daemon.Daemon) -> Any:
        return running.post(f"/api/v1/monitors/{daemon.quoted(monitor)}/resume")["total"]

    _either(state, "'defib resume'", ask, act)
    print(f"{monitor} is looked at again")


# --- what they have in common --------------------------------------------------------------------------


def _begin(
    state: State, kind: WindowKind, about: Mapping[str, Sequence[str]], everything: bool, lasting: str | None,
    until: str | None, begins: str | None, reason: str,
) -> None:  # fmt: skip
    now, timezone = _now(), state.settings.timezone
    starts_at = None if begins is None else parse_moment(begins, now, timezone)
    end = parse_end(lasting, until, starts_at or now, now, timezone)
    if end is None:
        raise UsageError(f"say when the {kind} ends: --for 2h, or --until 22:00")

    async def act(engine: "Engine") -> Any:
        matcher = Matcher(
            monitors=frozenset(map(MonitorId, about["monitors"])), tags=frozenset(about["tags"]),
            incidents=frozenset(map(IncidentId, about.get("incidents", ()))),
            severity=frozenset(map(Severity, about.get("severity", ()))),
        )  # fmt: skip
        window = await engine.desk.begin(
            kind,
            matcher,
            until=end,
            who=daemon.actor(),
            reason=reason,
            starts_at=starts_at,
            everything=everything,
        )
        return _shown(engine, window)

    def ask(running: daemon.Daemon) -> Any:
        body = {
            **about, "all": everything, "until": end.isoformat(), "reason": reason,
            "starts_at": starts_at.isoformat() if starts_at else None,
        }  # fmt: skip
        return running.post(_PATHS[kind], body)

    _told(state, _either(state, f"'defib {kind}'", ask, act))


def _list(state: State, kind: WindowKind, over: bool) -> None:
    from defib import assembly

    running = daemon.find(state.settings)
    if running is not None:
        found = running.get(_PATHS[kind], over=str(over).lower())["items"]
    elif assembly.has_store(state.settings):
        with assembly.stored_views(state.registry, state.settings) as (views, _, _):
            found = views.windows((kind,)) + (views.past_windows((kind,)) if over else [])
    else:
        found = []
    if state.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        words.print_windows(found, kind, state.settings.timezone)


def _end(state: State, kind: WindowKind, window: str) -> None:
    async def act(engine: "Engine") -> Any:
        return _shown(engine, await engine.windows.end(window, daemon.actor(), kind))

    def ask(running: daemon.Daemon) -> Any:
        return running.delete(f"{_PATHS[kind]}/{daemon.quoted(window)}")

    _told(state, _either(state, f"'defib {kind} end'", ask, act))


def _either(
    state: State, role: str, ask: Callable[[daemon.Daemon], Any], act: Callable[["Engine"], Awaitable[Any]]
) -> Any:
    """Through the daemon when one runs, else on the store."""
    from defib import assembly, logs

    logs.configure(level="debug" if state.debug else "error")
    running = daemon.find(state.settings)
    if running is not None:
        return ask(running)

    async def alone(engine: "Engine") -> Any:
        answer = await act(engine)
        await engine.duty.review()
        return answer

    with assembly.engine(state.registry, state.settings, role=role) as engine:
        return asyncio.run(alone(engine))


def _shown(engine: "Engine", window: Any) -> Any:
    from defib.engine.views import desk_views

    return desk_views.windows((window,), (window.kind,), engine.roster, engine.clock.now())[0]


def _told(state: State, window: Any) -> None:
    if state.json:
        print(json.dumps(window, indent=2, ensure_ascii=False))
    else:
        print(words.window(window, state.settings.timezone))


def _now() -> datetime:
    from defib.engine.clock import SystemClock

    return SystemClock().now()

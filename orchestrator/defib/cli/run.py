"""``defib run``: one pass and exit."""

import asyncio
import json
import signal
import sys
from datetime import timedelta
from typing import Annotated

import typer

from defib.cli.context import State, state_of
from defib.errors import UsageError
from defib.model.ids import MonitorId


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    context: typer.Context,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Look at this monitor only; may be repeated.", metavar="ID"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Look at every monitor, due or not.")] = False,
    budget: Annotated[
        str,
        typer.Option(
            "--budget", help="How long the pass may take; recovery that needs longer goes on in the next one."
        ),
    ] = "50s",
) -> None:
    """One pass over what is due: look, decide, recover, alert, report.

    Exits with 0 ok, 1 warning, 2 critical, 3 unknown.
    """
    from defib.model.options import parse_duration

    state = state_of(context)
    try:
        limit = parse_duration(budget)
    except ValueError as error:
        raise UsageError(f"--budget: {error}") from error
    except OverflowError as error:
        raise UsageError(f"--budget: {budget!r} is too long; write for example 50s") from error
    if not limit:
        raise UsageError("--budget: a pass needs some time; write for example 50s")
    raise typer.Exit(_pass(state, [MonitorId(item) for item in only or []], every, limit))


def _pass(state: State, only: list[MonitorId], every: bool, budget: timedelta) -> int:
    from defib import assembly, logs
    from defib.engine.exit_status import exit_status
    from defib.engine.one_pass import run_pass

    logs.configure(level="debug" if state.debug else "warning")
    registry, settings = state.loaded
    known = {monitor.id for monitor in settings.monitors if monitor.enabled}
    if unknown := [item for item in only if item not in known]:
        raise UsageError(f"there is no monitor {unknown[0]!r}; 'defib status' lists them")
    with assembly.engine(registry, settings, role="a pass of 'defib run'") as engine:
        for fault in registry.faults:
            print(f"defib: plugin {fault.origin} does not load: {fault.message}", file=sys.stderr)

        async def one_pass() -> None:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, engine.stop)
            await run_pass(engine, only=only, every=every, budget=budget)

        asyncio.run(one_pass())
        healths = [engine.table[monitor] for monitor in only or engine.roster.monitors]
        polled = [health for health in healths if not engine.roster.monitors[health.monitor].is_pushed]
        status = exit_status(polled)
        if state.json:
            monitors = {
                health.monitor: {"state": str(health.state), "reason": health.reason} for health in polled
            }
            print(json.dumps({"status": status.name.lower(), "monitors": monitors}, ensure_ascii=False))
        else:
            _tell(status.name, [(str(h.monitor), str(h.state), h.reason) for h in polled])
    return int(status)


def _tell(status: str, rows: list[tuple[str, str, str]]) -> None:
    """One line for cron's mail, then what is not well; nothing more when all is."""
    bad = [row for row in rows if row[1] != "up"]
    print(f"DEFIB {status} - {len(rows) - len(bad)} of {len(rows)} monitors up")
    for monitor, state, reason in bad:
        print(f"  {monitor}: {state}: {reason}")

"""``defib report``: a report now, on paper or on its way."""

import asyncio
import sys
from datetime import date as Date
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from defib.cli import daemon
from defib.cli.context import State, state_of
from defib.errors import DefibError, UsageError

if TYPE_CHECKING:
    from defib.engine.engine import Engine
    from defib.model.report import ReportDocument

_FIRST_YEAR = 2000
_PARTS = {"html": "html", "text": "text", "json": "data", "csv": "csv"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    context: typer.Context,
    date: Annotated[
        str, typer.Option("--date", metavar="D", help="YYYY-MM-DD, 'today' or 'yesterday'.")
    ] = "yesterday",
    period: Annotated[str, typer.Option("--period", help="day")] = "day",
    form: Annotated[str, typer.Option("--format", help="html, text, json or csv")] = "text",
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE")] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Store it, and send it to the report's channels.")
    ] = False,
) -> None:
    """The report of a day: printed, written to a file, or sent."""
    state = state_of(context)
    if state.json:
        form = "json"
    if form not in _PARTS:
        raise UsageError(f"--format {form}: there are html, text, json and csv")
    if period != "day":
        raise UsageError(f"--period {period}: this version makes reports of a day")
    timezone = next(
        (spec.timezone for spec in state.settings.reports if spec.kind == "daily"), state.settings.timezone
    )
    day = _day(date, timezone)
    document = _send(state, day, timezone) if send else _write(state, day, timezone)
    if document is None:
        return
    text = getattr(document, _PARTS[form])
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DefibError(f"{output} cannot be written: {error.strerror}; -o FILE writes elsewhere") from error
    print(f"{output}: {document.subject}")


def _day(text: str, timezone: str) -> Date:
    today = datetime.now(ZoneInfo(timezone)).date()
    if text in ("today", "yesterday"):
        return today - timedelta(days=text == "yesterday")
    try:
        day = Date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--date {text}: write a day as 2026-11-20, or 'today' or 'yesterday'") from error
    if day > today:
        raise UsageError(f"--date {text}: that day is still to come; today is {today}")
    if day.year < _FIRST_YEAR:
        raise UsageError(f"--date {text}: there was no Defib then; write a day from {_FIRST_YEAR} on")
    return day


def _write(state: State, day: Date, timezone: str) -> "ReportDocument":
    from defib import assembly
    from defib.engine.clock import SystemClock
    from defib.engine.reporting import Reporting

    with assembly.stored_views(state.registry, state.settings) as (_, roster, reader):
        return Reporting(SystemClock(), roster, None, reader).write("daily", day, timezone)


def _send(state: State, day: Date, timezone: str) -> "ReportDocument | None":
    from defib import assembly, logs

    logs.configure(level="debug" if state.debug else "error")
    running = daemon.find(state.settings)
    if running is not None:
        answer = running.post("/api/v1/reports", {"date": day.isoformat(), "kind": "daily", "send": True})
        print(f"{answer['id']}: on its way to {', '.join(answer['channels']) or 'no channel'}")
        return None
    with assembly.engine(state.registry, state.settings, role="'defib report'") as engine:
        return asyncio.run(_send_directly(engine, day, timezone))


async def _send_directly(engine: "Engine", day: Date, timezone: str) -> "ReportDocument":
    engine.courier.start()
    try:
        document, _ = await engine.send_report("daily", day, timezone)
        await asyncio.wait({asyncio.ensure_future(engine.courier.wait_tried())}, timeout=12.0)
    finally:
        await engine.wind_down()
    return document

"""``defib report``: a report now, on paper or on its way."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date as Date
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from defib.cli import daemon
from defib.cli.context import State, state_of
from defib.errors import DefibError, UsageError
from defib.languages import LANGUAGES
from defib.model.report import Span

if TYPE_CHECKING:
    from defib.engine.engine import Engine
    from defib.engine.reporting.schedule import Reporting
    from defib.model.report import ReportDocument
    from defib.model.settings import ReportSpec

_FIRST_YEAR = 2000
_PARTS = {"html": "html", "text": "text", "json": "data", "csv": "csv"}
_NEWEST = "newest"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    context: typer.Context,
    date: Annotated[
        str,
        typer.Option(
            "--date", metavar="D", help="A day that it covers: YYYY-MM-DD, 'today' or 'yesterday'; unset is the "
            "newest period that is over."
        ),
    ] = _NEWEST,
    period: Annotated[str | None, typer.Option("--period", help="day, week or month; unset is day.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="A report of the configuration, in place of --period.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="html, text, json or csv")] = "text",
    language: Annotated[
        str | None, typer.Option("--language", help=f"{', '.join(LANGUAGES)}; unset is the report's own.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE")] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Store it, and send it to the report's channels.")
    ] = False,
) -> None:  # fmt: skip
    """The report of a day, week or month: printed, written to a file, or sent."""
    state = state_of(context)
    if state.json:
        form = "json"
    if form not in _PARTS:
        raise UsageError(f"--format {form}: there are html, text, json and csv")
    if language is not None and language not in LANGUAGES:
        raise UsageError(f"--language {language}: there are {', '.join(LANGUAGES)}")
    if language is not None and send:
        raise UsageError(
            "--language is for a look; what is sent is in the language of the report or its channels"
        )
    if period is not None and name is not None:
        raise UsageError("--period and --name: a report's name says already what it covers; leave one out")
    span = _span(period)
    document = _send(state, name, span, date) if send else _write(state, name, span, date, language)
    if document is not None:
        _give(document, form, output)


def _give(document: "ReportDocument", form: str, output: Path | None) -> None:
    text = document.page if form == "html" else getattr(document, _PARTS[form])
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DefibError(f"{output} cannot be written: {error.strerror}; -o FILE writes elsewhere") from error
    print(f"{output}: {document.subject}")


def _span(period: str | None) -> Span:
    try:
        return Span(period or Span.DAY)
    except ValueError:
        raise UsageError(f"--period {period}: there are {', '.join(Span)}") from None


def _chosen(reporting: "Reporting", name: str | None, span: Span) -> "ReportSpec":
    return reporting.spec(name) if name is not None else reporting.spec_over(span)


def _day(text: str, reporting: "Reporting", spec: "ReportSpec") -> Date:
    if text == _NEWEST:
        return reporting.newest_day(spec)
    today = datetime.now(ZoneInfo(spec.timezone)).date()
    if text in ("today", "yesterday"):
        return today - timedelta(days=text == "yesterday")
    if text == "tomorrow":
        raise _still_to_come(text, today)
    try:
        day = Date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--date {text}: write a day as 2026-11-20, or 'today' or 'yesterday'") from error
    if day > today:
        raise _still_to_come(text, today)
    if day.year < _FIRST_YEAR:
        raise UsageError(f"--date {text}: there was no Defib then; write a day from {_FIRST_YEAR} on")
    return day


def _still_to_come(text: str, today: Date) -> UsageError:
    return UsageError(f"--date {text}: that day is still to come; today is {today}")


@contextmanager
def _looking(state: State) -> "Iterator[Reporting]":
    """Reports that are only looked at."""
    from defib import assembly
    from defib.engine.clock import SystemClock
    from defib.engine.reporting.schedule import Reporting

    with assembly.stored(state.registry, state.settings) as (roster, reader):
        yield Reporting(SystemClock(), roster, None, reader)


def _write(state: State, name: str | None, span: Span, date: str, language: str | None) -> "ReportDocument":
    with _looking(state) as reporting:
        spec = _chosen(reporting, name, span)
        day = _day(date, reporting, spec)
        return reporting.write(spec, day, language=language)


def _send(state: State, name: str | None, span: Span, date: str) -> "ReportDocument | None":
    from defib import assembly, logs

    logs.configure(level="debug" if state.debug else "error")
    running = daemon.find(state.settings)
    if running is not None:
        with _looking(state) as reporting:
            spec = _chosen(reporting, name, span)
            day = _day(date, reporting, spec)
        answer = running.post("/api/v1/reports", {"date": day.isoformat(), "kind": spec.name, "send": True})
        print(f"{answer['id']}: on its way to {', '.join(answer['channels']) or 'no channel'}")
        return None
    with assembly.engine(state.registry, state.settings, role="'defib report'") as engine:
        spec = _chosen(engine.reporting, name, span)
        return asyncio.run(_send_directly(engine, spec.name, _day(date, engine.reporting, spec)))


async def _send_directly(engine: "Engine", name: str, day: Date) -> "ReportDocument":
    engine.courier.start()
    try:
        document, _ = await engine.make_report(name, day, send=True)
        await asyncio.wait({asyncio.ensure_future(engine.courier.wait_tried())}, timeout=12.0)
    finally:
        await engine.wind_down()
    return document

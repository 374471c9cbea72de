"""``defib export``: everything that was recorded, for other programs."""

import csv
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO
from zoneinfo import ZoneInfo

import typer

from defib.cli.context import state_of
from defib.errors import DefibError, UsageError
from defib.model.ids import MonitorId
from defib.model.options import parse_duration
from defib.web.encoding import encode

if TYPE_CHECKING:
    from defib.engine.roster import Roster
    from defib.store import Reader
    from defib.store.walk import Flat, Part

_MONITORS = ("id", "name", "type", "family", "target", "tags", "strategy", "state", "since", "reason")


class Form(StrEnum):
    """How rows are written."""

    CSV = "csv"  #: with a line of names above
    JSONL = "jsonl"  #: one JSON object a line


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    context: typer.Context,
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE]...",
            help="monitors, transitions, incidents, cases, attempts, alerts, deliveries, hours, metrics or samples; "
            "without one, all of them.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="One file a table, in this folder; else to the terminal."
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="csv, or JSON lines.")] = Form.CSV,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="T", help="2026-11-20, 2026-11-20T08:00+01:00, or 7d: so long ago."),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="T", help="Up to then; as --since.")] = None,
    monitor: Annotated[str | None, typer.Option("--monitor", metavar="ID", help="Only this one.")] = None,
) -> None:
    """Everything that was recorded, as flat tables for spreadsheets, databases and notebooks; secrets are in none."""
    from defib import assembly
    from defib.store.walk import Part

    state = state_of(context)
    if state.json:
        form = Form.JSONL
    now, zone = datetime.now(UTC), ZoneInfo(state.settings.timezone)
    part = Part(
        since=None if since is None else _instant("--since", since, now, zone),
        until=None if until is None else _instant("--until", until, now, zone),
        monitor=None if monitor is None else MonitorId(monitor),
    )
    with assembly.stored(state.registry, state.settings) as (roster, reader):
        known = _tables(roster, reader, part)
        wanted = _wanted(tables, known)
        if output is None:
            _print(wanted, form)
        else:
            _write(wanted, form, output)


Table = tuple[Sequence[str], "Callable[[], Iterator[Flat]]"]


def _tables(roster: "Roster", reader: "Reader", part: "Part") -> dict[str, Table]:
    """The columns and the rows of each table, by name."""
    walk = reader.walk
    return {
        "monitors": (_MONITORS, lambda: _monitors(roster, reader, part)),
        **{
            name: (walk.columns(name), lambda rows=rows: rows(part))  # type: ignore[misc]
            for name, rows in walk.tables.items()
        },
    }


def _wanted(names: Sequence[str] | None, known: Mapping[str, Table]) -> dict[str, Table]:
    for name in names or ():
        if name not in known:
            raise UsageError(f"there is no table {name!r}; there are: {', '.join(known)}")
    return {name: known[name] for name in names or known}


def _monitors(roster: "Roster", reader: "Reader", part: "Part") -> "Iterator[Flat]":
    health = reader.health()
    for spec in (watched.spec for watched in roster.monitors.values()):
        if part.monitor not in (None, spec.id):
            continue
        known = health.get(spec.id)
        yield {
            "id": spec.id, "name": spec.name, "type": spec.kind, "family": str(spec.family),
            "target": roster.monitors[spec.id].plugin.target, "tags": " ".join(sorted(spec.tags)),
            "strategy": roster.strategy(spec.id).name, "state": str(known.state) if known else "new",
            "since": known.since.isoformat() if known else None, "reason": known.reason if known else "",
        }  # fmt: skip


# --- where to ------------------------------------------------------------------------------------------


def _print(tables: Mapping[str, Table], form: Form) -> None:
    """To the terminal: one table as it is; several as JSON lines that say which table each is of."""
    if len(tables) == 1:
        [(columns, rows)] = tables.values()
        _put(sys.stdout, columns, rows(), form)
        return
    if form is Form.CSV:
        raise UsageError(
            "several tables do not go into one CSV; name one table, or give -o FOLDER or --format jsonl"
        )
    put = _line_into(sys.stdout)
    for name, (_, rows) in tables.items():
        for row in rows():
            put({"table": name, **row})


def _write(tables: Mapping[str, Table], form: Form, folder: Path) -> None:
    """One file a table; each is there as a whole or not at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (columns, rows) in tables.items():
            with _file(folder / f"{name}.{form}") as file:
                count = _put(file, columns, rows(), form)
            print(f"{folder / name}.{form}: {count} {'row' if count == 1 else 'rows'}")
    except OSError as error:
        place = error.filename or folder
        raise DefibError(
            f"{place} cannot be written: {error.strerror}; -o FOLDER writes elsewhere"
        ) from error


@contextmanager
def _file(path: Path) -> Iterator[TextIO]:
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with unfinished.open("w", encoding="utf-8", newline="", errors="replace") as file:
            os.chmod(unfinished, 0o600)
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _put(file: TextIO, columns: Sequence[str], rows: "Iterable[Flat]", form: Form) -> int:
    """Write rows one after another, however many they are; returns how many they were."""
    put = _line_into(file)
    if form is Form.CSV:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        put = writer.writerow
    count = 0
    for row in rows:
        put(row)
        count += 1
    return count


def _line_into(file: TextIO) -> "Callable[[Flat], object]":
    return lambda row: file.write(encode(row).decode() + "\n")


# --- when ----------------------------------------------------------------------------------------------


def _instant(option: str, text: str, now: datetime, zone: ZoneInfo) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), zone).astimezone(UTC)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return now - parse_duration(text)
        except (ValueError, OverflowError) as error:
            raise UsageError(
                f"{option} {text}: write 2026-11-20, 2026-11-20T08:00+01:00, or 7d for seven days ago"
            ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)

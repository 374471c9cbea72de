"""How the terminal shows things: calm, aligned, and told without colour too."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from defib.model.options import format_duration

Json = Mapping[str, Any]

_STYLE = {"up": "green", "fault": "bold red", "unreachable": "magenta", "suspect": "yellow", "degraded": "yellow",
          "watch": "cyan", "stopped": "blue", "new": "dim", "maintenance": "blue", "paused": "dim"}  # fmt: skip
_MARK = {"up": "●", "fault": "✖", "unreachable": "◌", "suspect": "▲", "degraded": "▲", "new": "○"}


def count(number: int, noun: str) -> str:
    """``1 monitor``, ``3 monitors``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def ago(instant: str | None, now: datetime | None = None) -> str:
    """How long ago, in two units at most."""
    if instant is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(instant)).total_seconds()
    return f"{span(max(0.0, seconds))} ago"


def span(seconds: float) -> str:
    """``4 s``, ``3 min``, ``2 h 5 min``, ``3 d 4 h``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def _state(state: str) -> Text:
    return Text(f"{_MARK.get(state, '·')} {state}", style=_STYLE.get(state, ""))


def print_overview(view: Json) -> None:
    """The table of ``defib status``."""
    console = Console(highlight=False, soft_wrap=False)
    for problem in view["problems"]:
        console.print(Text(f"! {problem['message']}", style="bold yellow"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, options in (
        ("STATE", {}),
        ("MONITOR", {"no_wrap": True}),
        ("SINCE", {}),
        ("LATENCY", {"justify": "right"}),
        ("WHAT", {"overflow": "fold"}),
    ):
        table.add_column(name, **options)
    for item in view["monitors"]:
        latency = "" if item["latency_ms"] is None else f"{item['latency_ms']:.0f} ms"
        what = item["summary"] if item["state"] == "up" else item["reason"]
        case = item["recovery"]["case"]
        if case:
            what += f"\nrecovery: {case['state']}: {case['reason']}"
        table.add_row(_state(item["state"]), item["id"], ago(item["since"]), latency, what)
    console.print(table)
    counts = ", ".join(f"{number} {state}" for state, number in view["counts"].items()) or "no monitors"
    console.print(Text(f"{counts}; strategy {view['strategy']}", style="dim"))


def print_monitor(view: Json, *, story: bool = False) -> None:
    """One monitor; with its story for ``explain``."""
    console = Console(highlight=False)
    console.print(
        Text.assemble(
            _state(view["state"]), "  ", (view["name"], "bold"), f"  {view['type']} {view['target']}"
        )
    )
    strategy = view["strategy_detail"]
    lines = {
        "why": view["reason"],
        "since": f"{view['since']} ({ago(view['since'])})",
        "last look": f"{ago(view['last_seen'])}: {view['summary']}",
        "strategy": f"{strategy['name']}: every {strategy['interval']}, timeout {strategy['timeout']}, fault after "
        f"{strategy['fail_threshold']} failures, well after {strategy['recovery_threshold']} good answers",
        "requires": ", ".join(view["requires"]),
        "recovery": _recovery(view),
        "availability": ", ".join(
            f"{name} {'–' if value is None else format(value, '.3%')}"
            for name, value in view["availability"].items()
        ),
    }
    _pairs(console, lines)
    if story:
        _story(console, "What was decided", (
            f"{item['decided_at'][:19]}  {item['from']} → {item['to']}: {item['reason']}" for item in view["transitions"][:10]))  # fmt: skip
        _story(console, "What was done", map(_attempt, view["attempts"][:10]))
        _story(
            console,
            "What was told",
            (f"{item['at'][:19]}  {item['severity']}: {item['title']}" for item in view["alerts"][:10]),
        )


def print_incident(view: Json) -> None:
    """The story of one incident."""
    console = Console(highlight=False)
    console.print(Text.assemble((view["monitor"], "bold"), f"  {view['summary']}"))
    ended = f"{view['closed_at']}: {view['resolution']}" if view["closed_at"] else "still open"
    _pairs(console, {"began": view["fault_at"], "declared": view["opened_at"], "ended": ended})
    _story(console, "Recovery", (f"{case['state']}: {case['reason']}" for case in view["cases"]))
    _story(console, "What was done", map(_attempt, view["attempts"]))
    _story(
        console,
        "What was told",
        (f"{item['at'][:19]}  {item['severity']}: {item['title']}" for item in view["alerts"]),
    )


def print_plugins(offers: Iterable[Json], faults: Iterable[Json]) -> None:
    """The table of ``defib plugins``."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("WHAT", "KIND", "FROM", "SUMMARY"):
        table.add_column(name, overflow="fold")
    for item in offers:
        table.add_row(
            item["noun"], item["kind"], f"{item['distribution']} {item['version']}", item["summary"]
        )
    console.print(table)
    for fault in faults:
        console.print(
            Text(
                f"✖ {fault['plugin']} ({fault['distribution']}) does not load: {fault['message']}",
                style="bold red",
            )
        )


def _recovery(view: Json) -> str:
    recovery = view["recovery"]
    if not view["ladder"]:
        return "no ladder"
    text = f"{recovery['mode']}: {' → '.join(view['ladder'])}"
    case = recovery["case"]
    return f"{text}; now {case['state']}: {case['reason']}" if case else text


def _attempt(item: Json) -> str:
    took = ""
    if item["verified_at"]:
        seconds = datetime.fromisoformat(item["verified_at"]) - datetime.fromisoformat(item["intent_at"])
        took = f" in {format_duration(timedelta(seconds=round(seconds.total_seconds(), 1)))}"
    return f"{item['intent_at'][:19]}  {item['action']}: {item['outcome']}{took} {item['detail']}".rstrip()


def _pairs(console: Console, lines: Mapping[str, str]) -> None:
    grid = Table.grid(padding=(0, 2))
    for name, value in lines.items():
        if value:
            grid.add_row(Text(name, style="dim"), value)
    console.print(grid)


def _story(console: Console, title: str, lines: Iterable[str]) -> None:
    lines = list(lines)
    console.print(Text(f"\n{title}", style="bold"))
    for line in lines or ["nothing"]:
        console.print(f"  {line}", markup=False)

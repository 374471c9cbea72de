"""How the terminal shows things: calm, aligned, and told without colour too."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from defib.model.options import format_duration
from defib.rules.spans import span

Json = Mapping[str, Any]

_FEW = 4  #: monitors that are named where their number would do
_OUTPUT_LINES = 3  #: of what an action printed, where many are listed
_SNAPSHOT_LINES = 20  #: of each part of a snapshot; a busy host has hundreds of sockets

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
    return f"{span(seconds)} ago"


def local(instant: str, timezone: str) -> str:
    """An instant on the clock of ``timezone``: ``2026-11-21 08:55:26``."""
    return f"{datetime.fromisoformat(instant).astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S}"


def _state(state: str) -> Text:
    return Text(f"{_MARK.get(state, '·')} {state}", style=_STYLE.get(state, ""))


def print_overview(view: Json) -> None:
    """The table of ``defib status``."""
    lines: list[RenderableType] = [
        Text(f"! {problem['message']}", style="bold yellow") for problem in view["problems"]
    ]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, options in (
        ("STATE", {"no_wrap": True}),
        ("MONITOR", {"overflow": "fold", "min_width": 12}),
        ("SINCE", {"no_wrap": True}),
        ("LATENCY", {"justify": "right", "no_wrap": True}),
        ("WHAT", {"overflow": "fold"}),
    ):
        table.add_column(name, **options)
    for item in view["monitors"]:
        latency = "" if item["latency_ms"] is None else f"{item['latency_ms']:.0f} ms"
        what = item["summary"] if item["state"] == "up" else item["reason"]
        case = item["recovery"]["case"]
        if case:
            what += f"\nrecovery: {case['state']}: {case['reason']}"
        if item["flapping"]:
            flapping = item["flapping"]
            what += f"\nflapping: {count(flapping['falls'], 'fall')}, the first {ago(flapping['since'])}"
        if item["suspicion"] is not None:
            what += f"\nlate: {item['suspicion']:.0%} of the way to a fault"
        since = "" if item["state"] == "new" else ago(item["since"])
        table.add_row(_state(item["state"]), Text(item["id"]), since, latency, Text(what or "not seen yet"))
    counts = ", ".join(f"{number} {state}" for state, number in view["counts"].items()) or "no monitors"
    _show(*lines, table, Text(f"{counts}; strategy {view['strategy']}", style="dim"))


def print_monitor(view: Json, timezone: str, *, story: bool = False) -> None:
    """One monitor, its times in ``timezone``; with its story for ``explain``."""
    strategy = view["strategy_detail"]
    seen = f"{ago(view['last_seen'])}: {view['summary']}" if view["last_seen"] else "not seen yet"
    lines = {
        "why": view["reason"],
        "since": "" if view["state"] == "new" else f"{local(view['since'], timezone)} ({ago(view['since'])})",
        "last look": seen,
        "next beat by": local(view["deadline"], timezone) if view["deadline"] else "",
        "strategy": f"{strategy['name']}: every {strategy['interval']}, timeout {strategy['timeout']}, fault after "
        f"{_failures(strategy['fail_threshold'])}, well after "
        f"{count(strategy['recovery_threshold'], 'good answer')}",
        "late": "" if view["suspicion"] is None else f"{view['suspicion']:.0%} of the way to a fault",
        "flapping": _flapping(view, timezone),
        "fell with": ", ".join(view["together"]),
        "requires": ", ".join(view["requires"]),
        "recovery": _recovery(view),
        "spent": _spent(view["budget"]),
        "availability": ", ".join(
            f"{name} {'–' if value is None else format(value, '.3%')}"
            for name, value in view["availability"].items()
        ),
    }
    what = f"  {view['type']} {view['target']}"
    head = Text.assemble(_state(view["state"]), "  ", (view["name"], "bold"), what)
    _show(head, *(_sentences(view) if story else [_pairs(lines)]))
    if story:
        decided = (
            (item["decided_at"], f"{item['from']} → {item['to']}: {item['reason']}")
            for item in view["transitions"][:10]
        )
        _story("What was decided", decided, timezone)
        _story("What was done", map(_attempt, view["attempts"][:10]), timezone)
        _story("What was told", map(_told, view["alerts"][:10]), timezone)
        _print_snapshot(view["snapshot"], timezone)


def print_incident(view: Json, timezone: str) -> None:
    """The story of one incident, its times in ``timezone``."""
    _show(Text.assemble((view["name"], "bold"), f"  {view['summary']}"), *_sentences(view))
    cases = ((item["opened_at"], f"{item['state']}: {item['reason']}") for item in view["cases"])
    _story("Recovery", cases, timezone)
    _story("What was done", map(_attempt, view["attempts"]), timezone)
    _story("What was told", map(_told, view["alerts"]), timezone)
    _print_snapshot(view["snapshot"], timezone)


def print_recoveries(cases: Iterable[Json], timezone: str) -> None:
    """Recovery cases with their attempts and the end of what these printed, times in ``timezone``."""
    listed = list(cases)
    if not listed:
        _show(Text("nothing has been recovered yet"))
    for case in listed:
        shut = f" at gate {case['gate']}" if case["gate"] and not case["closed_at"] else ""
        rehearsal = " (dry run)" if case["dry_run"] else ""
        _show(
            Text.assemble((case["monitor"], "bold"), f"  {case['state']}{shut}{rehearsal}: {case['reason']}")
        )
        begun = case["opened_at"], f"{case['incident']}, by {case['actor']}"
        _show(_timeline([begun, *map(_attempt_with_output, case["tries"])], timezone))


def _attempt_with_output(item: Json) -> tuple[str, str]:
    at, told = _attempt(item)
    is_rehearsal = item["outcome"] == "dry-run"  # what it has for output is why each gate was open
    printed = [] if is_rehearsal else item["output"].strip().splitlines()[-_OUTPUT_LINES:]
    return at, "\n".join([f"attempt {item['number']}: {told}", *printed])


def _print_snapshot(snapshot: Json | None, timezone: str) -> None:
    """What was seen before the first action, as it was; nothing where none was taken."""
    if snapshot is None:
        return
    _show(
        Text(
            f"\nWhat was seen before the first action, at {local(snapshot['taken_at'], timezone)}",
            style="bold",
        )
    )
    for part in snapshot["parts"]:
        if part["text"]:
            _show(Text(f"  {part['heading']}", style="dim"))
            lines = part["text"].splitlines()
            sys.stdout.writelines(f"    {line}\n" for line in lines[-_SNAPSHOT_LINES:])
            if len(lines) > _SNAPSHOT_LINES:
                _show(
                    Text(f"    the last {_SNAPSHOT_LINES} of {len(lines)} lines; --json has all", style="dim")
                )
    _show(*(Text(f"  {part['who']}: {part['why']}", style="dim") for part in snapshot["missing"]))


def _failures(threshold: int | str) -> str:
    return "3 to 6 failures, as it has learned" if threshold == "auto" else count(int(threshold), "failure")


def _bad(threshold: int | str) -> str:
    return "learned" if threshold == "auto" else f"{threshold} bad"


def print_strategies(known: Iterable[Json], in_force: str, followers: Mapping[str, str]) -> None:
    """The table of ``defib strategy show``."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "STRATEGY", "EVERY", "TIMEOUT", "FAULT", "WELL"):
        table.add_column(name, no_wrap=True)
    table.add_column("WHAT", overflow="fold")
    for item in known:
        mark = "→" if item["name"] == in_force else ""
        after = (_bad(item["fail_threshold"]), f"{item['recovery_threshold']} good")
        table.add_row(mark, Text(item["name"]), item["interval"], item["timeout"], *after, item["summary"])
    own = [Text(f"{monitor} follows {name}") for monitor, name in followers.items() if name != in_force]
    _show(table, *own)


def print_plugins(offers: Iterable[Json], faults: Iterable[Json]) -> None:
    """The table of ``defib plugins``."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("WHAT", "KIND", "FROM"):
        table.add_column(name, no_wrap=True)
    table.add_column("SUMMARY", overflow="fold")
    for item in offers:
        table.add_row(
            item["noun"], item["kind"], f"{item['distribution']} {item['version']}", item["summary"]
        )
    broken = (
        f"✖ {fault['plugin']} ({fault['distribution']}) does not load: {fault['message']}" for fault in faults
    )
    _show(table, *(Text(line, style="bold red") for line in broken))


_OF_STATUS = {
    "online": "up",
    "degraded": "degraded",
    "warning": "suspect",
    "error": "fault",
    "offline": "fault",
    "stopped": "stopped",
    "unknown": "new",
}


def print_agents(agents: Iterable[Json]) -> None:
    """The table of ``defib agents list``; columns that say nothing of anybody are left out."""
    rows = list(agents)
    has_pools = any(item["pool"] for item in rows)
    has_hosts = any(_host(item) for item in rows)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("STATUS", no_wrap=True)
    table.add_column("AGENT", overflow="fold", min_width=12)
    if has_pools:
        table.add_column("POOL", overflow="fold")
    table.add_column("LAST BEAT", no_wrap=True)
    for name in ("CPU", "MEMORY"):
        table.add_column(name, no_wrap=True, justify="right")
    if has_hosts:
        table.add_column("HOST", overflow="fold")
    for item in rows:
        loads = (_percent(item["metrics"].get(name)) for name in ("cpu_percent", "memory_percent"))
        table.add_row(
            _agent_status(item), _agent_name(item), *([Text(item["pool"])] if has_pools else []),
            ago(item["last_seen"]), *loads, *([Text(_host(item))] if has_hosts else []),
        )  # fmt: skip
    _show(table, Text(count(len(rows), "agent"), style="dim"))


def _host(agent: Json) -> str:
    """Where it runs, unless it is called so."""
    return "" if agent["hostname"] == agent["name"] else str(agent["hostname"])


def _agent_status(item: Json) -> Text:
    state = _OF_STATUS[item["status"]]
    words = [f"{_MARK.get(state, '·')} {item['word'].lower()}"]
    if item["kept_out_at"]:
        words.append("  kept out")
    if item["aside"]:
        words.append(f"  {item['aside']}")
    return Text("\n".join(words), style=_STYLE.get(state, ""))


def _agent_name(item: Json) -> Text:
    """Its name, and below it what commands know it by, unless that is its name."""
    if item["name"] in (item["id"], item["monitor"]):
        return Text(item["name"])
    return Text.assemble(item["name"], "\n", (item["monitor"], "dim"))


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} %"


def print_tokens(tokens: Iterable[Json], timezone: str) -> None:
    """The table of ``defib token list``, its days in ``timezone``."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("ID", "SCOPE", "MADE", "STANDS"):
        table.add_column(name, no_wrap=True)
    table.add_column("NAME", overflow="fold")
    rows = list(tokens)
    for item in rows:
        made = _day(item["created_at"], timezone)
        table.add_row(item["id"], item["scope"], made, _stands(item, timezone), Text(item["name"]))
    _show(table, Text(count(len(rows), "token"), style="dim"))


def _stands(token: Json, timezone: str) -> str:
    if token["revoked_at"]:
        return f"revoked {_day(token['revoked_at'], timezone)}"
    if not token["expires_at"]:
        return "good"
    return f"{'good until' if token['good'] else 'expired'} {_day(token['expires_at'], timezone)}"


def _day(instant: str, timezone: str) -> str:
    return local(instant, timezone).partition(" ")[0]


def _flapping(view: Json, timezone: str) -> str:
    flapping = view["flapping"]
    if not flapping:
        return ""
    return (
        f"{count(flapping['falls'], 'fall')} since {local(flapping['since'], timezone)}; told once in 15 min"
    )


def _recovery(view: Json) -> str:
    recovery = view["recovery"]
    if not view["ladder"]:
        return "no ladder"
    text = f"{recovery['mode']}: {' → '.join(view['ladder'])}"
    case = recovery["case"]
    return f"{text}; now {case['state']}: {case['reason']}" if case else text


def _spent(budget: Json | None) -> str:
    if budget is None:
        return ""
    return (
        f"{budget['failed']} of {budget['max_attempts']} failed attempts in {span(budget['window_s'])}, "
        f"{budget['relapses']} of {budget['max_relapses']} relapses in an hour, "
        f"{budget['today']} of {budget['max_per_day']} attempts in a day"
    )


def _attempt(item: Json) -> tuple[str, str]:
    took = ""
    if item["verified_at"]:
        seconds = datetime.fromisoformat(item["verified_at"]) - datetime.fromisoformat(item["intent_at"])
        took = f" in {format_duration(timedelta(seconds=round(seconds.total_seconds(), 1)))}"
    detail = f": {item['detail']}" if item["detail"] else ""
    return item["intent_at"], f"{item['action']}: {item['outcome']}{took}{detail}"


def _told(item: Json) -> tuple[str, str]:
    ways = ", ".join(f"{delivery['channel']} {delivery['state']}" for delivery in item["deliveries"])
    if not ways:
        reasons = [verdict["reason"] for verdict in item["verdicts"] if verdict["ruling"] != "passed"]
        ways = ": ".join(["not told", *reasons[-1:]])
    return item["at"], f"{item['severity']}: {item['title']} ({ways})"


def _sentences(view: Json) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for sentence in view["sentences"]:
        grid.add_row(Text("·", style="dim"), Text(sentence))
    return [grid]


def _pairs(lines: Mapping[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in lines.items():
        if value:
            grid.add_row(Text(name, style="dim"), Text(value))
    return grid


def _story(title: str, events: Iterable[tuple[str, str]], timezone: str) -> None:
    """What happened when, under a title."""
    listed = list(events)
    _show(Text(f"\n{title}", style="bold"), _timeline(listed, timezone) if listed else Text("  nothing"))


def _timeline(events: Iterable[tuple[str, str]], timezone: str) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for at, text in events:
        grid.add_row(f"  {local(at, timezone)}", Text(text))
    return grid


def _show(*parts: RenderableType) -> None:
    """Print; in colour on a terminal only, and without the blanks that tables end their lines with."""
    console = Console(highlight=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def window(view: Json, timezone: str) -> str:
    """``silence-…: silence of web, until 2026-12-01 22:00:00, by kim: deploy``."""
    reason = f": {view['reason']}" if view["reason"] else ""
    said = f"{view['id']}: {view['kind']} of {_about(view)}{_covered(view)}"
    if view["ended_at"]:
        return f"{said}, ended at {local(view['ended_at'], timezone)} by {view['ended_by']}{reason}"
    begins = "" if view["phase"] == "active" else f"from {local(view['starts_at'], timezone)} "
    ends = f"until {local(view['ends_at'], timezone)}" if view["ends_at"] else "until somebody ends it"
    return f"{said}, {begins}{ends}, by {view['made_by']}{reason}"


def _covered(view: Json) -> str:
    """Whom it is about now, where it does not name them."""
    if view["everything"] or not (view["tags"] or view["severity"]) or view["phase"] == "over":
        return ""
    names = view["covered"]
    return f" ({', '.join(names)})" if 0 < len(names) <= _FEW else f" ({count(len(names), 'monitor')})"


def _about(view: Json) -> str:
    if view["everything"]:
        return "everything"
    parts = [
        ", ".join(view["monitors"]),
        f"tag {' or '.join(view['tags'])}" if view["tags"] else "",
        f"incident {', '.join(view['incidents'])}" if view["incidents"] else "",
        f"severity {' or '.join(view['severity'])}" if view["severity"] else "",
    ]
    return ", ".join(part for part in parts if part)


def print_deliveries(found: Sequence[Json], timezone: str, *, are_all: bool) -> None:
    """A paragraph for each of ``defib deliveries``."""
    for item in found:
        what = item["title"] or item["kind"]
        print(
            f"{item['state']:9} {item['id']}  {local(item['created_at'], timezone)}  {item['channel']}: {what}"
        )
        if item["state"] != "delivered":
            print(f"{'':9} {_why_undelivered(item, timezone)}")
    if not found:
        print("nothing was sent so far" if are_all else "everything that was sent has been delivered")
    elif any(item["state"] == "dead" for item in found):
        print(
            "dead letters are sent once more by 'defib deliveries retry ID', or '--channel NAME', or '--all'"
        )


def _why_undelivered(item: Json, timezone: str) -> str:
    tries = f"after {item['tries']} {'try' if item['tries'] == 1 else 'tries'}"
    if item["state"] == "dead":
        return f"refused for good {tries}: {item['error']}"
    due = f"due {local(item['due_at'], timezone)}"
    return f"not accepted {tries}, {due}: {item['error']}" if item["tries"] else due


def print_windows(found: Sequence[Json], kind: str, timezone: str) -> None:
    """One line for each of ``defib silence list`` and ``defib maintenance list``."""
    for item in found:
        print(f"{item['phase']:8} {window(item, timezone)}")
    if not found:
        print(f"no {kind} is in force or to come")

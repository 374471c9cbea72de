"""Decisions in plain words, for pages, the API and the command line."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from defib.model.health import State
from defib.model.recovery import CaseState

Json = Mapping[str, Any]

STATE_WORDS: Mapping[State, str] = {
    State.FAULT: "At fault",
    State.UNREACHABLE: "Unreachable",
    State.SUSPECT: "Suspect",
    State.DEGRADED: "Degraded",
    State.STOPPED: "Stopped",
    State.NEW: "Not seen yet",
    State.WATCH: "On watch",
    State.MAINTENANCE: "Maintenance",
    State.PAUSED: "Paused",
    State.UP: "Up",
}
"""Each state as people read it, those that need attention first."""

_HEADLINES = (
    (State.FAULT, "bad", "at fault"),
    (State.UNREACHABLE, "bad", "unreachable"),
    (State.SUSPECT, "warn", "under suspicion"),
    (State.DEGRADED, "warn", "degraded"),
)


def headline(counts: Mapping[str, int]) -> tuple[str, str]:
    """How everything is in a few words, with a tone: ``ok``, ``warn``, ``bad`` or ``idle``.

    :param counts: monitors by state.
    """
    for state, tone, words in _HEADLINES:
        if n := counts.get(state, 0):
            return f"{n} monitor{'' if n == 1 else 's'} {words}", tone
    if not counts:
        return "Nothing to watch yet", "idle"
    if set(counts) == {State.NEW}:
        return "Waiting for the first looks", "idle"
    return "All well", "ok"


def doing(mode: str, case: Json | None) -> str:
    """What recovery is doing about a fault.

    :param mode: of the monitor: ``auto``, ``dry-run``, ``off``, or ``none`` without a ladder.
    :param case: its newest case, with the ``action`` it is at; None when there is none.
    """
    if case is None:
        return {
            "none": "No recovery is configured",
            "off": "Recovery is off for this monitor",
        }.get(mode, "Recovery has not begun")
    reason, action, n = case["reason"], case["action"], case["attempts"]
    match CaseState(case["state"]):
        case CaseState.PENDING:
            return f"Recovery is about to begin: {reason}"
        case CaseState.GATED:
            return f"Recovery is held back: {reason}"
        case CaseState.LAST_LOOK:
            return f"Taking one last look before running {action}"
        case CaseState.INTENT | CaseState.ACTING:
            return f"Running {action}, attempt {n}"
        case CaseState.VERIFYING:
            return f"Ran {action}, attempt {n}; looking whether it is well again"
        case CaseState.BACKOFF:
            return f"Recovery backs off: {reason}"
        case CaseState.PROBATION | CaseState.DONE:
            return f"Recovered: {reason}"
        case CaseState.ABORTED:
            return f"Recovery ended: {reason}"
        case CaseState.OPEN:
            return f"Recovery gave up after {n} attempt{'' if n == 1 else 's'}: {reason}"


def why(view: Json, parents: Mapping[str, str], timezone: str) -> list[str]:
    """Why a monitor is in its state, and why Defib did or did not act and tell: one sentence each.

    :param view: of the monitor, as :meth:`defib.engine.views.Views.monitor` makes it.
    :param parents: states of the monitors it requires, by id.
    """
    return [f"{sentence.rstrip('.')}." for sentence in _sentences(view, parents, ZoneInfo(timezone))]


def _sentences(view: Json, parents: Mapping[str, str], zone: ZoneInfo) -> Iterator[str]:
    state = State(view["state"])
    word = STATE_WORDS[state].lower()
    since = _local(view["since"], zone)
    yield f"{view['name']} is {word} since {since}: {view['reason']}"
    last = view["last"]
    if last is None:
        yield "It has not been looked at yet"
    elif last["outcome"] == "inconclusive":
        yield f"The newest look could not tell anything, so it changed nothing: {last['summary']}"
    else:
        yield f"The newest look, at {_local(last['ended_at'], zone)}, showed: {last['summary']}"
    if view["deadline"]:
        yield f"Its next beat must come by {_local(view['deadline'], zone)}"
    for parent, parent_state in parents.items():
        if parent_state != State.UP:
            yield f"It requires {parent}, which is {STATE_WORDS[State(parent_state)].lower()}"
    strategy = view["strategy_detail"]
    if state is State.SUSPECT:
        n = strategy["fail_threshold"]
        if n == "auto":
            yield "It becomes a fault when its failures reach the score that Defib has learned for it"
        else:
            yield f"It becomes a fault after {n} failure{'' if n == 1 else 's'} in a row"
    if state is State.UNREACHABLE:
        yield "Nobody is told and nothing is restarted: what it requires has to be well first"
    if state is State.FAULT:
        n = strategy["recovery_threshold"]
        yield f"It is well again after {n} good answer{'' if n == 1 else 's'} in a row"
        yield view["recovery"]["doing"]
        yield from _told(view)


def _told(view: Json) -> Iterator[str]:
    told = [alert for alert in view["alerts"] if alert["incident"] == view["incident"]]
    if not told:
        yield "Nobody was told: no alert was made for this incident"
    for alert in told:
        ways = [f"{item['channel']} ({item['state']})" for item in alert["deliveries"]]
        yield f"“{alert['title']}” went to {', '.join(ways) if ways else 'no channel: no route takes it'}"


def _local(instant: str, zone: ZoneInfo) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(zone):%Y-%m-%d %H:%M:%S}"

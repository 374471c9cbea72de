"""Decisions in plain words, for pages, the API and the command line."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from defib.engine.views.alert_wording import telling
from defib.model.health import State
from defib.model.recovery import CaseState
from defib.rules.observer import Trouble

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
RANK: Mapping[str, int] = {str(state): rank for rank, state in enumerate(STATE_WORDS)}
"""By how little attention a state needs."""

_LABELS = {
    "intermittent": "It does not fail at every look, but now and then, and more often than chance explains",
    "unverified": "Defib itself was not well when it declared this fault: it tells of it, and does not act on it "
    "before it has seen it afresh",
}

_HEADLINES = (
    (State.FAULT, "bad", "at fault"),
    (State.UNREACHABLE, "bad", "unreachable"),
    (State.SUSPECT, "warn", "under suspicion"),
    (State.DEGRADED, "warn", "degraded"),
)


UNTRUSTED = "Defib itself is not well"
"""In place of the headline that all is well."""


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
        case CaseState.KILLING:
            return f"Ending {action}, attempt {n}, which took too long"
        case CaseState.VERIFYING:
            return f"Ran {action}, attempt {n}; looking whether it is well again"
        case CaseState.BACKOFF:
            return f"Recovery backs off: {reason}"
        case CaseState.PROBATION:
            return f"Recovered, and watched for a while: {reason}"
        case CaseState.DONE:
            return f"Recovered: {reason}"
        case CaseState.FENCED:
            return "Another Defib decides about it now"
        case CaseState.ABORTED:
            return f"Recovery ended: {reason}"
        case CaseState.OPEN:
            return f"Recovery gave up after {n} attempt{'' if n == 1 else 's'}: {reason}"


def observer(trouble: Trouble, timezone: str) -> str:
    """What is wrong with the observer, since when, and what follows."""
    since = _local(trouble.since.isoformat(), ZoneInfo(timezone))
    reason = trouble.reason[:1].upper() + trouble.reason[1:]
    return f"{reason}, since {since}. {trouble.effect}."


def why(
    view: Json, parents: Mapping[str, str], timezone: str, *, acks_from: datetime | None = None
) -> list[str]:
    """Why a monitor is in its state, and why Defib did or did not act and tell: one sentence each.

    :param view: of the monitor, as :meth:`defib.engine.views.read_model.Views.monitor` makes it.
    :param parents: states of the monitors it requires, by id.
    :param acks_from: older acknowledgements have run out; None: none does.
    """
    return [
        f"{sentence.rstrip('.')}." for sentence in _sentences(view, parents, ZoneInfo(timezone), acks_from)
    ]


def of_incident(story: Json, timezone: str, *, acks_from: datetime | None = None) -> list[str]:
    """An incident from its beginning to its end: one sentence each.

    :param story: as :meth:`defib.engine.views.read_model.Views.explain` makes it.
    :param acks_from: as of :func:`why`.
    """
    return [f"{sentence.rstrip('.')}." for sentence in _of_incident(story, ZoneInfo(timezone), acks_from)]


def _of_incident(story: Json, zone: ZoneInfo, acks_from: datetime | None) -> Iterator[str]:
    began = _local(story["fault_at"], zone)
    yield f"{story['name']} failed at {began} or shortly before: {story['summary']}"
    declared = datetime.fromisoformat(story["opened_at"]) - datetime.fromisoformat(story["fault_at"])
    yield f"It was sure to be a fault after {max(declared.total_seconds(), 0.0):.1f} s"
    if story["label"]:
        yield _LABELS[story["label"]]
    if story["members"]:
        others = ", ".join(sorted(item["monitor"] for item in story["members"]))
        yield f"It fell together with {others}: they are told as one story"
    if story["affected"]:
        yield f"Behind it were {', '.join(story['affected'])}: they need it, so nobody was told of them"
    for attempt in story["attempts"]:
        yield f"At {_local(attempt['intent_at'], zone)} Defib ran {attempt['action']}: {attempt['outcome']}"
    if not story["attempts"] and story["cases"]:
        case = story["cases"][-1]
        yield f"Defib has done nothing: {case['reason']}"
    if story["acked_at"]:
        yield _acked(story, zone, acks_from)
    if story["closed_at"]:
        lasted = datetime.fromisoformat(story["closed_at"]) - datetime.fromisoformat(story["fault_at"])
        seconds = round(lasted.total_seconds())
        yield f"It was over at {_local(story['closed_at'], zone)}, after {seconds} s: {story['resolution']}"
    else:
        yield "It is not over"
    if not story["alerts"]:
        yield "Nobody was told of it by itself"
    for alert in story["alerts"]:
        yield telling(alert, zone, is_over=bool(story["closed_at"]))


def _sentences(
    view: Json, parents: Mapping[str, str], zone: ZoneInfo, acks_from: datetime | None
) -> Iterator[str]:
    state = State(view["state"])
    word = "in maintenance" if state is State.MAINTENANCE else STATE_WORDS[state].lower()
    since = _local(view["since"], zone)
    yield f"{view['name']} is {word} since {since}: {view['reason']}"
    yield from _set_aside(view, state, zone, acks_from)
    last = view["last"]
    if last is None:
        yield "It has not been looked at yet"
    elif last["outcome"] == "inconclusive":
        yield f"The newest look could not tell anything, so it changed nothing: {last['summary']}"
    elif last["summary"] not in view["reason"]:
        yield f"The newest look, at {_local(last['ended_at'], zone)}, showed: {last['summary']}"
    if view["deadline"]:
        yield f"Its next beat must come by {_local(view['deadline'], zone)}"
    if view["suspicion"] is not None:
        yield f"Its beat is late, {view['suspicion']:.0%} of the way from when it was expected to a fault"
    if flapping := view["flapping"]:
        yield (
            f"It goes up and down: {flapping['falls']} falls since {_local(flapping['since'], zone)}. Single falls and "
            "returns are not told as long as this lasts, only once in a quarter of an hour what became of it, and in "
            "any case how it ends"
        )
    if view["label"]:
        yield _LABELS[view["label"]]
    if view["together"]:
        yield f"It fell together with {', '.join(view['together'])}: they are told as one story"
    for parent, parent_state in parents.items():
        if parent_state != State.UP:
            yield f"It requires {parent}, which is {STATE_WORDS[State(parent_state)].lower()}"
    strategy = view["strategy_detail"]
    if state is State.SUSPECT and not view["deadline"]:
        n = strategy["fail_threshold"]
        if n == "auto":
            yield "It becomes a fault when its failures reach the score that Defib has learned for it"
        else:
            yield f"It becomes a fault after {n} failure{'' if n == 1 else 's'} in a row"
    if state is State.STOPPED:
        yield "It was stopped on purpose, so nothing is restarted"
        is_told = any(alert["kind"] == "stopped" and alert["at"] >= view["since"] for alert in view["alerts"])
        yield "People know" if is_told else "People hear of it when that has lasted a minute"
    if state is State.UNREACHABLE:
        yield "Nobody is told and nothing is restarted: what it requires has to be well first"
    if state is State.FAULT:
        n = strategy["recovery_threshold"]
        is_looked_at = last is None or last["source"] == "probe"
        good = (
            f"after {n} good answer{'' if n == 1 else 's'} in a row"
            if is_looked_at
            else "with its next good beat"
        )
        yield f"It is well again {good}"
        yield view["recovery"]["doing"]
        yield from _told(view, zone)


def _set_aside(view: Json, state: State, zone: ZoneInfo, acks_from: datetime | None) -> Iterator[str]:
    """What somebody has decided about it for a while."""
    if state is State.MAINTENANCE:
        yield "It is looked at as ever, but nothing is judged, told or repaired while that lasts"
    if state is State.PAUSED:
        yield "Nobody looks at it while that lasts"
    for window in view["windows"]:
        if window["phase"] == "active" and window["kind"] == "silence":
            what = f"its {' and '.join(window['severity'])} alerts" if window["severity"] else "its alerts"
            reason = f": {window['reason']}" if window["reason"] else ""
            yield f"{window['made_by']} has silenced {what} until {_local(window['ends_at'], zone)}{reason}"
    for incident in view["incidents"]:
        if incident["acked_at"] and not incident["closed_at"]:
            yield _acked(incident, zone, acks_from)


def _acked(incident: Json, zone: ZoneInfo, acks_from: datetime | None) -> str:
    note = f": {incident['ack_note']}" if incident["ack_note"] else ""
    who, at = incident["acked_by"], _local(incident["acked_at"], zone)
    if incident["closed_at"]:
        return f"{who} took it on at {at}{note}"
    if acks_from is not None and datetime.fromisoformat(incident["acked_at"]) <= acks_from:
        return f"{who} took it on at {at}, and it still fails{note}"
    return f"{who} sees to it since {at}{note}"


def _told(view: Json, zone: ZoneInfo) -> Iterator[str]:
    told = [alert for alert in view["alerts"] if alert["incident"] == view["incident"]]
    if not told and view["flapping"]:
        yield "Nobody was told of this fall: it goes up and down"
    elif not told:
        yield "Nobody was told: no alert was made for this incident"
    for alert in told:
        yield telling(alert, zone)


def _local(instant: str, zone: ZoneInfo) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(zone):%Y-%m-%d %H:%M:%S}"

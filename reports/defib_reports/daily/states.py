"""Signs and tones for what is shown: every colour has a shape and a word beside it."""

from defib.plugin import N_, AlertKind, AttemptOutcome, Hold, ProbeStatus, Severity, State
from defib_reports.daily.outages import Ending

GOOD, FAIR, BAD, MUTE = "good", "fair", "bad", "mute"
"""Tones: classes of the page's style."""

_STATES: dict[str, tuple[str, str]] = {
    State.UP: ("●", GOOD),
    State.WATCH: ("▲", FAIR),
    State.SUSPECT: ("▲", FAIR),
    State.DEGRADED: ("▲", FAIR),
    State.FAULT: ("■", BAD),
    State.UNREACHABLE: ("■", BAD),
}
_STATE_WORDS: dict[str, str] = {
    State.NEW: N_("never seen well"),
    State.UP: N_("up"),
    State.WATCH: N_("well again, watched"),
    State.SUSPECT: N_("suspect"),
    State.DEGRADED: N_("degraded"),
    State.FAULT: N_("fault"),
    State.UNREACHABLE: N_("unreachable"),
    State.STOPPED: N_("stopped"),
    State.MAINTENANCE: N_("maintenance"),
    State.PAUSED: N_("paused"),
}
_OUTCOMES = {
    AttemptOutcome.RUNNING: ("▶", MUTE, N_("was still running")),
    AttemptOutcome.VERIFIED: ("✓", GOOD, N_("worked")),
    AttemptOutcome.FAILED: ("✗", BAD, N_("failed: the component did not come back")),
    AttemptOutcome.TIMEOUT: ("✗", BAD, N_("timed out and was killed")),
    AttemptOutcome.REFUSED: ("✗", BAD, N_("was refused: nothing was executed")),
    AttemptOutcome.DRY_RUN: ("○", MUTE, N_("dry run: nothing was executed")),
    AttemptOutcome.UNKNOWN: ("?", FAIR, N_("outcome unknown: Defib stopped meanwhile")),
}
_ENDINGS = {
    Ending.DEFIB: ("✓", GOOD),
    Ending.ITSELF: ("↺", GOOD),
    Ending.OTHERWISE: ("○", MUTE),
    Ending.OPEN: ("■", BAD),
}
_SEVERITIES = {
    Severity.INFO: ("○", MUTE, N_("info")),
    Severity.LOW: ("●", MUTE, N_("low")),
    Severity.HIGH: ("▲", FAIR, N_("high")),
    Severity.SEVERE: ("■", BAD, N_("severe")),
}
STATUSES = {
    ProbeStatus.HEALTHY: N_("{n} healthy"),
    ProbeStatus.UNHEALTHY: N_("{n} unhealthy"),
    ProbeStatus.ERROR: N_("{n} error"),
    ProbeStatus.UNKNOWN: N_("{n} unknown"),
}
"""Heartbeats by what they showed."""
EVENTS = {
    AlertKind.DOWN: N_("is down"),
    AlertKind.DEGRADED: N_("is degraded"),
    AlertKind.RECOVERED: N_("is well again"),
    AlertKind.FLAPPING: N_("goes up and down"),
    AlertKind.STILL_FLAPPING: N_("still goes up and down"),
    AlertKind.SETTLED: N_("goes up and down no more"),
    AlertKind.STOPPED: N_("was stopped on purpose"),
    AlertKind.STARTED: N_("was started again"),
    AlertKind.RELAPSED: N_("fell again soon after its recovery"),
    AlertKind.CRASH_LOOPING: N_("falls again after every recovery"),
    AlertKind.RECOVERY_LATE: N_("is still failing while Defib goes on"),
    AlertKind.RECOVERY_BLOCKED: N_("needs a person: recovery is held back"),
    AlertKind.RECOVERY_FAILED: N_("needs a person: recovery was given up"),
    AlertKind.OBSERVER_SICK: N_("could not judge"),
    AlertKind.OBSERVER_WELL: N_("could judge again"),
    AlertKind.REMINDER: N_("was still open"),
    AlertKind.ESCALATED: N_("was escalated"),
    AlertKind.ACKNOWLEDGED: N_("was acknowledged"),
    AlertKind.UNACKNOWLEDGED: N_("was no longer acknowledged"),
    AlertKind.SET_ASIDE: N_("was set aside while it failed"),
    AlertKind.UNWATCHED: N_("was watched no more"),
    AlertKind.DIGEST: N_("several alerts in one message"),
    AlertKind.CHANNEL_BROKEN: N_("a channel took nothing"),
    AlertKind.CHANNEL_WORKS: N_("the channel worked again"),
    AlertKind.TEST: N_("a test"),
}
"""What an alert said, in a few words."""
HOLDS = {
    Hold.SILENCE: N_("held back by a silence"),
    Hold.MAINTENANCE: N_("held back by maintenance"),
    Hold.PAUSE: N_("held back by a pause"),
    Hold.DEPENDENCY: N_("held back: what it requires was down"),
    Hold.INHIBITION: N_("held back: another alert explained it"),
    Hold.OBSERVER: N_("held back: Defib itself could not see clearly"),
    Hold.QUIET_HOURS: N_("held back by quiet hours"),
    Hold.CALM: N_("held back until it lasted"),
}
"""Why people were not told at once."""


def state_sign(state: str) -> tuple[str, str]:
    """Sign and tone; states nobody has to care for (paused, new, a plugin's own) are mute."""
    return _STATES.get(state, ("○", MUTE))


def state_word(state: str) -> str:
    """A message; "" for a state of a plugin's own."""
    return _STATE_WORDS.get(state, "")


def outcome_sign(outcome: AttemptOutcome) -> tuple[str, str, str]:
    """Sign, tone and message."""
    return _OUTCOMES[outcome]


def ending_sign(ending: Ending) -> tuple[str, str]:
    return _ENDINGS[ending]


def severity_sign(severity: Severity) -> tuple[str, str, str]:
    """Sign, tone and message."""
    return _SEVERITIES[severity]

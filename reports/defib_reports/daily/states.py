"""Signs and tones for what is shown: every colour has a shape and a word beside it."""

from defib.plugin import AttemptOutcome, Severity, State
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
_OUTCOMES = {
    AttemptOutcome.RUNNING: ("▶", MUTE, "was still running"),
    AttemptOutcome.VERIFIED: ("✓", GOOD, "worked"),
    AttemptOutcome.FAILED: ("✗", BAD, "failed: the component did not come back"),
    AttemptOutcome.TIMEOUT: ("✗", BAD, "timed out and was killed"),
    AttemptOutcome.REFUSED: ("✗", BAD, "was refused: nothing was executed"),
    AttemptOutcome.DRY_RUN: ("○", MUTE, "dry run: nothing was executed"),
    AttemptOutcome.UNKNOWN: ("?", FAIR, "outcome unknown: Defib stopped meanwhile"),
}
_ENDINGS = {
    Ending.DEFIB: ("✓", GOOD),
    Ending.ITSELF: ("↺", GOOD),
    Ending.OTHERWISE: ("○", MUTE),
    Ending.OPEN: ("■", BAD),
}
_SEVERITIES = {
    Severity.INFO: ("○", MUTE),
    Severity.LOW: ("●", MUTE),
    Severity.HIGH: ("▲", FAIR),
    Severity.SEVERE: ("■", BAD),
}


def state_sign(state: str) -> tuple[str, str]:
    """Sign and tone; states nobody has to care for (paused, new, a plugin's own) are mute."""
    return _STATES.get(state, ("○", MUTE))


def outcome_sign(outcome: AttemptOutcome) -> tuple[str, str, str]:
    """Sign, tone and words."""
    return _OUTCOMES[outcome]


def ending_sign(ending: Ending) -> tuple[str, str]:
    return _ENDINGS[ending]


def severity_sign(severity: Severity) -> tuple[str, str]:
    return _SEVERITIES[severity]

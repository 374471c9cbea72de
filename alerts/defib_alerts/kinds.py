"""What an alert is called, and how pressing it is. Pure."""

from collections.abc import Mapping

from defib.plugin import AlertFacts, AlertKind, Severity

DOWN_KINDS: Mapping[str, tuple[str, Severity]] = {
    "agent": ("agent_down", Severity.HIGH),
    "database": ("database_down", Severity.SEVERE),
    "docker": ("docker_down", Severity.HIGH),
    "service": ("service_down", Severity.HIGH),
    "process": ("process_down", Severity.HIGH),
    "host": ("host_down", Severity.SEVERE),
    "network": ("network_down", Severity.HIGH),
    "job": ("job_missed", Severity.HIGH),
    "check": ("check_failed", Severity.HIGH),
}
"""By sort of component; any other is ``{family}_down``, high."""

BAD_STATES = frozenset({"fault", "unreachable"})

GOOD_NEWS = frozenset(
    {AlertKind.RECOVERED, AlertKind.STARTED, AlertKind.OBSERVER_WELL, AlertKind.CHANNEL_WORKS}
)
ENDINGS = GOOD_NEWS | {AlertKind.UNWATCHED}
"""What fires no more after them, for better or worse."""
OF_NO_MONITOR = frozenset(
    {
        AlertKind.TEST, AlertKind.OBSERVER_SICK, AlertKind.OBSERVER_WELL, AlertKind.CHANNEL_BROKEN,
        AlertKind.CHANNEL_WORKS, AlertKind.DIGEST,
    }
)  # fmt: skip
ABOUT_A_FAULT = frozenset(
    {
        AlertKind.DOWN, AlertKind.DEGRADED, AlertKind.RELAPSED, AlertKind.CRASH_LOOPING, AlertKind.RECOVERY_LATE,
        AlertKind.RECOVERY_BLOCKED, AlertKind.RECOVERY_FAILED, AlertKind.FLAPPING, AlertKind.SETTLED,
        AlertKind.REMINDER, AlertKind.ESCALATED, AlertKind.ACKNOWLEDGED, AlertKind.UNACKNOWLEDGED,
        AlertKind.SET_ASIDE,
    }
)  # fmt: skip
CALLS_SOMEBODY = ABOUT_A_FAULT - {AlertKind.SETTLED, AlertKind.ACKNOWLEDGED, AlertKind.SET_ASIDE}
"""What a person may take on."""


def classify(facts: AlertFacts) -> tuple[str, Severity]:
    """The alert's kind and how pressing it is."""
    match facts.event:
        case AlertKind.DOWN:
            return DOWN_KINDS.get(facts.family, (f"{facts.family}_down", Severity.HIGH))
        case AlertKind.DEGRADED:
            is_slow_agent = facts.family == "agent" and facts.cause.startswith("slow")
            return ("agent_slow" if is_slow_agent else f"{facts.family}_degraded"), Severity.LOW
        case AlertKind.SETTLED:
            return "settled", severity_down(facts.family) if facts.state in BAD_STATES else Severity.INFO
        case AlertKind.REMINDER | AlertKind.ESCALATED:
            return str(facts.event), severity_down(facts.family)
        case AlertKind.DIGEST:
            worst = max((member.severity for member in facts.together if not member.is_over),
                        key=lambda severity: severity.rank, default=Severity.INFO)  # fmt: skip
            return "digest", worst
        case AlertKind.RECOVERED | AlertKind.STARTED | AlertKind.OBSERVER_WELL | AlertKind.CHANNEL_WORKS:
            return str(facts.event), Severity.INFO
        case AlertKind.ACKNOWLEDGED | AlertKind.UNACKNOWLEDGED | AlertKind.SET_ASIDE | AlertKind.UNWATCHED:
            return str(facts.event), Severity.INFO
        case AlertKind.TEST:
            return str(facts.event), Severity.INFO
        case AlertKind.STILL_FLAPPING | AlertKind.STOPPED | AlertKind.RELAPSED:
            return str(facts.event), Severity.LOW
        case (
            AlertKind.FLAPPING | AlertKind.CRASH_LOOPING | AlertKind.OBSERVER_SICK | AlertKind.CHANNEL_BROKEN
        ):
            return str(facts.event), Severity.HIGH
        case AlertKind.RECOVERY_LATE | AlertKind.RECOVERY_BLOCKED | AlertKind.RECOVERY_FAILED:
            return str(facts.event), Severity.SEVERE


def severity_down(family: str) -> Severity:
    """How pressing it is when something of this sort is down."""
    return DOWN_KINDS.get(family, ("", Severity.HIGH))[1]

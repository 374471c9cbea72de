"""The table and the links below an alert. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from defib.plugin import ENGLISH, N_, Alert, AlertFacts, AlertKind, Fact
from defib_alerts.kinds import CALLS_SOMEBODY, OF_NO_MONITOR
from defib_alerts.wording import Voice, full_time, one_line

_LABELS: Mapping[str, str] = {
    "active_state": N_("Active state"), "answer": N_("Answer"), "asked": N_("Asked"), "beats_lost": N_("Beats lost"),
    "clock_off_s": N_("Clock off s"), "content_type": N_("Content type"), "count": N_("Count"), "error": N_("Error"),
    "exit_code": N_("Exit code"), "exit_status": N_("Exit status"), "expected_at": N_("Expected at"),
    "expected_by": N_("Expected by"), "fault_at": N_("Fault at"), "health": N_("Health"),
    "health_log": N_("Health log"), "http_status": N_("HTTP status"), "image": N_("Image"),
    "invocation_id": N_("Invocation ID"), "last_beat_at": N_("Last beat at"), "late_by": N_("Late by"),
    "limit": N_("Limit"), "location": N_("Location"), "main_pid": N_("Main PID"), "method": N_("Method"),
    "n_restarts": N_("N restarts"), "not_measured": N_("Not measured"), "output": N_("Output"), "phase": N_("Phase"),
    "pid": N_("PID"), "processors": N_("Processors"), "restart_count": N_("Restart count"), "result": N_("Result"),
    "rid": N_("Rid"), "run_time": N_("Run time"), "said": N_("Said"), "server_version": N_("Server version"),
    "sqlstate": N_("Sqlstate"), "standby": N_("Standby"), "started_at": N_("Started at"), "state": N_("State"),
    "stderr": N_("Stderr"), "sub_state": N_("Sub state"), "supervised": N_("Supervised"),
    "suspicion": N_("Suspicion"), "user_agent": N_("User agent"), "version": N_("Version"),
}  # fmt: skip
"""What the built-in monitors call their facts, as :func:`label_of` has it."""
_ACRONYMS = frozenset({"cpu", "dns", "http", "id", "oom", "pid", "tls", "url"})
_DISK = "disk "  #: a fact of each partition
_MOST_DETAILS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where to go from a message."""

    label: str  #: in the message's language
    url: str
    is_main: bool = False  #: the first of them, to be shown as a button


def details_of(alert: Alert, language: str = ENGLISH) -> list[tuple[str, str]]:
    """Label and value of what is worth a glance."""
    facts, voice = alert.facts, Voice.of(alert.facts, language)
    if facts.event in OF_NO_MONITOR or facts.together:
        return []
    details = [
        (voice.say(N_("Monitor")), f"{facts.monitor_name} ({facts.monitor}, {facts.monitor_kind})"),
        (voice.say(N_("Target")), voice.told(facts.target)),
    ]
    if facts.since < alert.at:
        details.append((voice.say(N_("Since")), full_time(facts.since, facts.timezone, language)))
    if facts.duration_s is not None:
        details.append((voice.say(N_("Lasted")), voice.words.duration(facts.duration_s)))
    if facts.event is not AlertKind.RECOVERED:
        details.append((voice.say(N_("Cause")), facts.cause))
    if facts.attempts:
        details.append((voice.say(N_("Attempts")), str(facts.attempts)))
    if facts.tags:
        details.append((voice.say(N_("Tags")), voice.words.listed(facts.tags)))
    known = (None, "", facts.cause, facts.summary)
    for key, value in facts.facts.items():
        if value not in known:
            details.append((_label(key, voice), _shown(value, facts, voice)))
    return [(label, one_line(value, 200)) for label, value in details if value][:_MOST_DETAILS]


def _label(key: str, voice: Voice) -> str:
    if key in _LABELS:
        return voice.say(_LABELS[key])
    if key.startswith(_DISK):
        return voice.say(N_("Disk {place}"), place=key.removeprefix(_DISK))
    return label_of(key)


def _shown(value: Fact, facts: AlertFacts, voice: Voice) -> str:
    match value:
        case bool():
            return voice.say(N_("yes") if value else N_("no"))
        case float() if str(value).replace(".", "", 1).isdecimal():
            return voice.words.number(value, len(str(value).partition(".")[2]))
        case str() if (at := instant_of(value)) is not None:
            return full_time(at, facts.timezone, voice.words.language)
        case _:
            return voice.told(str(value) if not isinstance(value, str) else value)


def instant_of(value: Fact) -> datetime | None:
    """The instant that a fact is, if it is one: ``2026-11-20T14:02:11+00:00``."""
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant if instant.tzinfo else None


def label_of(key: str) -> str:
    """``http_status`` as a label: ``HTTP status``."""
    words = one_line(key.replace("_", " ").replace("-", " "), 40).split(" ")
    words = [word.upper() if word in _ACRONYMS else word for word in words]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def links_of(alert: Alert, *, product_url: str = "", language: str = ENGLISH) -> list[Link]:
    """The pages of the incident and the monitor, the main one first; none without a public address."""
    facts, voice = alert.facts, Voice.of(alert.facts, language)
    base = product_url.rstrip("/")
    links = []
    if base and alert.incident:
        incident = f"{base}/incidents/{quote(alert.incident, safe='')}"
        links.append(Link(label=voice.say(N_("Open the incident")), url=incident, is_main=True))
        if facts.event in CALLS_SOMEBODY:
            links.append(Link(label=voice.say(N_("Acknowledge")), url=f"{incident}#steer"))
        if facts.url:
            links.append(Link(label=voice.say(N_("The monitor's page")), url=facts.url))
    elif url := facts.url or base:
        links.append(Link(label=voice.say(N_("Open in Defib")), url=url, is_main=True))
    return links

"""The table and the links below an alert. Pure."""

from dataclasses import dataclass
from urllib.parse import quote

from defib.plugin import ENGLISH, N_, Alert, AlertKind
from defib_alerts.beats import instant_of
from defib_alerts.kinds import CALLS_SOMEBODY, OF_NO_MONITOR
from defib_alerts.wording import Voice, full_time, one_line

_ACRONYMS = frozenset({"cpu", "dns", "http", "id", "oom", "pid", "tls", "url"})
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
        (voice.say(N_("Target")), facts.target),
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
    told = (None, "", facts.cause, facts.summary)
    for key, value in facts.facts.items():
        if value not in told:
            at = instant_of(value)
            shown = str(value) if at is None else full_time(at, facts.timezone, language)
            details.append((label_of(key), shown))
    return [(label, one_line(value, 200)) for label, value in details if value][:_MOST_DETAILS]


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

"""Alerts as Prometheus' Alertmanager knows them: which fire, which are over, under which labels. Pure.

An Alertmanager knows an alert by its labels alone, and tells of its end only when all of them are the same again. It is
therefore asked what it holds of a monitor: what ends, ends under the labels that it began with, whatever has changed
since, and also when Defib was started anew in between.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from defib.plugin import Alert, AlertFacts, AlertKind, Severity, Together
from defib_alerts.kinds import DOWN_KINDS, ENDINGS
from defib_alerts.tones import is_good_news

Labels = Mapping[str, str]

MONITOR = "monitor"
SOURCE = ("source", "defib")  #: a label of all of ours, by which they are found
_OWN = "defib"  #: the monitor of what is about Defib itself; its channels and tests are told apart
_TEST_LASTS = timedelta(minutes=1)

_HANDS = frozenset({AlertKind.ACKNOWLEDGED, AlertKind.UNACKNOWLEDGED, AlertKind.SET_ASIDE})
"""Nothing fires or ends by them."""
_GOES_ON = frozenset({AlertKind.REMINDER, AlertKind.ESCALATED, AlertKind.STILL_FLAPPING})
"""They tell of what fires already."""
_BESIDE = frozenset(
    {AlertKind.RECOVERY_LATE, AlertKind.RECOVERY_BLOCKED, AlertKind.RECOVERY_FAILED, AlertKind.TEST}
)
"""They fire beside whatever else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What users say about labels."""

    labels: Labels  #: added to every alert
    severities: Mapping[Severity, str]  #: names of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What all posts by one alert have in common."""

    wording: Wording
    at: datetime  #: of the alert
    lasting: timedelta  #: how long one fires if nobody ever ends it
    url: str = ""  #: page of the monitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What an alert says of one monitor."""

    monitor: str
    name: str  #: of the alert: ``AgentDown``
    event: AlertKind
    is_over: bool
    severity: Severity
    family: str
    tags: tuple[str, ...]
    since: datetime
    annotations: Labels


def stories_of(alert: Alert) -> Sequence[Story]:
    """One for each monitor that it is about: an Alertmanager groups by itself. None: nothing fires or ends by it."""
    facts = alert.facts
    if facts.event in _HANDS or (facts.event is AlertKind.DIGEST and not facts.together):
        return ()
    if facts.together:
        members = (_member(alert, member) for member in facts.together)
        return [story for story in members if story.event not in _HANDS]
    is_over = is_good_news(alert) or facts.event in ENDINGS
    annotations = {
        "summary": alert.title,
        "description": alert.description,
        "evidence": "\n".join(alert.evidence),
        "recommendations": "\n".join(alert.recommendations),
    }
    return [
        Story(
            monitor=_monitor_of(facts), name=_name(alert.kind, facts.event, facts.family), event=facts.event,
            is_over=is_over, severity=alert.severity, family=facts.family, tags=facts.tags, since=facts.since,
            annotations={name: text for name, text in annotations.items() if text},
        )
    ]  # fmt: skip


def _monitor_of(facts: AlertFacts) -> str:
    match facts.event:
        case AlertKind.CHANNEL_BROKEN | AlertKind.CHANNEL_WORKS:
            return f"{_OWN}/channel/{facts.monitor_name}"
        case AlertKind.TEST:
            return f"{_OWN}/test"
    return facts.monitor or _OWN


def _member(alert: Alert, member: Together) -> Story:
    event = alert.facts.event
    severity = alert.severity
    if event is AlertKind.DIGEST:
        event, severity = member.event, member.severity
    return Story(
        monitor=member.monitor, name=_name(f"{member.family}_{event.value}", event, member.family), event=event,
        severity=severity,
        is_over=member.is_over or member.duration_s is not None or event in ENDINGS,
        family=member.family, tags=(), since=member.since,
        annotations={"summary": f"{member.name}: {member.summary}", "description": alert.title},
    )  # fmt: skip


def filters_of(stories: Iterable[Story]) -> Sequence[str]:
    """Matchers that find everything an Alertmanager holds of them."""
    names = "|".join(_escaped(story.monitor) for story in stories)
    return (f'{SOURCE[0]}="{SOURCE[1]}"', f'{MONITOR}=~"{names}"')


def posts_of(story: Story, held: Iterable[Labels], frame: Frame) -> Sequence[Mapping[str, object]]:
    """What to post of one story.

    :param held: labels of what the Alertmanager holds of this monitor.
    """
    own = _labels(story, frame.wording)
    held = list(held)
    firing: list[Labels] = []
    if story.is_over:
        ending = held
    elif story.event in _GOES_ON and held:
        firing, ending = held, []
    else:
        firing = [own]
        ending = [] if story.event in _BESIDE else [labels for labels in held if dict(labels) != own]
    end = frame.at + (_TEST_LASTS if story.event is AlertKind.TEST else frame.lasting)
    return [
        *(_post(labels, story, ends_at=frame.at, url=frame.url) for labels in ending),
        *(_post(labels, story, ends_at=end, url=frame.url) for labels in firing),
    ]


def _post(labels: Labels, story: Story, *, ends_at: datetime, url: str) -> Mapping[str, object]:
    post: dict[str, object] = {
        "labels": dict(labels),
        "annotations": dict(story.annotations),
        "startsAt": _instant(min(story.since, ends_at)),
        "endsAt": _instant(ends_at),
    }
    if url:
        post["generatorURL"] = url
    return post


def _labels(story: Story, wording: Wording) -> dict[str, str]:
    """Only what stays the same as long as the alert fires; Alertmanager drops empty ones."""
    labels = {
        "alertname": story.name,
        SOURCE[0]: SOURCE[1],
        MONITOR: story.monitor,
        "severity": wording.severities.get(story.severity, story.severity.value),
        "family": story.family,
        # Separators all around, as Prometheus writes lists: one pattern, .*,web,.*, finds a tag at any place.
        "tags": f",{','.join(sorted(story.tags))}," if story.tags else "",
    }
    return {name: value for name, value in {**wording.labels, **labels}.items() if value}


def _name(kind: str, event: AlertKind, family: str) -> str:
    """``agent_down`` as alerts are called: ``AgentDown``. What is told again has the name of a fault."""
    if event is AlertKind.DOWN or event in _GOES_ON:
        kind = DOWN_KINDS.get(family, (f"{family}_down",))[0]
    return "".join(part[:1].upper() + part[1:] for part in kind.split("_"))


def _escaped(name: str) -> str:
    """A name inside a quoted pattern; names have letters, digits, dots, slashes, - and _."""
    return name.replace(".", "[.]")


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

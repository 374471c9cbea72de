"""What people may do about a message at the touch of a button."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from defib.model.alert import Alert, AlertKind
from defib.model.health import Incident
from defib.ports import Button
from defib.rules.alerting.notice import HANDS

Act = Literal["acknowledge", "silence", "explain", "recover"]

LABELS: Mapping[str, Mapping[Act, str]] = {
    "en": {
        "acknowledge": "Acknowledge",
        "silence": "Silence 1 h",
        "explain": "Explain",
        "recover": "Run recovery",
    },
    "zh-Hant": {
        "acknowledge": "我來處理",
        "silence": "靜音 1 小時",
        "explain": "說明原因",
        "recover": "執行修復",
    },
    "tr": {
        "acknowledge": "Üstleniyorum",
        "silence": "1 saat sustur",
        "explain": "Açıkla",
        "recover": "Onarımı başlat",
    },
}
"""In the languages that channels speak; short, for phones."""

_OF_TROUBLE = frozenset(
    {
        AlertKind.DOWN, AlertKind.RELAPSED, AlertKind.CRASH_LOOPING, AlertKind.FLAPPING, AlertKind.STILL_FLAPPING,
        AlertKind.RECOVERY_LATE, AlertKind.RECOVERY_BLOCKED, AlertKind.RECOVERY_FAILED, AlertKind.REMINDER,
        AlertKind.ESCALATED, *HANDS,
    }
)  # fmt: skip
_CALLS = frozenset({AlertKind.REMINDER, AlertKind.ESCALATED})


def to_be_seen_to(incidents: Iterable[Incident]) -> Incident | None:
    """Which of those that a message tells of its buttons are for: an open one, rather one that nobody has taken on."""
    found = [incident for incident in incidents if incident.closed_at is None]
    return min(found, key=lambda incident: incident.acked_at is not None, default=None)


def buttons_for(
    alert: Alert, language: str, *, acked_at: datetime | None, can_recover: bool
) -> tuple[Button, ...]:
    """The buttons below a message about ``alert``; none when there is nothing to be done about it.

    :param acked_at: when somebody took its incident on, if anybody did. A call or a reminder that is younger shows that
        this has timed out: it asks again.
    """
    if alert.incident is None or alert.facts.event not in _OF_TROUBLE:
        return ()
    acts: list[Act] = ["silence", "explain"]
    if acked_at is None or (alert.facts.event in _CALLS and acked_at < alert.at):
        acts.insert(0, "acknowledge")
    if can_recover:
        acts.append("recover")
    labels = LABELS.get(language, LABELS["en"])
    return tuple(Button(act=act, incident=alert.incident, label=labels[act]) for act in acts)

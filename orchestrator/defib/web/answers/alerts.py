"""What people were told, and how it went to them."""

from pydantic import AwareDatetime, Field

from defib.model.alert import DeliveryState, Ruling, Severity, Stage
from defib.web.answers.base import Answer


class Delivery(Answer):
    """One notice on its way through one channel."""

    id: str
    channel: str
    notice: str
    state: DeliveryState
    purpose: str = Field(description="route, escalation, reminder, fallback or resolution.")
    tries: int
    created_at: AwareDatetime
    due_at: AwareDatetime
    accepted_at: AwareDatetime | None
    sent_with: str | None = Field(
        description="The delivery in whose message it went, if not in one of its own."
    )
    stands_in_for: str | None = Field(
        description="The delivery through another channel that this one makes up for."
    )
    error: str


class DeliveryTry(Answer):
    """One try to deliver."""

    at: AwareDatetime
    accepted: bool
    detail: str = Field(description="What the far end said, or why it could not be asked.")
    duration_ms: float


class TriedDelivery(Delivery):
    """A delivery with each try."""

    log: list[DeliveryTry] = Field(description="Oldest first.")


class DeliveryStory(TriedDelivery):
    """A delivery with each try, and what it carries."""

    title: str = Field(description="Of the alert; empty for a report.")
    kind: str
    severity: Severity
    monitor: str | None
    incident: str | None


class DeliveryPage(Answer):
    """Part of the deliveries, newest first."""

    items: list[DeliveryStory]
    total: int
    limit: int
    offset: int


class Retried(Answer):
    """A dead letter is tried again."""

    id: str
    state: DeliveryState


class Verdict(Answer):
    """What one stage of alerting decided, and why."""

    stage: Stage
    ruling: Ruling
    reason: str
    until: AwareDatetime | None = Field(description="Of a hold, when that is known.")
    channels: list[str] = Field(description="That are meant, where it is not all of them.")


class Alert(Answer):
    """What people were told."""

    id: str
    kind: str
    severity: Severity
    title: str
    description: str
    evidence: list[str]
    recommendations: list[str]
    at: AwareDatetime
    monitor: str | None
    incident: str | None
    verdicts: list[Verdict] = Field(description="Why it was told, or why not, stage by stage.")


class AlertWithDeliveries(Alert):
    """An alert, and how each channel took it."""

    deliveries: list[Delivery]


class AlertStory(Alert):
    """An alert, and each try of each channel to deliver it."""

    deliveries: list[TriedDelivery]


class AlertPage(Answer):
    """Part of the alerts, newest first."""

    items: list[AlertWithDeliveries]
    total: int
    limit: int
    offset: int


class Tested(Answer):
    """How a channel took a test message."""

    accepted: bool
    detail: str = Field(description="What the far end said.")
    tries: list[DeliveryTry]

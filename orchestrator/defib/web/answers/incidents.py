"""What went wrong, each from its beginning to its end."""

from pydantic import AwareDatetime, Field

from defib.model.health import FaultLabel
from defib.web.answers.alerts import AlertStory
from defib.web.answers.base import Answer
from defib.web.answers.evidence import Snapshot, Transition
from defib.web.answers.recovery import Attempt, Case, Recovery


class Incident(Answer):
    """One story, from the fault to its end."""

    id: str
    monitor: str
    opened_at: AwareDatetime
    fault_at: AwareDatetime = Field(description="The fault began at or before this instant.")
    closed_at: AwareDatetime | None
    cause: str
    summary: str
    healed_by: str | None = Field(description="defib or itself; null while it is open.")
    resolution: str
    root: str | None = Field(
        description="The first of the incidents that began together; null: this is it, or it stands alone."
    )
    label: FaultLabel = Field(description="intermittent, unverified, or nothing special.")
    acked_at: AwareDatetime | None = Field(description="Since when somebody sees to it.")
    acked_by: str
    ack_note: str


class Acknowledged(Answer):
    """Who sees to an incident now."""

    incident: Incident
    said: str = Field(description="In words.")


class OpenIncident(Incident):
    """An incident that is not over."""

    name: str = Field(description="The monitor's name.")
    together: list[str] = Field(description="Names of the others that fell with it and are still at fault.")
    recovery: Recovery


class IncidentStory(Incident):
    """An incident with everything that was done and told."""

    name: str = Field(description="The monitor's name.")
    transitions: list[Transition] = Field(description="Of its monitor meanwhile, oldest first.")
    cases: list[Case]
    attempts: list[Attempt]
    snapshot: Snapshot | None = Field(
        description="Taken before the first action; null while nothing was done."
    )
    affected: list[str] = Field(description="Monitors that were unreachable because of it.")
    members: list[Incident] = Field(description="The other incidents that began together with it.")
    sentences: list[str] = Field(description="All of it in plain words.")
    alerts: list[AlertStory]


class IncidentPage(Answer):
    """Part of the incidents, newest first."""

    items: list[Incident]
    total: int
    limit: int
    offset: int

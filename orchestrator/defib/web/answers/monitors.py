"""What is watched."""

from typing import Any, Literal

from pydantic import AwareDatetime, Field

from defib.model.evidence import ProbeStatus
from defib.model.health import FaultLabel, State
from defib.model.monitor import Family
from defib.web.answers.alerts import AlertWithDeliveries
from defib.web.answers.base import Answer
from defib.web.answers.evidence import Flapping, Observation, Snapshot, Transition
from defib.web.answers.incidents import Incident
from defib.web.answers.recovery import Attempt, Budget, Recovery
from defib.web.answers.windows import Window


class Monitor(Answer):
    """A monitor and its state."""

    id: str
    name: str
    type: str
    family: Family
    target: str
    tags: list[str]
    state: State
    since: AwareDatetime = Field(description="Of the state.")
    reason: str = Field(description="Why it is in this state.")
    says: str = Field(description="The one line to show beside the state.")
    status: ProbeStatus
    summary: str = Field(description="Of the newest look.")
    inconclusive: bool = Field(description="The newest look could not tell anything.")
    latency_ms: float | None
    last_seen: AwareDatetime | None = Field(description="End of the newest look, or the newest beat.")
    deadline: AwareDatetime | None = Field(description="When the next beat must have come.")
    strategy: str
    interval: str
    incident: str | None = Field(description="The open one.")
    label: FaultLabel = Field(description="Of the open incident.")
    flapping: Flapping | None
    suspicion: float | None = Field(
        description="How far a beat that is late is from expected (0) to a fault (1); null while none is."
    )
    recovery: Recovery
    hours: list[str] = Field(description="The last 24 hours, oldest first: none, ok, some or bad.")
    latencies_ms: list[float] = Field(description="The newest ones, oldest first.")
    metrics: dict[str, float | None]


class MonitorPage(Answer):
    """Part of the monitors, those that need attention first."""

    items: list[Monitor]
    total: int
    limit: int
    offset: int


class StrategyDetail(Answer):
    """A strategy as a configuration would write it."""

    name: str
    interval: str
    timeout: str
    confirm: list[str]
    fail_threshold: int | Literal["auto"] = Field(description="auto: the detector learns it.")
    recovery_threshold: int
    detector: str


class StrategyItem(StrategyDetail):
    summary: str


class Strategies(Answer):
    """The strategies, and who follows which."""

    in_force: str = Field(description="The global one.")
    configured: str = Field(description="The global one without a switch at run time.")
    items: list[StrategyItem]
    monitors: dict[str, str]
    switched: dict[str, str] = Field(description="Switches at run time: strategy, or strategy:ID.")


class MonitorStory(Monitor):
    """A monitor with its history."""

    flap_percent: float | None = Field(
        description="How much it changes, as Nagios counts it over the last 21 scheduled looks."
    )
    together: list[str] = Field(description="Monitors that fell together with it in the open incident.")
    requires: list[str]
    ladder: list[str] = Field(description="What each rung runs.")
    strategy_detail: StrategyDetail
    last: Observation | None
    availability: dict[str, float | None] = Field(description="Share of observed time well: 24h, 7d, 30d.")
    parents: dict[str, State] = Field(description="States of the monitors it requires.")
    sentences: list[str] = Field(description="Why it is in its state, in plain words.")
    transitions: list[Transition] = Field(description="Newest first.")
    incidents: list[Incident]
    attempts: list[Attempt]
    budget: Budget | None = Field(description="What recovery has spent; null without a ladder.")
    snapshot: Snapshot | None = Field(description="Taken before the first action of the newest recovery.")
    alerts: list[AlertWithDeliveries]
    windows: list[Window] = Field(
        description="Silences, maintenance and pauses that are about it, in force and to come."
    )


class MadeMonitor(Answer):
    """A monitor that was made through the API."""

    id: str
    definition: dict[str, Any] = Field(description="As a configuration would have it; secrets are masked.")
    made_at: AwareDatetime
    made_by: str


class Explanation(Answer):
    """Why a monitor is in its state, and why Defib did or did not act and tell."""

    id: str
    name: str
    state: State
    since: AwareDatetime
    reason: str
    sentences: list[str] = Field(description="All of it in plain words.")
    last: Observation | None
    incident: str | None
    label: FaultLabel
    together: list[str]
    flapping: Flapping | None
    suspicion: float | None
    recovery: Recovery
    parents: dict[str, State] = Field(description="States of the monitors it requires.")
    transitions: list[Transition]
    alerts: list[AlertWithDeliveries]

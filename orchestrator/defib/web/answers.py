"""What the API answers, as types: the source of its description. The tests hold real answers against them."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from defib.model.agent import AgentStatus, Scope
from defib.model.alert import DeliveryState, Severity
from defib.model.evidence import Grade, Outcome, ProbeStatus, Source
from defib.model.health import FaultLabel, State
from defib.model.monitor import Family, RecoveryMode
from defib.model.recovery import AttemptOutcome, CaseState, Gate

Scalar = str | int | float | bool | None


class Answer(BaseModel):
    """Base of all."""

    model_config = ConfigDict(extra="forbid")


# --- recovery ------------------------------------------------------------------------------------------


class Case(Answer):
    """A recovery case: the efforts for one incident."""

    id: str
    incident: str
    monitor: str
    state: CaseState
    reason: str = Field(description="Why it is in this state.")
    rung: int = Field(description="Of the ladder, from 1.")
    attempts: int
    failures: int
    dry_run: bool
    gate: Gate | None = Field(description="What holds it back, or what has ended it; null for nothing.")
    gated_since: AwareDatetime | None = Field(description="Since when that gate has been shut.")
    actor: str = Field(description="auto, or who asked for it.")
    opened_at: AwareDatetime
    due_at: AwareDatetime = Field(description="The next step is not before this instant.")
    closed_at: AwareDatetime | None


class CaseAtWork(Case):
    """A recovery case with what its rung runs."""

    action: str = Field(description="docker restart gateway")


class Recovery(Answer):
    """How a monitor recovers, and what is being done now."""

    mode: str = Field(description="auto, dry-run, off, or none without a ladder.")
    case: CaseAtWork | None
    doing: str = Field(description="In words.")


class Attempt(Answer):
    """One execution of one rung."""

    id: str
    case: str
    incident: str
    monitor: str
    number: int
    kind: str
    action: str
    actor: str
    outcome: AttemptOutcome
    exit_status: int | None
    intent_at: AwareDatetime
    ended_at: AwareDatetime | None
    verified_at: AwareDatetime | None
    relapsed_at: AwareDatetime | None = Field(description="It had helped, and soon the target fell again.")
    output: str = Field(description="The end of what it printed.")
    detail: str


class CaseWithTries(Case):
    """A recovery case with its attempts, oldest first."""

    tries: list[Attempt]


class Budget(Answer):
    """What recovery has spent on a monitor, of what it may spend."""

    failed: int = Field(description="Attempts without success within the window.")
    max_attempts: int
    window_s: float
    relapses: int = Field(description="Falls soon after a good recovery, within an hour.")
    max_relapses: int
    today: int = Field(description="Attempts within 24 hours.")
    max_per_day: int


class Arming(Answer):
    """Whether recovery acts, and for whom."""

    configured: RecoveryMode = Field(description="What `defaults.recovery` says.")
    monitors: dict[str, str] = Field(
        description="What is in force: auto, dry-run, off, or none without a ladder."
    )
    set: dict[str, RecoveryMode] = Field(description="What was set at run time: recovery, or recovery:ID.")


class Cancelled(Answer):
    """A recovery is being ended."""

    case: Case


class Started(Answer):
    """A recovery was started."""

    case: Case


# --- alerts --------------------------------------------------------------------------------------------


class Delivery(Answer):
    """One notice on its way through one channel."""

    id: str
    channel: str
    notice: str
    state: DeliveryState
    tries: int
    created_at: AwareDatetime
    due_at: AwareDatetime
    accepted_at: AwareDatetime | None
    sent_with: str | None = Field(
        description="The delivery in whose message it went, if not in one of its own."
    )
    error: str


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


class AlertWithDeliveries(Alert):
    """An alert, and how each channel took it."""

    deliveries: list[Delivery]


class Tested(Answer):
    """How a channel took a test message."""

    accepted: bool
    detail: str = Field(description="What the far end said.")


# --- monitors ------------------------------------------------------------------------------------------


class Observation(Answer):
    """What one look or beat showed."""

    source: Source
    started_at: AwareDatetime
    ended_at: AwareDatetime
    outcome: Outcome
    grade: Grade
    status: ProbeStatus
    cause: str
    summary: str
    latency_ms: float | None
    metrics: dict[str, float | None]
    facts: dict[str, Scalar]


class Transition(Answer):
    """A change of state, with the bounds of when it really happened."""

    monitor: str
    from_: State = Field(alias="from")
    to: State
    decided_at: AwareDatetime
    not_before: AwareDatetime
    not_after: AwareDatetime
    reason: str
    incident: str | None
    evidence: Observation | None


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


class OpenIncident(Incident):
    """An incident that is not over."""

    name: str = Field(description="The monitor's name.")
    together: list[str] = Field(description="Names of the others that fell with it and are still at fault.")
    recovery: Recovery


class SnapshotPart(Answer):
    """One text of a snapshot."""

    heading: str = Field(description="docker logs gateway")
    text: str


class MissingPart(Answer):
    """A part of a snapshot that could not be had."""

    who: str = Field(description="Who should have told it.")
    why: str


class Snapshot(Answer):
    """What was to be seen of a target, and around it, before the first action: at most 64 KiB, without secrets."""

    incident: str
    taken_at: AwareDatetime
    took_ms: float
    parts: list[SnapshotPart] = Field(description="The target's own first.")
    missing: list[MissingPart]


class IncidentStory(Incident):
    """An incident with everything that was done and told."""

    name: str = Field(description="The monitor's name.")
    cases: list[Case]
    attempts: list[Attempt]
    snapshot: Snapshot | None = Field(
        description="Taken before the first action; null while nothing was done."
    )
    affected: list[str] = Field(description="Monitors that were unreachable because of it.")
    members: list[Incident] = Field(description="The other incidents that began together with it.")
    sentences: list[str] = Field(description="All of it in plain words.")
    alerts: list[AlertWithDeliveries]


class Flapping(Answer):
    """It goes up and down."""

    since: AwareDatetime
    falls: int = Field(description="Into a fault, since then.")


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


class StrategyDetail(Answer):
    """A strategy as a configuration would write it."""

    name: str
    interval: str
    timeout: str
    confirm: list[str]
    fail_threshold: int | Literal["auto"] = Field(description="auto: the detector learns it.")
    recovery_threshold: int
    detector: str


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


class Sample(Answer):
    """One observation of the history."""

    at: AwareDatetime
    status: ProbeStatus
    cause: str | None = Field(description="null when all was well.")
    latency_ms: float | None
    metrics: dict[str, float | None]


class History(Answer):
    """Observations, oldest first."""

    monitor: str
    since: AwareDatetime
    until: AwareDatetime
    items: list[Sample]
    total: int
    limit: int
    offset: int


# --- everything at once --------------------------------------------------------------------------------


class StateCount(Answer):
    """How many monitors are in a state."""

    state: State
    word: str
    count: int


class Trouble(Answer):
    """Something wrong with Defib itself."""

    what: str = Field(description="plugin, configuration, store, report, observer, dead-man or channel.")
    message: str


class Overview(Answer):
    """Everything the first page shows."""

    version: str
    generated_at: AwareDatetime
    started_at: AwareDatetime | None
    timezone: str
    strategy: str
    strategies: list[str]
    state: State = Field(description="The worst one.")
    headline: str
    tone: str = Field(description="ok, warn, bad or idle.")
    counts: dict[str, int]
    states: list[StateCount] = Field(description="Every state, those that need attention first.")
    monitors: list[Monitor] = Field(description="Those that need attention first.")
    incidents: list[OpenIncident]
    alerts: list[AlertWithDeliveries] = Field(description="The newest ones.")
    problems: list[Trouble]


class MonitorPage(Answer):
    """Part of the monitors, those that need attention first."""

    items: list[Monitor]
    total: int
    limit: int
    offset: int


class IncidentPage(Answer):
    """Part of the incidents, newest first."""

    items: list[Incident]
    total: int
    limit: int
    offset: int


class AlertPage(Answer):
    """Part of the alerts, newest first."""

    items: list[AlertWithDeliveries]
    total: int
    limit: int
    offset: int


class CasePage(Answer):
    """Part of the recovery cases, newest first."""

    items: list[CaseWithTries]
    total: int
    limit: int
    offset: int


# --- strategies, reports, plugins ----------------------------------------------------------------------


class StrategyItem(StrategyDetail):
    summary: str


class Strategies(Answer):
    """The strategies, and who follows which."""

    in_force: str = Field(description="The global one.")
    configured: str = Field(description="The global one without a switch at run time.")
    items: list[StrategyItem]
    monitors: dict[str, str]
    switched: dict[str, str] = Field(description="Switches at run time: strategy, or strategy:ID.")


class ReportTitle(Answer):
    """A stored report."""

    id: str
    name: str
    subject: str
    generated_at: AwareDatetime


class ReportTitles(Answer):
    """The newest stored reports."""

    items: list[ReportTitle]
    total: int


class ReportMade(Answer):
    """A report was made and stored."""

    id: str
    subject: str
    channels: list[str] = Field(description="Where it is being sent.")


class Offer(Answer):
    noun: str
    kind: str
    summary: str
    plugin: str
    distribution: str
    version: str


class PluginFault(Answer):
    plugin: str
    distribution: str
    message: str


class Plugins(Answer):
    """What the plugins offer, and those that do not load."""

    offers: list[Offer]
    faults: list[PluginFault]


class Reloaded(Answer):
    """The configuration that is in force now."""

    monitors: int
    warnings: list[str]


class LoginLink(Answer):
    """Logs one browser in, once, within a day."""

    url: str


# --- agents and tokens ---------------------------------------------------------------------------------


class AgentTask(Answer):
    """Something that an agent works on."""

    id: str
    kind: str
    workspace: str
    started_at: str = Field(description="As the agent wrote it.")


class Agent(Answer):
    """A registered agent, how it stands, and what it reported last."""

    id: str = Field(description="As it calls itself.")
    monitor: str = Field(description="The monitor that watches it.")
    name: str
    pool: str
    tags: list[str]
    hostname: str
    address: str
    os: str
    version: str
    protocol: str
    facts: dict[str, Scalar] = Field(description="Of its host: cpu_name, mem_total_bytes.")
    aliases: list[str] = Field(description="Other ids that it beats under.")
    every_s: float | None = Field(description="Seconds between two beats, in its own words.")
    registered_at: AwareDatetime
    status: AgentStatus
    word: str = Field(description="The status as people read it.")
    says: str = Field(description="Its own word: running, busy, idle.")
    connected: bool = Field(description="Over a WebSocket or a socket that it holds open.")
    last_seen: AwareDatetime | None = Field(description="Its newest beat.")
    reported_at: AwareDatetime | None = Field(
        description="When what follows came; null when that is more than five minutes ago."
    )
    metrics: dict[str, float | None]
    disks: dict[str, float | None] = Field(description="Partition to percent used.")
    disk_percent: float | None = Field(description="Of the fullest partition.")
    tasks: list[AgentTask]
    cpu_hour: list[float | None] = Field(
        description="CPU in percent, the mean of each of the last 60 minutes; empty when there is none."
    )
    memory_hour: list[float | None]


class AgentPage(Answer):
    """Part of the agents, those that need attention first."""

    items: list[Agent]
    total: int
    limit: int
    offset: int


class AgentRemoved(Answer):
    """An agent was removed, and its monitor with it."""

    id: str
    monitor: str


class Pool(Answer):
    """Agents that belong together."""

    name: str
    agents: int
    counts: dict[str, int] = Field(description="How many have which status.")


class Pools(Answer):
    """Every pool that has agents, by name."""

    items: list[Pool]
    total: int


class Token(Answer):
    """A token that was given out, without its secret."""

    id: str
    root: str = Field(
        description="Id of the first token in whose place it was made; its own for a first one."
    )
    name: str
    scope: Scope
    agent: str | None = Field(description="The only agent it may report for; null: for those it brought in.")
    good: bool = Field(description="Neither revoked nor expired.")
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None


class Tokens(Answer):
    """Every token that was given out, newest first."""

    items: list[Token]
    total: int


class TokenMade(Answer):
    """A new token."""

    token: Token
    text: str = Field(description="What to show as Authorization: Bearer; it is never answered again.")


class ProblemDetails(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] | None = Field(default=None, description="Each wrong parameter or member.")
    mistakes: list[str] | None = Field(default=None, description="Each mistake of the configuration.")

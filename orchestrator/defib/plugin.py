"""The public plugin API: everything a plugin needs, and the only module of the kernel it may import."""

from defib.errors import (
    ActionHeldBackError,
    ActionRefusedError,
    ConfigError,
    DefibError,
    DeliveryError,
    ListenError,
    RegistrationRefusedError,
    StoreError,
)
from defib.hookspecs import (
    ActionType,
    ChannelType,
    DefaultRung,
    DetectorType,
    MonitorType,
    ReceiverType,
    ReportType,
    TextsType,
    hookimpl,
)  # fmt: skip
from defib.model.agent import (
    Agent,
    AgentReport,
    AgentStatus,
    AgentView,
    Introduction,
    Live,
    Scope,
    Task,
    Token,
)
from defib.model.alert import Alert, AlertFacts, AlertKind, AlertText, Severity, Together
from defib.model.beat import Beat, Signal
from defib.model.evidence import Evidence, Fact, Grade, Observation, Outcome, ProbeStatus, Source
from defib.model.health import BeatMemory, FaultLabel, Health, Incident, State, Transition
from defib.model.ids import AgentId, AlertId, IncidentId, MonitorId, ReportId
from defib.model.monitor import Family, MadeMonitor, MonitorSpec
from defib.model.options import Duration, Options, Percent, Secret, format_duration, parse_duration
from defib.model.recovery import Attempt, AttemptOutcome
from defib.model.report import MonitorPeriod, Period, ReportDocument
from defib.model.strategy import Strategy
from defib.ports import (
    Action,
    ActionContext,
    ActionResult,
    Aimed,
    AlertTexts,
    Attended,
    Askable,
    BeatSink,
    BuildContext,
    Channel,
    Clock,
    Dated,
    Deadline,
    Detector,
    Execution,
    Executor,
    Fleet,
    Founded,
    IngestSettings,
    Jobs,
    Judgement,
    LiveFeed,
    Monitor,
    OwnParts,
    ProbeContext,
    PushedMonitor,
    PushedVerdict,
    Receipt,
    ReceiverContext,
    ReportWriter,
    SendContext,
    SnapshotContext,
    Tripwired,
    Witness,
)  # fmt: skip
from defib.rules import heartbeat as rhythm
from defib.rules.masking import command_line, masked

__all__ = [
    "Action", "ActionContext", "ActionHeldBackError", "ActionRefusedError", "ActionResult", "ActionType", "Agent",
    "AgentId", "AgentReport", "AgentStatus", "AgentView", "Aimed", "Alert", "AlertFacts", "AlertId", "AlertKind",
    "AlertText", "AlertTexts", "Askable", "Attempt", "AttemptOutcome", "Attended", "Beat", "BeatMemory",
    "BeatSink", "BuildContext", "Channel", "ChannelType", "Clock", "ConfigError", "Dated", "Deadline",
    "DefaultRung", "DefibError", "DeliveryError", "Detector", "DetectorType", "Duration", "Evidence", "Execution",
    "Executor", "Fact", "Family", "FaultLabel", "Fleet", "Founded", "Grade", "Health", "Incident", "IncidentId",
    "IngestSettings", "Introduction", "Jobs", "Judgement", "ListenError", "Live", "LiveFeed", "MadeMonitor", "Monitor",
    "MonitorId", "MonitorPeriod",
    "MonitorSpec", "MonitorType", "Observation", "Options", "Outcome", "OwnParts", "Percent", "Period",
    "ProbeContext", "ProbeStatus", "PushedMonitor", "PushedVerdict", "Receipt", "ReceiverContext", "ReceiverType",
    "RegistrationRefusedError", "ReportDocument", "ReportId", "ReportType", "ReportWriter", "Scope", "Secret",
    "SendContext", "Severity", "Signal", "SnapshotContext", "Source", "State", "StoreError", "Strategy", "Task",
    "TextsType", "Together", "Token", "Transition", "Tripwired", "Witness", "command_line", "format_duration",
    "hookimpl", "masked", "parse_duration", "rhythm",
]  # fmt: skip

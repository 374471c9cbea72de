"""The public plugin API: everything a plugin needs, and the only module of the kernel it may import."""

from defib.errors import ActionRefusedError, ConfigError, DefibError, DeliveryError, StoreError
from defib.hookspecs import (
    ActionType,
    ChannelType,
    DetectorType,
    MonitorType,
    ReceiverType,
    ReportType,
    TextsType,
    hookimpl,
)  # fmt: skip
from defib.model.alert import Alert, AlertFacts, AlertKind, AlertText, Severity
from defib.model.beat import Beat, Signal
from defib.model.evidence import Evidence, Fact, Grade, Observation, Outcome, ProbeStatus, Source
from defib.model.health import BeatMemory, Health, Incident, State, Transition
from defib.model.ids import AlertId, IncidentId, MonitorId, ReportId
from defib.model.monitor import Family, MonitorSpec
from defib.model.options import Duration, Options, Percent, Secret, format_duration, parse_duration
from defib.model.recovery import Attempt, AttemptOutcome
from defib.model.report import MonitorPeriod, Period, ReportDocument
from defib.model.strategy import Strategy
from defib.ports import (
    Action,
    ActionContext,
    ActionResult,
    AlertTexts,
    BeatSink,
    BuildContext,
    Channel,
    Clock,
    Deadline,
    Detector,
    Execution,
    Executor,
    Judgement,
    Monitor,
    ProbeContext,
    PushedMonitor,
    PushedVerdict,
    Receipt,
    ReportWriter,
    SendContext,
    Tripwired,
)  # fmt: skip
from defib.rules import heartbeat as rhythm

__all__ = [
    "Action", "ActionContext", "ActionRefusedError", "ActionResult", "ActionType", "Alert", "AlertFacts", "AlertId",
    "AlertKind", "AlertText", "AlertTexts", "Attempt", "AttemptOutcome", "Beat", "BeatMemory", "BeatSink",
    "BuildContext", "Channel", "ChannelType", "Clock", "ConfigError", "Deadline", "DefibError", "DeliveryError",
    "Detector", "DetectorType", "Duration", "Evidence", "Execution", "Executor", "Fact", "Family", "Grade",
    "Health", "Incident", "IncidentId", "Judgement", "Monitor", "MonitorId", "MonitorPeriod", "MonitorSpec",
    "MonitorType", "Observation", "Options", "Outcome", "Percent", "Period", "ProbeContext", "ProbeStatus",
    "PushedMonitor", "PushedVerdict", "Receipt", "ReceiverType", "ReportDocument", "ReportId", "ReportType",
    "ReportWriter", "Secret", "SendContext", "Severity", "Signal", "Source", "State", "StoreError", "Strategy",
    "TextsType", "Transition", "Tripwired", "format_duration", "hookimpl", "parse_duration", "rhythm",
]  # fmt: skip

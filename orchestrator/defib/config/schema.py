"""The keys that belong to Defib itself; those of a monitor type, an action or a channel are its plugin's."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Any

from pydantic import Field

from defib.config.values import (
    Count,
    Cron,
    Durations,
    Id,
    Interval,
    KeptFor,
    Listen,
    Mode,
    Positive,
    PublicUrl,
    Severities,
    Store,
    Threshold,
    Timezone,
    Words,
    host_and_port,
)  # fmt: skip
from defib.model.monitor import RecoveryPolicy, Rung
from defib.model.options import Duration, Options, format_duration
from defib.model.settings import Retention, ServerSettings

_POLICY = RecoveryPolicy()
_RUNG = {field.name: field.default for field in fields(Rung)}


def _inherited(default: Any, description: str) -> Any:
    """A key that may stay unset; ``default`` is what then holds, and what the JSON Schema tells."""
    shown: Any = format_duration(default) if isinstance(default, timedelta) else default
    return Field(default=None, description=description, json_schema_extra={"default": shown})


class ServerKeys(Options):
    """The dashboard and the API."""

    listen: Listen = Field(
        default="127.0.0.1:8420", description="Address to listen on, host:port; [::1]:8420 for IPv6."
    )
    public_url: PublicUrl | None = Field(
        default=None, description="Address that people open, for links in alerts and reports."
    )

    def settings(self) -> ServerSettings:
        host, port = host_and_port(self.listen)
        return ServerSettings(host=host, port=port, public_url=self.public_url or "")


class RecoveryKeys(Options):
    """How Defib may repair; every key unset is taken from `defaults.recovery`."""

    mode: Mode | None = _inherited(
        _POLICY.mode, "auto acts, dry-run only says what it would do, off does nothing."
    )
    hold: Duration | None = _inherited(
        _POLICY.hold, "Least age of a fault before acting; unset goes by the strength of the evidence."
    )
    cooldown: Duration | None = _inherited(
        _POLICY.cooldown, "Wait between two attempts; doubled after each failed one."
    )
    max_attempts: Count | None = _inherited(
        _POLICY.max_attempts, "Failed attempts within the window; then it needs a human."
    )
    window: Positive | None = _inherited(_POLICY.window, "The span in which attempts are counted.")
    start_timeout: Positive | None = _inherited(
        _POLICY.start_timeout, "How long a restarted target may take to come up."
    )


class RungKeys(Options):
    """Keys of every rung, beside those of its action."""

    timeout: Positive | None = _inherited(_RUNG["timeout"], "The action is killed after it.")
    idempotent: bool | None = _inherited(
        _RUNG["idempotent"], "It may run again when a crash of Defib left its outcome unknown."
    )
    max_uses: Count | None = _inherited(
        _RUNG["max_uses"], "Uses in one incident before the next rung has its turn."
    )


class StrategyKeys(Options):
    """How often to look, how long to wait, and how much evidence decides."""

    interval: Interval | None = Field(default=None, description="Between two probes.")
    timeout: Positive | None = Field(default=None, description="Of one probe.")
    confirm: Durations | None = Field(
        default=None,
        description="Waits before the second, third, … look after a failure; [] waits for the interval.",
    )
    recover_confirm: Duration | None = Field(
        default=None, description="Wait before the second look after a first success; unset is the interval."
    )
    fail_threshold: Threshold | None = Field(
        default=None, description="Failures in a row that make a fault; auto learns 3 to 6."
    )
    recovery_threshold: Count | None = Field(default=None, description="Successes in a row that end it.")
    detector: str | None = Field(default=None, description="The rule that judges.")


class NamedStrategyKeys(StrategyKeys):
    """A strategy of your own, or your version of one that Defib brings."""

    base: str | None = Field(
        default=None, description="The strategy it starts from; unset is the one it redefines, else normal."
    )
    summary: str | None = Field(default=None, description="One line that says what it is for.")


class DefaultsKeys(Options):
    """What holds for every monitor that does not say otherwise; `recovery` is read apart."""

    strategy: str = Field(default="normal", description="The strategy of all monitors without one.")
    recovery_scripts: Words = Field(
        default=(),
        description="Folder or folders that recovery scripts may come from; relative to the configuration.",
    )


class RetentionKeys(Options):
    """How long history is kept."""

    raw: KeptFor = Field(default=timedelta(days=7), description="Single observations.")
    events: KeptFor = Field(
        default=None, description="Transitions, incidents, recovery attempts and alerts; unset is forever."
    )

    def settings(self) -> Retention:
        return Retention(raw=self.raw, events=self.events)


class MonitorKeys(Options):
    """Keys of every monitor, beside those of its type and of a strategy."""

    id: Id = Field(description="A name for good: its history hangs on it.")
    type: str = Field(description="What to watch: the monitor type.")
    name: str | None = Field(default=None, description="For people; unset is the id.")
    strategy: str | None = Field(default=None, description="Unset follows the global one.")
    tags: Words = Field(default=(), description="Words to route and group by.")
    requires: Words = Field(
        default=(),
        description="Monitors that must be well first: while one is down, this one counts as unreachable.",
    )
    requires_any: Words = Field(
        default=(),
        description="Redundant monitors of which one must be well: this one is unreachable when all are down.",
    )
    enabled: bool = Field(default=True, description="false keeps it in the file without watching it.")


class MatchKeys(Options):
    """Which alerts a route takes: all of these must fit; a key that is not there fits every alert."""

    severity: Severities = Field(default=(), description="Any of info, low, high, severe.")
    kind: Words = Field(default=(), description="Any of these kinds of alert, such as agent_down.")
    tags: Words = Field(default=(), description="Any of these tags of the monitor.")
    monitors: Words = Field(default=(), description="Any of these monitors, by id.")


class RouteKeys(Options):
    """Where alerts go."""

    match: MatchKeys = Field(default=MatchKeys(), description="Which alerts it takes; without it, all.")
    channels: Words = Field(description="The channels that carry them.")
    resume: bool = Field(
        default=False,
        alias="continue",
        description="Look at the following routes too; else the first match wins.",
    )


class ReportKeys(Options):
    """When a report is made and where it goes."""

    cron: Cron = Field(description="When, as minute, hour, day of month, month and day of week.")
    timezone: Timezone | None = Field(default=None, description="Of the times; unset is the global one.")
    channels: Words = Field(default=(), description="The channels that carry it.")


class RootKeys(Options):
    """The plain keys and sections at the top of a configuration."""

    timezone: Timezone = Field(default="UTC", description="For times that people read or write.")
    store: Store = Field(
        default="sqlite:///defib.db",
        description="sqlite:///path, relative to the configuration, or postgresql://user@host/database.",
    )
    server: ServerKeys = Field(default=ServerKeys(), description="The dashboard and the API.")
    retention: RetentionKeys = Field(default=RetentionKeys(), description="How long history is kept.")


def field_names(*models: type[Options]) -> Mapping[str, None]:
    """The keys that ``models`` take, as users write them, in order."""
    return dict.fromkeys(
        field.alias or name for model in models for name, field in model.model_fields.items()
    )


def given(keys: Options) -> dict[str, Any]:
    """What is set, by field, as parsed values; what is left to be learned (``auto``) is None."""
    values = {name: getattr(keys, name) for name in type(keys).model_fields}
    found = {name: value for name, value in values.items() if value is not None}
    if found.get("fail_threshold") == "auto":
        found["fail_threshold"] = None
    return found

"""The keys that belong to Defib itself; those of a monitor type, an action or a channel are its plugin's."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from defib.config.route_keys import TellingKeys
from defib.config.values import (
    Anchor,
    Badges,
    Count,
    Cron,
    Durations,
    Id,
    Interval,
    KeptFor,
    Language,
    Listen,
    Mode,
    Moment,
    Name,
    Network,
    Objective,
    Permissions,
    PingUrl,
    Positive,
    PublicUrl,
    Share,
    Store,
    Threshold,
    Timezone,
    Words,
    host_and_port,
)  # fmt: skip
from defib.model.monitor import OnRelapse, RecoveryPolicy, Rung
from defib.model.options import Duration, Options, Secret, format_duration
from defib.model.settings import (
    BadgeAccess,
    DeadManSettings,
    IngestSettings,
    ObserverSettings,
    RecoveryLimits,
    Retention,
    ServerSettings,
)

_POLICY = RecoveryPolicy()
_LIMITS = RecoveryLimits()
_RUNG = {field.name: field.default for field in fields(Rung)}


def _inherited(default: Any, description: str) -> Any:
    """A key that may stay unset; ``default`` is what then holds, and what the JSON Schema tells."""
    shown: Any = format_duration(default) if isinstance(default, timedelta) else default
    return Field(default=None, description=description, json_schema_extra={"default": shown})


class IngestKeys(Options):
    """Who may report to Defib."""

    require_token: bool = Field(
        default=True,
        description="Ask for a token also where a beat names a monitor by its id; ping UUIDs are keys already.",
    )
    registration_key: Secret | None = Field(
        default=None, description="Agents that show this key may register and are given a token of their own."
    )
    open_registration: bool = Field(
        default=False, description="Let any agent register. Only where nobody else reaches the server."
    )
    new_agents: bool = Field(
        default=True,
        description="Let an agent that shows a good token come in by its first beat, without registering.",
    )

    def settings(self) -> IngestSettings:
        key = self.registration_key.get_secret_value() if self.registration_key else ""
        return IngestSettings(
            require_token=self.require_token, registration_key=key, open_registration=self.open_registration,
            new_agents=self.new_agents,
        )  # fmt: skip


class ServerKeys(Options):
    """The dashboard and the API."""

    listen: Listen = Field(
        default="127.0.0.1:8420", description="Address to listen on, host:port; [::1]:8420 for IPv6."
    )
    public_url: PublicUrl | None = Field(
        default=None, description="Address that people open, for links in alerts and reports."
    )
    unix_socket: str | None = Field(
        default=None,
        min_length=1,
        description="Where agents on this machine connect and beat, relative to the configuration; off when absent.",
    )
    unix_socket_mode: Permissions = Field(
        default=0o600,
        description='Who may connect to it, as of chmod: "0660" lets its group, "0666" every user of this machine.',
        json_schema_extra={"default": "0600"},
    )
    unix_socket_group: str | None = Field(
        default=None,
        min_length=1,
        description="Group that the socket belongs to: one that Defib's own user is a member of.",
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(),
        description="Addresses or networks of reverse proxies whose X-Forwarded-For tells where a request came from; "
        "everybody else's is passed over.",
    )
    badges: Badges = Field(
        default=BadgeAccess.OFF,
        description="off; signed: open to whoever knows their address, which nobody can guess; public: also at "
        "/badge/monitor/ID.svg, /badge/tag/TAG.svg and /badge/all.svg.",
    )
    ingest: IngestKeys = Field(default=IngestKeys(), description="Who may report to Defib.")

    def settings(self, base: Path) -> ServerSettings:
        host, port = host_and_port(self.listen)
        return ServerSettings(
            host=host, port=port, public_url=self.public_url or "",
            unix_socket=base / self.unix_socket if self.unix_socket else None,
            unix_socket_mode=self.unix_socket_mode, unix_socket_group=self.unix_socket_group or "",
            trusted_proxies=self.trusted_proxies, badges=self.badges, ingest=self.ingest.settings(),
        )  # fmt: skip


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
        _POLICY.start_timeout,
        "How long a restarted target may take to come up; unset learns it: three times what its restarts took, "
        "10s to 5m, and 90s until it is learned.",
    )
    probation: Duration | None = _inherited(
        _POLICY.probation, "How long a recovered target is watched closely; a fall within it is a relapse."
    )
    max_relapses: Count | None = _inherited(
        _POLICY.max_relapses,
        "Falls within 10m of a good recovery, counted over an hour; then it is crash-looping.",
    )
    on_relapse: OnRelapse | None = _inherited(
        _POLICY.on_relapse,
        "What to do about what is crash-looping: continue restarts it every 5m, stop leaves it to a human.",
    )
    max_per_day: Count | None = _inherited(
        _POLICY.max_per_day, "Attempts of any outcome within 24h; then it needs a human."
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
        default=None, description="Failures in a row that make a fault; auto learns 3 to 8."
    )
    recovery_threshold: Count | None = Field(default=None, description="Successes in a row that end it.")
    detector: str | None = Field(default=None, description="The rule that judges.")


class NamedStrategyKeys(StrategyKeys):
    """A strategy of your own, or your version of one that Defib brings."""

    base: str | None = Field(
        default=None, description="The strategy it starts from; unset is the one it redefines, else normal."
    )
    summary: str | None = Field(default=None, description="One line that says what it is for.")


class DefaultsKeys(TellingKeys):
    """What holds for every monitor and route that does not say otherwise; `recovery` is read apart."""

    strategy: str = Field(default="normal", description="The strategy of all monitors without one.")
    recovery_scripts: Words = Field(
        default=(),
        description="Folder or folders that recovery scripts may come from; relative to the configuration.",
    )


class RecoveryLimitKeys(Options):
    """What Defib may do at once, over all monitors: the blast radius of a mistake."""

    concurrent: Count = Field(default=_LIMITS.concurrent, description="Actions at the same time.")
    share: Share = Field(
        default=_LIMITS.share,
        description="And at most this share of all monitors at the same time; one is always allowed.",
    )
    burst: Count = Field(
        default=_LIMITS.burst, description="Attempts that may follow one another without a wait."
    )
    refill: Positive = Field(
        default=_LIMITS.refill, description="How long each of them takes to be allowed again."
    )
    per_host: Count = Field(default=_LIMITS.per_host, description="Actions at the same time on one host.")
    group_share: Share = Field(
        default=_LIMITS.group_share,
        description="Share of a group that may be in recovery at the same time; one is always allowed.",
    )
    mass_failure: Share = Field(
        default=_LIMITS.mass_failure,
        description="Share of a group of three or more that fails: from then on one at a time, each verified first.",
    )
    startup_grace: Duration = Field(
        default=_LIMITS.startup_grace,
        description="A daemon that has just started acts when it has seen every monitor once, or after this.",
    )

    def settings(self) -> RecoveryLimits:
        return RecoveryLimits(**{name: getattr(self, name) for name in type(self).model_fields})


class RetentionKeys(Options):
    """How long history is kept."""

    raw: KeptFor = Field(default=timedelta(days=7), description="Single observations, beats and decisions.")
    hourly: KeptFor = Field(
        default=timedelta(days=396), description="Counts, latencies and metrics by the hour."
    )
    events: KeptFor = Field(
        default=None, description="Transitions, incidents, recovery attempts and alerts; unset is forever."
    )

    def settings(self) -> Retention:
        return Retention(raw=self.raw, hourly=self.hourly, events=self.events)


class DeadManKeys(Options):
    """A service that raises the alarm when it is pinged no more, such as Healthchecks."""

    url: PingUrl = Field(description="Address to ping with GET; it is a secret, and shown nowhere.")
    every: Positive = Field(
        default=timedelta(seconds=60),
        description="Between two pings of the daemon; a single pass pings once, at its end.",
    )


class ObserverKeys(Options):
    """How Defib watches itself and its own network."""

    anchors: tuple[Anchor, ...] = Field(
        default=(),
        description="Addresses beyond the gateway, address:port, that tell whether the uplink works; asked only "
        "when targets fail. Two or more, of different owners.",
    )
    dead_man: DeadManKeys | None = Field(
        default=None, description="Who is pinged while Defib works, so that its own death is noticed."
    )

    def settings(self) -> ObserverSettings:
        dead_man = self.dead_man
        return ObserverSettings(
            anchors=tuple(host_and_port(anchor) for anchor in self.anchors),
            dead_man=None
            if dead_man is None
            else DeadManSettings(url=dead_man.url.get_secret_value(), every=dead_man.every),
        )


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
    group: str = Field(
        default="",
        max_length=100,
        description="Name of the monitors that do the same work for one another, such as the nodes of a cluster: "
        "recovery never restarts many of them at once.",
    )
    requires_any: Words = Field(
        default=(),
        description="Redundant monitors of which one must be well: this one is unreachable when all are down.",
    )
    enabled: bool = Field(default=True, description="false keeps it in the file without watching it.")
    second_opinion: bool = Field(
        default=False,
        description="While it fails, ask up to three connected agents on other hosts whether they reach it; what they "
        "say is told, and a fault waits a minute at most while they do. For http, tcp and postgres.",
    )
    slo: Objective | None = Field(
        default=None,
        description="Share of the time that it is to be well, such as 99.9%: reports tell its error budget.",
    )


class ChannelKeys(Options):
    """Keys of every channel, beside those of its type."""

    type: str = Field(description="What carries the messages: the channel type.")
    language: Language = Field(default="en", description="Of what it carries.")
    timezone: Timezone | None = Field(
        default=None, description="Of the times in it; unset is the global one."
    )
    fallback: str | None = Field(
        default=None,
        description="The channel that carries an alert too when this one has not accepted it after 10s; `none` for "
        "none. Unset is the first one that the alert's route escalates to.",
    )
    rate: Count | None = Field(
        default=None,
        description="Messages a minute, and a quarter as many new conversations at once; what is beyond goes in one "
        "digest. Unset is 20 where people read, and 1200 where programs do (webhook, alertmanager).",
    )
    self_test: Cron | None = Field(
        default=None,
        description="When it carries a message that only says that it works, as a cron expression; unset is never.",
    )


class ReportKeys(Options):
    """When a report is made and where it goes."""

    type: str | None = Field(
        default=None, description="What it covers: daily, weekly or monthly; unset is the report's name."
    )
    cron: Cron = Field(description="When, as minute, hour, day of month, month and day of week.")
    timezone: Timezone | None = Field(default=None, description="Of the times; unset is the global one.")
    channels: Words = Field(default=(), description="The channels that carry it.")
    tags: Words = Field(default=(), description="Only monitors with any of these tags; unset is all of them.")
    language: Language | None = Field(
        default=None, description="It is written in; unset is the language of each of its channels."
    )


class MaintenanceMatchKeys(Options):
    """Which monitors: all of these must fit; a key that is not there fits every monitor."""

    tags: Words = Field(default=(), description="Any of these tags of the monitor.")
    monitors: Words = Field(default=(), description="Any of these monitors, by id.")


class MaintenanceKeys(Options):
    """When work is planned: monitors are looked at, but nothing is judged, told or repaired."""

    name: Name = Field(max_length=60, description="For people, and for the window's id.")
    match: Literal["all"] | MaintenanceMatchKeys = Field(
        description="The monitors, as `{tags: […], monitors: […]}`; or `all`."
    )
    cron: Cron | None = Field(
        default=None, description="When it begins, as minute, hour, day of month, month and day of week."
    )
    duration: Positive | None = Field(default=None, description="How long each of these lasts.")
    begins: Moment | None = Field(
        default=None, alias="from", description="When one that comes once begins, such as 2026-12-01 22:00."
    )
    ends: Moment | None = Field(default=None, alias="to", description="And when it ends.")
    timezone: Timezone | None = Field(default=None, description="Of the times; unset is the global one.")
    reason: str = Field(
        default="", max_length=500, description="What is done, for people; unset is the name."
    )


class RootKeys(Options):
    """The plain keys and sections at the top of a configuration."""

    timezone: Timezone = Field(default="UTC", description="For times that people read or write.")
    store: Store = Field(
        default="sqlite:///defib.db",
        description="sqlite:///path, relative to the configuration, or postgresql://user@host/database.",
    )
    server: ServerKeys = Field(default=ServerKeys(), description="The dashboard and the API.")
    recovery: RecoveryLimitKeys = Field(
        default=RecoveryLimitKeys(), description="What recovery may do at once, over all monitors."
    )
    retention: RetentionKeys = Field(default=RetentionKeys(), description="How long history is kept.")
    observer: ObserverKeys = Field(
        default=ObserverKeys(), description="How Defib watches itself and its own network."
    )


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

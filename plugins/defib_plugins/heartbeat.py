"""Monitor ``heartbeat``: a job or worker that reports by itself, by interval or by cron schedule."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from defib.plugin import (
    Beat,
    BuildContext,
    Duration,
    Evidence,
    Fact,
    Family,
    MonitorType,
    Options,
    ProbeStatus,
    Signal,
    format_duration,
    hookimpl,
)
from defib_plugins.display import clip, last_line

if TYPE_CHECKING:
    from defib_plugins.schedules import Schedule


def _checked_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # a folder's name, such as Europe, is an OSError
        raise ValueError(f"{name!r} is not a time zone; write for example Europe/Berlin or UTC") from error
    return name


class HeartbeatOptions(Options):
    """Options of the ``heartbeat`` monitor."""

    every: Duration | None = Field(default=None, description="How often beats come.")
    misses: int = Field(default=1, ge=1, le=1000, description="With every: beats missed in a row that count.")
    cron: str | None = Field(
        default=None,
        description='When runs are due, in five fields: "30 2 * * *" for half past two each night.',
    )
    timezone: Annotated[str, AfterValidator(_checked_zone)] = Field(
        default="UTC", description="With cron: the zone of the job's own clock."
    )
    grace: Duration | None = Field(
        default=None,
        description="How late a beat may be. By default a tenth of the interval and at least 1s; "
        "with cron a tenth of the time between two runs, between 1m and 1h.",
    )
    uuid: UUID | None = Field(
        default=None, description="For pings to /ping/UUID; the monitor's id works as well."
    )

    @model_validator(mode="after")
    def _one_schedule(self) -> Self:
        if (self.every is None) == (self.cron is None):
            raise ValueError('write either every: 30s or cron: "30 2 * * *"')
        if self.every is not None and self.every.total_seconds() <= 0:
            raise ValueError("every: must be longer than nothing; write for example 30s")
        if self.cron is not None and self.misses != 1:
            raise ValueError("misses: goes with every; a run of a cron schedule that is missed is missed")
        if self.every is not None and "timezone" in self.model_fields_set:
            raise ValueError("timezone: goes with cron; an interval knows no zone")
        return self


class Heartbeat:
    """Judges beats and their absence. Pure."""

    def __init__(self, options: HeartbeatOptions, context: BuildContext) -> None:
        self.keys: tuple[str, ...] = (str(options.uuid),) if options.uuid is not None else ()
        self._schedule = _schedule(options)
        self.target = self._schedule.text

    def deadline(self, last_beat_at: datetime) -> datetime:
        """When the next beat must have come."""
        return self._schedule.after(last_beat_at).deadline

    def judge(self, beat: Beat) -> Evidence | None:
        """A job that finished well is well; a start and a note prove nothing yet."""
        if beat.signal in (Signal.START, Signal.LOG):
            return None
        facts: dict[str, Fact] = {**beat.facts}
        if beat.exit_status is not None:
            facts["exit_status"] = beat.exit_status
        if said := last_line(beat.body):
            facts["said"] = said
        if beat.signal is Signal.ALIVE and not beat.exit_status:
            return Evidence.ok("beat received", facts=facts)
        ending = f"exit status {beat.exit_status}" if beat.exit_status else "it says so"
        words = clip(f"the job failed ({ending})" + (f": {said}" if said else ""), 300)
        return Evidence.fail(
            "job-failed", words, status=ProbeStatus.UNHEALTHY, facts={**facts, "error": words}
        )

    def missed(self, last_beat_at: datetime | None, deadline: datetime) -> Evidence:
        """No beat by ``deadline``: what was expected, and by when."""
        due = self._schedule.text
        facts: dict[str, Fact] = {"expected_by": deadline.astimezone(UTC).isoformat(timespec="seconds")}
        if last_beat_at is None:
            words = f"no beat by {self._tell(deadline)}, and none ever; due {due}"
            return Evidence.fail("missed-beat", words, facts=facts)
        facts["last_beat_at"] = last_beat_at.astimezone(UTC).isoformat(timespec="seconds")
        expected = self._schedule.after(last_beat_at)
        facts["expected_at"] = expected.expected_at.isoformat(timespec="seconds")
        late = format_duration(max(deadline, expected.deadline) - expected.expected_at)
        words = (
            f"the beat expected at {self._tell(expected.expected_at)} is more than {late} late; due {due}, "
            f"the last came at {self._tell(last_beat_at)}"
        )
        return Evidence.fail("missed-beat", words, facts=facts)

    def _tell(self, instant: datetime) -> str:
        return instant.astimezone(self._schedule.zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _schedule(options: HeartbeatOptions) -> "Schedule":
    """:raises ValueError: the cron expression is wrong or never comes true."""
    from cronsim import CronSimError

    from defib_plugins.schedules import Cron, Interval

    if options.every is not None:
        return Interval(options.every, misses=options.misses, grace=options.grace)
    expression = options.cron or ""
    example = 'write for example "30 2 * * *" for half past two each night'
    if len(expression.split()) != 5:
        raise ValueError(f"cron: {expression!r} does not have five fields; {example}")
    try:
        return Cron(expression, zone=ZoneInfo(options.timezone), grace=options.grace)
    except CronSimError as error:
        raise ValueError(f"cron: {expression!r} has a {str(error).lower()}; {example}") from error
    except StopIteration as error:
        raise ValueError(f"cron: {expression!r} never comes true; {example}") from error


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="heartbeat",
            summary="Job or worker that reports by itself: by interval or cron schedule with grace",
            family=Family.JOB,
            options=HeartbeatOptions,
            create=Heartbeat,
        )
    ]

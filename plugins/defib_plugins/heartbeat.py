"""Monitor ``heartbeat``: a job or worker that reports by itself: by interval, by schedule, or as it is used to."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from defib.plugin import (
    Beat,
    BeatMemory,
    BuildContext,
    Deadline,
    Duration,
    Evidence,
    Fact,
    Family,
    Grade,
    Lapse,
    Moment,
    Monitor,
    MonitorType,
    Options,
    Outcome,
    ProbeStatus,
    PushedVerdict,
    Secret,
    Signal,
    format_duration,
    hookimpl,
    made_again,
    rhythm,
)
from defib_plugins.beat_memory import Remembered, read, write
from defib_plugins.display import clip, last_line
from defib_plugins.phrases import phrase
from defib_plugins.ping_filter import Keywords, meaning
from defib_plugins.runs import begin, end, limit_s, mark_long, oldest
from defib_plugins.schedules import Calendar, Cron
from defib_plugins.sender_probe import ProbeAddress, open_probe
from defib_plugins.timing import ByRhythm, BySchedule, Timing, instant


def _checked_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # a folder's name, such as Europe, is an OSError
        raise ValueError(f"{name!r} is not a time zone; write for example Europe/Berlin or UTC") from error
    return name


class HeartbeatOptions(Options):
    """Options of the ``heartbeat`` monitor."""

    every: Duration | None = Field(
        default=None,
        description="How often beats come. Without it, and without cron and calendar, it is learned from eight "
        "beats on.",
    )
    misses: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="With every: beats missed in a row that are a fault; the first of them is a suspicion. By "
        "default 2, and 3 of pings each 15s or more often.",
    )
    cron: str | None = Field(
        default=None,
        description='When runs are due, in five fields: "30 2 * * *" for half past two each night.',
    )
    calendar: str | None = Field(
        default=None,
        description='When runs are due, as in OnCalendar= of a systemd timer: "Mon..Fri 02:30".',
    )
    timezone: Annotated[str, AfterValidator(_checked_zone)] = Field(
        default="UTC", description="With cron and calendar: the zone of the job's own clock."
    )
    grace: Duration | None = Field(
        default=None,
        description="How late a beat may be. By default a tenth of the interval, at least 1s and more where beats "
        "jitter; with cron and calendar a tenth of the time between two runs, between 1m and 1h.",
    )
    max_runtime: Duration | None = Field(
        default=None,
        description="How long a run may take that reported its start. By default three times what 19 of 20 runs "
        "took, from ten runs on; before that grace; at least 1m.",
    )
    probe: ProbeAddress | None = Field(
        default=None,
        repr=False,
        description="Where the sender answers, http, https or tcp: it is asked as soon as one beat is missed, and at "
        "fault when it does not answer either. tcp://worker.lan:5000. Not with cron and calendar.",
    )
    uuid: UUID | None = Field(
        default=None,
        description="For pings to /ping/UUID. By default one that nobody can guess; the monitor's id works as well.",
    )

    push_token: Secret | None = Field(
        default=None,
        description="For pushes to /api/push/TOKEN, as Uptime Kuma's: 32 characters or more. The ping UUID works as "
        "well.",
    )
    only_post: bool = Field(
        default=False,
        description="Pings by another method are ignored: link previews and crawlers follow links.",
    )
    manual_resume: bool = Field(
        default=False,
        description="While a client of the management API has paused it, pings are ignored; by default one ends the "
        "pause.",
    )
    keywords: Keywords | None = Field(
        default=None, description="Words in the body of a plain ping that say what it means."
    )

    @model_validator(mode="after")
    def _one_schedule(self) -> Self:
        if sum(way is not None for way in (self.every, self.cron, self.calendar)) > 1:
            raise ValueError('write one of every: 30s, cron: "30 2 * * *" and calendar: "Mon..Fri 02:30"')
        if self.push_token is not None and not 32 <= len(self.push_token.get_secret_value()) <= 100:
            raise ValueError("push_token: must have 32 to 100 characters, so that nobody guesses it")
        by_schedule = self.cron is not None or self.calendar is not None
        if self.every is not None and self.every.total_seconds() <= 0:
            raise ValueError("every: must be longer than nothing; write for example 30s")
        if self.max_runtime is not None and self.max_runtime.total_seconds() <= 0:
            raise ValueError("max_runtime: must be longer than nothing; write for example 2h")
        if by_schedule and self.misses is not None:
            raise ValueError("misses: goes with every; a run of a schedule that is missed is missed")
        if by_schedule and self.probe is not None:
            raise ValueError("probe: goes with every; between its runs, a job of a schedule answers nobody")
        if not by_schedule and "timezone" in self.model_fields_set:
            raise ValueError("timezone: goes with cron and calendar; an interval knows no zone")
        return self


class Heartbeat:
    """Judges beats and their absence. Pure.

    1. A beat, or the start of a run, keeps the rhythm or the schedule. The end of a run that had reported its
       start does not: the run counts where it began.
    2. While a run lasts, nothing else is expected than its end.
    3. Silence is late first and then missed; each is said once. A schedule knows no late.
    4. Who says that it stops is expected no more until it is heard again.
    5. Who is late and can be asked is at fault when no answer comes; one that answers still has until it is missed.
    """

    def __init__(self, options: HeartbeatOptions, context: BuildContext) -> None:
        self.keys = _keys(options)
        self._timing = _timing(options)
        self._max_runtime = options.max_runtime
        self._keywords, self._only_post = options.keywords, options.only_post
        self._manual_resume = options.manual_resume
        self.target = self._timing.text
        self.asked: Monitor | None = None if options.probe is None else open_probe(options.probe, context)

    # --- beats -------------------------------------------------------------------------------------

    def fold(self, memory: BeatMemory, beat: Beat) -> PushedVerdict:
        """See :class:`defib.plugin.PushedMonitor`."""
        known = read(memory)
        heard = {"heard": beat.received_at.timestamp(), "told": ""}
        signal = meaning(beat, self._keywords, only_post=self._only_post)
        if known.is_paused and self._manual_resume:
            return PushedVerdict(memory=memory, is_ignored=True)
        match signal:
            case None | Signal.LOG:
                return PushedVerdict(memory=memory, is_ignored=signal is None)
            case Signal.STOPPING:
                stopped = known.model_copy(update={**heard, "is_stopped": True, "runs": {}})
                return PushedVerdict(memory=write(stopped), evidence=_stopped(beat))
            case Signal.START:
                return PushedVerdict(memory=write(self._start(known, beat).model_copy(update=heard)))
            case Signal.ALIVE | Signal.FAIL:
                after, evidence = self._end(known, replace(beat, signal=signal))
                return PushedVerdict(memory=write(after.model_copy(update=heard)), evidence=evidence)

    def _start(self, known: Remembered, beat: Beat) -> Remembered:
        at = beat.sent_at.timestamp()
        arrival = self._timing.arrive(known, at, beat)
        after = begin(arrival.remembered, _run_id(beat), at, arrival.odd, arrival.words)
        return after.model_copy(update={"is_stopped": False, "is_paused": False, "replayed": _replayed(beat)})

    def _end(self, known: Remembered, beat: Beat) -> tuple[Remembered, Evidence]:
        at = beat.sent_at.timestamp()
        is_well = beat.signal is Signal.ALIVE and not beat.exit_status
        facts: dict[str, Fact] = {**beat.facts}
        after, run = end(known, _run_id(beat), at, is_well=is_well)
        if run is not None:
            odd, words = run.odd, made_again(run.words, run.made)
            facts["run_time"] = format_duration(instant(max(at, run.started)) - instant(run.started))
        else:
            arrival = self._timing.arrive(known, at, beat)
            after, odd, words = arrival.remembered, arrival.odd, arrival.words
            if arrival.late_by.total_seconds() >= 1:
                facts["late_by"] = format_duration(arrival.late_by)
        after = after.model_copy(
            update={
                "is_stopped": False,
                "is_paused": False,
                "has_failed": not is_well,
                "replayed": _replayed(beat),
            }
        )
        return after, _evidence(beat, is_well, odd, words, facts)

    def pause(self, memory: BeatMemory) -> BeatMemory:
        """See :class:`defib.plugin.Pausable`."""
        return write(
            read(memory).model_copy(update={"is_stopped": True, "is_paused": True, "runs": {}, "told": ""})
        )

    def resume(self, memory: BeatMemory) -> BeatMemory:
        """See :class:`defib.plugin.Pausable`."""
        return write(
            read(memory).model_copy(update={"heard": None, "is_paused": False, "runs": {}, "told": ""})
        )

    # --- silence -----------------------------------------------------------------------------------

    def deadline(self, memory: BeatMemory) -> Deadline | None:
        """See :class:`defib.plugin.PushedMonitor`."""
        known = read(memory)
        if known.heard is None or known.is_stopped:
            return None
        run = oldest(known)
        if run is None:
            return self._timing.next(known)
        limit = self._limit_s(known)
        if limit is None:
            return None
        at = instant(run[1].started + limit)
        return Deadline(
            at=at, kind="run", fault_at=at, every=at - instant(run[1].started), margin=timedelta(minutes=1)
        )

    def missed(self, memory: BeatMemory, deadline: Deadline) -> PushedVerdict:
        """See :class:`defib.plugin.PushedMonitor`."""
        known = read(memory)
        if deadline.kind == "run":
            run = oldest(known)
            if run is None:
                return PushedVerdict(memory=memory)
            return PushedVerdict(
                memory=write(mark_long(known, run[0])), evidence=self._too_long(known, deadline)
            )
        told = known.model_copy(update={"told": "late" if deadline.kind == "late" else "missed"})
        return PushedVerdict(memory=write(told), evidence=self._silent(known, deadline))

    def answered(self, memory: BeatMemory, looks: Sequence[Evidence]) -> Evidence | None:
        """See :class:`defib.plugin.Askable`."""
        known = read(memory)
        if self.asked is None or known.heard is None or not looks:
            return None
        last = looks[-1]
        facts: dict[str, Fact] = {
            "asked": self.asked.target, "answer": last.summary, "last_beat_at": _iso(instant(known.heard))
        }  # fmt: skip
        values: dict[str, Any] = {
            "asked": self.asked.target, "answer": last.summary, "due": self._timing.describe(known),
            "last_beat_at": self._moment(instant(known.heard)),
        }  # fmt: skip
        if last.is_ok:
            words = phrase(
                "it answers at {asked} ({answer}), but it does not beat; {due}, the last came at {last_beat_at}",
                **values,
            )
            return Evidence.fail("answers-without-beats", clip(words, 300), grade=Grade.WEAK, facts=facts)
        if any(look.outcome is not Outcome.FAIL for look in looks):
            return None
        words = phrase(
            "it is silent, and {asked} does not answer well either: {answer}; {due}, the last came at {last_beat_at}",
            **values,
        )
        return Evidence.fail("silent-sender", clip(words, 300), grade=last.grade, facts=facts)

    def _too_long(self, known: Remembered, deadline: Deadline) -> Evidence:
        run = oldest(known)
        assert run is not None
        run_id, began = run
        limit = format_duration(deadline.at - instant(began.started))
        facts: dict[str, Fact] = {"started_at": _iso(instant(began.started)), "limit": limit}
        if run_id:
            facts["rid"] = run_id
        words = phrase(
            "the run that began at {started_at} has not ended within {limit}",
            started_at=self._moment(instant(began.started)), limit=Lapse.of(deadline.at - instant(began.started)),
        )  # fmt: skip
        return Evidence.fail("ran-too-long", words, facts=facts)

    def _silent(self, known: Remembered, deadline: Deadline) -> Evidence:
        facts: dict[str, Fact] = {"expected_by": _iso(deadline.at)}
        heard = None if known.heard is None else instant(known.heard)
        last = (
            phrase("the last came at {last_beat_at}", last_beat_at=self._moment(heard))
            if heard
            else phrase("none ever came")
        )
        if heard is not None:
            facts["last_beat_at"] = _iso(heard)
        values: dict[str, Any] = {"due": self._timing.describe(known), "last": last}
        expected = self._timing.expected_at(known)
        if expected is None:
            words = phrase(
                "no beat by {expected_by}; they come {due}, {last}",
                expected_by=self._moment(deadline.at),
                **values,
            )
            return Evidence.fail("missed-beat", words, facts=facts)
        facts["expected_at"] = _iso(expected)
        words = phrase(
            "the beat expected at {expected_at} is more than {late} late; {due}, {last}",
            expected_at=self._moment(expected), late=Lapse.of(deadline.at - expected), **values,
        )  # fmt: skip
        if deadline.kind != "late":
            return Evidence.fail("missed-beat", words, facts=facts)
        share = rhythm.suspicion(expected.timestamp(), deadline.fault_at.timestamp(), deadline.at.timestamp())
        facts |= {"fault_at": _iso(deadline.fault_at), "suspicion": round(share, 3)}
        return Evidence.fail("late-beat", words, grade=Grade.WEAK, facts=facts)

    def _limit_s(self, known: Remembered) -> float | None:
        if self._max_runtime is not None:
            return self._max_runtime.total_seconds()
        return limit_s(known, self._timing.run_limit_s(known))

    def _moment(self, at: datetime) -> Moment:
        return Moment(at, str(self._timing.zone))


def _keys(options: HeartbeatOptions) -> tuple[str, ...]:
    uuid = () if options.uuid is None else (str(options.uuid),)
    return uuid if options.push_token is None else (*uuid, options.push_token.get_secret_value())


def _evidence(beat: Beat, is_well: bool, odd: str, words: str, facts: dict[str, Fact]) -> Evidence:
    if beat.exit_status is not None:
        facts["exit_status"] = beat.exit_status
    if said := last_line(beat.body):
        facts["said"] = said
    if is_well and odd:
        return Evidence.degraded(odd, clip(words, 300), facts=facts, metrics=beat.metrics)
    if is_well:
        return Evidence.ok(phrase("beat received"), facts=facts, metrics=beat.metrics)
    failure = clip(_failed(beat.exit_status, said), 300)
    return Evidence.fail(
        "job-failed", failure, status=ProbeStatus.UNHEALTHY, facts={**facts, "error": failure}, metrics=beat.metrics
    )  # fmt: skip


def _failed(exit_status: int | None, said: str) -> str:
    if exit_status:
        return (
            phrase("the job failed (exit status {status}): {said}", status=exit_status, said=said)
            if said
            else phrase("the job failed (exit status {status})", status=exit_status)
        )
    return (
        phrase("the job failed (it says so): {said}", said=said)
        if said
        else phrase("the job failed (it says so)")
    )


def _stopped(beat: Beat) -> Evidence:
    said = last_line(beat.body)
    words = clip(
        phrase("it stops on purpose: {said}", said=said) if said else phrase("it stops on purpose"), 300
    )
    return Evidence.fail("stopped", words, grade=Grade.INTENT, facts=beat.facts)


def _run_id(beat: Beat) -> str:
    return str(beat.facts.get("rid") or "")


def _replayed(beat: Beat) -> float | None:
    return beat.received_at.timestamp() if beat.age else None


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def due_at(options: HeartbeatOptions, memory: BeatMemory) -> datetime | None:
    """When the next beat is due, without any margin; None where none is expected yet."""
    return _timing(options).expected_at(read(memory))


def _timing(options: HeartbeatOptions) -> Timing:
    """:raises ValueError: the expression is wrong or never comes true."""
    if options.cron is not None:
        return BySchedule(_cron(options.cron, options))
    if options.calendar is not None:
        return BySchedule(_calendar(options.calendar, options))
    return ByRhythm(options.every, options.misses, options.grace)


def _cron(expression: str, options: HeartbeatOptions) -> Cron:
    from cronsim import CronSimError

    example = 'write for example "30 2 * * *" for half past two each night'
    if len(expression.split()) != 5:
        raise ValueError(f"cron: {expression!r} does not have five fields; {example}")
    try:
        return Cron(expression, zone=ZoneInfo(options.timezone), grace=options.grace)
    except CronSimError as error:
        raise ValueError(f"cron: {expression!r} has a {str(error).lower()}; {example}") from error
    except StopIteration as error:
        raise ValueError(f"cron: {expression!r} never comes true; {example}") from error


def _calendar(expression: str, options: HeartbeatOptions) -> Calendar:
    from oncalendar import OnCalendarError

    example = 'write for example "Mon..Fri 02:30" for half past two each working day'
    try:
        return Calendar(expression, zone=ZoneInfo(options.timezone), grace=options.grace)
    except OnCalendarError as error:
        raise ValueError(f"calendar: {expression!r} has a {str(error).lower()}; {example}") from error
    except StopIteration as error:
        raise ValueError(f"calendar: {expression!r} never comes true; {example}") from error


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="heartbeat",
            summary="Job or worker that reports by itself: by interval or schedule, or in a rhythm that is learned",
            family=Family.JOB,
            options=HeartbeatOptions,
            create=Heartbeat,
        )
    ]

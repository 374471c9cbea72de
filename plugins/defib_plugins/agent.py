"""Monitor ``agent``: a Defib, Komari or other agent that reports how its host does.

How it stands follows from the age of its last beat alone: on time, late, and gone. That is what the protocols of
agents promise; nothing is learned here.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pydantic import Field, model_validator

from defib.plugin import (
    N_,
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
    Percent,
    ProbeStatus,
    PushedVerdict,
    Several,
    Signal,
    Size,
    hookimpl,
)
from defib_plugins.display import clip
from defib_plugins.phrases import phrase
from defib_plugins.sender_probe import ProbeAddress, open_probe

EVERY = timedelta(seconds=30)
LATE_SLACK = timedelta(
    milliseconds=200
)  #: a beat so little late is on time: networks and clocks are not better
LEAST_PATIENCE = timedelta(seconds=5)  #: silence beyond one interval that agents that beat often are given
_SHOWN = {
    "cpu": N_("CPU at {value:g} % (limit {limit:g})"),
    "memory": N_("memory at {value:g} % (limit {limit:g})"),
    "swap": N_("swap at {value:g} % (limit {limit:g})"),
    "disk": N_("disk at {value:g} % (limit {limit:g})"),
    "memory_bytes": N_("memory of its process at {size} (limit {most})"),
    "process_cpu": N_("CPU of its process at {value:g} % (limit {limit:g})"),
}

_RECEIVED = phrase("beat received")


class AgentLimits(Options):
    """What an agent's host may use."""

    cpu: Percent | None = Field(default=None, description="Processor use in percent.")
    memory: Percent | None = Field(default=None, description="Memory use in percent.")
    swap: Percent | None = Field(default=None, description="Swap use in percent.")
    disk: Percent | None = Field(default=None, description="Use of the fullest disk partition in percent.")
    memory_bytes: int | None = Field(
        default=None, ge=1, description="Memory of the agent's own process in bytes, where it reports that."
    )
    process_cpu: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Processor use of the agent's own process in percent of one core; more than 100 on several.",
    )
    for_: Duration = Field(
        default=timedelta(minutes=5), alias="for", description="How long without a break before it counts."
    )


class AgentOptions(Options):
    """Options of the ``agent`` monitor."""

    agent_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="As the agent calls itself; the monitor's id by default.",
    )
    every: Duration = Field(
        default=EVERY, description="How often it beats, unless it says so itself. Later than this it is late."
    )
    offline_after: Duration | None = Field(
        default=None,
        description="Silence that is a fault. By default two intervals, and at least 5s more than one.",
    )
    probe: ProbeAddress | None = Field(
        default=None,
        repr=False,
        description="Where something on its host answers, http, https or tcp: asked as soon as a beat is late or its "
        "connection ends, and at fault when that does not answer either. tcp://db-1.lan:22",
    )
    limits: AgentLimits = Field(
        default=AgentLimits(), description="What its host may use; above them it is degraded."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.every <= timedelta(0):
            raise ValueError("every: must be longer than nothing; write for example 30s")
        if self.offline_after is not None and self.offline_after < self.every:
            raise ValueError("offline_after: must not be shorter than every, or each pause is a fault")
        return self


class AgentMonitor:
    """Judges the beats of one agent and their absence. Pure.

    Memory: ``heard`` (when the newest beat was sent), ``every`` (seconds, in the agent's own words), ``epoch`` (of an
    agent that repeats what was lost), ``told`` (what was said of the present silence), ``stopped``, ``over`` (limit →
    since when it is exceeded).
    """

    def __init__(self, options: AgentOptions, context: BuildContext) -> None:
        self.keys: tuple[str, ...] = (options.agent_id,) if options.agent_id is not None else ()
        self._options = options
        self.asked: Monitor | None = None if options.probe is None else open_probe(options.probe, context)
        self.target = phrase("beats every {every}", every=Lapse.of(options.every))

    def fold(self, memory: BeatMemory, beat: Beat) -> PushedVerdict:
        """See :class:`defib.plugin.PushedMonitor`."""
        if beat.signal is Signal.LOG:
            return PushedVerdict(memory=memory)
        heard = max(_number(memory.get("heard")) or 0.0, beat.sent_at.timestamp())
        every = beat.eta.total_seconds() if beat.eta else _number(memory.get("every"))
        after: dict[str, object] = {"heard": heard}
        if every:
            after["every"] = every
        if epoch := beat.epoch or memory.get("epoch"):
            after["epoch"] = epoch
        facts: dict[str, Fact] = dict(beat.facts)
        if beat.signal is Signal.STOPPING:
            after["stopped"] = True
            stopped = Evidence.fail("stopped", phrase("it stops on purpose"), grade=Grade.INTENT, facts=facts)
            return PushedVerdict(memory=after, evidence=stopped)
        if beat.signal is Signal.FAIL:
            said = clip(beat.body, 300) or phrase("it reports an error")
            return PushedVerdict(
                memory=after,
                evidence=Evidence.fail(
                    "agent-error", said, status=ProbeStatus.UNHEALTHY, metrics=beat.metrics, facts=facts
                ),
            )
        over = self._over(memory, beat)
        if over:
            after["over"] = over
        return PushedVerdict(memory=after, evidence=self._evidence(over, beat, facts))

    def _over(self, memory: BeatMemory, beat: Beat) -> dict[str, float]:
        """Which limits are exceeded, and since when. A beat that does not tell of one leaves it as it was."""
        known = memory.get("over")
        before: Mapping[str, object] = known if isinstance(known, Mapping) else {}
        over = {}
        for name, limit, value in self._readings(beat.metrics):
            since = _number(before.get(name))
            if value is None and since is not None:
                over[name] = since
            elif value is not None and value > limit:
                over[name] = beat.sent_at.timestamp() if since is None else since
        return over

    def _readings(self, metrics: Mapping[str, float]) -> Iterable[tuple[str, float, float | None]]:
        limits = self._options.limits
        for name in ("cpu", "memory", "swap"):
            if (limit := getattr(limits, name)) is not None:
                yield name, limit, metrics.get(f"{name}_percent")
        if limits.disk is not None:
            disks = [value for name, value in metrics.items() if name.startswith("disk_percent")]
            yield "disk", limits.disk, max(disks, default=None)
        if limits.memory_bytes is not None:
            yield "memory_bytes", limits.memory_bytes, metrics.get("process_memory_bytes")
        if limits.process_cpu is not None:
            yield "process_cpu", limits.process_cpu, metrics.get("process_cpu_percent")

    def _evidence(self, over: Mapping[str, float], beat: Beat, facts: dict[str, Fact]) -> Evidence:
        if not over:
            return Evidence.ok(_RECEIVED, metrics=beat.metrics, facts=facts)
        patience = self._options.limits.for_
        long = {
            name: (limit, value)
            for name, limit, value in self._readings(beat.metrics)
            if value is not None
            and name in over
            and beat.sent_at.timestamp() - over[name] >= patience.total_seconds()
        }
        if not long:
            return Evidence.ok(_RECEIVED, metrics=beat.metrics, facts=facts)
        told = tuple(
            phrase(_SHOWN[name], value=value, limit=limit, size=Size(value), most=Size(limit))
            for name, (limit, value) in long.items()
        )
        words = phrase("{readings} for {hold} or longer", readings=Several(told), hold=Lapse.of(patience))
        return Evidence.degraded("resources", words, metrics=beat.metrics, facts=facts)

    def deadline(self, memory: BeatMemory) -> Deadline | None:
        """See :class:`defib.plugin.PushedMonitor`."""
        heard = _number(memory.get("heard"))
        if heard is None or memory.get("stopped") or memory.get("told") == "gone":
            return None
        every = timedelta(seconds=_number(memory.get("every")) or self._options.every.total_seconds())
        last = datetime.fromtimestamp(heard, UTC)
        fault_at = last + self._patience(every)
        is_late = memory.get("told") == "late"
        # who names epochs sends a beat again that was lost; of the others one that came while we were away is gone
        lost = timedelta(0) if memory.get("epoch") else max(timedelta(0), every - LEAST_PATIENCE)
        return Deadline(
            at=fault_at if is_late else last + every + LATE_SLACK, kind="gone" if is_late else "late",
            fault_at=fault_at, every=every, margin=LATE_SLACK + lost, is_rhythmic=True,
        )  # fmt: skip

    def _patience(self, every: timedelta) -> timedelta:
        configured = self._options.offline_after
        return configured if configured is not None else max(2 * every, every + LEAST_PATIENCE)

    def missed(self, memory: BeatMemory, deadline: Deadline) -> PushedVerdict:
        """See :class:`defib.plugin.PushedMonitor`."""
        heard = datetime.fromtimestamp(_number(memory.get("heard")) or 0.0, UTC)
        words = phrase(
            "no beat for {silent}; the last came at {last_beat_at}, they come every {every}",
            silent=Lapse(round((deadline.at - heard).total_seconds())), last_beat_at=Moment(heard),
            every=Lapse.of(deadline.every),
        )  # fmt: skip
        facts: dict[str, Fact] = {"last_beat_at": heard.isoformat(timespec="seconds")}
        after = {**memory, "told": deadline.kind}
        if deadline.kind == "late":
            facts["fault_at"] = deadline.fault_at.isoformat(timespec="seconds")
            return PushedVerdict(
                memory=after, evidence=Evidence.fail("late-beat", words, grade=Grade.WEAK, facts=facts)
            )
        return PushedVerdict(memory=after, evidence=Evidence.fail("missed-beat", words, facts=facts))

    def answered(self, memory: BeatMemory, looks: Sequence[Evidence]) -> Evidence | None:
        """See :class:`defib.plugin.Askable`."""
        heard = _number(memory.get("heard"))
        if self.asked is None or heard is None or not looks or memory.get("stopped"):
            return None
        last = looks[-1]
        at = datetime.fromtimestamp(heard, UTC)
        facts: dict[str, Fact] = {
            "asked": self.asked.target, "answer": last.summary, "last_beat_at": at.isoformat(timespec="seconds")
        }  # fmt: skip
        values: dict[str, Any] = {
            "asked": self.asked.target,
            "answer": last.summary,
            "last_beat_at": Moment(at),
        }
        if last.is_ok:
            words = phrase(
                "{asked} answers ({answer}), but the agent does not beat; the last beat came at {last_beat_at}",
                **values,
            )
            return Evidence.fail("answers-without-beats", clip(words, 300), grade=Grade.WEAK, facts=facts)
        if any(look.outcome is not Outcome.FAIL for look in looks):
            return None
        words = phrase(
            "the agent is silent, and {asked} does not answer well: {answer}; the last beat came at {last_beat_at}",
            **values,
        )
        return Evidence.fail("silent-sender", clip(words, 300), grade=last.grade, facts=facts)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="agent",
            summary="Agent on another host that reports how it does; made by itself for agents that register",
            family=Family.AGENT,
            options=AgentOptions,
            configured_only=True,
            create=AgentMonitor,
        )
    ]

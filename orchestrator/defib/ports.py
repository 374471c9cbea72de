"""Every door between the kernel and the world, in one file.

The engine is written against these Protocols. Behaviour comes in through them one guarded call at a
time, under a timeout: a plugin that raises is logged and shown, and never stops the rest.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

from defib.model.alert import Alert, AlertFacts, AlertText
from defib.model.beat import Beat, Signal
from defib.model.evidence import Evidence, Fact, Observation
from defib.model.health import BeatMemory, Health, Memory, State
from defib.model.ids import MonitorId
from defib.model.monitor import MonitorSpec
from defib.model.report import Period, ReportDocument
from defib.model.strategy import Strategy

# --- time ------------------------------------------------------------------------------------------


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never step; for durations and deadlines."""

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``, or at once when they are not positive."""


# --- monitors --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """What a factory may need besides its own options."""

    base: Path  #: the folder of the configuration; relative paths start here
    script_folders: tuple[Path, ...] = ()  #: where recovery scripts may live


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeContext:
    """The frame of one probe."""

    timeout: timedelta  #: the monitor should answer ``fail("timeout", …)`` by then; the engine cancels it soon after
    clock: Clock


class Monitor(Protocol):
    """A polled monitor."""

    target: str  #: what is watched, safe to show: an address without credentials
    host: str  #: probes with the same host are limited together; "" for no limit

    async def probe(self, context: ProbeContext) -> Evidence:
        """One look at the target.

        A target that is down is Evidence, never an exception. Our own trouble (no file descriptors, no
        route, missing permission) is ``Evidence.inconclusive``. Must be cancellable.
        """

    async def close(self) -> None:
        """Release what the monitor holds. Called once, also after failures."""


@runtime_checkable
class Tripwired(Protocol):
    """What a :class:`Monitor` may have besides: it tells the moment when its target deserves a look."""

    def trips(self) -> AsyncGenerator[str, None]:
        """Yield a short reason each time something happened, for the life of the monitor.

        A trip decides nothing: it only brings the next look forward. What happens while the last reason has not
        been taken yet is told as one. Return when there is nothing to watch with: the monitor is looked at in
        its turns all the same, and this is called again later. Must be cancellable. Only a daemon calls it; one
        call runs at a time, except that a reload sets up the new monitor before it ends the old one.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When a pushed monitor has to be told that nothing came."""

    at: datetime
    kind: str  #: of the monitor's own making: ``late``, ``missed``, ``run``
    fault_at: datetime  #: when silence becomes a fault; shown to people
    every: timedelta  #: nominal time between beats
    margin: (
        timedelta  #: after we were away ourselves: how much longer than ``min(every, 5 s)`` a beat may take
    )
    is_by_clock: bool = False  #: it follows the wall clock also where that is set: a cron schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedVerdict:
    """What a pushed monitor makes of a beat, or of its absence."""

    memory: BeatMemory  #: in place of the one before
    evidence: Evidence | None = None  #: None: nothing to judge (a start, a note)


@runtime_checkable
class PushedMonitor(Protocol):
    """A monitor that is told instead of looking: a fold over beats and missed deadlines. Pure.

    Its memory is stored with each beat and given back after a restart; a memory of other options than the
    present ones must not trip it. All instants are aware UTC.
    """

    target: str
    keys: tuple[str, ...]  #: what beats may address it by, besides its id: a ping UUID

    def fold(self, memory: BeatMemory, beat: Beat) -> PushedVerdict:
        """Take one beat."""

    def deadline(self, memory: BeatMemory) -> Deadline | None:
        """What is to come next, and by when; None while nothing is expected."""

    def missed(self, memory: BeatMemory, deadline: Deadline) -> PushedVerdict:
        """Take the silence until ``deadline``, which may have been put off since it was given."""


# --- detection -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a detector makes of one more observation."""

    state: State  #: UP, WATCH, SUSPECT, DEGRADED, FAULT or STOPPED
    reason: str  #: for people: ``3 of 3 failures in a row``
    memory: Memory
    look_again_in: timedelta | None = None  #: None: at the next scheduled probe


class Detector(Protocol):
    """A fault detector: pure, a fold over observations."""

    def fold(self, health: Health, observation: Observation, strategy: Strategy) -> Judgement:
        """Judge one observation on top of ``health``. Never called with inconclusive evidence.

        Time is what the observation says; there is no other.
        """


# --- recovery --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How a command ended."""

    exit_status: int | None  #: None when it was killed
    output: str  #: the end of stdout and stderr together, bounded
    duration: timedelta
    timed_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionContext:
    """The frame of one execution of an action."""

    timeout: timedelta
    env: Mapping[str, str]  #: the DEFIB_* facts for a child process; the executor adds the allow-listed rest
    execute: "Executor"
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """What an action reported. Verification by probes decides, not this."""

    exit_status: int | None = 0
    output: str = ""
    timed_out: bool = False


class Executor(Protocol):
    """Runs commands: the only place where processes are started for recovery."""

    async def __call__(
        self, argv: Sequence[str], *, timeout: timedelta, env: Mapping[str, str], cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Execution:  # fmt: skip
        """Run ``argv`` without a shell, in a process group of its own, killed as a whole at ``timeout``.

        :raises ActionRefusedError: the program does not exist or may not be executed.
        """


class Action(Protocol):
    """A recovery action, bound to one monitor's rung."""

    description: str  #: exactly what is executed, for people, no secrets: ``docker restart gateway``
    changes_identity: bool  #: the target's process must differ afterwards (a restart), for verification

    def check(self) -> None:
        """Look whether the action could run now, executing nothing (script present, owner and mode right).

        :raises ActionRefusedError: with the reason and the remedy.
        """

    async def identity(self) -> str | None:
        """What the target is now (pid, container start time, invocation id); None where it cannot be told."""

    async def run(self, context: ActionContext) -> ActionResult:
        """Act once. A failure is a result, not an exception.

        :raises ActionRefusedError: nothing was executed.
        """


# --- alerts ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SendContext:
    """The frame of one try to deliver."""

    key: str  #: idempotency key; equal for every try of one delivery
    timeout: timedelta
    thread: str | None = None  #: receipt of the first message of the same incident in this channel
    thread_key: str = ""  #: stable id of the conversation (the incident), for mail threading
    product_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The far end took it."""

    id: str = ""  #: its id of the message
    detail: str = ""  #: for the delivery log


class Channel(Protocol):
    """Carries notices to people or programs."""

    target: str  #: where to, safe to show: ``2 recipients at mail.example.com``

    async def send(self, notice: "Alert | ReportDocument", context: SendContext) -> Receipt:
        """Hand over one notice.

        :raises DeliveryError: it was not accepted; its message names no secret.
        """

    async def close(self) -> None:
        """Release what the channel holds."""


class AlertTexts(Protocol):
    """Puts the facts of an alert into words."""

    def compose(self, facts: AlertFacts) -> AlertText:
        """Title, description, evidence and recommendations. Pure."""


# --- reports ---------------------------------------------------------------------------------------


class ReportWriter(Protocol):
    """Makes a document of a period's numbers."""

    def write(self, period: Period) -> ReportDocument:
        """Pure; may take a second and runs in a thread."""


# --- receivers -------------------------------------------------------------------------------------


class BeatSink(Protocol):
    """What receivers hand their beats to."""

    def find(self, key: str) -> MonitorId | None:
        """The pushed monitor addressed by a ping UUID or an id."""

    async def accept(
        self, monitor: MonitorId, signal: Signal, *, protocol: str, exit_status: int | None = None, body: str = "",
        facts: Mapping[str, Fact] | None = None, seq: int | None = None, epoch: str | None = None,
        eta: timedelta | None = None, age: timedelta = timedelta(0),
    ) -> None:  # fmt: skip
        """Take one beat, whose parts :class:`~defib.model.beat.Beat` explains.

        Returns once it cannot be lost by a crash any more.

        :raises StoreError: it was not taken; answer 503 so that the client retries.
        """


__all__ = [
    "Action", "ActionContext", "ActionResult", "AlertTexts", "BeatSink", "BuildContext", "Channel", "Clock",
    "Deadline", "Detector", "Execution", "Executor", "Judgement", "Monitor", "MonitorSpec", "ProbeContext",
    "PushedMonitor", "PushedVerdict", "Receipt", "ReportWriter", "SendContext", "Tripwired",
]  # fmt: skip

"""Every door between the kernel and the world, in one file.

The engine is written against these Protocols. Behaviour comes in through them one guarded call at a
time, under a timeout: a plugin that raises is logged and shown, and never stops the rest.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from defib.model.agent import Agent, AgentReport, AgentView, Introduction, Live, Token
from defib.model.alert import Alert, AlertFacts, AlertText
from defib.model.beat import Beat, Signal
from defib.model.evidence import Evidence, Fact, Observation
from defib.model.health import BeatMemory, FaultLabel, Health, Memory, State, Transition
from defib.model.ids import AgentId, IncidentId, MonitorId
from defib.model.monitor import MadeMonitor, MonitorSpec
from defib.model.report import Period, ReportDocument
from defib.model.settings import IngestSettings
from defib.model.strategy import Strategy
from defib.model.window import Matcher

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

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
class OwnParts:
    """What Defib itself stands on: no recovery action may touch it."""

    pid: int = 0  #: of this process; 0 when it is not told
    units: frozenset[str] = frozenset()  #: systemd units that this process runs in
    container: str = ""  #: full id of the container that this process runs in
    store: tuple[str, int] | None = None  #: host ("" for the local socket) and port of its own PostgreSQL
    server: tuple[str, int] | None = None  #: host and port that it listens on


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """What a factory may need besides its own options."""

    base: Path  #: the folder of the configuration; relative paths start here
    script_folders: tuple[Path, ...] = ()  #: where recovery scripts may live
    own: OwnParts = OwnParts()  #: what an action must refuse as a target


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


@runtime_checkable
class Founded(Protocol):
    """What a :class:`Monitor` may have besides: it tells what it stands on, and what stands on it.

    A monitor requires those that carry what it stands on, without a word in the configuration. Every monitor with
    a ``host`` stands on ``host HOST``.
    """

    stands_on: frozenset[str]  #: what it falls with: ``docker``
    carries: frozenset[str]  #: what others fall with when it does: ``host 192.0.2.7``, ``docker``


@runtime_checkable
class Seconded(Protocol):
    """What a :class:`Monitor` may have besides: an address that means the same on other hosts."""

    host: str
    elsewhere: tuple[str, str] | None
    """``("tcp", "db.lan:5432")`` or ``("http", "https://example.com/health")``, no secret in it; None: nowhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When a pushed monitor has to be told that nothing came."""

    at: datetime
    kind: str  #: of the monitor's own making: ``late``, ``missed``, ``run``
    fault_at: datetime  #: when silence becomes a fault; shown to people
    every: timedelta  #: nominal time between beats
    margin: timedelta
    """After we were away ourselves: how much longer than ``min(every, 5 s)`` a beat may take."""
    is_by_clock: bool = False  #: it follows the wall clock also where that is set: a cron schedule
    is_rhythmic: bool = False
    """Of beats that follow one another each ``every``; weighed together with other senders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedVerdict:
    """What a pushed monitor makes of a beat, or of its absence."""

    memory: BeatMemory  #: in place of the one before
    evidence: Evidence | None = None  #: None: nothing to judge (a start, a note)
    is_ignored: bool = False  #: the beat counts for nothing; it is kept, and shown as ignored


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


@runtime_checkable
class Pausable(Protocol):
    """What a :class:`PushedMonitor` may have besides: it makes something of being paused by a person. Pure."""

    def pause(self, memory: BeatMemory) -> BeatMemory:
        """Nothing is expected from now on until it is heard."""

    def resume(self, memory: BeatMemory) -> BeatMemory:
        """As one that was never heard."""


@runtime_checkable
class Askable(Protocol):
    """What a :class:`PushedMonitor` may have besides: a place where its sender can be asked why it is silent."""

    asked: Monitor | None  #: looks at the sender, and is closed by the engine; None where no place is known

    def answered(self, memory: BeatMemory, looks: Sequence[Evidence]) -> Evidence | None:
        """What a few looks at a sender that is late come to, beside its silence; None: no more than before. Pure.

        :param looks: in the order in which they ended; a good one is the last.
        """


# --- detection -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a detector makes of one more observation."""

    state: State  #: UP, WATCH, SUSPECT, DEGRADED, FAULT or STOPPED
    reason: str  #: for people: ``3 of 3 failures in a row``
    memory: Memory
    look_again_in: timedelta | None = None  #: None: at the next scheduled probe
    label: FaultLabel = FaultLabel.NONE  #: of a fault: ``INTERMITTENT`` when it comes and goes


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
    key: str = ""  #: of this attempt, for a far end that must not do it twice; "" where there is none
    agents: "RemoteActions | None" = None  #: on other hosts; None where no agent can be connected


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """What an action reported. Verification by probes decides, not this."""

    exit_status: int | None = 0
    output: str = ""
    timed_out: bool = False


class RemoteActions(Protocol):
    """Actions that agents run on other hosts."""

    async def run(self, agent: AgentId, action: str, *, key: str, timeout: timedelta) -> ActionResult:
        """Have an agent run what its own settings have under the name ``action``.

        :param key: of the attempt; the agent runs nothing twice under one.
        :raises ActionRefusedError: nothing was executed: it is not connected, or does not allow it.
        """


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


@runtime_checkable
class Aimed(Protocol):
    """What an :class:`Action` may have besides: it can tell what exactly it would hit."""

    async def aim(self) -> str:
        """Resolve the target to exactly one object and return its name, for people; change nothing.

        Where nobody answers who could tell, the name as configured: :meth:`Action.run` looks again.

        :raises ActionRefusedError: it is none, or several, or something that Defib itself stands on.
        :raises ActionHeldBackError: its own supervisor is at work on it right now.
        """


@runtime_checkable
class Dated(Protocol):
    """What an :class:`Action` may have besides: it knows when somebody last started its target."""

    async def acted_at(self) -> datetime | None:
        """When the target was last started, as its supervisor tells (aware, UTC); None where it cannot be told."""


@runtime_checkable
class Attended(Protocol):
    """What an :class:`Action` may have besides: it can tell that its target was stopped on purpose."""

    async def stopped_on_purpose(self) -> str:
        """The words of its supervisor for a clean stop (``exited with 0``); "" when it runs, crashed, or cannot tell.

        Where the monitor cannot see why its target is silent (an HTTP look at a service that is being deployed),
        this is what keeps Defib from working against the person at work.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotContext:
    """The frame of one snapshot."""

    timeout: timedelta  #: what is not there by then is left out
    execute: "Executor"  #: for commands that only look
    clock: Clock


@runtime_checkable
class Witness(Protocol):
    """What a monitor or an :class:`Action` may have besides: it can tell more about its target before it is changed."""

    async def snapshot(self, context: SnapshotContext) -> Mapping[str, str]:
        """What there is to see of the target now, by heading (``docker logs gateway``): logs, states, settings.

        Runs beside the other witnesses. What raises or comes too late is left out; what is long is shortened;
        what looks like a secret is masked. Changes nothing; must be cancellable.
        """


# --- alerts ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """What a person may do about a message, where the channel can carry buttons."""

    act: Literal["acknowledge", "silence", "explain", "recover"]
    incident: IncidentId
    label: str  #: in the channel's language


@dataclass(frozen=True, slots=True, kw_only=True)
class SendContext:
    """The frame of one try to deliver."""

    key: str  #: idempotency key; equal for every try of one delivery
    timeout: timedelta
    thread: str | None = None  #: receipt of the first message of the same incident in this channel
    thread_key: str = ""  #: stable id of the conversation (the incident), for mail threading
    product_url: str = ""
    language: str = "en"  #: of the channel; the notice is written in it already
    edits: str | None = None
    """Receipt of a message that this one replaces; only for channels that are ``Editing``."""
    is_quiet: bool = False  #: deliver without a sound, where the far end can
    buttons: tuple[Button, ...] = ()


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


@runtime_checkable
class Editing(Protocol):
    """What a :class:`Channel` may be besides: able to replace a message that it sent before."""

    can_edit: bool
    """True: ``SendContext.edits`` is honoured; a message that is gone is a permanent :class:`DeliveryError`."""


@runtime_checkable
class ReadByPeople(Protocol):
    """What a :class:`Channel` may be besides: read by people, who need not be told each thing by itself.

    Programs that keep accounts are sent each alert: what a channel is that does not say.
    """

    is_read_by_people: bool


@runtime_checkable
class Patient(Protocol):
    """What a :class:`Channel` may be besides: one that takes another time for a try than the usual five seconds."""

    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something that people may mean."""

    monitor: MonitorId
    name: str
    state: State
    incident: IncidentId | None  #: the open one


class Desk(Protocol):
    """What people may do about an alert from a channel, the API, the command line or the dashboard.

    Each act is audited with who did it, and answers with one sentence for them.
    """

    async def acknowledge(self, incident: IncidentId, who: str, note: str = "") -> str:
        """Somebody sees to an incident: no reminder and no escalation, until it is open for too long.

        :raises UsageError: refused, in words for the person; so do all of these.
        """

    async def silence(self, matcher: Matcher, lasting: timedelta, who: str, reason: str = "") -> str:
        """Tell nobody about what ``matcher`` fits, for so long."""

    async def explain(self, subject: IncidentId | MonitorId) -> str:
        """Why it was declared, what was told of it, and what recovery did and will do: several lines.

        :param subject: of a monitor, why it is as it is.
        """

    async def recover(self, incident: IncidentId, who: str) -> str:
        """Begin the recovery of an incident's monitor, through the same gates as ever."""

    async def status(self) -> str:
        """How everything is: one line for all, and one for each open incident with its id."""

    async def meant(self, text: str = "") -> Sequence[Subject]:
        """What people may mean by ``text``: an incident's id, or a monitor's, or a part of its name.

        Those with an open incident come first, the newest leading; of "" they are all. Exactly one where it is clear.
        """


@runtime_checkable
class Listening(Protocol):
    """What a :class:`Channel` may be besides: at work between messages, mostly because people answer through it."""

    async def listen(self, desk: Desk) -> None:
        """Hand what listed people ask for to ``desk`` until cancelled.

        Runs as a task of the daemon for the channel's life; whatever it raises, it is started again, later each time.
        """


class AlertTexts(Protocol):
    """Puts the facts of an alert into words."""

    def compose(self, facts: AlertFacts, language: str = "en") -> AlertText:
        """Title, description, evidence and recommendations, in a language of :mod:`defib.languages`. Pure."""


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
        facts: Mapping[str, Fact] | None = None, metrics: Mapping[str, float] | None = None,
        seq: int | None = None, epoch: str | None = None, eta: timedelta | None = None,
        age: timedelta = timedelta(0),
    ) -> None:  # fmt: skip
        """Take one beat, whose parts :class:`~defib.model.beat.Beat` explains.

        Returns once it cannot be lost by a crash any more.

        :raises StoreError: it was not taken; answer 503 so that the client retries.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A monitor that is told, for those who show it."""

    spec: MonitorSpec
    health: Health
    uuid: str  #: that it is beaten under; whoever knows it can beat in its name
    made: MadeMonitor | None  #: None: it is in the configuration
    beats: int  #: that are kept
    heard_at: datetime | None  #: the newest of them that is more than a start or a note


class Jobs(Protocol):
    """Monitors that are told, as those who make and show them through an API need it."""

    def named(self, name: str) -> list[MonitorId]:
        """Those that ``name`` addresses: the one of this id, else all whose name makes this slug."""

    async def ensure(
        self, name: str, options: Mapping[str, Any], *, actor: str
    ) -> tuple[Sequence[MonitorId], bool]:
        """Those that ``name`` addresses, else a new heartbeat of that name, and whether it is new.

        :param options: of a new one, as they would stand in the configuration.
        :param actor: for the audit log.
        :raises ValueError: its options are refused.
        :raises RegistrationRefusedError: too many were made already.
        :raises StoreError: it was not stored; answer 503 so that the client retries.
        """

    async def make(
        self, name: str, options: Mapping[str, Any], *, slug: str = "", tags: Sequence[str] = (), description: str = "",
        actor: str,
    ) -> MadeMonitor:  # fmt: skip
        """A new heartbeat, whose id is its slug or resembles its name; raises like :meth:`ensure`."""

    async def views(self) -> list[JobView]:
        """Every heartbeat, those of the configuration first."""

    async def beats(self, monitor: MonitorId, newest: int) -> list[Beat]:
        """The newest beats of a monitor that are kept, newest first."""

    async def changes(self, monitor: MonitorId, since: datetime, until: datetime) -> list[Transition]:
        """How its state changed in ``[since, until)``, oldest first."""

    async def pause(self, monitor: MonitorId, *, actor: str) -> None:
        """Expect nothing of a monitor until it is heard or resumed. Harmless for one that is paused.

        :raises StoreError: it is not paused.
        """

    async def resume(self, monitor: MonitorId, *, actor: str) -> bool:
        """End the pause of a monitor, which is as new then; False when it was not paused.

        :raises UsageError: it is paused together with others.
        :raises StoreError: it is paused as before.
        """

    def channels(self) -> list[tuple[str, str]]:
        """Name and type of every channel that alerts go to."""

    async def change(self, made: MadeMonitor, *, actor: str) -> MadeMonitor:
        """Put ``made`` in the place of the one of its id; raises like :meth:`ensure`."""

    async def remove(self, monitor: MonitorId, *, actor: str) -> None:
        """Watch a made monitor no more. Its history stays.

        :raises KeyError: it was not made through an API.
        :raises StoreError: it is watched as before.
        """


class Fleet(Protocol):
    """Agents that introduce themselves: who they are, how they stand, and what they report."""

    @property
    def settings(self) -> IngestSettings:
        """What the operator lets reporters do."""

    def token(self, shown: str) -> Token | None:
        """The good token of scope INGEST that was shown; None for any other. Takes as long for each."""

    def api_key(self, shown: str) -> Token | None:
        """The good token of any scope but INGEST that was shown. Takes as long for each."""

    def find(self, agent: str) -> AgentView | None:
        """An agent by its id or one of its aliases."""

    def agents(self, pool: str | None = None) -> list[AgentView]:
        """All of them, or those of a pool, in the order of their registration."""

    def may_report(self, token: Token, agent: str) -> bool:
        """Whether ``token`` may report for an agent that is registered."""

    async def register(
        self, introduction: Introduction, *, token: Token | None = None, key: str = ""
    ) -> tuple[Agent, str]:
        """Take in an agent, or renew what is known of it: the same id, else the same token and host name.

        :param token: that it showed. Without one, it is given a token of its own.
        :param key: the registration key that it showed.
        :return: the agent and the token it was given, or "" when it keeps the one it showed.
        :raises RegistrationRefusedError: the operator does not let it in.
        :raises StoreError: it was not stored; answer 503 so that the client retries.
        """

    async def admit(self, introduction: Introduction) -> Agent:
        """Take in an agent that needs no token because of the way it came: a process of this machine.

        :param introduction: with an id; the same id is the same agent, unless that one has a token.
        :raises RegistrationRefusedError: it has one, or there are too many.
        :raises StoreError: it was not stored.
        """

    async def resolve(self, token: Token, agent: str, hostname: str = "") -> Agent:
        """The agent that reports as ``agent``: registered so, or under an id that the server made up, or a new one.

        :raises RegistrationRefusedError: it is somebody else's, or unknown and new ones are not let in.
        :raises StoreError: it was not stored.
        """

    async def describe(self, agent: AgentId, introduction: Introduction) -> Agent:
        """Note what an agent says of its host; empty fields leave what is known."""

    async def report(self, agent: AgentId, report: AgentReport) -> None:
        """Take one beat of an agent. Returns once it cannot be lost by a crash any more; its metrics are volatile.

        :raises StoreError: it was not taken; answer 503 so that the client retries.
        """

    def connect(
        self, agent: AgentId, close: Callable[[], None],
        send: Callable[[str, Mapping[str, object]], Awaitable[None]] | None = None,
    ) -> AbstractContextManager[None]:  # fmt: skip
        """The agent holds a stream open while this lasts; a newer stream of it closes the one before.

        Its end without a :data:`Signal.STOPPING` before it makes the agent suspect at once.

        :param send: ``send(type, data)``: how it is asked for something, where it can be.
        """

    def hear(self, agent: AgentId, kind: str, data: Mapping[str, object]) -> None:
        """An agent's answer to what it was asked for over ``send``; any other message is left alone."""

    def watch(self, pool: str | None = None) -> AbstractContextManager["LiveFeed"]:
        """Live reports of a pool, or of all, for one consumer."""


class LiveFeed(Protocol):
    """What one consumer of live reports has not been told yet: at most one report of each agent."""

    def snapshot(self) -> list[Live]:
        """Everything that is live now; what was waiting is dropped, because this is newer."""

    async def changes(self) -> tuple[list[Live], list[AgentId]]:
        """Wait for the next batch: agents with a newer report, and agents that went offline since the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverContext:
    """What a receiver works with."""

    sink: BeatSink  #: for monitors of the configuration
    jobs: Jobs  #: for those that are made by whoever reports
    fleet: Fleet  #: for agents
    clock: Clock
    may_read: Callable[["HTTPConnection"], bool]
    """Whether who asks may see what everybody who reads the dashboard sees: by session, by token, on this machine.

    A WebSocket without a token must come from a page of ours, or from no page."""
    unix_socket: Path | None = None  #: where local agents connect; None: nowhere
    unix_socket_mode: int = 0o600  #: its permission bits
    unix_socket_group: str = ""  #: that it belongs to; "" is the one of this process
    has_badges: Callable[[], bool] = lambda: False
    """Whether states may be shown to who knows a signed address."""
    sign: Callable[[str], bytes] = lambda text: b""
    """32 bytes that follow from a text and a secret of the store."""

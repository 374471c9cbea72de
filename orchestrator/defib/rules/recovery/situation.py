"""What the machine is told of the world, and the steps it may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from defib.model.evidence import Grade
from defib.model.health import State
from defib.model.monitor import RecoveryMode
from defib.model.recovery import AttemptOutcome, Case, Gate
from defib.rules.recovery.budgets import Spent
from defib.rules.recovery.ladder import Uses
from defib.rules.recovery.verifying import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What others are doing, as far as it holds this case up."""

    acting: int = 0  #: actions of other cases that run now, or are about to
    most: int = 2  #: that may
    ahead: int = 0  #: cases that wait for a place, and go first: roots before others, then the oldest
    tokens: int = 10  #: attempts that may be begun now
    group: str = ""
    group_busy: int = 0  #: other members in recovery
    group_most: int = 1
    host: str = ""  #: in words; "" where it is not known
    host_acting: int = 0
    host_most: int = 1
    mass_failure: str = ""  #: why this is one, in words; "" when it is none
    at_work: int = 0  #: other cases of the mass failure that are not through their verification …
    next_in_failure: int = 0  #: … and those that wait, and go first
    is_root: bool = True  #: nothing that it requires is at fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the action itself could tell of its target right before it would run."""

    refused: str = ""  #: why it may not be touched at all
    held_back: str = ""  #: why not now
    stopped: str = ""  #: its supervisor's words for a clean stop
    changed_at: datetime | None = None  #: somebody else restarted it since the fault began


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the machine needs to know of the world at one instant."""

    state: State  #: of the monitor
    mode: RecoveryMode  #: in force: the monitor's own, the global one, the operator's
    fault_at: datetime  #: when the fault began
    grade: Grade  #: of the evidence that decided the fault
    was_up: bool  #: the target had been seen well before
    is_supervised: bool = False  #: somebody else restarts it, or it ended without an error
    is_intermittent: bool = False  #: it fails now and then
    is_leader: bool = True
    grace: str = ""  #: why Defib, which has just started, does not act yet
    observer: str = ""  #: why Defib does not trust itself now; "" when it does
    waiting_for: tuple[str, ...] = ()  #: required monitors that are not up, or are being recovered themselves
    is_flapping: bool = False
    circuit: str = ""  #: why it was given up before and still is; "" when it is not
    spent: Spent = field(default_factory=Spent)
    crowd: Crowd = Crowd()
    uses: Uses = field(default_factory=Uses)
    target: Target = Target()
    trial: Trial | None = None  #: the present attempt, once its action has ended
    is_unchanged: bool = False  #: the action should have replaced the target's process, and has not
    is_repeatable: bool = True  #: the present rung may run again although its outcome is unknown
    is_unknown: bool = False  #: what became of the present attempt's action is not known
    verified_at: datetime | None = None  #: the present attempt
    last_ok_at: datetime | None = None  #: end of the newest good look
    oks_needed: int = 2
    jitter: float = 0.0  #: uniform in [-1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do before ``case.due_at``."""

    case: Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Probe now, up to ``probes`` times a second apart; then ask again."""

    case: Case
    probes: int = 1
    needed: int = 1  #: failing ones, over all last looks of the case, that let the action run


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Commit the intent, then run the rung ``case.rung``."""

    case: Case
    passed: Mapping[Gate, str] = field(default_factory=dict)  #: each gate that was open, and why


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """The present attempt is over: record ``outcome``; the case goes on as it stands in ``case``."""

    case: Case
    outcome: AttemptOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Relapse:
    """The attempt that had helped did not help for long: note it; the case goes on as it stands in ``case``."""

    case: Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The case is over."""

    case: Case


Step = Wait | Look | Act | Settle | Relapse | Finish

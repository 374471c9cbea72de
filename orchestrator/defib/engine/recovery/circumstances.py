"""Everything a recovery case is decided on, put together from what the engine knows."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address

from defib.engine.detection.judge import Judge
from defib.engine.observer.guard import Guard
from defib.engine.recovery.acting import SAME_PROCESS, Acting, has_failed
from defib.engine.recovery.ledger import Ledger
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.model.evidence import Grade
from defib.model.health import FaultLabel, Health, State
from defib.model.ids import MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.recovery import AttemptOutcome, Case, CaseState, Gate
from defib.ports import Clock
from defib.rules.dependencies import waiting_for
from defib.rules.recovery import budgets, ladder, timing
from defib.rules.recovery.gates import QUEUES
from defib.rules.recovery.situation import Crowd, Situation, Target
from defib.rules.recovery.verifying import Signs, Trial
from defib.store import Reader, Writer

_HOLDS_PLACE = frozenset({CaseState.LAST_LOOK, CaseState.INTENT, CaseState.ACTING, CaseState.KILLING})
_BOOTS = 50  #: attempts that the time to start is learned from, at most
_LOCAL = "this machine"


@dataclass(slots=True)
class Progress:
    """What is known of a case only while it is worked on; a restart begins it afresh."""

    started_at: datetime
    is_resumed: bool = False  #: an earlier run of Defib had it
    misses: int = 0  #: failing last looks
    target: Target = field(default_factory=Target)
    signs: Signs = field(default_factory=Signs)
    settled_at: datetime | None = None  #: earlier failures are forgiven up to then
    circuit: str = ""
    boots: list[timedelta] = field(default_factory=list)


class Circumstances:
    """Asks everybody who knows something."""

    def __init__(
        self, clock: Clock, roster: Roster, table: StateTable, reader: Reader, writer: Writer, judge: Judge,
        guard: Guard, acting: Acting, ledger: Ledger, cases: Mapping[MonitorId, Case],
    ) -> None:  # fmt: skip
        """:param cases: those at work, kept up to date by their owner."""
        self._clock = clock
        self.roster = roster
        self._table = table
        self._reader = reader
        self._writer = writer
        self._judge = judge
        self._guard = guard
        self._acting = acting
        self._ledger = ledger
        self._cases = cases
        self._has_seen_all = False
        self.started_at = clock.now()
        self.is_pass = False

    async def begin(self, case: Case, *, is_resumed: bool) -> Progress:
        """Read what a case needs of the past."""
        return await asyncio.to_thread(self._begin, case, is_resumed)

    def _begin(self, case: Case, is_resumed: bool) -> Progress:
        now = self._clock.now()
        since = now - budgets.DAY
        transitions = self._reader.transitions(monitor=case.monitor, since=since)
        settled_at = budgets.settled_at(transitions, since, now)
        earlier = self._reader.attempts(monitor=case.monitor, newest=_BOOTS)
        return Progress(
            started_at=now,
            is_resumed=is_resumed,
            settled_at=settled_at,
            circuit=self._circuit(case, settled_at),
            boots=[
                item.verified_at - item.ended_at
                for item in earlier
                if item.outcome is AttemptOutcome.VERIFIED and item.verified_at and item.ended_at
            ],
        )

    def _circuit(self, case: Case, settled_at: datetime | None) -> str:
        """Why an earlier case of the monitor, which was given up, still stands in the way."""
        given_up = [
            item
            for item in self._reader.cases(monitor=case.monitor, newest=5)
            if item.state is CaseState.OPEN and item.id != case.id and item.closed_at is not None
        ]
        if not given_up:
            return ""
        ended = given_up[0].closed_at
        assert ended is not None
        reset_at = self.roster.budgets_reset_at(case.monitor)
        if (settled_at is not None and settled_at > ended) or (reset_at is not None and reset_at >= ended):
            return ""
        if given_up[0].incident == case.incident and case.opened_at >= ended:
            return ""  # a person or a new configuration gave it another try
        minutes = timing.SETTLED_AFTER.total_seconds() / 60
        return (
            f"Defib had given it up ({given_up[0].reason}), and it has not been well for {minutes:g} min since; "
            f"'defib recover {case.monitor} --reset' lets it try again"
        )

    # --- one instant -------------------------------------------------------------------------------

    def of(self, case: Case, progress: Progress, now: datetime) -> Situation:
        """The situation of a case."""
        watched, health = self.roster.monitors[case.monitor], self._table[case.monitor]
        policy, incident = watched.spec.recovery, self._judge.incident(case.incident)
        spent = budgets.count(
            self._ledger.of(case.monitor), policy, now, settled_at=progress.settled_at,
            reset_at=self.roster.budgets_reset_at(case.monitor),
        )  # fmt: skip
        attempt = self._acting.attempt(case.monitor)
        has_ended = attempt is not None and case.state is CaseState.VERIFYING
        rung = policy.ladder[case.rung] if case.rung < len(policy.ladder) else None
        return Situation(
            state=health.state,
            mode=RecoveryMode.DRY_RUN if case.dry_run else self.roster.recovery_mode(watched.spec),
            fault_at=health.since if health.state is State.FAULT else incident.fault_hi,
            grade=Grade(incident.grade),
            was_up=health.was_up,
            is_supervised=_is_supervised(health),
            is_intermittent=incident.label is FaultLabel.INTERMITTENT,
            is_leader=self._writer.stale is None,
            grace=self._grace(watched, health, now),
            observer=self._guard.no_action(case.monitor),
            waiting_for=self._waiting_for(watched, now),
            is_flapping=health.is_flapping,
            circuit=progress.circuit,
            spent=spent,
            crowd=self._crowd(case, watched, now),
            uses=ladder.uses(
                item for item in self._ledger.of_case(case.id) if item.id != case.attempt or not has_ended
            ),
            target=progress.target,
            trial=self._trial(case, watched, progress) if has_ended else None,
            is_unchanged=attempt is not None and attempt.detail == SAME_PROCESS,
            is_repeatable=rung is None or rung.idempotent,
            is_unknown=attempt is not None and attempt.outcome is AttemptOutcome.UNKNOWN,
            verified_at=attempt.verified_at if attempt else None,
            last_ok_at=health.last_ok_at,
            oks_needed=1 if watched.is_pushed else self.roster.strategy(case.monitor).recovery_threshold,
            jitter=timing.jitter_of(f"{case.monitor}/{spent.setbacks}/{case.attempts}"),
        )  # fmt: skip

    def _trial(self, case: Case, watched: Watched, progress: Progress) -> Trial:
        attempt = self._acting.attempt(case.monitor)
        assert attempt is not None
        return Trial(
            ended_at=attempt.ended_at or attempt.intent_at,
            start_timeout=self._start_timeout(watched, progress),
            has_failed=has_failed(attempt),
            resumed_at=progress.started_at if progress.is_resumed else None,
            signs=progress.signs,
        )

    def _start_timeout(self, watched: Watched, progress: Progress) -> timedelta:
        """What is configured, else what was learned; what reports by itself has until its next report."""
        timeout = watched.spec.recovery.start_timeout or timing.learned_start_timeout(progress.boots)
        if watched.pushed is None:
            return timeout
        deadline = watched.pushed.deadline(self._table[watched.spec.id].beats)
        return timeout if deadline is None else max(timeout, deadline.every + deadline.margin)

    def _grace(self, watched: Watched, health: Health, now: datetime) -> str:
        """Why Defib, which has just started, knows too little to act."""
        if watched.polled is None:
            return ""
        if self.is_pass:
            return "" if self._is_seen(watched.spec.id) else "it has not been looked at in this pass yet"
        limit = self.roster.settings.recovery_limits.startup_grace
        if not self._has_seen_all and now - self.started_at < limit:
            unseen = [
                name
                for name, other in self.roster.monitors.items()
                if other.polled and not self._is_seen(name)
            ]
            if unseen:
                return f"Defib has just started, and has not seen {len(unseen)} of its monitors yet"
        self._has_seen_all = True
        return ""

    def _is_seen(self, monitor: MonitorId) -> bool:
        last = self._table[monitor].last
        return last is not None and last.ended_at >= self.started_at

    # --- others ------------------------------------------------------------------------------------

    def _waiting_for(self, watched: Watched, now: datetime) -> tuple[str, ...]:
        waiting = waiting_for(watched.spec, self._table.get, now)
        at_work = [
            name
            for name in watched.spec.requires
            if (other := self._cases.get(name)) is not None
            and other.state.is_under_way
            and name not in waiting
        ]
        return (*waiting, *at_work)

    def _crowd(self, case: Case, watched: Watched, now: datetime) -> Crowd:
        limits, monitors = self.roster.settings.recovery_limits, self.roster.monitors
        others = [item for item in self._cases.values() if item.monitor != case.monitor and not item.dry_run]
        acting = [item for item in others if item.state in _HOLDS_PLACE]
        queued = [item for item in others if item.state is CaseState.GATED and item.gate in QUEUES]
        roots = self._roots() if queued else frozenset()
        before = [item for item in queued if _rank(item, roots) < _rank(case, roots)]
        group, host = watched.spec.group, _host(watched)
        members = [name for name, other in monitors.items() if group and other.spec.group == group]
        busy = [item for item in others if item.monitor in members and item.state in _IN_RECOVERY]
        down = {name for name in members if self._table[name].state.is_bad} | {item.monitor for item in busy}
        everywhere = self._guard.is_mass_failure
        in_group = budgets.is_mass_failure(limits, len(down), len(members))
        failing_too = others if everywhere else [item for item in others if item.monitor in members]
        mass_failure = "most monitors fail together" if everywhere else ""
        if in_group and not everywhere:
            mass_failure = f"{len(down)} of the {len(members)} of the group {group} fail together"
        return Crowd(
            acting=len(acting),
            most=budgets.most_at_once(limits, len(monitors)),
            ahead=sum(item.gate in (Gate.GLOBAL, Gate.RATE) for item in before),
            tokens=budgets.tokens(self._ledger.intents(now), now, limits),
            group=group,
            group_busy=len(busy),
            group_most=budgets.most_of_group(limits, len(members)),
            host=host,
            host_acting=sum(
                item.monitor in monitors and _host(monitors[item.monitor]) == host for item in acting
            ),
            host_most=limits.per_host,
            mass_failure=mass_failure,
            at_work=sum(item.state in _IN_RECOVERY for item in failing_too),
            next_in_failure=sum(item.gate is Gate.MASS_FAILURE and item in failing_too for item in before),
            is_root=not any(self._table[name].state.is_bad for name in watched.spec.requires if name in monitors),
        )  # fmt: skip

    def _roots(self) -> frozenset[MonitorId]:
        """Monitors that others are unreachable without."""
        return frozenset(
            parent
            for name, other in self.roster.monitors.items()
            if self._table[name].state is State.UNREACHABLE
            for parent in (*other.spec.requires, *other.spec.requires_any)
        )


_IN_RECOVERY = _HOLDS_PLACE | {CaseState.VERIFYING}


def _rank(case: Case, roots: Collection[MonitorId]) -> tuple[bool, datetime, str]:
    """Roots before others, then the oldest."""
    return case.monitor not in roots, case.opened_at, case.id


def _is_supervised(health: Health) -> bool:
    """Whether the newest look says that somebody else restarts it, or that it ended without an error."""
    facts = health.last.evidence.facts if health.last else {}
    return facts.get("supervised") is True or facts.get("exit_code") == 0


def _host(watched: Watched) -> str:
    """Where an action on a monitor is felt, for people; "" where it is not known."""
    if watched.polled is None:
        return ""
    host = watched.polled.host
    if host in ("", "localhost"):
        return _LOCAL
    try:
        return _LOCAL if ip_address(host).is_loopback else host
    except ValueError:
        return host.lower()

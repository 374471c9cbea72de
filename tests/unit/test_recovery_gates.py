"""The gates, one by one and in their order: each shuts for its reason, and opens again."""

from dataclasses import dataclass, field, replace

import pytest

from defib.model.evidence import Grade
from defib.model.health import State
from defib.model.monitor import OnRelapse, RecoveryMode, RecoveryPolicy
from defib.model.recovery import Case, CaseState, Gate
from defib.rules.recovery import Crowd, Finish, Look, Situation, Spent, Wait
from defib.rules.recovery.gates import BEFORE_ACTION, BEFORE_LOOK, explain, foreign_change
from defib.rules.recovery.ladder import Uses
from defib.rules.recovery.situation import Act, Target
from recovery_kit import CASE, FAULT, POLICY, at, attempt, case_in, seconds, step

STOPS = replace(POLICY, on_relapse=OnRelapse.STOP)
MANY = Crowd(mass_failure="4 of the 6 of the group nodes fail together")


@dataclass(frozen=True, kw_only=True)
class Shutting:
    """A situation in which a gate is shut."""

    gate: Gate
    situation: Situation
    reason: str
    ends: CaseState | None = None  #: how it ends the case; None: it opens again
    policy: RecoveryPolicy = POLICY
    holds_people: bool = True  #: also a case that a person asked for
    case: Case = field(default=CASE)


SHUT = [
    Shutting(gate=Gate.MODE, situation=replace(FAULT, mode=RecoveryMode.OFF), ends=CaseState.ABORTED,
             reason="recovery is off for this monitor", holds_people=False),
    Shutting(gate=Gate.MODE, situation=replace(FAULT, mode=RecoveryMode.DRY_RUN), ends=CaseState.ABORTED,
             reason="recovery was disarmed while it was at work", holds_people=False),
    Shutting(gate=Gate.MODE, situation=FAULT, policy=replace(POLICY, ladder=()), ends=CaseState.ABORTED,
             reason="no recovery ladder is configured"),
    Shutting(gate=Gate.PAUSED, situation=replace(FAULT, grade=Grade.INTENT), ends=CaseState.ABORTED,
             reason="it was stopped on purpose; Defib leaves it stopped", holds_people=False),
    Shutting(gate=Gate.PAUSED, situation=replace(FAULT, was_up=False), ends=CaseState.ABORTED,
             reason="it has never been seen well, so there is nothing to go back to", holds_people=False),
    Shutting(gate=Gate.GRACE, situation=replace(FAULT, grace="Defib has just started"),
             reason="Defib has just started", holds_people=False),
    Shutting(gate=Gate.OBSERVER, situation=replace(FAULT, observer="the event loop is held up"),
             reason="the event loop is held up"),
    Shutting(gate=Gate.REQUIRES, situation=replace(FAULT, waiting_for=("db", "cache")),
             reason="waiting for db, cache, which it requires"),
    Shutting(gate=Gate.REQUIRES, situation=replace(FAULT, state=State.UNREACHABLE),
             reason="it is unreachable: what is behind that has to be well first"),
    Shutting(gate=Gate.FUTILE, situation=replace(FAULT, grade=Grade.SCHEDULED), ends=CaseState.ABORTED,
             reason="a restart cannot help here"),
    Shutting(gate=Gate.CIRCUIT, situation=replace(FAULT, circuit="Defib had given it up"), ends=CaseState.OPEN,
             reason="Defib had given it up", holds_people=False),
    Shutting(gate=Gate.FLAPPING, holds_people=False,
             situation=replace(FAULT, is_flapping=True, spent=Spent(in_hour=5, last_at=at(0))),
             reason="flapping, and tried 5 times within an hour: "
                    "one attempt in 5 min, the next in 240 s at the soonest"),
    Shutting(gate=Gate.MASS_FAILURE, situation=replace(FAULT, crowd=replace(MANY, at_work=1)),
             reason="4 of the 6 of the group nodes fail together: one at a time, each verified before the next"),
    Shutting(gate=Gate.MASS_FAILURE, situation=replace(FAULT, crowd=replace(MANY, next_in_failure=1)),
             reason="4 of the 6 of the group nodes fail together: one at a time, each verified before the next"),
    Shutting(gate=Gate.MASS_FAILURE, situation=replace(FAULT, crowd=replace(MANY, is_root=False)),
             reason="4 of the 6 of the group nodes fail together: what it requires goes first"),
    Shutting(gate=Gate.BUDGET_FAILED, situation=replace(FAULT, spent=Spent(failed=3)), ends=CaseState.OPEN,
             reason="3 failed attempts within 30 min: needs a human", holds_people=False),
    Shutting(gate=Gate.BUDGET_RELAPSE, holds_people=False,
             situation=replace(FAULT, spent=Spent(relapses=5, last_at=at(0))),
             reason="crash-looping: fell again after 5 good recoveries within an hour: "
                    "one attempt in 5 min, the next in 240 s at the soonest"),
    Shutting(gate=Gate.BUDGET_RELAPSE, situation=replace(FAULT, spent=Spent(relapses=5)), ends=CaseState.OPEN,
             policy=STOPS, holds_people=False,
             reason="crash-looping: fell again after 5 good recoveries within an hour: needs a human"),
    Shutting(gate=Gate.BUDGET_DAY, situation=replace(FAULT, spent=Spent(today=12)), ends=CaseState.OPEN,
             reason="12 attempts within 24 h: needs a human", holds_people=False),
    Shutting(gate=Gate.LADDER, situation=replace(FAULT, uses=Uses(failed={0: 2, 1: 2})), ends=CaseState.OPEN,
             reason="every rung of the ladder has been used: needs a human"),
    Shutting(gate=Gate.LADDER, ends=CaseState.OPEN,
             situation=replace(FAULT, uses=Uses(failed={0: 2, 1: 2}, unchanged={0: 1, 1: 2})),
             reason="every rung of the ladder has been used, or has changed nothing twice: needs a human"),
    Shutting(gate=Gate.GROUP, situation=replace(FAULT, crowd=Crowd(group="nodes", group_busy=1, group_most=1)),
             reason="1 of the group nodes is in recovery already"),
    Shutting(gate=Gate.GLOBAL, situation=replace(FAULT, crowd=Crowd(acting=2, most=2)),
             reason="2 other recoveries act or go first, at most 2 at once"),
    Shutting(gate=Gate.GLOBAL, situation=replace(FAULT, crowd=Crowd(ahead=1, most=1)),
             reason="1 other recovery acts or goes first, at most 1 at once"),
    Shutting(gate=Gate.RATE, situation=replace(FAULT, crowd=Crowd(tokens=0)),
             reason="too many attempts in a short time, over all monitors"),
    Shutting(gate=Gate.RATE, situation=replace(FAULT, crowd=Crowd(tokens=1, ahead=1)),
             reason="too many attempts in a short time, over all monitors"),
    Shutting(gate=Gate.HOST, situation=replace(FAULT, crowd=Crowd(host="db1", host_acting=1)),
             reason="another action runs on db1"),
    Shutting(gate=Gate.TARGET, situation=replace(FAULT, target=Target(refused="it is Defib itself")),
             ends=CaseState.OPEN, reason="the action was refused: it is Defib itself",
             case=case_in(CaseState.LAST_LOOK)),
    Shutting(gate=Gate.TARGET, situation=replace(FAULT, target=Target(held_back="the unit is activating")),
             reason="the unit is activating", case=case_in(CaseState.LAST_LOOK)),
    Shutting(gate=Gate.PAUSED, situation=replace(FAULT, fault_at=at(1), target=Target(stopped="api exited with 0")),
             reason="stopped on purpose: api exited with 0; waiting whether it is started again",
             case=case_in(CaseState.LAST_LOOK), holds_people=False),
    Shutting(gate=Gate.PAUSED, situation=replace(FAULT, target=Target(stopped="api exited with 0")),
             ends=CaseState.ABORTED, reason="stopped on purpose: api exited with 0; Defib leaves it stopped",
             case=case_in(CaseState.LAST_LOOK), holds_people=False),
    Shutting(gate=Gate.PAUSED, situation=replace(FAULT, target=Target(stopped="api exited with 0")),
             ends=CaseState.OPEN, case=case_in(CaseState.LAST_LOOK, attempts=1), holds_people=False,
             reason="api exited with 0 although Defib had started it: stopped on purpose or ended by itself, "
                    "needs a human"),
    Shutting(gate=Gate.OTHER_CONTROLLER, situation=replace(FAULT, target=Target(changed_at=at(40))),
             reason="somebody else restarted it 20 s ago; waiting to see what comes of it",
             case=case_in(CaseState.LAST_LOOK)),
    Shutting(gate=Gate.LEADER, situation=replace(FAULT, is_leader=False),
             reason="another Defib decides about it now", case=case_in(CaseState.LAST_LOOK)),
]  # fmt: skip


def _name(item: Shutting) -> str:
    return f"{item.gate}: {item.reason[:40]}"


@pytest.mark.parametrize("shut", SHUT, ids=_name)
def test_a_shut_gate_says_which_it_is_and_why(shut: Shutting) -> None:
    asked = step(shut.case, shut.situation, policy=shut.policy)

    assert (asked.case.gate, asked.case.reason) == (shut.gate, shut.reason)
    assert asked.case.gated_since == at(60)
    assert asked.case.state is (shut.ends or CaseState.GATED)
    assert isinstance(asked, Finish if shut.ends else Wait)


@pytest.mark.parametrize("shut", [item for item in SHUT if item.ends is None], ids=_name)
def test_a_shut_gate_opens_again(shut: Shutting) -> None:
    waiting = step(shut.case, shut.situation, policy=shut.policy)

    opened = step(waiting.case, FAULT, after=61, policy=shut.policy)

    assert isinstance(opened, Look)
    assert (opened.case.gate, opened.case.gated_since) == (None, None)


@pytest.mark.parametrize("shut", SHUT, ids=_name)
def test_a_person_is_held_up_by_what_is_about_the_world_and_not_by_limits_on_zeal(shut: Shutting) -> None:
    asked = step(replace(shut.case, actor="ann"), shut.situation, policy=shut.policy)

    assert (asked.case.gate is shut.gate) is shut.holds_people
    assert isinstance(asked, Look | Act) is not shut.holds_people


def test_every_gate_is_tested() -> None:
    assert {item.gate for item in SHUT} | {Gate.LAST_LOOK} == set(Gate)


def test_gates_are_asked_in_the_order_of_their_codes() -> None:
    assert [*BEFORE_LOOK, Gate.LAST_LOOK, Gate.TARGET, Gate.OTHER_CONTROLLER, Gate.LEADER] == list(Gate)


def test_the_first_gate_that_is_shut_is_the_one_that_is_told() -> None:
    """All of them at once, opened one after the other."""
    everything = replace(
        FAULT, grace="young", observer="sick", waiting_for=("db",), is_flapping=True,
        spent=Spent(in_hour=9, relapses=5, last_at=at(0)),
        crowd=Crowd(
            mass_failure="all", at_work=1, group="g", group_busy=1, acting=2, tokens=0, host="h", host_acting=1,
        ),
    )  # fmt: skip
    opened = [
        everything,
        everything := replace(everything, grace=""),
        everything := replace(everything, observer=""),
        everything := replace(everything, waiting_for=()),
        everything := replace(everything, is_flapping=False),
        everything := replace(everything, crowd=replace(everything.crowd, mass_failure="")),
        everything := replace(everything, spent=Spent()),
        everything := replace(everything, crowd=replace(everything.crowd, group_busy=0)),
        everything := replace(everything, crowd=replace(everything.crowd, acting=0)),
        replace(everything, crowd=replace(everything.crowd, tokens=1)),
    ]

    assert [step(situation=situation).case.gate for situation in opened] == [
        Gate.GRACE, Gate.OBSERVER, Gate.REQUIRES, Gate.FLAPPING, Gate.MASS_FAILURE, Gate.BUDGET_RELAPSE, Gate.GROUP,
        Gate.GLOBAL, Gate.RATE, Gate.HOST,
    ]  # fmt: skip


@pytest.mark.parametrize("last", [None, at(60 - 300), at(-1000)])
def test_a_crash_looping_target_is_tried_every_five_minutes(last: object) -> None:
    spent = Spent(relapses=7, last_at=last)  # type: ignore[arg-type]
    assert isinstance(step(situation=replace(FAULT, spent=spent)), Look)
    assert isinstance(step(situation=replace(FAULT, spent=replace(spent, last_at=at(-239)))), Wait)


def test_flapping_alone_holds_nothing_up() -> None:
    assert isinstance(step(situation=replace(FAULT, is_flapping=True, spent=Spent(in_hour=4))), Look)


def test_a_mass_failure_lets_one_act_when_it_is_its_turn() -> None:
    assert isinstance(step(situation=replace(FAULT, crowd=MANY)), Look)


def test_a_restart_by_somebody_else_is_waited_for_half_a_minute() -> None:
    looking = case_in(CaseState.LAST_LOOK)
    young, old = Target(changed_at=at(30.1)), Target(changed_at=at(30))

    assert isinstance(step(looking, replace(FAULT, target=young)), Wait)
    assert isinstance(step(looking, replace(FAULT, target=old)), Act)


@pytest.mark.parametrize(
    ("changed", "is_foreign"),
    [
        (None, False),
        (-5.0, False),  # before the fault: it was seen well after it
        (30.0, True),
        (100.5, False),  # during our own attempt
        (98.5, False),  # clocks differ a little
        (102.5, False),
        (90.0, True),
        (110.0, True),
    ],
)
def test_who_restarted_the_target_is_told_by_when_it_was(changed: float | None, is_foreign: bool) -> None:
    own = [attempt(intent=100)]
    instant = None if changed is None else at(changed)

    assert foreign_change(instant, at(0), own) == (instant if is_foreign else None)


def test_a_restart_while_an_attempt_goes_on_is_its_own() -> None:
    assert foreign_change(at(400), at(0), [attempt(intent=100, ended_at=None)]) is None


def test_a_rehearsal_is_told_line_by_line_why_it_could_act() -> None:
    acting = step(case_in(CaseState.LAST_LOOK, dry_run=True), replace(FAULT, mode=RecoveryMode.DRY_RUN))
    assert isinstance(acting, Act)

    lines = explain(acting.passed).splitlines()

    assert lines[0] == "mode: dry-run: the action is told, not run"
    assert "requires: what it requires is well" in lines
    assert "rate: 10 attempts may be begun now" in lines
    assert len(lines) == len(Gate)


def test_the_gates_before_the_action_are_those_before_the_look_but_for_places() -> None:
    assert set(BEFORE_LOOK) - set(BEFORE_ACTION) == {
        Gate.MASS_FAILURE, Gate.GROUP, Gate.GLOBAL, Gate.RATE, Gate.HOST,
    }  # fmt: skip


def test_a_window_that_is_configured_is_told() -> None:
    policy = replace(POLICY, max_attempts=1, window=seconds(3600))

    ended = step(situation=replace(FAULT, spent=Spent(failed=1)), policy=policy)

    assert ended.case.reason == "1 failed attempt within 60 min: needs a human"

"""The recovery machine, table by table: hold, gates, last look, verification, back-off, and the end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from defib.model.evidence import Grade
from defib.model.health import State
from defib.model.ids import AttemptId, CaseId, IncidentId, MonitorId
from defib.model.monitor import RecoveryMode, RecoveryPolicy, Rung
from defib.model.options import Options
from defib.model.recovery import AttemptOutcome, Case, CaseState
from defib.rules.recovery import Act, Finish, Look, Settle, Situation, Step, Wait, next_rung, next_step

T = datetime(2026, 11, 20, 12, tzinfo=UTC)
RUNG = Rung(kind="script", options=Options())
POLICY = RecoveryPolicy(mode=RecoveryMode.AUTO, ladder=(RUNG, RUNG))
FAULT = Situation(state=State.FAULT, mode=RecoveryMode.AUTO, fault_at=T, grade=Grade.STRONG, was_up=True)
CASE = Case(
    id=CaseId("c"),
    incident=IncidentId("i"),
    monitor=MonitorId("main"),
    state=CaseState.PENDING,
    opened_at=T,
    due_at=T,
)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def step(
    case: Case = CASE, situation: Situation = FAULT, after: float = 60, policy: RecoveryPolicy = POLICY
) -> Step:
    return next_step(case, policy, situation, T + seconds(after))


@pytest.mark.parametrize(
    ("grade", "hold"), [(Grade.AUTHORITATIVE, 0.0), (Grade.STRONG, 8.0), (Grade.NORMAL, 8.0)]
)  # fmt: skip
def test_a_fault_is_held_by_its_grade_before_anything_is_done(grade: Grade, hold: float) -> None:
    situation = replace(FAULT, grade=grade)
    if hold:
        waiting = step(situation=situation, after=hold - 0.1)
        assert isinstance(waiting, Wait)
        assert waiting.case.due_at == T + seconds(hold)
    assert isinstance(step(situation=situation, after=hold), Look)


def test_a_configured_hold_is_obeyed() -> None:
    policy = replace(POLICY, hold=seconds(30))
    assert isinstance(step(after=29, policy=policy), Wait)
    assert isinstance(step(after=30, policy=policy), Look)


@pytest.mark.parametrize(
    "state", [CaseState.PENDING, CaseState.GATED, CaseState.BACKOFF, CaseState.LAST_LOOK]
)
def test_a_target_that_is_well_again_is_left_alone(state: CaseState) -> None:
    ended = step(replace(CASE, state=state), replace(FAULT, state=State.UP))
    assert isinstance(ended, Finish)
    assert ended.case.state is CaseState.ABORTED
    assert ended.case.reason == "recovered by itself"


@pytest.mark.parametrize(
    ("situation", "state", "words"),
    [
        (replace(FAULT, mode=RecoveryMode.OFF), CaseState.ABORTED, "off"),
        (replace(FAULT, grade=Grade.INTENT), CaseState.ABORTED, "stopped on purpose"),
        (replace(FAULT, grade=Grade.SCHEDULED), CaseState.ABORTED, "cannot help"),
        (replace(FAULT, was_up=False), CaseState.ABORTED, "never been seen well"),
        (replace(FAULT, failed_in_window=3), CaseState.OPEN, "needs a human"),
        (replace(FAULT, verified_in_hour=5), CaseState.OPEN, "crash-looping"),
        (replace(FAULT, uses={0: 2, 1: 2}), CaseState.OPEN, "every rung"),
    ],
)
def test_a_gate_that_cannot_open_ends_the_case_with_its_reason(
    situation: Situation, state: CaseState, words: str
) -> None:
    ended = step(situation=situation)
    assert isinstance(ended, Finish)
    assert ended.case.state is state
    assert words in ended.case.reason


@pytest.mark.parametrize(
    ("closed", "words"),
    [
        (replace(FAULT, waiting_for=("db",)), "waiting for db"),
        (replace(FAULT, acting_now=2), "2 other recovery actions"),
    ],
)
def test_a_gate_that_may_open_waits_and_opens_again(closed: Situation, words: str) -> None:
    waiting = step(situation=closed)
    assert isinstance(waiting, Wait)
    assert waiting.case.state is CaseState.GATED
    assert words in waiting.case.reason
    assert isinstance(step(waiting.case, FAULT), Look)


def test_a_person_is_held_up_by_no_limit_but_by_every_dependency() -> None:
    case = replace(CASE, actor="ann")
    spent = replace(FAULT, failed_in_window=9, verified_in_hour=9, was_up=False, mode=RecoveryMode.OFF)
    assert isinstance(step(case, spent, after=0), Look)
    assert isinstance(step(case, replace(spent, waiting_for=("db",)), after=0), Wait)


def test_only_a_failed_last_look_leads_to_the_action() -> None:
    looking = step()
    assert isinstance(looking, Look)
    assert looking.case.state is CaseState.LAST_LOOK
    acting = step(looking.case)
    assert isinstance(acting, Act)
    assert acting.case.state is CaseState.INTENT
    assert acting.case.attempts == 1


@pytest.mark.parametrize("state", [CaseState.INTENT, CaseState.ACTING])
def test_what_a_crash_interrupted_is_verified_and_never_run_again(state: CaseState) -> None:
    resumed = step(replace(CASE, state=state, attempts=1, attempt=AttemptId("a")))
    assert isinstance(resumed, Look)
    assert resumed.case.state is CaseState.VERIFYING
    assert resumed.case.attempts == 1


VERIFYING = replace(CASE, state=CaseState.VERIFYING, attempts=1, due_at=T)
ACTED = replace(FAULT, action_ended_at=T + seconds(60))


def test_enough_good_looks_in_a_row_settle_the_case() -> None:
    done = step(replace(VERIFYING, oks=2), replace(ACTED, state=State.UP), after=63)
    assert isinstance(done, Settle)
    assert done.outcome is AttemptOutcome.VERIFIED
    assert done.case.state is CaseState.DONE


@pytest.mark.parametrize(
    ("situation", "last_moment"),
    [
        (ACTED, 60 + 90),  # the start timeout
        (replace(ACTED, action_failed=True), 60 + 10),  # a command that failed is given less
        (replace(ACTED, wrong_since=T), 60 + 15),  # answers, but wrongly
    ],
)
def test_a_target_that_does_not_come_back_in_time_has_failed(
    situation: Situation, last_moment: float
) -> None:
    assert isinstance(step(VERIFYING, situation, after=last_moment - 0.5), Look)
    failed = step(VERIFYING, situation, after=last_moment)
    assert isinstance(failed, Settle)
    assert failed.outcome is AttemptOutcome.FAILED
    assert failed.case.state is CaseState.BACKOFF
    assert failed.case.failures == 1


def test_each_failure_doubles_the_wait_up_to_five_minutes() -> None:
    waits = []
    for failures in range(8):
        failed = step(replace(VERIFYING, failures=failures), ACTED, after=1000)
        assert isinstance(failed, Settle)
        waits.append((failed.case.due_at - (T + seconds(1000))).total_seconds())
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]


def test_a_backoff_waits_and_then_passes_the_gates_again() -> None:
    backing_off = replace(CASE, state=CaseState.BACKOFF, due_at=T + seconds(70), attempts=1, failures=1)
    assert isinstance(step(backing_off, after=69), Wait)
    assert isinstance(step(backing_off, after=70), Look)


def test_the_ladder_goes_up_when_a_rung_is_used_up() -> None:
    assert next_rung(POLICY, 0, {}) == 0
    assert next_rung(POLICY, 0, {0: 1}) == 0
    assert next_rung(POLICY, 0, {0: 2}) == 1
    assert next_rung(POLICY, 1, {1: 2}) is None

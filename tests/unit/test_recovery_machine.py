"""The recovery machine, state by state and event by event: what it asks for, and why."""

from dataclasses import replace

import pytest

from defib.model.evidence import Grade
from defib.model.health import State
from defib.model.monitor import OnRelapse, RecoveryMode
from defib.model.recovery import AttemptOutcome, Case, CaseState, Gate
from defib.rules.recovery import (
    Act,
    Crowd,
    Finish,
    Look,
    Relapse,
    Settle,
    Signs,
    Situation,
    Spent,
    Wait,
    cancelled,
    refused,
)  # fmt: skip
from defib.rules.recovery.ladder import Uses
from defib.rules.recovery.situation import Target
from defib.rules.recovery.verifying import Trial
from recovery_kit import CASE, FAULT, NOON, POLICY, RUNG, at, case_in, seconds, step, trial

WELL = replace(FAULT, state=State.UP)
GATED_OUT = replace(FAULT, observer="Defib is not well")
VERIFYING = replace(FAULT, trial=trial())
PROBATION = replace(WELL, verified_at=at(60), last_ok_at=at(60))

# --- every state against every event ------------------------------------------------------------------

EVENTS: dict[str, Situation] = {
    "still failing": VERIFYING,
    "well": replace(WELL, trial=trial(), verified_at=at(60), last_ok_at=at(60)),
    "on watch": replace(WELL, state=State.WATCH, trial=trial(), verified_at=at(60), last_ok_at=at(60)),
    "suspect": replace(VERIFYING, state=State.SUSPECT, verified_at=at(60)),
    "unreachable": replace(VERIFYING, state=State.UNREACHABLE),
    "stopped": replace(VERIFYING, state=State.STOPPED, verified_at=at(60)),
    "maintenance": replace(VERIFYING, state=State.MAINTENANCE),
    "paused": replace(VERIFYING, state=State.PAUSED),
    "gate shut": replace(GATED_OUT, trial=trial()),
}
ABORTED = "Finish aborted"
TABLE: dict[CaseState, dict[str, str]] = {
    CaseState.PENDING: {
        "still failing": "Look last-look", "well": ABORTED, "on watch": ABORTED, "suspect": "Look last-look",
        "unreachable": "Wait gated", "stopped": ABORTED, "maintenance": ABORTED, "paused": ABORTED,
        "gate shut": "Wait gated",
    },
    CaseState.GATED: {
        "still failing": "Look last-look", "well": ABORTED, "on watch": ABORTED, "suspect": "Look last-look",
        "unreachable": "Wait gated", "stopped": ABORTED, "maintenance": ABORTED, "paused": ABORTED,
        "gate shut": "Wait gated",
    },
    CaseState.LAST_LOOK: {
        "still failing": "Act intent", "well": ABORTED, "on watch": ABORTED, "suspect": "Act intent",
        "unreachable": "Wait gated", "stopped": ABORTED, "maintenance": ABORTED, "paused": ABORTED,
        "gate shut": "Wait gated",
    },
    CaseState.INTENT: dict.fromkeys(EVENTS, "Look verifying"),
    CaseState.ACTING: dict.fromkeys(EVENTS, "Look verifying"),
    CaseState.KILLING: dict.fromkeys(EVENTS, "Look verifying"),
    CaseState.VERIFYING: {
        "still failing": "Look verifying", "well": "Look verifying", "on watch": "Look verifying",
        "suspect": "Look verifying", "unreachable": "Look verifying", "stopped": "Look verifying",
        "maintenance": ABORTED, "paused": ABORTED, "gate shut": "Look verifying",
    },
    CaseState.BACKOFF: {
        "still failing": "Look last-look", "well": ABORTED, "on watch": ABORTED, "suspect": "Look last-look",
        "unreachable": "Wait gated", "stopped": ABORTED, "maintenance": ABORTED, "paused": ABORTED,
        "gate shut": "Wait gated",
    },
    CaseState.PROBATION: {
        "still failing": "Relapse backoff", "well": "Look probation", "on watch": "Look probation",
        "suspect": "Look probation", "unreachable": "Relapse backoff", "stopped": "Look probation",
        "maintenance": ABORTED, "paused": ABORTED, "gate shut": "Relapse backoff",
    },
    CaseState.DONE: dict.fromkeys(EVENTS, "Finish done"),
    CaseState.ABORTED: dict.fromkeys(EVENTS, ABORTED),
    CaseState.OPEN: dict.fromkeys(EVENTS, "Finish needs-human"),
    CaseState.FENCED: dict.fromkeys(EVENTS, "Finish fenced"),
}  # fmt: skip


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", TABLE)
def test_every_state_has_an_answer_to_every_event(state: CaseState, event: str) -> None:
    asked = step(case_in(state, due_at=NOON), EVENTS[event], after=62)

    assert f"{type(asked).__name__} {asked.case.state}" == TABLE[state][event]


def test_the_table_leaves_no_state_out() -> None:
    assert set(TABLE) == set(CaseState)


@pytest.mark.parametrize("state", CaseState)
@pytest.mark.parametrize("event", EVENTS)
def test_asking_again_in_the_same_situation_gives_the_same_step(state: CaseState, event: str) -> None:
    case = case_in(state, due_at=NOON)

    assert step(case, EVENTS[event], after=62) == step(case, EVENTS[event], after=62)


# --- before the action --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grade", "is_supervised", "hold"),
    [
        (Grade.AUTHORITATIVE, False, 0),
        (Grade.AUTHORITATIVE, True, 10),
        (Grade.STRONG, False, 8),
        (Grade.STRONG, True, 10),
        (Grade.NORMAL, False, 10),
    ],
)
def test_a_fault_is_held_by_its_grade_and_its_supervisor(
    grade: Grade, is_supervised: bool, hold: float
) -> None:
    situation = replace(FAULT, grade=grade, is_supervised=is_supervised)
    if hold:
        waiting = step(situation=situation, after=hold - 0.1)
        assert isinstance(waiting, Wait)
        assert (waiting.case.state, waiting.case.due_at) == (CaseState.PENDING, at(hold))
    assert isinstance(step(situation=situation, after=hold), Look)


def test_a_configured_hold_is_obeyed() -> None:
    policy = replace(POLICY, hold=seconds(30))
    assert isinstance(step(after=29, policy=policy), Wait)
    assert isinstance(step(after=30, policy=policy), Look)


def test_a_person_is_not_held_up() -> None:
    assert isinstance(step(replace(CASE, actor="ann"), after=0), Look)


def test_what_fell_again_backs_off_from_the_attempt_that_had_helped() -> None:
    situation = replace(FAULT, spent=Spent(setbacks=4, setback_at=at(-10), relapses=4))

    waiting = step(situation=situation, after=10)

    assert isinstance(waiting, Wait)
    assert waiting.case.state is CaseState.BACKOFF
    assert waiting.case.due_at == at(70)  # 80 s after the fourth setback
    assert isinstance(step(waiting.case, situation, after=70), Look)


def test_a_last_look_at_a_hard_fault_is_one_probe_and_at_an_intermittent_one_three() -> None:
    hard, intermittent = step(), step(situation=replace(FAULT, is_intermittent=True))

    assert isinstance(hard, Look)
    assert (hard.probes, hard.needed) == (1, 1)
    assert isinstance(intermittent, Look)
    assert (intermittent.probes, intermittent.needed) == (3, 2)


def test_only_a_last_look_leads_to_the_action_which_is_counted() -> None:
    acting = step(case_in(CaseState.LAST_LOOK, attempts=1, rung=1))

    assert isinstance(acting, Act)
    assert (acting.case.state, acting.case.attempts, acting.case.rung) == (CaseState.INTENT, 2, 1)


def test_an_action_knows_every_gate_that_let_it_through() -> None:
    acting = step(case_in(CaseState.LAST_LOOK))

    assert isinstance(acting, Act)
    assert set(acting.passed) == set(Gate)
    assert acting.passed[Gate.MODE] == "armed"
    assert acting.passed[Gate.BUDGET_FAILED] == "0 failed attempts within 30 min, 3 are allowed"


def test_a_place_that_was_taken_for_the_last_look_is_kept() -> None:
    crowded = replace(FAULT, crowd=Crowd(acting=2, most=2, tokens=0, host="db1", host_acting=1))

    assert isinstance(step(case_in(CaseState.GATED), crowded), Wait)
    assert isinstance(step(case_in(CaseState.LAST_LOOK), crowded), Act)


# --- after the action ---------------------------------------------------------------------------------


def test_enough_good_looks_in_a_row_lead_to_probation() -> None:
    done = step(case_in(CaseState.VERIFYING, oks=2), replace(WELL, trial=trial()), after=63)

    assert isinstance(done, Settle)
    assert done.outcome is AttemptOutcome.VERIFIED
    assert done.case.state is CaseState.PROBATION
    assert done.case.reason == "well again, 2 good looks in a row"
    assert done.case.due_at == at(68)


def test_without_probation_the_case_is_done() -> None:
    policy = replace(POLICY, probation=seconds(0))

    done = step(case_in(CaseState.VERIFYING, oks=2), replace(WELL, trial=trial()), after=63, policy=policy)

    assert done.case.state is CaseState.DONE


def test_too_few_good_looks_are_not_enough() -> None:
    asked = step(case_in(CaseState.VERIFYING, oks=1), replace(WELL, trial=trial()), after=63)

    assert isinstance(asked, Look)


def test_a_restart_that_changed_nothing_did_not_help() -> None:
    situation = replace(WELL, trial=trial(), is_unchanged=True)

    done = step(case_in(CaseState.VERIFYING, oks=2), situation, after=63)

    assert isinstance(done, Settle)
    assert done.outcome is AttemptOutcome.FAILED
    assert (done.case.state, done.case.reason) == (
        CaseState.ABORTED, "well again, but not by this action: it changed nothing",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("the_trial", "last_moment", "words"),
    [
        (trial(), 150, "not well 90 s after the action"),
        (trial(start_timeout=seconds(12)), 72, "not well 12 s after the action"),
        (trial(has_failed=True), 70, "not well 10 s after the action"),
        (trial(signs=Signs(wrong_since=at(61))), 76, "it answers again, but still wrongly"),
        (trial(signs=Signs(gone_since=at(61))), 71, "it has ended again"),
    ],
)
def test_a_target_that_does_not_come_back_in_time_has_failed(
    the_trial: Trial, last_moment: float, words: str
) -> None:
    situation = replace(FAULT, trial=the_trial)
    assert isinstance(step(case_in(CaseState.VERIFYING), situation, after=last_moment - 0.5), Look)

    failed = step(case_in(CaseState.VERIFYING), situation, after=last_moment)

    assert isinstance(failed, Settle)
    assert failed.outcome is AttemptOutcome.FAILED
    assert failed.case.state is CaseState.BACKOFF
    assert failed.case.failures == 1
    assert failed.case.reason == f"attempt 1 failed ({words}); next one in 10 s"


def test_the_back_off_after_a_failure_counts_all_setbacks_and_has_jitter() -> None:
    for setbacks, jitter, expected in [
        (0, 0.0, 10),
        (3, 0.0, 80),
        (3, 1.0, 96),
        (3, -1.0, 64),
        (6, 0.5, 330),
    ]:
        situation = replace(VERIFYING, spent=Spent(setbacks=setbacks), jitter=jitter)
        failed = step(case_in(CaseState.VERIFYING), situation, after=1000)
        assert failed.case.due_at == at(1000 + expected)


def test_what_must_not_run_twice_goes_to_a_human_when_nobody_knows_whether_it_ran() -> None:
    situation = replace(VERIFYING, is_unknown=True, is_repeatable=False)

    failed = step(case_in(CaseState.VERIFYING), situation, after=150)

    assert isinstance(failed, Settle)
    assert failed.outcome is AttemptOutcome.UNKNOWN
    assert failed.case.state is CaseState.OPEN
    assert "must not run twice" in failed.case.reason


def test_what_may_run_twice_backs_off_even_when_nobody_knows_whether_it_ran() -> None:
    failed = step(case_in(CaseState.VERIFYING), replace(VERIFYING, is_unknown=True), after=150)

    assert failed.case.state is CaseState.BACKOFF


def test_probation_looks_every_five_seconds_and_each_second_under_suspicion() -> None:
    watched = case_in(CaseState.PROBATION, due_at=at(65))
    assert isinstance(step(watched, PROBATION, after=64), Wait)

    calm = step(watched, PROBATION, after=65)
    nervous = step(watched, replace(PROBATION, state=State.SUSPECT), after=65)

    assert calm.case.due_at == at(70)
    assert nervous.case.due_at == at(66)


def test_probation_ends_with_a_good_look_after_its_time() -> None:
    watched = case_in(CaseState.PROBATION, due_at=at(120), reason="well again")

    before = step(watched, replace(PROBATION, last_ok_at=at(119)), after=121)
    after = step(before.case, replace(PROBATION, last_ok_at=at(121)), after=121)

    assert isinstance(before, Look)
    assert isinstance(after, Finish)
    assert isinstance(step(before.case, replace(PROBATION, last_ok_at=at(119)), after=121.5), Wait)
    assert before.case.due_at == at(122)  # what is not seen well by then is looked at each second
    assert (after.case.state, after.case.reason) == (CaseState.DONE, "well again")


def test_a_fall_in_probation_is_a_relapse_of_the_same_case() -> None:
    fallen = step(case_in(CaseState.PROBATION), replace(FAULT, verified_at=at(60)), after=80)

    assert isinstance(fallen, Relapse)
    assert (fallen.case.state, fallen.case.due_at) == (CaseState.BACKOFF, at(90))
    assert fallen.case.id == CASE.id
    assert fallen.case.closed_at is None


# --- the end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "words"),
    [(0, "recovered by itself"), (1, "recovered after the attempt was given up")],
)
def test_a_target_that_is_well_again_is_left_alone(attempts: int, words: str) -> None:
    ended = step(case_in(CaseState.BACKOFF, attempts=attempts), WELL)

    assert (ended.case.state, ended.case.reason, ended.case.closed_at) == (CaseState.ABORTED, words, at(60))


@pytest.mark.parametrize(
    ("ended", "state", "gate"),
    [
        (cancelled(CASE, "cancelled by ann", at(5)), CaseState.ABORTED, Gate.PAUSED),
        (refused(CASE, "no such script", at(5)), CaseState.OPEN, Gate.TARGET),
    ],
)
def test_a_case_that_is_ended_from_outside_is_closed(ended: Finish, state: CaseState, gate: Gate) -> None:
    assert (ended.case.state, ended.case.gate, ended.case.closed_at) == (state, gate, at(5))


def test_a_gate_remembers_since_when_it_is_shut() -> None:
    first = step(situation=GATED_OUT, after=60)
    second = step(first.case, GATED_OUT, after=90)
    other = step(second.case, replace(FAULT, waiting_for=("db",)), after=100)

    assert (first.case.gate, first.case.gated_since) == (Gate.OBSERVER, at(60))
    assert (second.case.gate, second.case.gated_since) == (Gate.OBSERVER, at(60))
    assert (other.case.gate, other.case.gated_since) == (Gate.REQUIRES, at(100))


def test_a_rehearsal_goes_all_the_way_to_the_action() -> None:
    rehearsal = replace(CASE, dry_run=True)
    dry = replace(FAULT, mode=RecoveryMode.DRY_RUN)

    looking = step(rehearsal, dry)
    acting = step(looking.case, dry)

    assert isinstance(acting, Act)
    assert acting.case.dry_run
    assert acting.passed[Gate.MODE] == "dry-run: the action is told, not run"


def test_a_ladder_of_one_rung_goes_on_while_it_helps_for_a_while() -> None:
    policy = replace(POLICY, ladder=(RUNG,), on_relapse=OnRelapse.GO_ON)
    case: Case = case_in(CaseState.BACKOFF, attempts=2, due_at=NOON)

    assert isinstance(step(case, replace(FAULT, uses=Uses(relapsed={0: 4})), policy=policy), Look)
    assert isinstance(step(case, replace(FAULT, uses=Uses(failed={0: 2})), policy=policy), Finish)


def test_what_the_target_says_holds_the_action_back() -> None:
    held = step(case_in(CaseState.LAST_LOOK), replace(FAULT, target=Target(held_back="it is starting")))

    assert isinstance(held, Wait)
    assert (held.case.state, held.case.gate, held.case.reason) == (
        CaseState.GATED,
        Gate.TARGET,
        "it is starting",
    )

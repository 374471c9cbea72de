"""Which rung is next, how long things take, what an action came to, and when a human is needed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from defib.model.alert import AlertKind
from defib.model.evidence import Evidence, Fact, Grade, ProbeStatus
from defib.model.health import State
from defib.model.monitor import OnRelapse, RecoveryMode
from defib.model.recovery import AttemptOutcome, Case, CaseState, Gate
from defib.rules.recovery import Signs, Situation, Spent
from defib.rules.recovery.ladder import Uses, next_rung, signature, uses
from defib.rules.recovery.paging import due_page
from defib.rules.recovery.timing import backoff, jitter_of, learned_start_timeout
from defib.rules.recovery.verifying import why_failed
from recovery_kit import FAULT, POLICY, RUNG, at, attempt, case_in, seconds, trial, verified

# --- the ladder ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "used", "rung"),
    [
        (0, Uses(), 0),
        (0, Uses(failed={0: 1}), 0),
        (0, Uses(failed={0: 2}), 1),
        (0, Uses(failed={0: 1}, relapsed={0: 1}), 1),  # it helps only for a while: try the next
        (1, Uses(), 1),  # a person begins there
        (1, Uses(failed={1: 2}), None),  # and it never goes down again
        (0, Uses(failed={0: 2, 1: 2}), None),
        (0, Uses(failed={0: 2}, relapsed={1: 2}), 1),  # what helps for a while is better than nothing
        (0, Uses(failed={1: 2}, relapsed={0: 2}), 0),
    ],
)
def test_the_ladder_goes_up_when_a_rung_is_used_up(start: int, used: Uses, rung: int | None) -> None:
    assert next_rung(POLICY, start, used) == rung


def test_a_rung_that_changes_nothing_twice_is_skipped_although_it_has_uses_left() -> None:
    patient = replace(POLICY, ladder=(replace(RUNG, max_uses=5), RUNG))

    assert next_rung(patient, 0, Uses(failed={0: 1}, unchanged={0: 1})) == 0
    assert next_rung(patient, 0, Uses(failed={0: 2}, unchanged={0: 1})) == 0
    assert next_rung(patient, 0, Uses(failed={0: 2}, unchanged={0: 2})) == 1


def test_uses_are_counted_by_what_became_of_them() -> None:
    same: dict[str, Any] = {"signature_before": "E2 http-500", "signature_after": "E2 http-500"}
    attempts = [
        attempt(1, **same),
        attempt(2, outcome=AttemptOutcome.TIMEOUT, **same),
        attempt(3, outcome=AttemptOutcome.REFUSED),
        attempt(4, outcome=AttemptOutcome.DRY_RUN),
        attempt(5, rung=1, signature_before="E2 http-500", signature_after="E1 refused"),
        attempt(6, rung=1, outcome=AttemptOutcome.UNKNOWN, signature_before="", signature_after=""),
        verified(7, rung=1, relapsed_at=at(9)),
    ]

    assert uses(attempts) == Uses(failed={0: 2, 1: 2}, relapsed={1: 1}, unchanged={0: 2})


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "E2 unhealthy http-500"),
        ({"http_status": 500, "error": None, "other": 1}, "E2 unhealthy http-500 http_status=500"),
        ({"exit_code": 3, "body_sha256": "ab"}, "E2 unhealthy http-500 exit_code=3 body_sha256=ab"),
    ],
)
def test_a_signature_tells_how_a_target_fails(facts: dict[str, Fact], expected: str) -> None:
    failure = Evidence.fail("http-500", "HTTP 500 in 12 ms", status=ProbeStatus.UNHEALTHY, facts=facts)

    assert signature(failure) == expected


# --- how long -----------------------------------------------------------------------------------------


def test_each_setback_doubles_the_wait_up_to_five_minutes() -> None:
    waits = [backoff(n, timedelta(seconds=10)).total_seconds() for n in range(1, 9)]

    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize(("jitter", "expected"), [(-1.0, 32), (0.0, 40), (0.5, 44), (1.0, 48)])
def test_jitter_is_a_fifth_either_way(jitter: float, expected: float) -> None:
    assert backoff(3, timedelta(seconds=10), jitter).total_seconds() == pytest.approx(expected)


def test_jitter_is_spread_evenly_and_always_the_same_for_one_key() -> None:
    drawn = [jitter_of(f"monitor-{n}/1/1") for n in range(2000)]

    assert all(-1.0 <= value < 1.0 for value in drawn)
    assert sum(drawn) / len(drawn) == pytest.approx(0.0, abs=0.05)
    assert sum(value > 0.5 for value in drawn) / len(drawn) == pytest.approx(0.25, abs=0.04)
    assert jitter_of("monitor-7/1/1") == drawn[7]


@pytest.mark.parametrize(
    ("boots", "expected"),
    [
        ([], 90),
        ([5, 5], 90),  # too few to learn from
        ([2, 2, 3], 10),  # three times 3 s is less than the least
        ([5, 6, 7], 21),
        ([5] * 19 + [60], 15),  # one slow start in twenty is no rule
        ([5] * 18 + [60, 60], 180),
        ([150] * 3, 300),
    ],
)
def test_the_time_to_start_is_learned_from_earlier_recoveries(boots: list[float], expected: float) -> None:
    assert learned_start_timeout([seconds(boot) for boot in boots]) == seconds(expected)


# --- what an action came to -----------------------------------------------------------------------------

REFUSED = Evidence.fail("refused", "connection refused", grade=Grade.STRONG)
WRONG = Evidence.fail("http-500", "HTTP 500", status=ProbeStatus.UNHEALTHY)
BUSY = Evidence.fail("http-503", "HTTP 503", status=ProbeStatus.UNHEALTHY)
GONE = Evidence.fail("exited-1", "exited with 1", grade=Grade.AUTHORITATIVE)
BLIND = Evidence.inconclusive("no-descriptors", "Defib has no descriptors left")
FINE = Evidence.ok("HTTP 200")


@pytest.mark.parametrize(
    ("seen", "wrong", "gone"),
    [
        ([], None, None),
        ([REFUSED, REFUSED], None, None),  # still starting
        ([BUSY, BUSY], None, None),  # it says so itself
        ([WRONG, WRONG], 0, None),
        ([REFUSED, WRONG, WRONG], 1, None),
        ([WRONG, REFUSED, WRONG], 2, None),  # not without a break
        ([WRONG, FINE, WRONG], 2, None),
        ([WRONG, BLIND, WRONG], 0, None),  # a look that told nothing is no break
        ([GONE, GONE], None, 0),
        ([GONE, REFUSED], None, None),
        ([WRONG, GONE], None, 1),
    ],
)
def test_signs_are_what_was_seen_without_a_break(
    seen: list[Evidence], wrong: float | None, gone: float | None
) -> None:
    signs = Signs()
    for turn, evidence in enumerate(seen):
        signs = signs.see(evidence, at(turn), evidence.cause)

    assert signs.wrong_since == (None if wrong is None else at(wrong))
    assert signs.gone_since == (None if gone is None else at(gone))


@pytest.mark.parametrize(
    ("start_timeout", "has_failed", "limit"), [(90, False, 90), (90, True, 10), (4, True, 4)]
)
def test_a_target_has_until_its_time_to_start_is_over(
    start_timeout: float, has_failed: bool, limit: float
) -> None:
    waiting = trial(start_timeout=seconds(start_timeout), has_failed=has_failed)

    assert why_failed(waiting, at(60 + limit - 0.1)) == ""
    assert why_failed(waiting, at(60 + limit)) == f"not well {limit} s after the action"


def test_after_an_absence_of_defib_a_target_is_looked_at_before_it_is_given_up() -> None:
    back = trial(resumed_at=at(1000), signs=Signs(wrong_since=at(61)))

    assert why_failed(back, at(1009)) == ""
    assert why_failed(back, at(1010)) == "it answers again, but still wrongly"


# --- when a human is needed -----------------------------------------------------------------------------


def page(case: Case, after: float, situation: Situation = FAULT) -> tuple[AlertKind, tuple[str, ...]] | None:
    found = due_page(case, POLICY, situation, at(after))
    return None if found is None else (found.kind, found.codes)


@pytest.mark.parametrize(
    "state",
    [CaseState.PENDING, CaseState.BACKOFF, CaseState.LAST_LOOK, CaseState.ACTING, CaseState.VERIFYING],
)
def test_a_fault_of_two_and_a_half_minutes_is_told_whatever_defib_is_at(state: CaseState) -> None:
    assert page(case_in(state), 149) is None
    assert page(case_in(state), 150) == (AlertKind.RECOVERY_LATE, ("late",))
    assert page(case_in(state, pages=("late",)), 500) is None


def test_what_is_held_back_is_told_with_its_gate_and_that_one_not_again() -> None:
    gated = case_in(CaseState.GATED, gate=Gate.RATE, gated_since=at(10), reason="too many attempts")

    assert page(gated, 150) == (AlertKind.RECOVERY_LATE, ("late", "blocked:rate"))
    assert page(replace(gated, pages=("late", "blocked:rate")), 10_000) is None


@pytest.mark.parametrize(("gate", "minutes"), [(Gate.RATE, 5), (Gate.REQUIRES, 10), (Gate.OBSERVER, 10)])
def test_a_gate_that_stays_shut_calls_a_human(gate: Gate, minutes: float) -> None:
    gated = case_in(CaseState.GATED, gate=gate, gated_since=at(0), reason="r", pages=("late",))

    assert page(gated, minutes * 60 - 1) is None
    assert page(gated, minutes * 60) == (AlertKind.RECOVERY_BLOCKED, (f"blocked:{gate}", "late"))


@pytest.mark.parametrize("gate", [Gate.REQUIRES, Gate.OBSERVER])
def test_what_waits_for_somebody_who_has_an_alert_of_his_own_is_not_late(gate: Gate) -> None:
    assert page(case_in(CaseState.GATED, gate=gate, gated_since=at(0)), 200) is None


def test_crash_looping_is_told_once() -> None:
    looping = replace(FAULT, spent=Spent(relapses=5))

    assert page(case_in(CaseState.GATED), 20, looping) == (AlertKind.CRASH_LOOPING, ("crash-looping",))
    assert page(case_in(CaseState.GATED, pages=("crash-looping",)), 20, looping) is None
    assert page(case_in(CaseState.GATED), 20, replace(FAULT, spent=Spent(relapses=4))) is None
    stops = replace(POLICY, on_relapse=OnRelapse.STOP)
    assert due_page(case_in(CaseState.GATED), stops, looping, at(20)) is None  # its end is told instead


@pytest.mark.parametrize(
    ("case", "situation"),
    [
        (case_in(CaseState.GATED, dry_run=True), FAULT),
        (case_in(CaseState.GATED), replace(FAULT, mode=RecoveryMode.DRY_RUN)),
        (case_in(CaseState.PROBATION), replace(FAULT, state=State.UP)),
        (case_in(CaseState.OPEN), FAULT),
        (case_in(CaseState.VERIFYING), replace(FAULT, state=State.UP)),
    ],
)
def test_nobody_is_called_for_a_rehearsal_or_for_what_is_over(case: Case, situation: Situation) -> None:
    assert page(case, 10_000, situation) is None


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (case_in(CaseState.VERIFYING, reason="verifying"), "1 attempt so far; Defib is at it: verifying"),
        (case_in(CaseState.BACKOFF, attempts=2, reason="attempt 2 failed"),
         "2 attempts so far; Defib goes on: attempt 2 failed"),
        (case_in(CaseState.GATED, gate=Gate.HOST, gated_since=at(149), reason="another action runs on db1"),
         "Defib acts as soon as it may: another action runs on db1"),
    ],
)  # fmt: skip
def test_a_page_says_what_defib_is_doing(case: Case, words: str) -> None:
    found = due_page(case, POLICY, FAULT, at(150))

    assert found is not None
    assert found.reason == words

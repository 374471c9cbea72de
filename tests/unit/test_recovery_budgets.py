"""What has been spent, counted from the stored attempts alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from defib.model.health import State, Transition
from defib.model.recovery import Attempt, AttemptOutcome
from defib.model.settings import RecoveryLimits
from defib.rules.recovery.budgets import (
    Spent,
    costs,
    count,
    is_mass_failure,
    most_at_once,
    most_of_group,
    relapsed,
    settled_at,
    tokens,
)  # fmt: skip
from recovery_kit import MAIN, POLICY, at, attempt, verified

MINUTE, HOUR = 60.0, 3600.0
LIMITS = RecoveryLimits()

# --- one monitor's account ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        (AttemptOutcome.FAILED, 1),
        (AttemptOutcome.TIMEOUT, 1),
        (AttemptOutcome.UNKNOWN, 1),
        (AttemptOutcome.VERIFIED, 0),
        (AttemptOutcome.RUNNING, 0),
        (AttemptOutcome.REFUSED, 0),
        (AttemptOutcome.DRY_RUN, 0),
    ],
)
def test_what_was_executed_and_did_not_help_has_failed(outcome: AttemptOutcome, failed: int) -> None:
    assert count([attempt(outcome=outcome)], POLICY, at(60)).failed == failed


@pytest.mark.parametrize(
    ("outcome", "costs_one"),
    [(item, item not in (AttemptOutcome.REFUSED, AttemptOutcome.DRY_RUN)) for item in AttemptOutcome],
)
def test_what_executed_nothing_costs_nothing(outcome: AttemptOutcome, costs_one: bool) -> None:
    spent = count([attempt(outcome=outcome)], POLICY, at(60))

    assert costs(attempt(outcome=outcome)) is costs_one
    assert (spent.today, spent.in_hour) == ((1, 1) if costs_one else (0, 0))


@pytest.mark.parametrize(("now", "failed"), [(30 * MINUTE, 3), (30 * MINUTE + 1, 2), (2 * HOUR, 0)])
def test_failed_attempts_count_within_the_policys_window(now: float, failed: int) -> None:
    attempts = [attempt(1, 0), attempt(2, 60), attempt(3, 120)]

    assert count(attempts, POLICY, at(now)).failed == failed


@pytest.mark.parametrize(("now", "relapses"), [(HOUR, 2), (HOUR + 100, 1), (3 * HOUR, 0)])
def test_relapses_count_within_an_hour_of_the_fall(now: float, relapses: int) -> None:
    attempts = [verified(1, 0, relapsed_at=at(99)), verified(2, 200, relapsed_at=at(300)), verified(3, 400)]

    assert count(attempts, POLICY, at(now)).relapses == relapses


def test_attempts_of_a_day_count_whatever_came_of_them() -> None:
    attempts = [attempt(n, n * HOUR) for n in range(4)] + [verified(n, n * HOUR) for n in range(4, 8)]

    assert count(attempts, POLICY, at(24 * HOUR)).today == 8
    assert count(attempts, POLICY, at(25 * HOUR)).today == 7


def test_setbacks_are_failures_and_relapses_since_it_was_last_well_for_long() -> None:
    attempts = [attempt(1, 0), verified(2, 100, relapsed_at=at(200)), verified(3, 300), attempt(4, 400)]

    every = count(attempts, POLICY, at(500))
    unforgiven = count(attempts, POLICY, at(500), settled_at=at(50))

    assert (every.setbacks, every.setback_at) == (3, at(401))
    assert (unforgiven.setbacks, unforgiven.setback_at) == (2, at(401))


def test_ten_minutes_well_forgive_failures_but_no_relapse_and_no_day() -> None:
    attempts = [attempt(1, 0), attempt(2, 60), attempt(3, 120), verified(4, 130, relapsed_at=at(140))]

    spent = count(attempts, POLICY, at(1000), settled_at=at(900))

    assert spent == Spent(relapses=1, today=4, in_hour=4, last_at=at(130))


def test_an_operator_wipes_the_whole_slate() -> None:
    attempts = [attempt(1, 0), verified(2, 60, relapsed_at=at(100))]

    assert count(attempts, POLICY, at(1000), reset_at=at(500)) == Spent()


# --- what is a relapse, and what forgives ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "fault", "number"),
    [
        ([], 100, None),
        ([attempt(1)], 100, None),  # it did not help
        ([verified(1)], 603.9, 1),  # verified at second 4, ten minutes less a moment ago
        ([verified(1)], 604, None),
        ([verified(1), verified(2, 100)], 300, 2),
        ([verified(1), attempt(2, 100)], 300, 1),
        ([verified(1, relapsed_at=at(50))], 300, None),  # this one was counted already
    ],
)
def test_a_fall_soon_after_a_good_recovery_is_a_relapse_of_it(
    attempts: list[Attempt], fault: float, number: int | None
) -> None:
    found = relapsed(attempts, at(fault))

    assert (found.number if found else None) == number


def life(*states: tuple[float, State]) -> list[Transition]:
    """Transitions into these states, the first one from UP."""
    before, found = State.UP, []
    for instant, state in states:
        found.append(
            Transition(
                monitor=MAIN,
                from_state=before,
                to_state=state,
                t_lo=at(instant - 1),
                t_hi=at(instant),
                decided_at=at(instant + 2),
                reason="",
            )
        )
        before = state
    return found


@pytest.mark.parametrize(
    ("transitions", "expected"),
    [
        ([], None),  # nothing is known
        (life((700, State.FAULT)), 699),  # well since long before
        (life((100, State.FAULT)), None),  # since second 0, too short
        (life((50, State.FAULT), (100, State.UP), (701, State.FAULT)), 700),
        (life((50, State.FAULT), (100, State.UP), (600, State.FAULT)), None),
        (life((50, State.FAULT), (100, State.UP)), 1000),  # well until now
        (life((50, State.FAULT), (500, State.UP)), None),  # not for long enough
        (life((50, State.FAULT), (100, State.UP), (300, State.SUSPECT), (301, State.UP)), 1000),
        (life((50, State.FAULT), (100, State.UP), (690, State.SUSPECT), (710, State.FAULT)), 709),
        (life((50, State.FAULT), (100, State.UP), (300, State.UNREACHABLE), (301, State.UP)), 1000),
        (life((50, State.FAULT), (100, State.UP), (450, State.STOPPED), (451, State.UP)), None),
        (life((50, State.FAULT), (100, State.DEGRADED), (300, State.UP)), 1000),
    ],
)
def test_ten_minutes_without_a_break_settle_a_target(
    transitions: list[Transition], expected: float | None
) -> None:
    assert settled_at(transitions, at(0), at(1000)) == (None if expected is None else at(expected))


# --- all monitors together ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intents", "now", "expected"),
    [
        ([], 0, 10),
        ([0], 0, 9),
        ([0] * 10, 0, 0),
        ([0] * 10, 59, 0),
        ([0] * 10, 60, 1),
        ([0] * 10, 600, 10),
        ([0] * 10, 6000, 10),  # never more than the bucket holds
        ([0] * 10 + [60, 120, 180], 180, 0),
        ([0, 0, 0], 30, 7),
        ([10], 0, 10),  # what is to come costs nothing yet
    ],
)
def test_attempts_take_tokens_that_come_back_one_a_minute(
    intents: list[float], now: float, expected: int
) -> None:
    assert tokens([at(instant) for instant in intents], at(now), LIMITS) == expected


def test_the_bucket_is_as_configured() -> None:
    limits = RecoveryLimits(burst=2, refill=timedelta(seconds=10))

    assert [tokens([at(0), at(0)], at(now), limits) for now in (0, 10, 20, 30)] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("monitors", "most"), [(1, 1), (9, 1), (10, 1), (19, 1), (20, 2), (30, 2), (1000, 2)]
)
def test_two_act_at_once_but_never_more_than_a_tenth_of_all(monitors: int, most: int) -> None:
    assert most_at_once(LIMITS, monitors) == most


@pytest.mark.parametrize(
    ("members", "most"), [(1, 1), (4, 1), (5, 1), (9, 1), (10, 2), (14, 2), (15, 3), (100, 20)]
)
def test_a_fifth_of_a_group_is_in_recovery_at_once(members: int, most: int) -> None:
    assert most_of_group(LIMITS, members) == most


@pytest.mark.parametrize(
    ("down", "members", "is_one"),
    [(2, 2, False), (1, 3, False), (2, 3, True), (2, 4, True), (1, 4, False), (2, 5, False), (3, 5, True)],
)
def test_half_of_a_group_of_three_is_a_mass_failure(down: int, members: int, is_one: bool) -> None:
    assert is_mass_failure(LIMITS, down, members) is is_one
    assert is_mass_failure(replace(LIMITS, mass_failure=1.0), down, members) is (down == members >= 3)

"""How often the score raises a false alarm, and which rule follows from that."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defib_strategies.climb import Climb
from defib_strategies.run_lengths import RULES, Rule, false_alarm_chance, quickest

LOOKS = 365 * 2880.0  #: a year of them, each half minute


def in_a_year(rate: float, echoes: tuple[float, ...], failures: int, weight: int = 3) -> float:
    return LOOKS * rate * false_alarm_chance(Rule(failures=failures, weight=weight), rate, echoes)


@pytest.mark.parametrize(
    ("rate", "failures", "weight", "alarms"),
    [
        (0.001, 3, 3, 0.00107),
        (0.01, 3, 3, 1.21),
        (0.01, 4, 3, 0.0138),
        (0.05, 3, 3, 242),
        (0.05, 5, 3, 1.62),
        (0.05, 6, 3, 0.138),
        (0.1, 6, 3, 29.4),
        (0.1, 7, 2, 0.92),
        (0.1, 8, 2, 0.142),
    ],
)
def test_false_alarms_of_a_year_under_independent_loss(
    rate: float, failures: int, weight: int, alarms: float
) -> None:
    """By Gaussian elimination of the same chain; 1.21 a year are one in 301 days."""
    assert in_a_year(rate, (rate,), failures, weight) == pytest.approx(alarms, rel=0.005)


@pytest.mark.parametrize(
    ("echoes", "failures", "alarms"),
    [
        ((0.2, 0.05, 0.02), 3, 121),
        ((0.2, 0.05, 0.02), 4, 3.97),
        ((0.44, 0.2, 0.01), 6, 0.414),
        ((0.7, 0.5, 0.012), 7, 1.48),
    ],
)
def test_false_alarms_of_a_year_when_losses_come_together(
    echoes: tuple[float, ...], failures: int, alarms: float
) -> None:
    assert in_a_year(0.01, echoes, failures) == pytest.approx(alarms, rel=0.005)


def test_a_million_climbs_say_the_same() -> None:
    """The score itself, with losses that come together."""
    random, rule, rate, echoes = Random(1), Rule(failures=4, weight=3), 0.05, (0.3, 0.2)
    climbs, alarms = 100_000, 0
    for _ in range(climbs):
        climb = Climb.leaky(rule).failed()
        while climb.score and not climb.is_over:
            row = climb.failures_in_a_row
            chance = echoes[min(row, 2) - 1] if row else rate
            climb = climb.failed() if random.random() < chance else climb.passed()
        alarms += climb.is_over

    assert alarms / climbs == pytest.approx(false_alarm_chance(rule, rate, echoes), rel=0.05)


@pytest.mark.parametrize(
    ("rate", "echo", "failures", "weight"),
    [
        (0.0001, 0.0001, 3, 3),
        (0.001, 0.001, 3, 3),
        (0.005, 0.005, 3, 3),
        (0.01, 0.01, 4, 3),
        (0.02, 0.02, 4, 3),
        (0.05, 0.05, 6, 3),
        (0.1, 0.1, 8, 2),
        (0.001, 0.05, 4, 3),
        (0.01, 0.05, 5, 3),
        (0.001, 0.2, 6, 3),
    ],
)
def test_the_rule_for_at_most_one_false_alarm_in_two_years(
    rate: float, echo: float, failures: int, weight: int
) -> None:
    assert quickest(rate, (echo,), LOOKS, 0.5) == Rule(failures=failures, weight=weight)


def test_who_looks_more_often_needs_more_failures() -> None:
    rules = [quickest(0.01, (0.01,), 365 * 86_400 / seconds, 0.5).failures for seconds in (0.2, 30, 300)]

    assert rules == [5, 4, 3]


def test_what_no_rule_can_do_is_left_to_the_most_patient_one() -> None:
    assert quickest(0.5, (0.5,), LOOKS, 0.5) == Rule(failures=8, weight=2)


@settings(deadline=None)
@given(
    rate=st.floats(1e-4, 0.99), echoes=st.lists(st.floats(1e-4, 0.99), min_size=1, max_size=4),
    rule=st.sampled_from(RULES),
)  # fmt: skip
def test_a_chance_is_a_chance(rate: float, echoes: list[float], rule: Rule) -> None:
    assert 0.0 <= false_alarm_chance(rule, rate, echoes) <= 1.0 + 1e-9

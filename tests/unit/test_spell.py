"""When a target that failed now and then may be called well again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib_strategies.spell import NO_FAULT, Spell


@pytest.mark.parametrize(
    ("failed", "looks", "needed"),
    [(3, 3, 2), (9, 9, 2), (39, 40, 3), (4, 5, 7), (4, 7, 10), (3, 9, 20), (2, 40, 30)],
)
def test_the_more_a_fault_lets_through_the_more_good_looks_end_it(
    failed: int, looks: int, needed: int
) -> None:
    """By ``(1 - failed / (looks + 1))^n ≤ 0.001``; without a good look among them it is a hard fault."""
    assert Spell(failed=failed, looks=looks).good_looks_needed(2) == needed


def test_what_nothing_is_known_of_ends_as_the_strategy_says() -> None:
    assert NO_FAULT.good_looks_needed(2) == 2
    assert Spell(failed=4, looks=5).good_looks_needed(9) == 9


def test_only_the_last_forty_looks_count() -> None:
    assert Spell(failed=20, looks=40).then(1, 11) == Spell(failed=16, looks=40)
    assert NO_FAULT.then(3, 3).then(0, 2) == Spell(failed=3, looks=5)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=50))
def test_a_spell_stays_small_and_its_share_a_share(steps: list[tuple[int, int]]) -> None:
    spell = NO_FAULT.then(1, 1)
    for failed, passed in steps:
        spell = spell.then(failed, failed + passed)

        assert 1 <= spell.failed <= spell.looks <= 40
        assert 2 <= spell.good_looks_needed(2) <= 30

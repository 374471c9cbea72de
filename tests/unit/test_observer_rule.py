"""What people are told of the observer itself, and how seldom."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.rules.observer import PATIENCE, Ailment, Telling, Trouble, Word, fold

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HELD_UP = Trouble(ailment=Ailment.SICK, reason="event loop held up", effect="nothing is repaired", since=NOON)
CUT_OFF = Trouble(ailment=Ailment.CUT_OFF, reason="the network is down", effect="", since=NOON)


def told(*spans: tuple[float, Trouble | None], start: Telling | None = None) -> list[tuple[float, Word]]:
    """Each word with the second at which it is said, of so many seconds of trouble or health after one another."""
    telling, now, words = start or Telling(), 0.0, []
    for seconds, trouble in spans:
        for _ in range(round(seconds)):
            now += 1.0
            telling, word = fold(telling, trouble, now)
            if word is not None:
                words.append((now, word))
    return words


@pytest.mark.parametrize(("trouble", "second"), [(HELD_UP, 31.0), (CUT_OFF, 11.0)])
def test_people_are_told_once_and_of_the_end_after_a_minute_of_health(
    trouble: Trouble, second: float
) -> None:
    assert told((600, trouble), (3600, None)) == [(second, Word.SICK), (661.0, Word.WELL)]


def test_a_short_trouble_is_not_told() -> None:
    assert told((30, HELD_UP), (3600, None)) == []


def test_freezes_close_together_are_one_trouble() -> None:
    flapping = [(3, HELD_UP), (7, None)] * 12  # two minutes, 36 s of it in trouble

    assert told(*flapping, (120, None)) == [(101.0, Word.SICK), (174.0, Word.WELL)]


def test_freezes_far_apart_never_add_up() -> None:
    assert told(*[(20, HELD_UP), (62, None)] * 50) == []


def test_the_next_trouble_is_told_a_quarter_of_an_hour_after_the_one_before_if_it_lasts() -> None:
    words = told((40, HELD_UP), (70, None), (2000, HELD_UP))

    assert words == [(31.0, Word.SICK), (101.0, Word.WELL), (931.0, Word.SICK)]


def test_trouble_within_that_time_that_has_passed_is_not_told() -> None:
    assert told((40, HELD_UP), (70, None), (600, HELD_UP), (3600, None)) == [
        (31.0, Word.SICK),
        (101.0, Word.WELL),
    ]


def test_a_process_that_was_stopped_was_not_ill_meanwhile() -> None:
    telling, _ = fold(Telling(), HELD_UP, 1.0)
    telling, word = fold(telling, HELD_UP, 3601.0)

    assert (telling.ill_s, word) == (3.0, None)


def test_an_all_clear_that_is_owed_from_before_a_restart_is_given() -> None:
    owed = Telling(began=HELD_UP, is_told=True)

    assert told((120, None), start=owed) == [(61.0, Word.WELL)]


@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from([None, HELD_UP, CUT_OFF])), max_size=40))
def test_whatever_happens_words_alternate_and_are_far_apart(spans: list[tuple[int, Trouble | None]]) -> None:
    words = told(*spans)
    sick = [at for at, word in words if word is Word.SICK]

    assert [word for _, word in words][::2] == [Word.SICK] * len(sick)
    assert all(before is not after for (_, before), (_, after) in pairwise(words))
    assert all(later - earlier >= PATIENCE.at_most_every_s for earlier, later in pairwise(sick))

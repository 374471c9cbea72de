"""Figures, durations and lists as the report says them, in each language."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib_reports.daily.speech import Speech
from defib_reports.daily.wording import clean, plain

EN, ZH, TR = Speech("en"), Speech("zh-Hant"), Speech("tr")


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (1.0, "100 %"), (0.0, "0 %"), (0.9993, "99.93 %"), (0.99999, "99.9990 %"), (0.999949, "99.994 %"),
        (0.9999999, "99.99999 %"), (0.99989999, "99.98 %"), (0.5, "50.00 %"),
    ],
)  # fmt: skip
def test_a_percentage_is_never_rounded_up(share: float, shown: str) -> None:
    assert plain(EN.percent(share)) == shown


@given(st.floats(min_value=0, max_value=1, exclude_max=True))
def test_only_all_of_it_is_shown_as_100_percent(share: float) -> None:
    assert not EN.percent(share).startswith("100")


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (0, "0 s"), (0.0001, "under 1 ms"), (0.35, "350 ms"), (0.9996, "1.0 s"), (6.4, "6.4 s"), (9.96, "10 s"),
        (58.4, "58 s"), (59.7, "1 min"), (125, "2 min 5 s"), (3599.8, "1 h"), (4320, "1 h 12 min"),
        (86_399, "23 h 59 min"), (183_600, "2 d 3 h"),
    ],
)  # fmt: skip
def test_durations_are_shown_in_two_units_at_most(length: float, shown: str) -> None:
    assert plain(EN.duration(timedelta(seconds=length))) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.426, "0.43 ms"), (4.26, "4.3 ms"), (9.96, "10 ms"), (42.6, "43 ms"), (1234, "1.2 s")],
)
def test_response_times_are_shown_with_two_digits(value: float, shown: str) -> None:
    assert plain(EN.milliseconds(value)) == shown


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [(0.04, "unchanged"), (0.12, "12 % slower"), (-0.3, "30 % faster"), (1.5, "2.5 times as slow")],
)
def test_trends_within_the_error_of_measurement_are_none(ratio: float, shown: str) -> None:
    assert plain(EN.change(ratio)) == shown


def test_lists_name_three_and_count_the_rest() -> None:
    assert plain(EN.listed(["a"])) == "a"
    assert plain(EN.listed(["a", "b", "c"])) == "a, b and c"
    assert plain(EN.listed(["a", "b", "c", "d", "e"])) == "a, b, c and 2 more"


def test_cleaning_keeps_what_scripts_need_and_drops_what_deceives() -> None:
    assert clean("  a\tb\r\nc\x1b[31m\u202e ") == "a b c [31m"
    assert clean("می\u200cخواهم") == "می\u200cخواهم"
    assert clean("x" * 10, 5) == "xxxx…"

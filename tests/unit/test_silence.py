"""When most senders fall silent together, the way to us is the suspect."""

import pytest

from defib.rules.silence import Sender, find_correlated_silence


def senders(*groups: tuple[int, float, float, bool]) -> list[Sender]:
    """So many of each: number, interval, silence, whether they are late."""
    return [
        Sender(every_s=every, silent_s=silent, is_late=late)
        for count, every, silent, late in groups
        for _ in range(count)
    ]


def test_all_silent_together_is_correlated() -> None:
    reason = find_correlated_silence(senders((10, 10.0, 21.0, True)))

    assert reason == "10 of 10 senders are late together, and 0 of 20 beats expected within 20 s came"


def test_two_senders_are_no_company() -> None:
    assert find_correlated_silence(senders((2, 10.0, 21.0, True))) == ""


def test_a_few_of_many_are_down_for_themselves() -> None:
    # Of 2 * 40 beats 6 are missing: 92.5 % came.
    assert find_correlated_silence(senders((3, 10.0, 21.0, True), (37, 10.0, 4.0, False))) == ""


@pytest.mark.parametrize(
    ("late", "well", "is_correlated"),
    [
        (3, 17, False),  # 34 of 40 beats came: 85 % to the digit
        (3, 16, True),  # 32 of 38: 84.2 %
        (6, 34, False),
        (7, 34, True),
    ],
)
def test_below_eighty_five_per_cent_silence_is_correlated(late: int, well: int, is_correlated: bool) -> None:
    found = find_correlated_silence(senders((late, 10.0, 20.0, True), (well, 10.0, 3.0, False)))

    assert bool(found) is is_correlated


def test_who_beats_more_seldom_has_not_had_his_turn_and_says_nothing() -> None:
    hourly = (50, 3600.0, 1800.0, False)

    reason = find_correlated_silence(senders((3, 10.0, 21.0, True), hourly))

    assert reason == "3 of 53 senders are late together, and 0 of 6 beats expected within 20 s came"


def test_a_slow_sender_that_is_late_widens_the_window_to_its_own_interval() -> None:
    # Within 120 s: three at 60 s have missed one beat each, twenty at 10 s have sent theirs.
    assert find_correlated_silence(senders((3, 60.0, 67.0, True), (20, 10.0, 5.0, False))) == ""
    # All are silent for 67 s: 20 * 6 + 3 of 20 * 12 + 6 beats are missing.
    reason = find_correlated_silence(senders((3, 60.0, 67.0, True), (20, 10.0, 67.0, True)))
    assert reason == "23 of 23 senders are late together, and 123 of 246 beats expected within 120 s came"


def test_a_sender_that_is_late_by_less_than_an_interval_misses_one_beat() -> None:
    # After a gap of our own nobody has been silent for long.
    reason = find_correlated_silence(senders((3, 10.0, 6.0, True)))

    assert reason == "3 of 3 senders are late together, and 3 of 6 beats expected within 20 s came"


def test_of_nobody_nothing_follows() -> None:
    assert find_correlated_silence([]) == ""

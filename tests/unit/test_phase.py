"""Turns: stable, spread out, never queued."""

from hypothesis import given
from hypothesis import strategies as st

from defib.rules.phase import next_turn, phase


def test_a_phase_is_the_same_after_every_restart() -> None:
    assert phase("main", 30.0) == phase("main", 30.0)
    assert round(phase("main", 30.0), 6) == 2.284907  # b2sum -l 64, as a share of the interval


def test_phases_spread_monitors_evenly() -> None:
    tenths = [0] * 10
    for number in range(2000):
        tenths[int(phase(f"monitor-{number}", 10.0))] += 1
    assert min(tenths) > 150
    assert max(tenths) < 250


@given(st.text(min_size=1), st.floats(min_value=15.0, max_value=3600.0))
def test_long_intervals_keep_out_of_the_first_seconds_of_a_minute(monitor: str, interval: float) -> None:
    assert phase(monitor, interval) % 60 >= 1.999


def test_missed_turns_coalesce_into_the_next_one() -> None:
    assert next_turn(now=100.0, offset=7.0, interval=30.0) == 127.0
    assert next_turn(now=126.9, offset=7.0, interval=30.0) == 127.0
    assert next_turn(now=127.0, offset=7.0, interval=30.0) == 157.0
    assert next_turn(now=1000.0, offset=7.0, interval=30.0) == 1027.0


@given(st.floats(min_value=0, max_value=2e9), st.floats(min_value=1, max_value=3600))
def test_the_next_turn_is_ahead_and_within_one_interval(now: float, interval: float) -> None:
    turn = next_turn(now, 0.0, interval)
    assert now < turn or abs(turn - now) < 1e-3
    assert turn - now <= interval + 1e-3

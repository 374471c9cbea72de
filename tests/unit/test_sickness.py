"""The observer's own health: what stretches timeouts, what freezes judgement, what thaws it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.model.evidence import Evidence, Grade, Outcome
from defib.rules.sickness import Sickness, Vitals, fold, is_valid, is_void, weigh

CLEAN = Vitals()
BLOCKED = Vitals(max_lag_s=0.3)
BUSY = Vitals(cpu_some_avg10=80.0)
WELL = Sickness()
FIVE = timedelta(seconds=5)
BAD = Evidence.fail("timeout", "no answer within 5 s", facts={"port": 80})


def after(*ticks: Vitals, start: Sickness = WELL) -> Sickness:
    """The observer's health after these ticks, at seconds 1, 2, 3, …"""
    sickness = start
    for second, vitals in enumerate(ticks, 1):
        sickness = fold(sickness, vitals, float(second))
    return sickness


@pytest.mark.parametrize(
    ("vitals", "score", "reason"),
    [
        (CLEAN, 0, None),
        (Vitals(max_lag_s=0.100), 0, None),
        (Vitals(max_lag_s=0.101), 1, "event loop held up for 101 ms"),
        (Vitals(max_lag_s=0.250), 1, "event loop held up for 250 ms"),
        (Vitals(max_lag_s=0.251), 2, "event loop held up for 251 ms"),
        (Vitals(max_lag_s=20.0), 2, "event loop held up for 20 s"),
        (Vitals(cpu_some_avg10=99.0, memory_full_avg10=99.0), 0, None),
        (Vitals(is_canary_dead=True), 1, "own server does not answer over loopback"),
        (Vitals(probe_late_s=1.0), 0, None),
        (Vitals(probe_late_s=1.26), 1, "a probe started 1.3 s late"),
    ],
)
def test_each_sign_has_its_weight_and_is_named(vitals: Vitals, score: int, reason: str | None) -> None:
    sickness = after(vitals)
    assert sickness.score == score
    assert sickness.reasons == (() if reason is None else (reason,))


def test_signs_of_one_tick_add_up_and_freeze_at_four() -> None:
    sickness = after(Vitals(max_lag_s=0.64, is_canary_dead=True, probe_late_s=2))
    assert (sickness.score, sickness.is_frozen, sickness.frozen_since) == (4, True, 1.0)
    assert sickness.reason == (
        "the observer is sick (score 4), judgement is frozen: event loop held up for 640 ms, "
        "own server does not answer over loopback, a probe started 2.0 s late"
    )


def test_the_score_follows_a_written_out_course() -> None:
    course = [BLOCKED, CLEAN, BLOCKED, BLOCKED, BLOCKED, CLEAN, CLEAN, CLEAN, CLEAN, CLEAN, CLEAN]
    seen = [after(*course[: n + 1]) for n in range(len(course))]
    assert [s.score for s in seen] == [2, 1, 3, 5, 7, 6, 5, 3, 2, 1, 0]
    assert [s.is_frozen for s in seen] == [False] * 3 + [True] * 4 + [False] * 4
    assert [s.timeout_factor for s in seen] == [3, 2, 3, 3, 3, 3, 3, 3, 3, 2, 1]
    assert seen[-1].reason == "the observer is well"


def test_a_freeze_ends_after_three_clean_ticks_in_a_row_and_not_before() -> None:
    frozen = after(BLOCKED, BLOCKED)
    assert frozen.is_frozen
    assert after(CLEAN, CLEAN, BLOCKED, CLEAN, CLEAN, start=frozen).is_frozen
    assert not after(CLEAN, CLEAN, BLOCKED, CLEAN, CLEAN, CLEAN, start=frozen).is_frozen


def test_a_machine_that_is_always_busy_but_never_holds_us_up_changes_nothing() -> None:
    busy = after(*[BUSY] * 1000)
    assert (busy.score, busy.is_frozen, busy.timeout_factor, busy.reason) == (
        0,
        False,
        1,
        "the observer is well",
    )


@pytest.mark.parametrize(
    ("cpu", "memory", "told"),
    [
        (50.0, 10.0, ""),
        (50.1, 10.0, ", tasks waited for a CPU 50 % of the time"),
        (50.0, 10.1, ", all tasks waited for memory 10 % of the time"),
    ],
)
def test_pressure_explains_what_holds_us_up_and_makes_it_no_worse(
    cpu: float, memory: float, told: str
) -> None:
    late = after(Vitals(max_lag_s=0.3, cpu_some_avg10=cpu, memory_full_avg10=memory))
    assert late.score == 2
    assert late.reason == (
        f"the observer is sick (score 2), timeouts are stretched: event loop held up for 300 ms{told}"
    )


def test_pressure_prolongs_neither_a_freeze_nor_what_follows() -> None:
    frozen = after(BLOCKED, BLOCKED)
    assert not after(BUSY, BUSY, BUSY, start=frozen).is_frozen
    assert after(*[BUSY] * 4, start=frozen) == after(*[CLEAN] * 4, start=frozen)


VITALS = st.builds(
    Vitals,
    max_lag_s=st.sampled_from([0.0, 0.15, 0.3, 9.0]),
    probe_late_s=st.sampled_from([0.0, 2.0]),
    is_canary_dead=st.booleans(),
    cpu_some_avg10=st.sampled_from([0.0, 99.0]),
    memory_full_avg10=st.sampled_from([0.0, 50.0]),
)


@given(st.lists(VITALS, max_size=40))
def test_the_score_keeps_its_bounds_and_frozen_means_four_or_a_recent_symptom(ticks: list[Vitals]) -> None:
    sickness = after(*ticks)
    assert 0 <= sickness.score < 8
    assert 1 <= sickness.timeout_factor <= 3
    if not sickness.is_frozen:
        assert sickness.score < 4
    else:
        assert sickness.calm_ticks < 3
        assert sickness.reasons


@given(st.lists(VITALS, max_size=40))
def test_nine_clean_ticks_heal_everything(ticks: list[Vitals]) -> None:
    healed = after(*[CLEAN] * 9, start=after(*ticks))
    assert (healed.score, healed.is_frozen, healed.reasons) == (0, False, ())


@pytest.mark.parametrize(
    ("lag", "timeout", "valid"),
    [
        (0.25, 1.0, True),
        (0.26, 1.0, False),
        (0.5, 5.0, True),
        (0.51, 5.0, False),
        (1.0, 10.0, True),
        (1.01, 10.0, False),
    ],
)
def test_a_probe_is_valid_up_to_a_quarter_second_or_a_tenth_of_its_timeout(
    lag: float, timeout: float, valid: bool
) -> None:
    assert is_valid(lag, timedelta(seconds=timeout)) is valid
    assert not is_valid(lag, timedelta(seconds=timeout), has_gap=True)


def test_a_failure_seen_while_we_were_held_up_is_inconclusive() -> None:
    weighed = weigh(BAD, 3.2, FIVE)
    assert (weighed.outcome, weighed.cause) == (Outcome.INCONCLUSIVE, "observer-lag")
    assert weighed.summary == (
        "Defib's event loop was held up for 3200 ms; it looked like: no answer within 5 s"
    )
    assert weighed.facts == {"port": 80}


def test_a_failure_across_a_gap_is_inconclusive() -> None:
    weighed = weigh(BAD, 0.0, FIVE, has_gap=True)
    assert (weighed.outcome, weighed.cause) == (Outcome.INCONCLUSIVE, "observer-gap")


def test_a_success_stays_one_without_its_latency() -> None:
    ok = Evidence.ok("HTTP 200", latency=timedelta(milliseconds=700))
    assert weigh(ok, 0.6, FIVE) == Evidence.ok("HTTP 200")
    assert weigh(ok, 0.4, FIVE) == ok


def test_what_was_slow_while_we_were_held_up_is_not_called_slow() -> None:
    slow = Evidence.degraded("slow", "HTTP 200 in 1.2 s", latency=timedelta(seconds=1.2))
    expiring = Evidence.degraded("tls-expiring", "10 days left", grade=Grade.SCHEDULED)

    assert weigh(slow, 0.6, FIVE).outcome is Outcome.INCONCLUSIVE
    assert weigh(slow, 0.4, FIVE) == slow
    assert weigh(expiring, 9.0, FIVE).cause == "tls-expiring"


def test_only_what_was_taken_away_is_void() -> None:
    assert [is_void(weigh(BAD, lag, FIVE)) for lag in (0.6, 0.4)] == [True, False]
    assert is_void(weigh(BAD, 0.0, FIVE, has_gap=True))


def test_inconclusive_evidence_stays_as_it_is() -> None:
    own = Evidence.inconclusive("no-route", "no route")
    assert weigh(own, 9.0, FIVE, has_gap=True) == own

"""What is no fault as long as it does not last."""

from datetime import UTC, datetime, timedelta

import pytest

from defib.plugin import Evidence, Grade, Health, MonitorId, Observation, Source, State
from defib_strategies.weak import weighed

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = Evidence.fail("http-503", "HTTP 503, Retry-After: 60", grade=Grade.WEAK)
REFUSED = Evidence.fail("refused", "connection refused", grade=Grade.STRONG)


def seen(
    evidence: Evidence, state: State = State.UP, *, after_s: float = 0.0, source: Source = Source.PROBE
) -> Observation:
    """As it is weighed, so long after the first failure in a row."""
    monitor, now = MonitorId("api"), NOON + timedelta(seconds=after_s)
    health = Health(monitor=monitor, since=NOON, state=state, first_fail_at=NOON if after_s else None)
    return weighed(
        health, Observation(monitor=monitor, source=source, evidence=evidence, started_at=now, ended_at=now)
    )


@pytest.mark.parametrize("state", [State.NEW, State.UP, State.DEGRADED, State.WATCH, State.SUSPECT])
@pytest.mark.parametrize("after_s", [0.0, 30.0, 119.0])
def test_a_weak_failure_counts_as_a_degraded_answer_for_two_minutes(state: State, after_s: float) -> None:
    evidence = seen(LATER, state, after_s=after_s).evidence

    assert evidence.is_degraded
    assert evidence.summary == "HTTP 503, Retry-After: 60"


def test_one_that_lasts_is_a_failure() -> None:
    assert seen(LATER, after_s=120.0).evidence is LATER


@pytest.mark.parametrize("state", [State.FAULT, State.UNREACHABLE, State.STOPPED])
def test_half_an_answer_ends_no_fault(state: State) -> None:
    assert seen(LATER, state).evidence is LATER


def test_all_else_stays_as_it_is() -> None:
    assert seen(REFUSED).evidence is REFUSED
    assert seen(LATER, source=Source.DEADLINE).evidence is LATER
    slow = Evidence.degraded("slow", "slow")
    assert seen(slow).evidence is slow

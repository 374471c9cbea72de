"""How soon a failure is looked at again: at once nearly, when the thing itself is gone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from defib.plugin import Detector, Evidence, Grade, Health, MonitorId, Observation, Source, Strategy
from defib_strategies import consecutive, cusum, presets
from defib_strategies.confirmation import confirming_waits

START = datetime(2026, 1, 1, tzinfo=UTC)
NORMAL = next(strategy for strategy in presets.defib_strategies() if strategy.name == "normal")
GONE = Evidence.fail("process-gone", "no process", grade=Grade.AUTHORITATIVE)
REFUSED = Evidence.fail("refused", "connection refused", grade=Grade.STRONG)
DETECTORS = [cusum.Cusum(), consecutive.Consecutive()]


def confirming(*waits_s: float) -> Strategy:
    return replace(NORMAL, confirm=tuple(timedelta(seconds=wait) for wait in waits_s))


def waits(
    detector: Detector, strategy: Strategy, *looks: Evidence, health: Health | None = None
) -> list[float | None]:
    """Seconds until the next look, after each look."""
    health = health or Health(monitor=MonitorId("main"), since=START)
    found: list[float | None] = []
    for evidence in looks:
        seen = Observation(
            monitor=health.monitor, source=Source.PROBE, evidence=evidence, started_at=START, ended_at=START
        )
        judgement = detector.fold(health, seen, strategy)
        health = replace(health, state=judgement.state, memory=judgement.memory)
        wait = judgement.look_again_in
        found.append(None if wait is None else wait.total_seconds())
    return found


@pytest.mark.parametrize(
    ("configured_s", "expected_s"),
    [
        ((1, 2), [0.2, 0.4]),
        ((3, 7), [0.2, 0.4]),
        ((1,), [0.2, 0.4]),
        ((1, 2, 5), [0.2, 0.4]),
        ((0.1, 2), [0.1, 0.4]),
        ((), []),
    ],
)
def test_what_is_gone_is_confirmed_within_six_tenths_of_a_second(
    configured_s: tuple[float, ...], expected_s: list[float]
) -> None:
    found = confirming_waits(confirming(*configured_s), GONE)

    assert [wait.total_seconds() for wait in found] == expected_s


@pytest.mark.parametrize("grade", [grade for grade in Grade if grade is not Grade.AUTHORITATIVE])
def test_any_other_failure_is_confirmed_as_the_strategy_says(grade: Grade) -> None:
    assert confirming_waits(NORMAL, replace(REFUSED, grade=grade)) == NORMAL.confirm


@pytest.mark.parametrize("detector", DETECTORS, ids=["cusum", "consecutive"])
def test_both_detectors_hurry(detector: Detector) -> None:
    assert waits(detector, NORMAL, GONE, GONE, GONE) == [0.2, 0.4, None]
    assert waits(detector, NORMAL, REFUSED, REFUSED, REFUSED) == [1, 2, None]
    assert waits(detector, NORMAL, REFUSED, GONE, GONE) == [1, 0.4, None]
    assert waits(detector, confirming(), GONE, GONE, GONE) == [None, None, None]


def test_a_raised_threshold_goes_on_in_doubled_steps() -> None:
    patient = replace(NORMAL, fail_threshold=5)

    assert waits(cusum.Cusum(), patient, *[GONE] * 5) == [0.2, 0.4, 0.8, 0.8, None]

"""Back-off, effective strategy and exit status."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.engine.exit_status import ExitStatus, exit_status
from defib.model.health import Health, State
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.options import Options
from defib.model.strategy import Strategy
from defib.rules.backoff import next_delay
from defib.rules.effective import strategy_for

T = datetime(2026, 11, 20, 12, tzinfo=UTC)


@given(st.integers(min_value=0, max_value=10_000))
def test_a_delay_never_exceeds_its_cap(failures: int) -> None:
    assert next_delay(failures, base=timedelta(seconds=1), cap=timedelta(minutes=5)) <= timedelta(minutes=5)


def test_a_negative_number_of_failures_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        next_delay(-1, base=timedelta(seconds=1), cap=timedelta(minutes=5))


def strategy(name: str, interval: int) -> Strategy:
    return Strategy(name=name, interval=timedelta(seconds=interval), timeout=timedelta(seconds=5))


KNOWN = {
    "normal": strategy("normal", 30),
    "aggressive": strategy("aggressive", 15),
    "mine": strategy("mine", 99),
}
MAIN = MonitorSpec(id=MonitorId("main"), name="Main", kind="http", family=Family.AGENT, options=Options())


@pytest.mark.parametrize(
    ("configured", "global_name", "switched", "expected"),
    [
        (None, "normal", {}, 30),
        (None, "aggressive", {}, 15),
        ("mine", "aggressive", {}, 99),
        ("mine", "aggressive", {"main": "normal"}, 30),
        ("mine", "normal", {"other": "aggressive"}, 99),
        (None, "normal", {"main": "gone"}, 30),
    ],
)
def test_a_switch_beats_the_configuration_and_the_configuration_beats_the_global_one(
    configured: str | None, global_name: str, switched: dict[str, str], expected: int
) -> None:
    found = strategy_for(replace(MAIN, strategy=configured), KNOWN, global_name, switched)
    assert found.interval == timedelta(seconds=expected)


def test_overrides_hold_on_top_of_a_configured_strategy() -> None:
    monitor = replace(MAIN, overrides={"timeout": timedelta(seconds=1)})
    found = strategy_for(monitor, KNOWN, "normal", {})
    assert (found.interval, found.timeout) == (timedelta(seconds=30), timedelta(seconds=1))


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], ExitStatus.OK),
        ([State.UP, State.UP], ExitStatus.OK),
        ([State.UP, State.DEGRADED], ExitStatus.WARNING),
        ([State.SUSPECT], ExitStatus.WARNING),
        ([State.UNREACHABLE], ExitStatus.WARNING),
        ([State.UP, State.NEW], ExitStatus.UNKNOWN),
        ([State.NEW, State.DEGRADED, State.FAULT], ExitStatus.CRITICAL),
    ],
)
def test_a_pass_ends_with_the_worst_it_found(states: list[State], expected: ExitStatus) -> None:
    healths = [Health(monitor=MonitorId(str(n)), state=state, since=T) for n, state in enumerate(states)]
    assert exit_status(healths) is expected

"""What is told only because it lasts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from defib.model.health import Flaps, Health, State
from defib.model.ids import IncidentId, MonitorId
from defib.rules.lasting import is_lasting, is_stop_to_tell

NONE = Flaps()
T = datetime(2026, 11, 20, 12, tzinfo=UTC)


def health(state: State, *, told: bool = False, flaps: Flaps = NONE) -> Health:
    return Health(monitor=MonitorId("main"), state=state, since=T, stop_told=told, flaps=flaps)


@pytest.mark.parametrize(
    ("known", "after_s", "expected"),
    [
        (health(State.STOPPED), 59.9, False),
        (health(State.STOPPED), 60, True),
        (health(State.STOPPED, told=True), 600, False),
        (health(State.UP), 600, False),
        (health(State.FAULT), 600, False),
    ],
)
def test_a_stop_on_purpose_is_told_once_when_it_has_lasted_a_minute(
    known: Health, after_s: float, expected: bool
) -> None:
    assert is_stop_to_tell(known, T + timedelta(seconds=after_s)) is expected


def test_only_what_time_can_change_is_reviewed() -> None:
    assert is_lasting(health(State.STOPPED))
    assert is_lasting(health(State.DEGRADED))
    assert is_lasting(health(State.UP, flaps=Flaps(since=T, told_at=T, swings=(T,))))
    assert is_lasting(replace(health(State.MAINTENANCE), incident=IncidentId("inc")))
    assert not is_lasting(health(State.FAULT))
    assert not is_lasting(health(State.UP))

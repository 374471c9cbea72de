"""The built-in strategies: the founding plan's numbers, with fast confirmation."""

from datetime import timedelta

import pytest

from defib.plugin import Strategy
from defib_strategies import cusum, presets

PRESETS = {strategy.name: strategy for strategy in presets.defib_strategies()}


def seconds(*values: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=value) for value in values)


def test_there_are_three_presets() -> None:
    assert list(PRESETS) == ["aggressive", "normal", "conservative"]


@pytest.mark.parametrize(
    ("name", "interval", "timeout", "confirm", "recover_confirm"),
    [("aggressive", 15, 3, (1, 2), 2), ("normal", 30, 5, (1, 2), 2), ("conservative", 60, 10, (3, 7), 5)],
)
def test_a_preset_has_the_numbers_of_the_plan(
    name: str, interval: int, timeout: int, confirm: tuple[int, ...], recover_confirm: int
) -> None:
    preset = PRESETS[name]

    assert (preset.interval, preset.timeout) == seconds(interval, timeout)
    assert preset.confirm == seconds(*confirm)
    assert preset.recover_confirm == timedelta(seconds=recover_confirm)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_the_threshold_is_learned_and_two_good_answers_end_a_fault(preset: Strategy) -> None:
    assert (preset.fail_threshold, preset.recovery_threshold) == (None, 2)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_preset_names_a_detector_that_is_built_in(preset: Strategy) -> None:
    assert preset.detector in {detector.kind for detector in cusum.defib_detectors()}


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_confirmation_is_over_before_the_next_scheduled_probe(preset: Strategy) -> None:
    assert sum(preset.confirm, timedelta()) < preset.interval


@pytest.mark.parametrize(
    ("name", "use"), [("aggressive", "production"), ("normal", "balanced"), ("conservative", "development")]
)
def test_the_summary_says_what_a_preset_is_for(name: str, use: str) -> None:
    assert use in PRESETS[name].summary
    assert "\n" not in PRESETS[name].summary

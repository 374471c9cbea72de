"""Strategies of the user's own, and the user's versions of the built-in ones."""

from datetime import timedelta
from pathlib import Path

import pytest

from config_kit import load, mistakes
from defib.model.strategy import Strategy


def strategies(folder: Path, text: str) -> dict[str, Strategy]:
    return dict(load(folder, "strategies:\n" + text).strategies)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def test_a_new_strategy_starts_from_normal(tmp_path: Path) -> None:
    text = """
  overnight:
    interval: 5m
    timeout: 10s
    confirm: [3s, 7s]
    recover_confirm: 4s
    fail_threshold: 4
    recovery_threshold: 5
    detector: consecutive
    summary: while nobody works
  short: {timeout: 2s}
"""
    found = strategies(tmp_path, text)

    assert list(found) == ["aggressive", "normal", "conservative", "overnight", "short"]
    assert found["overnight"] == Strategy(
        name="overnight", summary="while nobody works", interval=seconds(300), timeout=seconds(10),
        confirm=(seconds(3), seconds(7)), recover_confirm=seconds(4), fail_threshold=4, recovery_threshold=5,
        detector="consecutive",
    )  # fmt: skip
    assert found["short"] == Strategy(name="short", interval=seconds(30), timeout=seconds(2))


def test_a_built_in_strategy_can_be_redefined_and_starts_from_itself(tmp_path: Path) -> None:
    found = strategies(tmp_path, "  aggressive: {interval: 10s}\n")

    assert found["aggressive"] == Strategy(name="aggressive", interval=seconds(10), timeout=seconds(3))
    assert list(found) == ["aggressive", "normal", "conservative"]


def test_a_strategy_starts_from_the_one_it_names_wherever_that_stands(tmp_path: Path) -> None:
    found = strategies(
        tmp_path,
        "  one: {base: two, timeout: 1s}\n  two: {base: conservative, interval: 90s}\n  normal: {base: one}\n  "
        "three: {fail_threshold: 9}\n  aggressive: {base: aggressive, timeout: 2s}\n",
    )

    assert (found["one"].interval, found["one"].timeout) == (seconds(90), seconds(1))
    assert (found["two"].interval, found["two"].timeout) == (seconds(90), seconds(10))
    assert (found["three"].interval, found["three"].fail_threshold) == (seconds(90), 9)
    assert (found["aggressive"].interval, found["aggressive"].timeout) == (seconds(15), seconds(2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a: {base: b}\n  b: {base: a}",
            ["3: strategies.b.base: the strategies start from one another: a → b → a; remove one 'base'"],
        ),
        (
            "a: {base: a}",
            ["2: strategies.a.base: the strategies start from one another: a → a; remove one 'base'"],
        ),
        ("a: {base: nromal}", ["2: strategies.a.base: unknown strategy 'nromal'; did you mean 'normal'?"]),
        ("a: {intervall: 5s}", ["2: strategies.a.intervall: unknown key; did you mean 'interval'?"]),
        (
            "a: {interval: 0.2s}",
            ["2: strategies.a.interval: must be at least 1s; faster polling costs more than it finds"],
        ),
        (
            "a: {interval: 12:30}",
            [
                "2: strategies.a.interval: '12:30' is not a duration; write a number with its unit, such as "
                "250ms, 15s, 5m, 2h or 7d"
            ],
        ),
        (
            "a: {detector: phy}",
            ["2: strategies.a.detector: unknown detector 'phy'; known detectors: consecutive"],
        ),
        ("a: 5s", ["2: strategies.a: must be a mapping; write lines of 'key: value' below it"]),
        (
            "'my own': {}",
            [
                "2: strategies[\"my own\"]: the name 'my own' must consist of letters, digits, '.', '_' and "
                "'-', and begin with a letter or digit"
            ],
        ),
    ],
)
def test_a_mistake_in_a_strategy_has_its_remedy(text: str, expected: list[str], tmp_path: Path) -> None:
    assert mistakes(tmp_path, f"strategies:\n  {text}\n") == expected


def test_a_strategy_with_a_mistake_is_still_known_to_monitors(tmp_path: Path) -> None:
    text = "strategies: {a: {interval: x}}\nmonitors: [{id: m, type: beat, strategy: a}]\n"

    (mistake,) = mistakes(tmp_path, text)

    assert mistake.startswith("1: strategies.a.interval: 'x' is not a duration")


def test_a_timeout_beyond_the_interval_warns(tmp_path: Path) -> None:
    settings = load(tmp_path, "strategies: {a: {interval: 3s}}\n")

    assert settings.warnings[-1] == (
        f"{tmp_path}/defib.yaml:1: strategies.a.interval: a probe may take longer (timeout 5s) than the time to "
        f"the next "
        "one (interval 3s); probes will be skipped"
    )

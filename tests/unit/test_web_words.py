"""What the server and the browser both say and draw. tests/acceptance holds the browser against the same tables."""

import pytest

from defib.rules.spans import span
from defib.web import drawing, words
from web_tables import (
    AGO,
    AHEAD,
    DAYS,
    DELIVERIES,
    HEARD,
    HOURS,
    LATENCIES,
    LEVELS,
    LINES,
    LOADS,
    SIZES,
    SPANS,
    TRENDS,
)


@pytest.mark.parametrize(("seconds", "text"), SPANS)
def test_a_span_has_two_units_at_most(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), AGO)
def test_ago_changes_calmly(seconds: float, text: str) -> None:
    assert words.ago(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), AHEAD)
def test_ahead_tells_what_is_late(seconds: float, text: str) -> None:
    assert words.ahead(seconds) == text


@pytest.mark.parametrize(("milliseconds", "text"), LATENCIES)
def test_latency_has_three_figures_at_most(milliseconds: float | None, text: str) -> None:
    assert words.latency(milliseconds) == text


@pytest.mark.parametrize(("items", "text"), DELIVERIES)
def test_deliveries_are_mentioned_when_something_is_wrong(items: list[dict[str, object]], text: str) -> None:
    assert words.deliveries(items) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "–"), (1.0, "100 %"), (0.99999, "99.99 %"), (0.9, "90.00 %"), (0.0, "0.00 %")],
)
def test_availability_never_rounds_up_to_a_full_hundred(share: float | None, text: str) -> None:
    assert words.percentage(share) == text


@pytest.mark.parametrize(("values", "points"), LINES)
def test_a_line_begins_at_zero_and_ends_at_the_right_edge(values: list[float], points: str) -> None:
    assert drawing.line(values) == points


@pytest.mark.parametrize(("hours", "text"), DAYS)
def test_the_last_day_is_told_in_words(hours: list[str], text: str) -> None:
    assert drawing.day(hours) == text


def test_hours_of_a_kind_are_one_path() -> None:
    assert drawing.cells(["ok", "bad", "ok", "none"]) == {
        "ok": "M0 0h.78v1h-.78zM2 0h.78v1h-.78z",
        "some": "",
        "bad": "M1 0h.78v1h-.78z",
        "none": "M3 0h.78v1h-.78z",
    }


@pytest.mark.parametrize(("seconds", "text"), HEARD)
def test_a_beat_was_heard_to_the_second(seconds: float, text: str) -> None:
    assert words.heard(seconds) == text


@pytest.mark.parametrize(("percent", "text"), LOADS)
def test_a_load_is_a_percentage_or_a_dash(percent: float | None, text: str) -> None:
    assert words.load(percent) == text


@pytest.mark.parametrize(("percent", "level"), LEVELS)
def test_a_load_is_high_beyond_70_and_very_high_beyond_90_percent(percent: float | None, level: str) -> None:
    assert words.level(percent) == level


@pytest.mark.parametrize(("number", "text"), SIZES)
def test_a_size_has_three_figures(number: float | None, text: str) -> None:
    assert words.size(number) == text


@pytest.mark.parametrize(("means", "path"), HOURS)
def test_an_hour_is_a_line_from_0_to_100_percent_with_gaps(means: list[float | None], path: str) -> None:
    assert drawing.hour(means) == path


@pytest.mark.parametrize(("means", "text"), TRENDS)
def test_the_last_hour_is_told_in_words(means: list[float | None], text: str) -> None:
    assert drawing.trend(means) == text

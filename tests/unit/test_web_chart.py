"""The chart of a monitor's page."""

from datetime import UTC, datetime, timedelta
from typing import Any

from defib.web.drawing import chart, chart_of_hours

SINCE = datetime(2026, 3, 28, 22, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)


def sample(after: timedelta, latency_ms: float | None, status: str = "healthy") -> dict[str, Any]:
    return {"at": (SINCE + after).isoformat(), "status": status, "latency_ms": latency_ms}


def test_nothing_seen_is_an_empty_chart() -> None:
    drawn = chart([], SINCE, UNTIL)

    assert (drawn.lines, drawn.spread, drawn.failures, drawn.count, drawn.failed) == ((), (), (), 0, 0)


def test_a_slice_shows_the_median_between_the_least_and_the_greatest() -> None:
    drawn = chart([sample(timedelta(hours=12), value) for value in (40, 10, 100)], SINCE, UNTIL)

    assert drawn.top_ms == 100
    assert drawn.lines == ("482.5,96.0",)
    assert drawn.spread == ("482.5,0.0 482.5,144.0",)


def test_a_gap_of_more_than_six_slices_ends_a_line() -> None:
    slice_ = timedelta(days=1) / 192
    drawn = chart([sample(slice_ * i, 50) for i in (0, 6, 13)], SINCE, UNTIL)

    assert [line.count(",") for line in drawn.lines] == [2, 1]


def test_failures_are_marked_where_they_were() -> None:
    samples = [sample(timedelta(hours=6), None, "error"), sample(timedelta(hours=6), 9, "unhealthy"),
               sample(timedelta(hours=18), None, "unknown")]  # fmt: skip
    drawn = chart(samples, SINCE, UNTIL)

    assert drawn.failures == ((240.0, 5.0),)
    assert (drawn.count, drawn.failed) == (1, 2)


def test_the_scale_ends_at_a_round_number_above_everything() -> None:
    tops = [
        chart([sample(timedelta(hours=1), value)], SINCE, UNTIL).top_ms
        for value in (0.2, 1.2, 12, 76, 101, 2430)
    ]

    assert tops == [1, 1.5, 15, 100, 150, 3000]


def test_marks_are_hours_of_the_zones_own_clock_also_when_it_is_set_forward() -> None:
    labels = [label for _, label in chart([], SINCE, UNTIL, "Europe/Berlin").marks]
    half = chart([], SINCE, UNTIL, "Asia/Kolkata").marks

    assert labels == ["00:00", "04:00", "08:00", "12:00", "16:00", "20:00"]
    assert half[0] == (20.0, "04:00")


def test_a_sample_from_beyond_the_edges_stays_inside() -> None:
    drawn = chart([sample(timedelta(hours=25), 10), sample(-timedelta(hours=1), 10)], SINCE, UNTIL)

    assert drawn.lines == ("2.5,0.0", "957.5,0.0")


def test_longer_periods_are_drawn_of_hours_with_the_days_of_the_zone_below() -> None:
    since = datetime(2026, 3, 23, tzinfo=UTC)
    until = since + timedelta(days=7)  # Berlin sets its clock forward within
    latency = {"min": 10, "mean": 40, "p50": 50, "p95": 90, "p99": 99, "max": 100}
    hours: list[dict[str, Any]] = [
        {"at": since.isoformat(), "counts": {"healthy": 118, "error": 2}, "latency_ms": latency},
        {
            "at": (since + timedelta(days=6, hours=23)).isoformat(),
            "counts": {"unknown": 9},
            "latency_ms": None,
        },
    ]

    drawn = chart_of_hours(hours, since, until, 1, "Europe/Berlin")

    assert drawn.lines == ("2.9,80.0",)
    assert drawn.spread == ("2.9,0.0 2.9,144.0",)
    assert [(x, round(width, 2)) for x, width in drawn.failures] == [(0.0, 5.71)]
    assert (drawn.count, drawn.failed, drawn.top_ms) == (118, 2, 100)
    assert [label for _, label in drawn.marks] == [f"{day} Mar" for day in range(24, 31)]
    assert [x for x, _ in drawn.marks][-2:] == [817.1, 948.6]

"""The chart of a monitor that beats, and the runs that it shows."""

from datetime import UTC, datetime, timedelta
from typing import Any

from defib.engine.views.beat_runs import runs
from defib.model.beat import Beat, Signal
from defib.model.ids import MonitorId
from defib.web.beat_chart import BeatChart, beat_chart

SINCE = datetime(2026, 3, 28, 22, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)


def look(hours: float, status: str = "healthy", cause: str = "ok") -> dict[str, Any]:
    return {"at": (SINCE + timedelta(hours=hours)).isoformat(), "status": status, "cause": cause}


def run(hours: float, took_s: float, *, is_well: bool = True) -> dict[str, Any]:
    at = (SINCE + timedelta(hours=hours)).isoformat()
    return {"at": at, "took_s": took_s, "is_well": is_well}


def draw(*seen: dict[str, Any], ran: tuple[dict[str, Any], ...] = ()) -> BeatChart:
    return beat_chart(seen, ran, SINCE, UNTIL)


def beat(signal: Signal, second: float, rid: str = "", exit_status: int | None = None) -> Beat:
    return Beat(
        monitor=MonitorId("nightly"), signal=signal, received_at=SINCE + timedelta(seconds=second), protocol="ping",
        facts={"rid": rid} if rid else {}, exit_status=exit_status,
    )  # fmt: skip


def test_one_that_was_never_heard_says_so() -> None:
    drawn = draw()

    assert (drawn.heard, drawn.failed, drawn.missed, drawn.runs) == ((), (), (), ())
    assert drawn.says == "nothing heard"


def test_beats_failures_and_misses_stand_where_they_were() -> None:
    drawn = draw(look(6), look(12, "unhealthy", "job-failed"), look(18, "error", "missed-beat"), look(18.1))

    assert drawn.heard == ((240.0, 3.5),)
    assert drawn.failed == ((480.0, 3.5),)
    assert drawn.missed == ((720.0, 3.5),)
    assert drawn.says == "1 missed, 1 failed"


def test_a_beat_that_was_late_and_came_is_no_miss() -> None:
    drawn = draw(look(6), look(6.5, "error", "late-beat"), look(7))

    assert drawn.missed == ()
    assert drawn.says == "all beats came"


def test_runs_are_bars_as_high_as_they_took_long() -> None:
    drawn = draw(look(6), ran=(run(6, 45), run(12, 15), run(18, 30, is_well=False), run(-1, 900)))

    assert drawn.top == "1 min"
    assert drawn.runs == ((240.0, 120.0, True), (480.0, 40.0, True), (720.0, 80.0, False))
    assert drawn.says == "all beats came, 3 runs took 15 s to 45 s, 30 s in the middle"


def test_the_scale_of_runs_is_a_round_time() -> None:
    tops = [draw(ran=(run(1, took_s),)).top for took_s in (0.2, 1.2, 20, 31, 61, 3601, 13 * 3600, 100_000)]

    assert tops == ["1 s", "2 s", "20 s", "1 min", "2 min", "2 h", "1 d", "2 d"]


def test_hours_are_drawn_as_slices_of_them() -> None:
    until = SINCE + timedelta(days=7)
    seen = [{"at": SINCE.isoformat(), "counts": {"healthy": 60}},
            {"at": (until - timedelta(hours=1)).isoformat(), "counts": {"healthy": 1, "error": 2}}]  # fmt: skip
    drawn = beat_chart(seen, (), SINCE, until, per=1)

    assert drawn.heard == ((0.0, 4.0),)
    assert drawn.missed == ((954.3, 4.0),)
    assert drawn.says == "2 late or missed"
    assert [label for _, label in drawn.marks][:2] == ["29 Mar", "30 Mar"]


def test_an_end_is_that_of_the_run_of_its_name_else_of_the_newest() -> None:
    found = runs(
        [
            beat(Signal.ALIVE, 0),  # an end without a start
            beat(Signal.START, 10, "a"),
            beat(Signal.START, 20, "b"),
            beat(Signal.LOG, 25, "a"),
            beat(Signal.ALIVE, 30, "a"),
            beat(Signal.ALIVE, 35, "c"),
            beat(Signal.ALIVE, 40, exit_status=1),
            beat(Signal.START, 50),
            beat(Signal.FAIL, 55),
            beat(Signal.START, 60),
            beat(Signal.STOPPING, 61),
            beat(Signal.ALIVE, 62),
        ]
    )

    assert [(item["took_s"], item["is_well"]) for item in found] == [(20, True), (20, False), (5, False)]
    assert found[0]["at"] == "2026-03-28T22:00:30+00:00"

"""Reports over a real store: scripted days with known outages give the known numbers, to the last digit."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from defib.model.changes import Changes
from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import Health, Incident, State
from defib.model.ids import IncidentId, MonitorId
from report_office import Office, office

DAY = date(2026, 11, 20)
START = datetime(2026, 11, 20, tzinfo=UTC)
MORNING = START + timedelta(hours=32)
ALL_DAY = (START - timedelta(hours=1), START + timedelta(hours=25))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def told(at_work: Office, day: date = DAY, report: str = "daily") -> Any:
    reporting = at_work.reporting
    return json.loads(reporting.write(reporting.spec(report), day).data)


def of(data: Any, monitor: str = "main") -> Any:
    return next(component for component in data["components"] if component["id"] == monitor)


def incident(
    id: str, lo: float, hi: float, opened: float, closed: float | None, by: str = "itself"
) -> Incident:
    return Incident(
        id=IncidentId(id), monitor=MonitorId("main"), opened_at=at(opened), fault_lo=at(lo), fault_hi=at(hi),
        cause="refused", grade="E1", summary="connection refused", closed_at=None if closed is None else at(closed),
        healed_by=None if closed is None else by,
    )  # fmt: skip


def test_the_vector_of_the_design_to_the_last_digit(tmp_path: Path) -> None:
    with office(tmp_path, MORNING) as work:
        work.watched((at(-60), at(10800)), (at(11100), at(90000)))
        work.became(
            "main", (State.UP, at(-60)), (State.FAULT, at(3600)), (State.UP, at(3690)), (State.MAINTENANCE, at(43200)),
            (State.UP, at(45000)), (State.DEGRADED, at(80000)), (State.UP, at(80600)),
        )  # fmt: skip
        data = told(work)

    main = of(data)
    assert (main["up_s"], main["down_s"]) == (84_210.0, 90.0)
    assert main["availability"] == 0.998932384341637
    assert data["observer"]["gaps"] == [
        {"since": "2026-11-20T03:00:00+00:00", "until": "2026-11-20T03:05:00+00:00"}
    ]


def test_bounds_are_as_wide_as_the_looks_were_apart_also_behind_a_suspicion(tmp_path: Path) -> None:
    with office(tmp_path, MORNING) as work:
        work.watched(ALL_DAY)
        work.became(
            "main", (State.UP, at(-60)), (State.SUSPECT, at(1000), at(1030)), (State.FAULT, at(1000), at(1030)),
            (State.UP, at(1300), at(1310)),
        )  # fmt: skip
        main = of(told(work))

    assert (main["down_lo_s"], main["down_s"], main["down_hi_s"]) == (270.0, 290.0, 310.0)
    assert main["availability"] == (86_400 - 290) / 86_400


def test_an_outage_over_midnight_belongs_to_each_day_as_far_as_it_lay_in_it(tmp_path: Path) -> None:
    with office(tmp_path, MORNING + timedelta(days=1)) as work:
        work.watched((at(-60), at(200_000)))
        work.became(  # begun 40 s before midnight, decided 10 s after it
            "main", (State.UP, at(-60)), (State.FAULT, at(86_360), at(86_410)), (State.UP, at(86_460)),
        )  # fmt: skip
        first, second = of(told(work)), of(told(work, DAY + timedelta(days=1)))

    assert (first["down_s"], first["down_lo_s"], first["down_hi_s"]) == (15.0, 0.0, 40.0)
    assert (second["down_s"], second["down_lo_s"], second["down_hi_s"]) == (60.0, 50.0, 60.0)
    assert first["state"] == "up"  # nobody had decided yet


def test_times_to_detect_to_restore_and_to_heal(tmp_path: Path) -> None:
    with office(tmp_path, MORNING) as work:
        work.watched(ALL_DAY)
        work.failed(
            incident("i1", 3596, 3604, 3612, 3618.4, by="defib"),  # likely from 3600: 12 s, then 6.4 s
            incident("i2", 40_000, 40_000, 40_020, 40_100),  # 20 s, 100 s in all
            incident("i3", 70_000, 70_010, 70_015, None),
        )
        overall = told(work)["overall"]

    assert overall["mttd_s"] == 14.0  # of 12, 20 and 10
    assert overall["mttr_s"] == 59.2  # of 18.4 and 100
    assert overall["mean_heal_s"] == 6.4
    assert overall["incidents"] == {"defib": 1, "itself": 1, "otherwise": 0, "open": 1}


def test_percentiles_are_within_two_percent_of_the_looks_own(tmp_path: Path) -> None:
    ramp = [timedelta(milliseconds=n) for n in range(1, 1001)]
    with office(tmp_path, MORNING) as work:
        work.watched(ALL_DAY)
        work.looked("main", [(at(60 * n), Evidence.ok("fine", latency=took)) for n, took in enumerate(ramp)])
        work.looked("main", [(at(60_030 + n), Evidence.fail("refused", "refused")) for n in range(5)])
        work.looked(
            "main",
            [(at(60 * n - 86_400), Evidence.ok("fine", latency=took / 2)) for n, took in enumerate(ramp)],
        )
        work.watched((at(-86_400), at(-3700)))
        work.became("main", (State.UP, at(-86_400)))
        main = of(told(work))

    response = main["response_ms"]
    assert main["counts"] == {"healthy": 1000, "unhealthy": 0, "error": 5, "unknown": 0}
    assert response["mean"] == pytest.approx(500.5)
    assert [response[name] for name in ("p50", "p95", "p99")] == pytest.approx([500, 950, 990], rel=0.02)
    assert response["previous_p95"] == pytest.approx(475, rel=0.02)
    assert main["p95_change"] == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize(
    ("day", "hours", "availability"),
    [
        (date(2026, 3, 29), 23, 1 - 600 / (23 * 3600)),
        (date(2026, 10, 25), 25, 1 - 600 / (25 * 3600)),
    ],
)
def test_days_of_23_and_25_hours(day: date, hours: int, availability: float, tmp_path: Path) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    with office(tmp_path, start + timedelta(hours=40), timezone="Europe/Berlin") as work:
        work.watched((start - timedelta(hours=1), start + timedelta(hours=30)))
        fell = start + timedelta(
            hours=hours - 1
        )  # in the last hour, which a day of 24 hours would not have, or miss
        work.became(
            "main",
            (State.UP, start - timedelta(hours=1)),
            (State.FAULT, fell),
            (State.UP, fell + timedelta(minutes=10)),
        )
        data = told(work, day)

    assert data["observer"]["due_s"] == data["observer"]["watched_s"] == hours * 3600
    assert of(data)["down_s"] == 600.0
    assert of(data)["availability"] == pytest.approx(availability, abs=1e-15)


def test_two_hours_that_nobody_watched_count_for_nothing(tmp_path: Path) -> None:
    with office(tmp_path, MORNING) as work:
        work.watched((at(-60), at(36_000)), (at(43_200), at(90_000)))
        work.became(  # falls an hour before the gap, and is found well an hour after it
            "main", (State.UP, at(-60)), (State.FAULT, at(32_400)), (State.UP, at(46_800)),
        )  # fmt: skip
        data = told(work)

    main = of(data)
    assert (main["up_s"], main["down_s"]) == (72_000.0, 7_200.0)
    assert main["availability"] == 72_000 / 79_200
    assert data["observer"]["watched_s"] == 79_200.0
    assert data["observer"]["gaps"] == [
        {"since": "2026-11-20T10:00:00+00:00", "until": "2026-11-20T12:00:00+00:00"}
    ]


def test_the_trend_is_against_the_day_before_and_the_same_day_a_week_before(tmp_path: Path) -> None:
    with office(tmp_path, MORNING) as work:
        work.watched((at(-8 * 86_400), at(90_000)))
        work.became(
            "main", (State.UP, at(-8 * 86_400)),
            (State.FAULT, at(-7 * 86_400)), (State.UP, at(-7 * 86_400 + 8640)),  # a tenth of that day
            (State.FAULT, at(-86_400)), (State.UP, at(-86_400 + 864)),  # a hundredth of yesterday
        )  # fmt: skip
        data = told(work)

    assert data["trend"] == {"before": {"availability": 0.99}, "week_before": {"availability": 0.9}}
    assert data["summary"][0] == "Over 1 component, availability was 100 %, against 99.00 % the day before."


def test_an_objective_has_its_budget_over_thirty_days(tmp_path: Path) -> None:
    with office(tmp_path, MORNING, [{"id": "main", "slo": "99.9%"}]) as work:
        work.watched((at(-40 * 86_400), at(90_000)))
        work.became(
            "main", (State.UP, at(-40 * 86_400)), (State.FAULT, at(-10 * 86_400)), (State.UP, at(-10 * 86_400 + 1000)),
            (State.FAULT, at(40_000)), (State.UP, at(40_296)),
        )  # fmt: skip
        spent = of(told(work))["budget"]

    assert (spent["objective"], spent["allowed_s"], spent["spent_s"]) == (0.999, 2592.0, 1296.0)
    assert spent["spent_share"] == pytest.approx(0.5)
    assert spent["burn_rate"] == pytest.approx(296 / 86.4)


def test_a_disk_that_fills_up_is_foretold_and_one_that_does_not_is_not(tmp_path: Path) -> None:
    hours = range(14 * 24)
    with office(tmp_path, MORNING, ["filling", "steady"]) as work:
        work.watched(ALL_DAY)
        for monitor, per_hour in (("filling", 1 / 24), ("steady", 0.0)):
            looks = [
                (
                    at(86_400 - 3600 * (n + 1) + 60),
                    Evidence.ok("fine", metrics={"disk_percent": 80.0 - per_hour * n}),
                )
                for n in hours
            ]
            work.looked(monitor, sorted(looks, key=lambda look: look[0]))
        [only] = told(work)["ahead"]["forecasts"]

    assert (only["component"], only["metric"]) == ("filling", "disk_percent")
    assert only["percent"] == pytest.approx(80.0, abs=0.01)
    assert only["percent_per_day"] == pytest.approx(1.0, abs=0.001)
    assert only["full_at"].startswith("2026-12-10")  # twenty days after the newest hour


def test_a_report_of_some_tags_has_nothing_of_others(tmp_path: Path) -> None:
    monitors = [
        {"id": "main", "tags": ["a"]},
        {"id": "chat", "tags": ["b"]},
        {"id": "db", "tags": ["a", "b"]},
    ]
    reports = {"team-a": {"type": "daily", "tags": ["a"], "cron": "0 8 * * *", "language": "tr"}}
    with office(tmp_path, MORNING, monitors, reports=reports) as work:
        work.watched(ALL_DAY)
        for monitor in ("main", "chat", "db"):
            work.became(monitor, (State.UP, at(-60)))
        work.failed(incident("i1", 100, 100, 110, 200))
        data = told(work, report="team-a")

    assert data["id"] == "team-a_20261120"
    assert sorted(component["id"] for component in data["components"]) == ["db", "main"]
    assert (
        data["subject"]
        == "[Defib] Günlük rapor · team-a 2026-11-20 · %100 · 1 olay: 1 olay kendiliğinden bitti, 0 açık"
    )
    assert data["tags"] == ["a"]


def test_a_week_and_a_month_cover_their_days(tmp_path: Path) -> None:
    with office(tmp_path, datetime(2026, 12, 2, 8, tzinfo=UTC)) as work:
        work.watched((datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC)))
        work.became(
            "main", (State.UP, datetime(2026, 9, 1, tzinfo=UTC)), (State.FAULT, datetime(2026, 11, 18, tzinfo=UTC)),
            (State.UP, datetime(2026, 11, 18, 16, 48, tzinfo=UTC)),
        )  # fmt: skip
        week, month = told(work, DAY, "weekly"), told(work, DAY, "monthly")

    assert (week["id"], week["start"], week["end"]) == (
        "weekly_20261116", "2026-11-16T00:00:00+00:00", "2026-11-23T00:00:00+00:00",
    )  # fmt: skip
    assert of(week)["availability"] == 0.9  # 16.8 of 168 hours
    assert week["trend"]["before"] == {"availability": 1.0}
    assert (month["id"], month["observer"]["due_s"]) == ("monthly_20261101", 30 * 86_400)
    assert of(month)["down_s"] == 60_480.0


def test_a_monitor_that_was_made_through_the_api_is_in_it(tmp_path: Path) -> None:
    with office(tmp_path, MORNING) as work:
        work.watched(ALL_DAY)
        work.became("made", (State.UP, at(-60)), (State.FAULT, at(0)), (State.UP, at(8640)))
        roster = work.reporting.roster
        roster.enlist(replace(roster.settings.monitors[0], id=MonitorId("made"), name="Made by hand"))
        data = told(work)

    assert of(data, "made")["name"] == "Made by hand"
    assert of(data, "made")["availability"] == 0.9


def test_certificates_that_end_within_a_month_and_jobs_that_did_not_report_are_ahead(tmp_path: Path) -> None:
    def seen(days: float) -> Observation:
        evidence = Evidence.ok("HTTP 200", metrics={"cert_days_left": days})
        return Observation(
            monitor=MonitorId("x"),
            source=Source.PROBE,
            evidence=evidence,
            started_at=at(86_400),
            ended_at=at(86_400),
        )

    with office(tmp_path, MORNING, ["main", "shop", "later"]) as work:
        work.watched(ALL_DAY)
        health = {"shop": 9.5, "later": 31.0}
        work.commit(
            Changes(
                health=tuple(
                    Health(monitor=MonitorId(monitor), state=State.UP, since=at(0), last=seen(days))
                    for monitor, days in health.items()
                )
            )
        )
        work.failed(replace(incident("i1", 100, 100, 100, 400), cause="missed-beat"))
        ahead = told(work)["ahead"]

    assert ahead["certificates"] == [{"component": "shop", "ends_at": "2026-11-30T12:00:00+00:00"}]
    assert ahead["missed"] == [{"component": "main", "times": 1, "missing": False, "next_due": None}]


def test_the_store_says_how_large_it_is(tmp_path: Path) -> None:
    with office(tmp_path, MORNING) as work:
        size = told(work)["observer"]["store_bytes"]

    assert size >= (tmp_path / "defib.db").stat().st_size > 100_000


def test_a_day_before_anything_was_watched_has_no_state_of_a_later_day(tmp_path: Path) -> None:
    with office(tmp_path, MORNING) as work:
        work.watched(ALL_DAY)
        work.became("main", (State.UP, at(0)))
        work.commit(Changes(health=(Health(monitor=MonitorId("main"), state=State.FAULT, since=at(50)),)))
        data = told(work, date(2020, 1, 1))

    assert data["summary"] == ["Defib was not watching yet: its records begin on Thursday, 19 November 2026."]
    assert (of(data)["state"], data["concerns"]) == ("new", [])


def test_what_defib_may_not_heal_is_not_left_to_it(tmp_path: Path) -> None:
    began = incident("i1", 100, 102, 103, None)
    with office(tmp_path, at(120)) as work:
        work.watched((at(-60), at(120)))
        work.became("main", (State.UP, at(-60)), (State.FAULT, at(101)))
        work.failed(began)
        data = told(work)

    assert data["summary"][2].endswith("needs a person.")

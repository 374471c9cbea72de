"""When reports are made: once for each time that came, whoever was asleep meanwhile."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from defib.engine.reporting.schedule import report_id
from defib.errors import UsageError
from defib.model.report import Span
from report_office import Office, office

EVENING = datetime(2026, 11, 20, 20, 0, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AT_EIGHT = "0 8 * * *"


def channel(language: str = "en") -> dict[str, Any]:
    return {"type": "webhook", "url": "http://127.0.0.1:9/hook", "language": language}


SECTIONS: dict[str, Any] = {
    "channels": {"ops": channel(), "ofis": channel("tr"), "taipei": channel("zh-Hant"), "more": channel()},
    "reports": {"daily": {"cron": AT_EIGHT, "channels": ["ops"]}},
}


async def made(work: Office) -> list[str]:
    """Ids of the reports that were due now."""
    return [report.id for report in (await work.reporting.make_due()).reports]


def stored(work: Office) -> list[str]:
    return [item["id"] for item in work.reader.report_titles()]


async def test_a_new_installation_owes_no_report(tmp_path: Path) -> None:
    with office(tmp_path, EVENING, **SECTIONS) as work:
        assert await made(work) == []
        work.clock.time += 11 * HOUR
        assert await made(work) == []  # seven in the morning
        work.clock.time += HOUR
        assert await made(work) == ["report_20261120"]


async def test_nights_that_were_slept_through_are_made_up_for_once(tmp_path: Path) -> None:
    with office(tmp_path, EVENING, **SECTIONS) as work:
        await made(work)
    with office(tmp_path, EVENING + 3 * DAY + 14 * HOUR, **SECTIONS) as work:  # three mornings later
        assert await made(work) == ["report_20261123"]
        assert await made(work) == []
    with office(tmp_path, EVENING + 3 * DAY + 15 * HOUR, **SECTIONS) as work:
        assert await made(work) == []
        assert [(d.notice, d.channel) for d in work.reader.deliveries()] == [("report_20261123", "ops")]


async def test_a_pass_and_a_daemon_over_one_store_make_it_once(tmp_path: Path) -> None:
    with office(tmp_path, EVENING, **SECTIONS) as daemon:
        await made(daemon)
        daemon.clock.time += 12 * HOUR
        with office(tmp_path, daemon.clock.time, **SECTIONS) as one_pass:
            assert await made(one_pass) == ["report_20261120"]
        assert await made(daemon) == []
        assert len(daemon.reader.deliveries()) == 1


async def test_clocks_that_are_set_back_make_no_report_twice(tmp_path: Path) -> None:
    with office(tmp_path, EVENING, **SECTIONS) as work:
        await made(work)
        work.clock.time += 12 * HOUR + timedelta(minutes=5)
        assert await made(work) == ["report_20261120"]
        work.clock.time -= timedelta(minutes=20)
        assert await made(work) == []
        work.clock.time += timedelta(minutes=30)
        assert await made(work) == []


async def test_a_stamp_of_a_clock_that_was_years_ahead_does_not_stop_reports_for_years(
    tmp_path: Path,
) -> None:
    with office(tmp_path, EVENING + 1000 * DAY, **SECTIONS) as work:
        await made(work)
        work.clock.time = EVENING
        assert await made(work) == []
        work.clock.time += 12 * HOUR
        assert await made(work) == ["report_20261120"]


async def test_weeks_and_months_are_told_when_they_are_over(tmp_path: Path) -> None:
    reports = {
        "weekly": {"cron": "0 9 * * mon", "channels": ["ops"]},
        "board": {"type": "monthly", "cron": "30 9 1 * *", "timezone": "Asia/Hong_Kong", "channels": ["ops"]},
    }
    with office(tmp_path, EVENING, **{**SECTIONS, "reports": reports}) as work:
        assert await made(work) == []
        work.clock.time = datetime(2026, 11, 23, 9, 1, tzinfo=UTC)
        assert await made(work) == ["weekly_20261116"]
        work.clock.time = datetime(2026, 12, 1, 1, 31, tzinfo=UTC)  # half past nine in Hong Kong
        assert await made(work) == ["weekly_20261123", "board_20261101"]


async def test_each_channel_gets_the_report_in_its_language(tmp_path: Path) -> None:
    reports = {"daily": {"cron": AT_EIGHT, "channels": ["ops", "ofis", "taipei", "more"]}}
    with office(tmp_path, EVENING, **{**SECTIONS, "reports": reports}) as work:
        await made(work)
        work.clock.time += 12 * HOUR
        ids = await made(work)
        sent = {delivery.channel: delivery.notice for delivery in work.reader.deliveries()}
        titles = {item["id"]: item["subject"].split(" 2026")[0] for item in work.reader.report_titles()}

    assert ids == ["report_20261120", "report_20261120.tr", "report_20261120.zh-Hant"]
    assert sent == {
        "ops": "report_20261120", "more": "report_20261120", "ofis": "report_20261120.tr",
        "taipei": "report_20261120.zh-Hant",
    }  # fmt: skip
    assert titles == {
        "report_20261120": "[Defib] Daily report", "report_20261120.tr": "[Defib] Günlük rapor",
        "report_20261120.zh-Hant": "[Defib] 每日報告",
    }  # fmt: skip


async def test_a_language_of_the_report_holds_for_all_its_channels(tmp_path: Path) -> None:
    reports = {"daily": {"cron": AT_EIGHT, "channels": ["ops", "ofis"], "language": "zh-Hant"}}
    with office(tmp_path, EVENING, **{**SECTIONS, "reports": reports}) as work:
        await made(work)
        work.clock.time += 12 * HOUR
        assert await made(work) == ["report_20261120"]
        assert {delivery.notice for delivery in work.reader.deliveries()} == {"report_20261120"}
        report = work.reader.report(report_id("daily", date(2026, 11, 20)))

    assert report is not None
    assert report.subject.startswith("[Defib] 每日報告")


def test_a_report_is_had_by_its_name_by_its_type_or_by_what_it_covers(tmp_path: Path) -> None:
    reports = {"team": {"type": "weekly", "cron": AT_EIGHT}}
    with office(tmp_path, EVENING, **{**SECTIONS, "reports": reports}) as work:
        reporting = work.reporting

        assert reporting.spec("team").kind == "weekly"
        assert (reporting.spec("monthly").name, reporting.spec("monthly").channels) == ("monthly", ())
        assert reporting.spec_over(Span.WEEK).name == "team"
        assert reporting.spec_over(Span.DAY).name == "daily"
        assert reporting.id_of("team", date(2026, 11, 18)) == "team_20261116"
        assert reporting.id_of("gone", date(2026, 11, 18)) == "gone_20261118"
        with pytest.raises(
            UsageError, match="there is no report 'yearly'; there are: daily, monthly, team, weekly"
        ):
            reporting.spec("yearly")
        assert stored(work) == []

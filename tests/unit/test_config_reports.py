"""``reports:`` by names of the user's own, and the objectives that they tell of."""

from pathlib import Path

import pytest

from config_kit import load, mistakes
from defib.model.settings import ReportSpec

BEGINNING = (
    "monitors:\n  - {id: m, type: beat, tags: [a]}\n"
    "channels:\n  ops: {type: mail, to: [a]}\n  dev: {type: mail, to: [b], language: tr}\n"
)


def test_several_reports_have_names_tags_languages_and_time_zones_of_their_own(tmp_path: Path) -> None:
    text = (
        f"{BEGINNING}reports:\n"
        "  daily: {cron: 0 8 * * *, channels: [ops, dev]}\n"
        "  team-a: {type: daily, tags: a, language: tr, timezone: Europe/Istanbul, cron: 0 9 * * *, channels: dev}\n"
    )

    assert load(tmp_path, text).reports == (
        ReportSpec(name="daily", kind="daily", cron="0 8 * * *", timezone="UTC", channels=("ops", "dev")),
        ReportSpec(
            name="team-a",
            kind="daily",
            cron="0 9 * * *",
            timezone="Europe/Istanbul",
            channels=("dev",),
            tags=frozenset({"a"}),
            language="tr",
        ),
    )


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (
            "team-a: {cron: 0 8 * * *}",
            "reports.team-a: a report named 'team-a' needs a 'type', which says what it covers: daily",
        ),
        (
            "team-a: {type: dayly, cron: 0 8 * * *}",
            "reports.team-a.type: unknown report 'dayly'; did you mean 'daily'? known are daily; plugin ldap",
        ),
        (
            "report: {type: daily, cron: 0 8 * * *}",
            "reports.report: the name 'report' is taken: ids of the daily one begin with it; write another one",
        ),
        (
            "'team a': {type: daily, cron: 0 8 * * *}",
            "reports[\"team a\"]: the name 'team a' must consist of letters, digits, '.', '_' and '-'",
        ),
        (
            f"{'x' * 41}: {{type: daily, cron: 0 8 * * *}}",
            f"reports.{'x' * 41}: the name is longer than 40 characters; shorten it",
        ),
        (
            "daily: {cron: 0 8 * * *, language: de}",
            "reports.daily.language: must be 'en', 'zh-Hant' or 'tr'",
        ),
    ],
)
def test_a_mistake_in_a_report_has_its_remedy(report: str, expected: str, tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, f"{BEGINNING}reports:\n  {report}\n")

    assert mistake.partition(": ")[2].startswith(expected)


def test_a_tag_that_no_monitor_has_warns(tmp_path: Path) -> None:
    text = f"{BEGINNING}reports: {{daily: {{cron: 0 8 * * *, channels: ops, tags: [b]}}}}\n"

    assert [warning.partition("reports")[2] for warning in load(tmp_path, text).warnings] == [
        ".daily.tags[0]: no monitor has the tag 'b'",
    ]


@pytest.mark.parametrize(
    ("written", "share"),
    [("99.9%", 0.999), ("99.95", 0.9995), ("'99 %'", 0.99), ("50%", 0.5), ("99.999%", 0.99999)],
)
def test_an_objective_is_a_percentage_of_the_time(written: str, share: float, tmp_path: Path) -> None:
    [spec] = load(tmp_path, f"monitors: [{{id: m, type: beat, slo: {written}}}]\n").monitors

    assert spec.slo == share


@pytest.mark.parametrize("written", ["100%", "0.999", "49.9", "-1", "yes", "nines", "[99]", "nan"])
def test_what_can_be_no_objective_is_refused(written: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, f"monitors: [{{id: m, type: beat, slo: {written}}}]\n") == [
        "1: monitors[0].slo: must be a percentage of the time, from 50% to below 100%; write for example 99.9%"
    ]


def test_a_monitor_without_an_objective_has_none(tmp_path: Path) -> None:
    [spec] = load(tmp_path, "monitors: [{id: m, type: beat}]\n").monitors

    assert spec.slo is None

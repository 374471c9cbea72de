"""Channels, routes and reports."""

from pathlib import Path

import pytest

from config_kit import MailOptions, load, mistakes
from defib.model.alert import Severity
from defib.model.ids import MonitorId
from defib.model.route import Route, RouteMatch
from defib.model.settings import ChannelSpec, ReportSpec

CHANNELS = "channels:\n  ops: {type: mail, to: [a]}\n  dev: {type: mail, to: [b]}\n"
MONITORS = "monitors:\n  - {id: m, type: beat, tags: [agents]}\n"


def routes(folder: Path, text: str) -> tuple[Route, ...]:
    return load(folder, CHANNELS + MONITORS + text).routes


def test_channels_have_names_and_options(tmp_path: Path) -> None:
    assert load(tmp_path, CHANNELS).channels == (
        ChannelSpec(name="ops", kind="mail", options=MailOptions(to=("a",))),
        ChannelSpec(name="dev", kind="mail", options=MailOptions(to=("b",))),
    )


def test_keys_of_every_channel_never_reach_the_options_of_its_type(tmp_path: Path) -> None:
    text = (
        "channels:\n  ops: {type: mail, to: [a]}\n  dev: {type: mail, to: [b], language: zh-Hant, "
        "timezone: Asia/Taipei, fallback: ops, rate: 5, self_test: '0 9 * * *'}\n"
        "  mute: {type: mail, to: [c], fallback: none}\n"
    )

    ops, dev, mute = load(tmp_path, text).channels

    assert (ops.language, ops.timezone, ops.fallback, ops.rate, ops.self_test) == ("en", "", None, 20, "")
    assert dev == ChannelSpec(
        name="dev", kind="mail", options=MailOptions(to=("b",)), language="zh-Hant", timezone="Asia/Taipei",
        fallback="ops", rate=5, self_test="0 9 * * *",
    )  # fmt: skip
    assert mute.fallback == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x: {to: [a]}", "channels.x.type: is missing; write one of mail"),
        ("x: mail", "channels.x: must be a mapping; write 'x: {type: …}' with the keys of that type"),
        (
            "x: {type: mial, to: [a]}",
            "channels.x.type: unknown alert channel 'mial'; did you mean 'mail'? known are mail; plugin ldap "
            "(defib-ldap 2.0) did not load: ModuleNotFoundError: No module named 'ldap3'",
        ),
        ("ops-mail: {type: mail}", "channels.ops-mail.to: is missing; recipients"),
        ("x: {type: mail, to: []}", "channels.x.to: must have at least 1 item, not 0"),
        (
            "x: {type: mail, to: [a], fallback: x}",
            "channels.x.fallback: a channel cannot stand in for itself; write another one, or 'none'",
        ),
        (
            "x: {type: mail, to: [a], fallback: y}",
            "channels.x.fallback: unknown channel 'y'; known channels: x",
        ),
        (
            "x: {type: mail, to: [a], language: zh}",
            "channels.x.language: must be 'en', 'zh-Hant' or 'tr'",
        ),
        ("x: {type: mail, to: [a], rate: 0}", "channels.x.rate: must be greater than or equal to 1"),
        ("x: {type: mail, to: [a], tpye: b}", "channels.x.tpye: unknown key; did you mean 'type'?"),
        ("x: {type: mail, to: [nobody]}", "channels.x: channel x would write to nobody; name somebody"),
        (
            "'a b': {type: mail, to: [a]}",
            "channels[\"a b\"]: the name 'a b' must consist of letters, digits, '.', '_' and '-', and begin "
            "with a letter or digit",
        ),
    ],
)
def test_a_mistake_in_a_channel_has_its_path(text: str, expected: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, f"channels:\n  {text}\n") == [f"2: {expected}"]


def test_without_routes_every_alert_goes_to_every_channel(tmp_path: Path) -> None:
    assert routes(tmp_path, "") == (Route(match=RouteMatch(), channels=("ops", "dev"), resume=False),)
    assert load(tmp_path, MONITORS).routes == ()


def test_an_empty_list_of_routes_sends_nothing_and_warns(tmp_path: Path) -> None:
    settings = load(tmp_path, CHANNELS + MONITORS + "routes: []\n")

    assert settings.routes == ()
    assert settings.warnings == (
        f"{tmp_path}/defib.yaml:6: routes: the list is empty, so no alert is sent; remove 'routes' to send all "
        f"to every "
        "channel",
    )


def test_routes_match_by_one_or_several_of_each(tmp_path: Path) -> None:
    text = """
routes:
  - match: {severity: [high, severe], kind: agent_down, tags: agents, monitors: [m]}
    channels: [ops, dev]
    continue: true
  - channels: ops
"""
    assert routes(tmp_path, text) == (
        Route(
            match=RouteMatch(
                severity=frozenset({Severity.HIGH, Severity.SEVERE}),
                kind=frozenset({"agent_down"}),
                tags=frozenset({"agents"}),
                monitors=frozenset({MonitorId("m")}),
            ),
            channels=("ops", "dev"),
            resume=True,
        ),
        Route(match=RouteMatch(), channels=("ops",), resume=False),
    )


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("{}", "routes[0].channels: is missing; the channels that carry them"),
        ("ops", "routes[0]: must be a mapping; write lines of 'key: value' below it"),
        ("{channels: opps}", "routes[0].channels: unknown channel 'opps'; did you mean 'ops'?"),
        ("{channels: [ops, all]}", "routes[0].channels[1]: unknown channel 'all'; known channels: dev, ops"),
        (
            "{channels: ops, resume: true}",
            "routes[0].resume: unknown key; known keys: active, calm, channels, continue, escalate, match, "
            "quiet_hours, repeat",
        ),
        (
            "{channels: ops, match: {severity: hgih}}",
            "routes[0].match.severity: must be 'info', 'low', 'high' or 'severe'; did you mean 'high'?",
        ),
        (
            "{channels: ops, match: {severity: [high, bad]}}",
            "routes[0].match.severity[1]: must be 'info', 'low', 'high' or 'severe'",
        ),
        ("{channels: ops, match: {tag: x}}", "routes[0].match.tag: unknown key; did you mean 'tags'?"),
        (
            "{channels: ops, match: {monitors: mm}}",
            "routes[0].match.monitors: unknown monitor 'mm'; did you mean 'm'?",
        ),
    ],
)
def test_a_mistake_in_a_route_has_its_remedy(route: str, expected: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, CHANNELS + MONITORS + f"routes:\n  - {route}\n") == [f"7: {expected}"]


def test_routes_that_take_nothing_warn(tmp_path: Path) -> None:
    text = (
        CHANNELS
        + MONITORS
        + "routes:\n  - {channels: ops, match: {tags: agnets}}\n  - {channels: ops}\n  - {channels: dev}\n"
    )

    assert load(tmp_path, text).warnings == (
        f"{tmp_path}/defib.yaml:7: routes[0].match.tags: no monitor has the tag 'agnets'; did you mean 'agents'?",
        f"{tmp_path}/defib.yaml:9: routes[2]: no alert comes this far: a route above it takes all; "
        "give that 'continue: true'",
    )


@pytest.mark.parametrize(
    ("hours", "is_warned"),
    [
        ('{from: "22:00", to: "22:00"}', True),
        ('{from: "00:00", to: "00:00", days: [sat, sun]}', False),
        ('{from: "22:00", to: "07:00"}', False),
    ],
)
def test_quiet_hours_that_never_end_warn(tmp_path: Path, hours: str, is_warned: bool) -> None:
    text = CHANNELS + MONITORS + f"routes:\n  - {{channels: ops, quiet_hours: {hours}}}\n"

    warning = (
        f"{tmp_path}/defib.yaml:7: routes[0].quiet_hours: they never end: what is below severe waits for ever; "
        "write another 'from' or 'to'"
    )
    assert load(tmp_path, text).warnings == ((warning,) if is_warned else ())


def test_a_channel_with_a_mistake_is_still_known_to_routes(tmp_path: Path) -> None:
    text = "channels: {ops: {type: mail}}\nroutes: [{channels: ops}]\n"
    text += "reports: {daily: {cron: 0 8 * * *, channels: ops}}\n"

    assert mistakes(tmp_path, text) == ["1: channels.ops.to: is missing; recipients"]


def test_reports_have_a_time_and_channels(tmp_path: Path) -> None:
    text = (
        CHANNELS + "timezone: Asia/Hong_Kong\nreports:\n  daily: {cron: '0 8 * * mon-fri', channels: [ops]}\n"
    )

    assert load(tmp_path, text).reports == (
        ReportSpec(
            name="daily", kind="daily", cron="0 8 * * mon-fri", timezone="Asia/Hong_Kong", channels=("ops",)
        ),
    )
    assert (
        load(tmp_path, text.replace("channels: [ops]", "channels: ops, timezone: UTC")).reports[0].timezone
        == "UTC"
    )


def test_a_report_without_channels_warns(tmp_path: Path) -> None:
    settings = load(tmp_path, MONITORS + "reports: {daily: {cron: 0 8 * * *}}\n")

    assert settings.reports[0].channels == ()
    assert settings.warnings == (
        f"{tmp_path}/defib.yaml:3: reports.daily: the report is sent nowhere; add 'channels'",
    )


EXAMPLE = 'write for example "0 8 * * *" for eight o\'clock every day'


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("{}", "reports.daily.cron: is missing; when, as minute, hour, day of month, month and day of week"),
        ("daily", "reports.daily: must be a mapping; write lines of 'key: value' below it"),
        ("{cron: 0 25 * * *}", f"reports.daily.cron: '0 25 * * *' has a bad hour; {EXAMPLE}"),
        ("{cron: 0 8 31 2 *}", f"reports.daily.cron: '0 8 31 2 *' has a bad day-of-month; {EXAMPLE}"),
        (
            "{cron: 8h}",
            "reports.daily.cron: must have five fields: minute, hour, day of month, month, day of week; "
            f"{EXAMPLE}",
        ),
        (
            "{cron: 0 0 8 * * *}",
            "reports.daily.cron: must have five fields: minute, hour, day of month, month, day of week; "
            f"{EXAMPLE}",
        ),
        (
            "{cron: 0 8 * * *, timezone: Europe/Berln}",
            "reports.daily.timezone: 'Europe/Berln' is not a time zone of the IANA database; did you mean "
            "'Europe/Berlin'?",
        ),
        (
            "{cron: 0 8 * * *, channels: opz}",
            "reports.daily.channels: unknown channel 'opz'; did you mean 'ops'?",
        ),
    ],
)
def test_a_mistake_in_a_report_has_its_remedy(report: str, expected: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, CHANNELS + f"reports:\n  daily: {report}\n") == [f"5: {expected}"]


def test_an_unknown_report_names_the_nearest(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "reports: {dialy: {cron: 0 8 * * *}}\n")

    assert mistake.startswith(
        "1: reports.dialy: unknown report 'dialy'; did you mean 'daily'? known are daily; plugin ldap"
    )

"""Who is told when, and what explains what: calm, quiet hours, escalation, reminders, inhibition."""

from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path

import pytest

from config_kit import load, mistakes
from defib.config import route_keys
from defib.model.alert import AlertKind, Severity
from defib.model.ids import MonitorId
from defib.model.monitor import Family
from defib.model.route import EscalationStep, Hours, InhibitRule, QuietHours, Route, RouteMatch
from defib_alerts.kinds import classify
from report_samples import alert

BASE = (
    "timezone: Asia/Taipei\nchannels:\n  ops: {type: mail, to: [a]}\n  dev: {type: mail, to: [b]}\n"
    "monitors:\n  - {id: m, type: beat, tags: ['rack:7']}\n"
)
LINE = 7  #: on which what a test adds begins


def route(folder: Path, keys: str, more: str = "") -> Route:
    [found] = load(folder, f"{BASE}{more}routes:\n  - {{channels: ops, {keys}}}\n").routes
    return found


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("calm: 10s", Route(channels=("ops",), calm=timedelta(seconds=10))),
        ("repeat: never", Route(channels=("ops",), repeat=None)),
        ("repeat: 30m", Route(channels=("ops",), repeat=timedelta(minutes=30))),
        (
            "escalate: [{after: 30m, channels: [dev, ops]}, {after: 10m, channels: dev}]",
            Route(
                channels=("ops",),
                escalate=(
                    EscalationStep(after=timedelta(minutes=10), channels=("dev",)),
                    EscalationStep(after=timedelta(minutes=30), channels=("dev", "ops")),
                ),
            ),
        ),
        (
            'quiet_hours: {from: "22:00", to: "07:30"}',
            Route(
                channels=("ops",),
                quiet=QuietHours(hours=Hours(begins=time(22), ends=time(7, 30), timezone="Asia/Taipei")),
            ),
        ),
        (
            "quiet_hours: {from: 22:00, to: 24:00, days: [sat, Sunday], timezone: UTC, severity_below: high}",
            Route(
                channels=("ops",),
                quiet=QuietHours(
                    hours=Hours(begins=time(22), ends=time(0), days=frozenset({5, 6}), timezone="UTC"),
                    severity_below=Severity.HIGH,
                ),
            ),
        ),
        (
            'active: [{from: "8:00", to: "18:00", days: mon}, {from: "9:00", to: "10:00"}]',
            Route(
                channels=("ops",),
                active=(
                    Hours(begins=time(8), ends=time(18), days=frozenset({0}), timezone="Asia/Taipei"),
                    Hours(begins=time(9), ends=time(10), timezone="Asia/Taipei"),
                ),
            ),
        ),
    ],
)
def test_a_route_says_when_and_how_often(keys: str, expected: Route, tmp_path: Path) -> None:
    assert route(tmp_path, keys) == expected


def test_what_a_route_does_not_say_is_that_of_the_defaults(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        f"{BASE}defaults: {{calm: 5s, repeat: never, ack_timeout: 2h}}\n"
        "routes:\n  - {channels: ops, match: {severity: high}}\n  - {channels: ops, calm: 0s, repeat: 1h}\n",
    )

    first, second = settings.routes
    assert (first.calm, first.repeat) == (timedelta(seconds=5), None)
    assert (second.calm, second.repeat) == (timedelta(0), timedelta(hours=1))
    assert settings.ack_timeout == timedelta(hours=2)
    assert load(tmp_path, f"{BASE}defaults: {{ack_timeout: never}}\n").ack_timeout is None
    assert load(tmp_path, BASE).ack_timeout == timedelta(hours=1)


def test_the_route_that_is_there_without_any_follows_the_defaults_too(tmp_path: Path) -> None:
    [found] = load(tmp_path, f"{BASE}defaults: {{calm: 5s, repeat: 1h}}\n").routes

    assert found == Route(channels=("ops", "dev"), calm=timedelta(seconds=5), repeat=timedelta(hours=1))


def test_rules_say_what_explains_what(tmp_path: Path) -> None:
    text = "inhibit:\n  - {source: {monitors: m}, target: {severity: [low, high]}, equal: [rack, group]}\n"

    assert load(tmp_path, BASE + text).inhibit == (
        InhibitRule(
            source=RouteMatch(monitors=frozenset({MonitorId("m")})),
            target=RouteMatch(severity=frozenset({Severity.LOW, Severity.HIGH})),
            equal=("rack", "group"),
        ),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("routes: [{channels: ops, calm: soon}]",
         "routes[0].calm: 'soon' is not a duration; write a number with its unit, such as 250ms, 15s, 5m, 2h or 7d"),
        ("routes: [{channels: ops, repeat: 0s}]",
         "routes[0].repeat: must be longer than nothing; write for example 10s"),
        ("routes: [{channels: ops, escalate: [{channels: dev}]}]",
         "routes[0].escalate[0].after: is missing; since people were first told"),
        ("routes: [{channels: ops, escalate: [{after: 1m, channels: dve}]}]",
         "routes[0].escalate[0].channels: unknown channel 'dve'; did you mean 'dev'?"),
        ('routes: [{channels: ops, quiet_hours: {from: "25:00", to: "7:00"}}]',
         "routes[0].quiet_hours.from: '25:00' is no time of the day; write for example \"22:00\""),
        ('routes: [{channels: ops, quiet_hours: {from: "22:00"}}]',
         "routes[0].quiet_hours.to: is missing; when it ends: on the next day, unless that is later than it begins"),
        ('routes: [{channels: ops, active: [{from: "8:00", to: "9:00", days: [mo]}]}]',
         "routes[0].active[0].days: 'mo' is no day of the week; write any of mon, tue, wed, thu, fri, sat, sun"),
        ("routes: [{channels: ops, escalate: [{after: 1m, channels: []}]}]",
         "routes[0].escalate[0].channels: calls nobody; name a channel, or remove the step"),
        ("inhibit: [{source: {}, target: {severity: low}}]",
         "inhibit[0].source: takes every alert; name what explains the other, such as {tags: switch} or "
         "{monitors: [router]}"),
        ("inhibit: {}", "inhibit: must be a list; write each rule as '- {source: {…}, target: {…}, equal: […]}'"),
        ("inhibit: [{source: {}}]", "inhibit[0].target: is missing; what waits"),
        ("inhibit: [{source: {monitors: mm}, target: {}}]",
         "inhibit[0].source.monitors: unknown monitor 'mm'; did you mean 'm'?"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place_and_remedy(text: str, expected: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, f"{BASE}{text}\n") == [f"{LINE}: {expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("routes: [{channels: ops, match: {kind: [agent_dwn, database_down]}}]",
         "routes[0].match.kind[0]: no alert is of the kind 'agent_dwn'; did you mean 'agent_down'?"),
        ("inhibit: [{source: {kind: zzzz}, target: {severity: low}}]",
         "inhibit[0].source.kind: no alert is of the kind 'zzzz'; there are for example agent_down, job_missed and "
         "observer_sick"),
        ("inhibit: [{source: {severity: high}, target: {severity: low}, equal: [rak, host]}]",
         "inhibit[0].equal[0]: no tag is 'rak' or begins with 'rak:', so all are alike in it; did you mean 'rack'?"),
    ],
)  # fmt: skip
def test_what_fits_nothing_is_doubtful(text: str, expected: str, tmp_path: Path) -> None:
    [warning] = load(tmp_path, f"{BASE}{text}\n").warnings
    assert warning.endswith(f"{LINE}: {expected}")


def test_the_kinds_that_a_route_may_name_are_those_of_the_texts() -> None:
    facts = alert().facts
    told = {
        classify(replace(facts, event=event, family=family, cause=cause))[0]
        for event in AlertKind
        for family in Family
        for cause in ("refused", "slow")
    }
    assert told == route_keys.ALERT_KINDS

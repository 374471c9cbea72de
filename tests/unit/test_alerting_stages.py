"""Each stage of alerting: what it decides, and the reason that people read."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from defib.model.alert import AlertKind, Hold, Purpose, Ruling, Severity, Stage, Verdict
from defib.model.ids import IncidentId, MonitorId, WindowId
from defib.model.route import Hours, InhibitRule, QuietHours, Route, RouteMatch
from defib.model.window import Matcher, Window, WindowKind
from defib.rules.alerting import Firing, Notice, Scene, decide, loudness
from defib.rules.alerting.deduplicate import deduplicate
from defib.rules.alerting.hours import newest_end, next_end, span_at
from defib.rules.alerting.inhibit import inhibit
from defib.rules.alerting.mute import mute, quieten
from defib.rules.alerting.route import channels_of, routes_for
from defib.rules.alerting.silence import silence

T = datetime(2026, 11, 20, 23, tzinfo=UTC)  # a Friday
MIN = timedelta(minutes=1)
PASSED, HELD, DROPPED = Ruling.PASSED, Ruling.HELD, Ruling.DROPPED

DOWN = Notice(
    event=AlertKind.DOWN, kind="agent_down", severity=Severity.HIGH, monitor=MonitorId("web"),
    tags=frozenset({"shop", "rack:7"}), incident=IncidentId("inc-web"), story=IncidentId("inc-root"), cause="refused",
    host="h1", group="front", family="agent",
)  # fmt: skip
NOW = Scene(now=T)


def about(event: AlertKind, **fields: object) -> Notice:
    return replace(DOWN, event=event, **fields)  # type: ignore[arg-type]


def firing(since: timedelta = -MIN, **fields: object) -> Firing:
    other = {"monitor": MonitorId("db"), "incident": IncidentId("inc-db"), "story": IncidentId("inc-db")}
    return Firing(notice=replace(DOWN, **(other | fields)), since=T + since)  # type: ignore[arg-type]


def window(
    kind: WindowKind = WindowKind.SILENCE, until: datetime | None = T + MIN, **matcher: object
) -> Window:
    fields = {name: frozenset(values) for name, values in matcher.items()}  # type: ignore[call-overload]
    return Window(
        id=WindowId(f"{kind}-1"), kind=kind, matcher=Matcher(**fields), starts_at=T - MIN, ends_at=until,
        reason="deploy", made_by="ana", made_at=T - MIN,
    )  # fmt: skip


# --- inhibit -------------------------------------------------------------------------------------------

RACK = InhibitRule(
    source=RouteMatch(kind=frozenset({"host_down"})), equal=("rack",),
    target=RouteMatch(severity=frozenset({Severity.HIGH})),
)  # fmt: skip
SAME = InhibitRule(source=RouteMatch(tags=frozenset({"shop"})), target=RouteMatch(tags=frozenset({"shop"})))


@pytest.mark.parametrize(
    ("notice", "scene", "rules", "ruling", "reason"),
    [
        (DOWN, NOW, (), PASSED, "nothing else explains it"),
        (DOWN, replace(NOW, observer="the uplink is down"), (), HELD,
         "Defib cannot see it clearly: the uplink is down"),
        (DOWN, replace(NOW, behind=(MonitorId("host"), MonitorId("db"))), (), HELD,
         "it needs db, host, which is at fault"),
        (DOWN, replace(NOW, settling={MonitorId("host"): T + MIN}), (), HELD,
         "host has just come back, and it gets time to follow"),
        (about(AlertKind.DEGRADED), replace(NOW, firing=(firing(monitor=MonitorId("web")),)), (), HELD,
         "it is at fault, which says more"),
        (DOWN, replace(NOW, firing=(firing(monitor=MonitorId("web")),)), (), PASSED, "nothing else explains it"),
        (about(AlertKind.DOWN, cause="tls-handshake"), replace(NOW, firing=(firing(cause="tls-expired"),)), (), HELD,
         "the certificate of h1 has expired, as db says"),
        (about(AlertKind.DOWN, cause="tls-expired"), replace(NOW, firing=(firing(cause="tls-expired"),)), (), HELD,
         "the certificate of h1 has expired, as db says"),
        (about(AlertKind.DOWN, cause="tls-expired"),
         replace(NOW, firing=(firing(cause="tls-expired", since=MIN),)), (), PASSED, "nothing else explains it"),
        (about(AlertKind.DOWN, cause="tls-expired"),
         replace(NOW, firing=(firing(cause="tls-expired", host="h2"),)), (), PASSED, "nothing else explains it"),
        (DOWN, replace(NOW, firing=(firing(kind="host_down"),)), (RACK,), HELD,
         "db (host_down) with the same rack inhibits it by a rule"),
        (DOWN, replace(NOW, firing=(firing(kind="host_down", tags=frozenset({"rack:8"})),)), (RACK,), PASSED,
         "nothing else explains it"),
        (DOWN, replace(NOW, firing=(firing(),)), (RACK,), PASSED, "nothing else explains it"),
        (about(AlertKind.DOWN, severity=Severity.SEVERE), replace(NOW, firing=(firing(kind="host_down"),)), (RACK,),
         PASSED, "nothing else explains it"),
        (DOWN, replace(NOW, firing=(firing(monitor=MonitorId("web")),)), (SAME,), PASSED, "nothing else explains it"),
        (DOWN, replace(NOW, firing=(firing(),)), (SAME,), HELD, "db (agent_down) inhibits it by a rule"),
        (DOWN, replace(NOW, firing=(firing(since=MIN),)), (SAME,), PASSED, "nothing else explains it"),
        (DOWN, replace(NOW, firing=(replace(firing(), until=T + MIN),)), (SAME,), HELD,
         "db (agent_down) inhibits it by a rule; that is over, and it gets time to follow"),
    ],
)  # fmt: skip
def test_what_something_else_explains_waits(
    notice: Notice, scene: Scene, rules: tuple[InhibitRule, ...], ruling: Ruling, reason: str
) -> None:
    verdict = inhibit(notice, scene, rules)

    assert (verdict.stage, verdict.ruling, verdict.reason) == (Stage.INHIBIT, ruling, reason)


def test_what_neither_has_is_in_common_and_what_one_has_is_not() -> None:
    rule = replace(RACK, equal=("rack", "zone"))
    plain = replace(DOWN, tags=frozenset())

    def ruling(notice: Notice, source: Firing) -> Ruling:
        return inhibit(notice, replace(NOW, firing=(source,)), (rule,)).ruling

    assert ruling(DOWN, firing(kind="host_down")) is HELD
    assert ruling(plain, firing(kind="host_down", tags=frozenset())) is HELD
    assert ruling(plain, firing(kind="host_down")) is PASSED


# --- silence and maintenance ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "ruling", "until"),
    [
        ((), PASSED, None),
        ((window(monitors=["web"]),), HELD, T + MIN),
        ((window(monitors=["db"]),), PASSED, None),
        ((window(tags=["shop", "other"]),), HELD, T + MIN),
        ((window(severity=[Severity.SEVERE]),), PASSED, None),
        ((window(severity=[Severity.HIGH]),), HELD, T + MIN),
        ((window(incidents=["inc-web"]),), HELD, T + MIN),
        ((window(incidents=["inc-root"]),), HELD, T + MIN),  # all that fell together is told as one story
        ((window(incidents=["inc-other"]),), PASSED, None),
        ((window(),), HELD, T + MIN),
        ((window(monitors=["web"]), window(until=T + 9 * MIN, tags=["shop"])), HELD, T + 9 * MIN),
        ((window(WindowKind.MAINTENANCE, monitors=["web"]),), PASSED, None),
    ],
)
def test_what_somebody_has_silenced_waits(
    found: tuple[Window, ...], ruling: Ruling, until: datetime | None
) -> None:
    verdict = silence(DOWN, replace(NOW, windows=found))

    assert (verdict.ruling, verdict.until) == (ruling, until)
    assert verdict.reason == ("silenced “deploy” by ana" if ruling is HELD else "nobody has silenced it")


@pytest.mark.parametrize(
    ("kind", "by", "reason"),
    [
        (WindowKind.MAINTENANCE, Hold.MAINTENANCE, "maintenance “deploy” by ana"),
        (WindowKind.PAUSE, Hold.PAUSE, "pause “deploy” by ana"),
        (WindowKind.SILENCE, None, "no maintenance"),
    ],
)
def test_maintenance_and_pauses_hold_everything(kind: WindowKind, by: Hold | None, reason: str) -> None:
    verdict = mute(DOWN, replace(NOW, windows=(window(kind, monitors=["web"]),)))

    assert (verdict.by, verdict.reason) == (by, reason)


# --- hours ---------------------------------------------------------------------------------------------

NIGHT = Hours(begins=time(22), ends=time(7))


@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        (NIGHT, "2026-11-20T21:59:59", None),
        (NIGHT, "2026-11-20T22:00:00", ("2026-11-20T22:00", "2026-11-21T07:00")),
        (NIGHT, "2026-11-21T06:59:59", ("2026-11-20T22:00", "2026-11-21T07:00")),
        (NIGHT, "2026-11-21T07:00:00", None),
        (Hours(begins=time(9), ends=time(17)), "2026-11-20T12:00", ("2026-11-20T09:00", "2026-11-20T17:00")),
        (Hours(begins=time(0), ends=time(0)), "2026-11-20T12:00", ("2026-11-20T00:00", "2026-11-21T00:00")),
        (replace(NIGHT, days=frozenset({4})), "2026-11-21T03:00", ("2026-11-20T22:00", "2026-11-21T07:00")),
        (replace(NIGHT, days=frozenset({4})), "2026-11-21T23:00", None),
        (
            replace(NIGHT, timezone="Asia/Taipei"),
            "2026-11-20T15:00",
            ("2026-11-20T14:00", "2026-11-20T23:00"),
        ),
        # the clocks are put back in this night, and forward in the next: nine hours become ten, and eight
        (
            replace(NIGHT, timezone="Europe/Berlin"),
            "2026-10-25T00:00",
            ("2026-10-24T20:00", "2026-10-25T06:00"),
        ),
        (
            replace(NIGHT, timezone="Europe/Berlin"),
            "2026-03-29T00:00",
            ("2026-03-28T21:00", "2026-03-29T05:00"),
        ),
    ],
)
def test_hours_go_by_the_clock_on_the_wall(hours: Hours, now: str, expected: tuple[str, str] | None) -> None:
    found = span_at(hours, _utc(now))

    assert found == (None if expected is None else (_utc(expected[0]), _utc(expected[1])))


def test_the_ends_of_hours_are_found_before_and_after() -> None:
    friday = replace(NIGHT, days=frozenset({4}))

    assert newest_end(NIGHT, _utc("2026-11-20T23:00")) == _utc("2026-11-20T07:00")
    assert newest_end(NIGHT, _utc("2026-11-20T07:00")) == _utc("2026-11-20T07:00")
    assert newest_end(friday, _utc("2026-11-20T23:00")) == _utc("2026-11-14T07:00")
    assert next_end(NIGHT, _utc("2026-11-20T23:00")) == _utc("2026-11-21T07:00")
    assert next_end(friday, _utc("2026-11-21T07:00")) == _utc("2026-11-28T07:00")


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


QUIET = QuietHours(hours=NIGHT)


@pytest.mark.parametrize(
    ("notice", "route", "reason"),
    [
        (DOWN, Route(channels=("a",)), None),
        (DOWN, Route(channels=("a",), quiet=QUIET), "quiet hours of route 1 for what is below severe"),
        (about(AlertKind.DOWN, severity=Severity.SEVERE), Route(channels=("a",), quiet=QUIET), None),
        (DOWN, Route(channels=("a",), quiet=replace(QUIET, severity_below=Severity.HIGH)), None),
        (about(AlertKind.ACKNOWLEDGED), Route(channels=("a",), quiet=QUIET), None),
        (about(AlertKind.REMINDER), Route(channels=("a",), quiet=QUIET),
         "quiet hours of route 1 for what is below severe"),
        (DOWN, Route(channels=("a",), quiet=QuietHours(hours=Hours(begins=time(1), ends=time(2)))), None),
        (DOWN, Route(channels=("a",), calm=11 * timedelta(seconds=1)), "route 1 carries what lasts 11 s"),
        (DOWN, Route(channels=("a",), calm=10 * timedelta(seconds=1)), None),
        (about(AlertKind.RECOVERY_FAILED), Route(channels=("a",), calm=11 * MIN), None),
    ],
)  # fmt: skip
def test_a_route_is_quiet_in_its_hours_and_until_it_has_lasted(
    notice: Notice, route: Route, reason: str | None
) -> None:
    began = T - timedelta(seconds=10)

    loud, held = quieten(notice, replace(NOW, began=began), [(1, route)])

    assert [verdict.reason for verdict in held] == ([] if reason is None else [reason])
    assert bool(loud) is (reason is None)


# --- deduplicate ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "scene", "ruling", "reason"),
    [
        (AlertKind.DOWN, NOW, PASSED, "it is news"),
        (AlertKind.DOWN, replace(NOW, told=("a",)), DROPPED, "people know already, through a"),
        (AlertKind.DOWN, replace(NOW, told=("a",), is_owed=True), PASSED, "it is news"),
        (AlertKind.RECOVERY_FAILED, replace(NOW, told=("a",)), PASSED, "it is news"),
        (AlertKind.RECOVERED, replace(NOW, told=("a", "b")), PASSED, "the end of what was told through a, b"),
        (AlertKind.RECOVERED, NOW, DROPPED, "nobody was told of what it follows"),
        (AlertKind.REMINDER, NOW, DROPPED, "nobody was told of what it follows"),
        (AlertKind.DOWN, replace(NOW, is_flapping=True), DROPPED,
         "it goes up and down: single falls and returns are not told, only what becomes of it"),
        (AlertKind.FLAPPING, replace(NOW, is_flapping=True), PASSED, "it is news"),
    ],
)  # fmt: skip
def test_people_hear_of_a_thing_once_and_of_the_end_of_what_they_heard_of(
    event: AlertKind, scene: Scene, ruling: Ruling, reason: str
) -> None:
    verdict = deduplicate(about(event), scene)

    assert (verdict.ruling, verdict.reason) == (ruling, reason)


# --- route ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notice", "expected"),
    [
        (DOWN, ("mail",)),
        (about(AlertKind.DOWN, severity=Severity.SEVERE), ("phone",)),
        (about(AlertKind.DOWN, tags=frozenset({"agents", "prod"})), ("chat",)),
        (about(AlertKind.DOWN, monitor=MonitorId("db")), ("chat", "mail")),
    ],
)
def test_the_first_route_that_matches_wins_unless_it_says_to_continue(
    notice: Notice, expected: tuple[str, ...]
) -> None:
    routes = (
        Route(match=RouteMatch(severity=frozenset({Severity.SEVERE})), channels=("phone",)),
        Route(match=RouteMatch(tags=frozenset({"agents"})), channels=("chat",)),
        Route(
            match=RouteMatch(monitors=frozenset({MonitorId("db")})), channels=("chat", "mail"), resume=True
        ),
        Route(channels=("mail",)),
    )

    assert channels_of(routes_for(notice, routes, T)) == expected


def test_a_route_takes_nothing_outside_of_its_active_hours() -> None:
    day = Route(channels=("desk",), active=(Hours(begins=time(8), ends=time(18)),))
    routes = (day, Route(channels=("phone",)))

    assert channels_of(routes_for(DOWN, routes, T)) == ("phone",)
    assert channels_of(routes_for(DOWN, routes, T - 12 * 60 * MIN)) == ("desk",)


# --- all of them ---------------------------------------------------------------------------------------

BOTH = (Route(channels=("chat",), resume=True), Route(channels=("mail",), quiet=QUIET))
SILENCED = replace(NOW, windows=(window(monitors=["web"]),))
KNOWN = ("chat", "phone")


def _last(verdicts: tuple[Verdict, ...]) -> tuple[Stage, Ruling]:
    return verdicts[-1].stage, verdicts[-1].ruling


@pytest.mark.parametrize(
    ("notice", "scene", "channels", "told", "purpose", "last"),
    [
        (DOWN, NOW, None, ("chat",), Purpose.ROUTE, (Stage.ROUTE, PASSED)),
        (DOWN, SILENCED, None, (), Purpose.ROUTE, (Stage.SILENCE, HELD)),
        (about(AlertKind.RECOVERED), replace(SILENCED, told=KNOWN), None, KNOWN, Purpose.RESOLUTION,
         (Stage.ROUTE, PASSED)),
        (about(AlertKind.RECOVERED), NOW, None, (), Purpose.ROUTE, (Stage.DEDUPLICATE, DROPPED)),
        (about(AlertKind.SETTLED, is_well=True), replace(NOW, told=("mail",)), None, ("mail",), Purpose.RESOLUTION,
         (Stage.ROUTE, PASSED)),
        (about(AlertKind.SETTLED), replace(NOW, told=("mail",)), None, ("chat",), Purpose.ROUTE, (Stage.ROUTE, PASSED)),
        (about(AlertKind.ACKNOWLEDGED), replace(SILENCED, told=KNOWN), None, KNOWN, Purpose.ROUTE,
         (Stage.ROUTE, PASSED)),
        (about(AlertKind.ESCALATED), replace(NOW, told=KNOWN), ("boss",), ("boss",), Purpose.ESCALATION,
         (Stage.ESCALATE, PASSED)),
        (about(AlertKind.ESCALATED), replace(SILENCED, told=KNOWN), ("boss",), (), Purpose.ROUTE,
         (Stage.SILENCE, HELD)),
        (about(AlertKind.REMINDER), replace(NOW, told=KNOWN), ("chat", "mail"), ("chat",), Purpose.REMINDER,
         (Stage.ESCALATE, PASSED)),
        (about(AlertKind.TEST), SILENCED, ("mail",), ("mail",), Purpose.ROUTE, (Stage.ROUTE, PASSED)),
        (about(AlertKind.OBSERVER_SICK), replace(SILENCED, observer="the uplink is down"), None, ("chat", "mail"),
         Purpose.ROUTE, (Stage.ROUTE, PASSED)),
        (DOWN, replace(NOW, is_owed=True, told=("chat",), only=frozenset({"mail"})), None, (), Purpose.ROUTE,
         (Stage.MUTE, HELD)),
        (DOWN, replace(NOW, now=T + 9 * 60 * MIN, is_owed=True, told=("chat",), only=frozenset({"mail"})), None,
         ("mail",), Purpose.ROUTE, (Stage.ROUTE, PASSED)),
    ],
)  # fmt: skip
def test_the_stages_one_after_another(
    notice: Notice, scene: Scene, channels: tuple[str, ...] | None, told: tuple[str, ...], purpose: Purpose,
    last: tuple[Stage, Ruling],
) -> None:  # fmt: skip
    outcome = decide(notice, scene, BOTH, (), channels)

    assert (outcome.channels, outcome.purpose, _last(outcome.verdicts)) == (told, purpose, last)
    assert all(verdict.reason for verdict in outcome.verdicts)


def test_a_route_that_is_quiet_has_a_verdict_of_its_own_beside_the_one_that_is_not() -> None:
    verdicts = decide(DOWN, NOW, BOTH).verdicts

    assert [(v.stage, v.ruling, v.reason) for v in verdicts] == [
        (Stage.INHIBIT, PASSED, "nothing else explains it"),
        (Stage.SILENCE, PASSED, "nobody has silenced it"),
        (Stage.MUTE, PASSED, "no maintenance"),
        (Stage.DEDUPLICATE, PASSED, "it is news"),
        (Stage.MUTE, HELD, "quiet hours of route 2 for what is below severe"),
        (Stage.ROUTE, PASSED, "route 1: chat"),
    ]
    assert (verdicts[4].channels, verdicts[4].until) == (("mail",), _utc("2026-11-21T07:00"))


def test_no_route_tells_nobody_and_says_so() -> None:
    assert decide(DOWN, NOW, ()).verdicts[-1].reason == "no route takes it"
    assert decide(DOWN, NOW, (Route(),)).verdicts[-1].reason == "its routes name no channel"


# --- loudness ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "severity", "is_recovering", "expected"),
    [
        (AlertKind.DOWN, Severity.HIGH, False, False),
        (AlertKind.DOWN, Severity.SEVERE, True, True),
        (AlertKind.RELAPSED, Severity.LOW, True, True),
        (AlertKind.RECOVERY_LATE, Severity.SEVERE, True, False),
        (AlertKind.RECOVERY_FAILED, Severity.SEVERE, False, False),
        (AlertKind.DEGRADED, Severity.LOW, False, True),
        (AlertKind.FLAPPING, Severity.HIGH, True, False),
        (AlertKind.ESCALATED, Severity.HIGH, True, False),
        (AlertKind.ACKNOWLEDGED, Severity.INFO, False, True),
        (AlertKind.RECOVERED, Severity.INFO, False, True),
    ],
)
def test_nobody_is_woken_while_defib_repairs_it_nor_by_good_news(
    event: AlertKind, severity: Severity, is_recovering: bool, expected: bool
) -> None:
    assert loudness.is_quiet(about(event, severity=severity), is_recovering=is_recovering) is expected

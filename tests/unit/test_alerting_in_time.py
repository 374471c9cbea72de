"""What follows from stored alerts as time passes: what is owed, who is called next, who is reminded."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from defib.model.alert import Alert, AlertFacts, AlertKind, Held, Hold, Ruling, Severity, Stage, Verdict
from defib.model.health import Incident
from defib.model.ids import AlertId, IncidentId, MonitorId
from defib.model.route import EscalationStep, Route
from defib.rules.alerting import Call, Policy, attention, next_call, owed, policy_of, reminder_due
from defib.rules.alerting.escalate import Attention

T = datetime(2026, 11, 20, 2, tzinfo=UTC)
MIN = timedelta(minutes=1)
HOUR = timedelta(hours=1)
PASSED = Verdict(stage=Stage.ROUTE, ruling=Ruling.PASSED, reason="route 1: chat", channels=("chat",))
SILENCED = Verdict(
    stage=Stage.SILENCE, ruling=Ruling.HELD, reason="silenced", by=Hold.SILENCE, name="deploy", until=T + HOUR
)
QUIET = Verdict(
    stage=Stage.MUTE,
    ruling=Ruling.HELD,
    reason="quiet",
    by=Hold.QUIET_HOURS,
    until=T + 5 * HOUR,
    channels=("mail",),
)
CALM = replace(QUIET, by=Hold.CALM)
DROPPED = Verdict(stage=Stage.DEDUPLICATE, ruling=Ruling.DROPPED, reason="known")


def alert(
    event: AlertKind, *verdicts: Verdict, at: timedelta = timedelta(0), severity: Severity = Severity.HIGH,
    incident: str = "inc", step: int = 0,
) -> Alert:  # fmt: skip
    facts = AlertFacts(
        event=event, monitor=MonitorId("web"), monitor_name="Web", monitor_kind="http", family="agent", target="",
        at=T + at, since=T, cause="refused", summary="", step=step,
    )  # fmt: skip
    return Alert(
        id=AlertId(f"{event}@{at}"), kind=str(event), severity=severity, title="", description="", evidence=(),
        recommendations=(), at=T + at, monitor=MonitorId("web"), incident=IncidentId(incident), facts=facts,
        verdicts=verdicts,
    )  # fmt: skip


DOWN, FAILED = AlertKind.DOWN, AlertKind.RECOVERY_FAILED


# --- what is owed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alerts", "told", "event", "only"),
    [
        ([], (), None, None),
        ([alert(DOWN, PASSED)], ("chat",), None, None),
        ([alert(DOWN, DROPPED)], (), None, None),
        ([alert(DOWN, SILENCED)], (), DOWN, None),
        ([alert(DOWN, SILENCED), alert(DOWN, PASSED, at=HOUR)], ("chat",), None, None),
        ([alert(DOWN, QUIET, PASSED)], ("chat",), DOWN, {"mail"}),
        ([alert(DOWN, QUIET, PASSED)], ("chat", "mail"), None, None),
        ([alert(DOWN, QUIET)], (), DOWN, {"mail"}),
        ([alert(DOWN, SILENCED), alert(FAILED, SILENCED, at=MIN, severity=Severity.SEVERE)], (), FAILED, None),
        ([alert(DOWN, PASSED), alert(FAILED, SILENCED, at=MIN, severity=Severity.SEVERE)], ("chat",), FAILED, None),
        ([alert(DOWN, SILENCED), alert(AlertKind.RELAPSED, SILENCED, severity=Severity.LOW)], (), DOWN, None),
        ([alert(DOWN, PASSED), alert(AlertKind.REMINDER, SILENCED, at=HOUR)], ("chat",), None, None),
    ],
)  # fmt: skip
def test_what_was_held_back_is_owed_to_whoever_did_not_hear_of_it(
    alerts: list[Alert], told: tuple[str, ...], event: AlertKind | None, only: set[str] | None
) -> None:
    found = owed(alerts, told)

    assert (found.alert.facts.event if found else None) is event
    assert (found.only if found else None) == (None if only is None else frozenset(only))


def test_people_are_told_what_held_it_back_and_until_when_it_really_did() -> None:
    silenced, quiet = owed([alert(DOWN, SILENCED)], ()), owed([alert(DOWN, CALM)], ())
    assert silenced is not None
    assert quiet is not None

    assert silenced.held(T + 2 * HOUR) == Held(by=Hold.SILENCE, name="deploy", until=T + HOUR)
    assert silenced.held(T + MIN) == Held(by=Hold.SILENCE, name="deploy", until=T + MIN)
    assert silenced.needs_a_look
    assert quiet.held(T + 9 * HOUR) is None
    assert not quiet.needs_a_look


# --- escalation ----------------------------------------------------------------------------------------

POLICY = Policy(
    first=("chat",),
    steps=(
        EscalationStep(after=10 * MIN, channels=("phone",)),
        EscalationStep(after=30 * MIN, channels=("boss",)),
    ),
    repeat=4 * HOUR,
)


def calls(policy: Policy) -> list[tuple[int, int, str]]:
    """Minute, level and channels of each call, as they come."""
    state, found = Attention(began=T, last_told=T), []
    while (call := next_call(policy, state, T)) is not None:
        found.append(((call.due_at - T) // MIN, call.level, " ".join(call.channels)))
        state = replace(state, step=call.step)
    return found


def test_the_levels_are_called_one_after_another_and_all_of_it_is_repeated_three_times() -> None:
    assert calls(POLICY) == [
        (10, 2, "phone"), (30, 3, "boss"),
        (50, 1, "chat"), (60, 2, "phone"), (80, 3, "boss"),
        (100, 1, "chat"), (110, 2, "phone"), (130, 3, "boss"),
        (150, 1, "chat"), (160, 2, "phone"), (180, 3, "boss"),
    ]  # fmt: skip
    assert calls(replace(POLICY, steps=POLICY.steps[:1])) == [
        (10, 2, "phone"), (20, 1, "chat"), (30, 2, "phone"), (40, 1, "chat"), (50, 2, "phone"), (60, 1, "chat"),
        (70, 2, "phone"),
    ]  # fmt: skip
    assert calls(replace(POLICY, steps=())) == []


def test_calls_that_were_missed_are_made_as_one() -> None:
    state = Attention(began=T, last_told=T)

    assert next_call(POLICY, state, T + 35 * MIN) == Call(
        due_at=T + 30 * MIN, level=3, step=3, channels=("phone", "boss")
    )


def test_the_policies_of_several_routes_are_one() -> None:
    ten, soon = EscalationStep(after=10 * MIN, channels=("a",)), EscalationStep(after=MIN, channels=("b",))
    routes = (
        Route(channels=("chat",), escalate=(ten,), repeat=None),
        Route(channels=("mail", "chat"), escalate=(soon, replace(ten, channels=("c",))), repeat=HOUR),
    )

    assert policy_of(routes) == Policy(
        first=("chat", "mail"), repeat=HOUR,
        steps=(soon, EscalationStep(after=10 * MIN, channels=("a", "c"))),
    )  # fmt: skip
    assert policy_of(()) == Policy()


# --- attention -----------------------------------------------------------------------------------------


def incident(
    name: str = "inc", *, opened: timedelta = timedelta(0), acked: timedelta | None = None
) -> Incident:
    return Incident(
        id=IncidentId(name), monitor=MonitorId("web"), opened_at=T + opened, fault_lo=T, fault_hi=T, cause="refused",
        grade="strong", summary="", acked_at=None if acked is None else T + acked,
    )  # fmt: skip


TOLD = alert(DOWN, PASSED)
LATER = alert(DOWN, PASSED, at=20 * MIN, incident="other")
CALLED = alert(AlertKind.ESCALATED, PASSED, at=10 * MIN, step=2)
ACKED = alert(AlertKind.ACKNOWLEDGED, PASSED, at=12 * MIN)


@pytest.mark.parametrize(
    ("incidents", "alerts", "minutes", "expected"),
    [
        ([incident()], [], 1, None),
        ([incident()], [alert(DOWN, SILENCED)], 1, None),
        ([incident()], [TOLD], 1, Attention(began=T, last_told=T)),
        ([incident()], [TOLD, CALLED], 11, Attention(began=T, last_told=T + 10 * MIN, step=2)),
        ([incident(acked=12 * MIN)], [TOLD, CALLED, ACKED], 20,
         Attention(began=T, last_told=T + 10 * MIN, acked_until=T + 72 * MIN)),
        ([incident(acked=12 * MIN)], [TOLD, CALLED, ACKED], 73,
         Attention(began=T + 72 * MIN, last_told=T + 10 * MIN, lapsed_at=T + 72 * MIN)),
        # what fell after somebody took on the rest is not taken on
        ([incident(acked=12 * MIN), incident("other", opened=20 * MIN)], [TOLD, ACKED, LATER], 21,
         Attention(began=T + 20 * MIN, last_told=T + 20 * MIN)),
        ([incident(), incident("other", opened=20 * MIN)], [TOLD, LATER], 21,
         Attention(began=T, last_told=T + 20 * MIN)),
    ],
)  # fmt: skip
def test_whether_anybody_sees_to_it_follows_from_what_is_stored(
    incidents: Sequence[Incident], alerts: Sequence[Alert], minutes: int, expected: Attention | None
) -> None:
    assert attention(incidents, alerts, HOUR, T + minutes * MIN) == expected


def test_an_acknowledgement_without_an_end_has_none() -> None:
    state = attention([incident(acked=MIN)], [TOLD], None, T + 999 * HOUR)

    assert state is not None
    assert next_call(POLICY, state, T + 999 * HOUR) is None
    assert reminder_due(POLICY, state) is None


@pytest.mark.parametrize(
    ("state", "policy", "expected"),
    [
        (Attention(began=T, last_told=T + MIN), POLICY, T + 4 * HOUR + MIN),
        (Attention(began=T, last_told=T + MIN), replace(POLICY, repeat=None), None),
        (Attention(began=T, last_told=T, acked_until=T + HOUR), POLICY, None),
        (Attention(began=T + HOUR, last_told=T, lapsed_at=T + HOUR), replace(POLICY, repeat=None), T + HOUR),
        (Attention(began=T + HOUR, last_told=T + HOUR, lapsed_at=T + HOUR), POLICY, T + 5 * HOUR),
    ],
)
def test_who_knows_is_reminded_and_told_again_when_an_acknowledgement_has_run_out(
    state: Attention, policy: Policy, expected: datetime | None
) -> None:
    assert reminder_due(policy, state) == expected

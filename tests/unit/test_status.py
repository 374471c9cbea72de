"""The state rule: detectors propose, requirements dispose, bounds are honest."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import Health, State
from defib.model.ids import IncidentId, MonitorId
from defib.ports import Judgement
from defib.rules.status import PARENT_RECHECK, Decision, Parents, call_back, fold, look_on, note, set_aside

T = datetime(2026, 11, 20, 12, tzinfo=UTC)
MAIN, DB = MonitorId("main"), MonitorId("db")


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def saw(evidence: Evidence, at: float) -> Observation:
    return Observation(
        monitor=MAIN,
        source=Source.PROBE,
        evidence=evidence,
        started_at=T + seconds(at),
        ended_at=T + seconds(at + 0.1),
    )


OK = Evidence.ok("fine")
BAD = Evidence.fail("refused", "connection refused")


NOBODY = Parents()


def judged(
    health: Health, evidence: Evidence, at: float, state: State, parents: Parents = NOBODY, fails: int = 0
) -> Decision:
    judgement = Judgement(state=state, reason="because", memory={"fails": fails})
    return fold(health, saw(evidence, at), judgement, parents, T + seconds(at + 0.1))


def up() -> Health:
    return judged(Health(monitor=MAIN, since=T), OK, 0, State.UP).health


def test_a_first_good_look_makes_a_new_monitor_up() -> None:
    decision = judged(Health(monitor=MAIN, since=T), OK, 0, State.UP)
    assert decision.health.state is State.UP
    assert decision.health.was_up
    assert decision.must_commit


def test_more_of_the_same_is_not_worth_a_commit() -> None:
    decision = judged(up(), OK, 30, State.UP)
    assert decision.transition is None
    assert not decision.must_commit
    assert decision.health.last_ok_at == T + seconds(30.1)


def test_a_counter_that_moves_is_committed_so_that_it_survives_a_restart() -> None:
    first = judged(up(), BAD, 30, State.SUSPECT, fails=1)
    second = judged(first.health, BAD, 31, State.SUSPECT, fails=2)
    assert second.transition is None
    assert second.must_commit


def test_a_fault_began_after_the_last_good_look_and_before_the_first_bad_one() -> None:
    first = judged(up(), BAD, 30, State.SUSPECT, fails=1)
    fault = judged(first.health, BAD, 33, State.FAULT, fails=3)
    assert fault.opens_incident
    assert fault.transition is not None
    assert (fault.transition.t_lo, fault.transition.t_hi) == (T + seconds(0.1), T + seconds(30))
    assert fault.health.since == T + seconds(30)


def test_a_recovery_happened_between_the_last_bad_and_the_first_good_look() -> None:
    fault = judged(judged(up(), BAD, 30, State.SUSPECT).health, BAD, 33, State.FAULT)
    well = judged(fault.health, OK, 60, State.UP)
    assert well.closes_incident
    assert well.transition is not None
    assert (well.transition.t_lo, well.transition.t_hi) == (T + seconds(33), T + seconds(60.1))


def test_a_fault_under_a_bad_parent_is_unreachable_and_opens_nothing() -> None:
    decision = judged(up(), BAD, 30, State.FAULT, Parents(bad=(DB,)))
    assert decision.health.state is State.UNREACHABLE
    assert not decision.opens_incident
    assert "db" in decision.health.reason


def test_a_fault_waits_for_the_verdict_on_a_suspect_parent() -> None:
    decision = judged(up(), BAD, 30, State.FAULT, Parents(suspect=(DB,)))
    assert decision.health.state is State.SUSPECT
    assert decision.look_again_in == PARENT_RECHECK


def test_an_unreachable_monitor_becomes_a_fault_when_its_parent_is_well_again() -> None:
    unreachable = judged(up(), BAD, 30, State.FAULT, Parents(bad=(DB,))).health
    assert judged(unreachable, BAD, 40, State.FAULT).opens_incident


def test_a_declared_fault_stays_one_when_its_parent_falls_too() -> None:
    fault = judged(up(), BAD, 30, State.FAULT).health
    assert judged(fault, BAD, 40, State.FAULT, Parents(bad=(DB,))).health.state is State.FAULT


def test_inconclusive_evidence_is_shown_and_changes_no_state() -> None:
    health = up()
    decision = note(health, saw(Evidence.inconclusive("emfile", "no file descriptors"), 30))
    assert decision.health.state is State.UP
    assert decision.health.memory == health.memory
    assert decision.health.last is not None
    assert decision.health.last.evidence.cause == "emfile"
    assert not decision.must_commit


# --- set aside -----------------------------------------------------------------------------------------

INCIDENT = IncidentId("inc-1")


def fallen() -> Health:
    """At fault for half a minute, with an incident."""
    return replace(judged(up(), BAD, 30, State.FAULT, fails=3).health, incident=INCIDENT)


def test_a_monitor_is_set_aside_with_its_incident_and_without_what_was_counted() -> None:
    aside = set_aside(fallen(), State.MAINTENANCE, "until 13:00", T + seconds(60))
    assert aside.must_commit
    assert (aside.health.state, aside.health.since, aside.health.reason) == (
        State.MAINTENANCE, T + seconds(60), "until 13:00",
    )  # fmt: skip
    assert (aside.health.incident, aside.health.memory, aside.health.first_fail_at) == (INCIDENT, {}, None)
    assert aside.transition is not None
    assert (aside.transition.t_lo, aside.transition.t_hi) == (T + seconds(60), T + seconds(60))
    longer = set_aside(aside.health, State.MAINTENANCE, "until 14:00", T + seconds(90))
    assert longer.transition is None, "another reason is no other state"
    assert (longer.health.since, longer.health.reason) == (T + seconds(60), "until 14:00")


def test_what_is_seen_of_it_meanwhile_is_shown_and_changes_nothing() -> None:
    aside = set_aside(fallen(), State.MAINTENANCE, "", T + seconds(60)).health
    for evidence, last_ok in ((BAD, T + seconds(0.1)), (OK, T + seconds(70.1))):
        seen = look_on(aside, saw(evidence, 70))
        assert seen.transition is None
        assert seen.health == replace(aside, last=saw(evidence, 70), last_ok_at=last_ok)


def test_called_back_it_is_as_new_and_its_incident_goes_on_or_ends_by_what_is_seen() -> None:
    aside = set_aside(fallen(), State.PAUSED, "", T + seconds(60)).health
    back = call_back(aside, T + seconds(90)).health
    assert (back.state, back.reason, back.was_up) == (State.NEW, "not looked at yet since the pause", True)
    well = judged(back, OK, 91, State.UP)
    assert well.closes_incident
    suspect = judged(back, BAD, 91, State.SUSPECT)
    assert not suspect.closes_incident
    assert judged(suspect.health, OK, 92, State.WATCH).closes_incident
    fault = judged(suspect.health, BAD, 93, State.FAULT)
    assert not fault.closes_incident
    assert fault.health.incident == INCIDENT

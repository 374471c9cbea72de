"""The verdict on what is told: each report and each silence for what it is."""

import pytest

from defib.model.evidence import Evidence, Grade
from defib.model.health import State
from defib.rules.told import judge

GOOD = Evidence.ok("beat received")
TWICE = Evidence.degraded("ran-twice", "it ran once more")
LATE = Evidence.fail("late-beat", "late", grade=Grade.WEAK)
MISSED = Evidence.fail("missed-beat", "missed")
STOPPED = Evidence.fail("stopped", "it stops on purpose", grade=Grade.INTENT)


@pytest.mark.parametrize(
    ("before", "evidence", "after"),
    [
        (State.NEW, GOOD, State.UP),
        (State.SUSPECT, GOOD, State.UP),
        (State.FAULT, GOOD, State.UP),
        (State.UNREACHABLE, GOOD, State.UP),
        (State.STOPPED, GOOD, State.UP),
        (State.DEGRADED, GOOD, State.UP),
        (State.UP, TWICE, State.DEGRADED),
        (State.FAULT, TWICE, State.DEGRADED),
        (State.UP, LATE, State.SUSPECT),
        (State.SUSPECT, LATE, State.SUSPECT),
        (State.FAULT, LATE, State.FAULT),
        (State.UNREACHABLE, LATE, State.UNREACHABLE),
        (State.UP, MISSED, State.FAULT),
        (State.SUSPECT, MISSED, State.FAULT),
        (State.UNREACHABLE, MISSED, State.FAULT),
        (State.NEW, STOPPED, State.STOPPED),
        (State.UP, STOPPED, State.STOPPED),
        (State.SUSPECT, STOPPED, State.STOPPED),
        (State.UNREACHABLE, STOPPED, State.STOPPED),
        (State.FAULT, STOPPED, State.FAULT),
    ],
)
def test_what_is_told_is_believed(before: State, evidence: Evidence, after: State) -> None:
    assert judge(before, evidence).state is after


def test_the_reason_is_what_was_told() -> None:
    assert judge(State.UP, LATE).reason == "late"
    assert judge(State.FAULT, STOPPED).reason == "stopped on purpose while at fault: it stops on purpose"


def test_nothing_is_counted() -> None:
    assert judge(State.UP, MISSED).memory == {}
    assert judge(State.UP, MISSED).look_again_in is None


def test_inconclusive_evidence_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="cannot be judged: no descriptors"):
        judge(State.UP, Evidence.inconclusive("emfile", "no descriptors"))

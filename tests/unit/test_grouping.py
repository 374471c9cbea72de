"""What fails together is told together: who belongs to whom, and when it is due."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import Health, Incident, State
from defib.model.ids import IncidentId, MonitorId
from defib.rules.grouping import Fallen, Kinship, find_root, first_due, joining_due, silent_beside

T = datetime(2026, 11, 20, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def fallen(
    name: str, lo: float, hi: float, *, host: str = "", tags: tuple[str, ...] = (), root: str | None = None
) -> Fallen:
    incident = Incident(
        id=IncidentId(f"inc-{name}"), monitor=MonitorId(name), opened_at=at(hi + 3), fault_lo=at(lo), fault_hi=at(hi),
        cause="refused", grade="E1", summary="refused", root=None if root is None else IncidentId(root),
    )  # fmt: skip
    return Fallen(incident=incident, host=host, tags=frozenset(tags))


# --- who belongs together ------------------------------------------------------------------------------


def test_two_on_one_host_that_may_have_fallen_at_once_are_one_story() -> None:
    first = fallen("a", 0, 30, host="10.0.0.1")
    assert find_root(fallen("b", 20, 40, host="10.0.0.1"), [first]) == "inc-a"


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (fallen("b", 0, 30, host="10.0.0.2"), None),  # elsewhere
        (fallen("b", 0, 30, host="10.0.0.2", tags=("pool",)), "inc-a"),
        (fallen("b", 0, 30, tags=("other",)), None),
        (fallen("b", 40, 60, host="10.0.0.1"), "inc-a"),  # 10 s after a fell, at the least
        (fallen("b", 40.1, 60, host="10.0.0.1"), None),
        (fallen("a", 0, 30, host="10.0.0.1"), None),  # itself
    ],
)
def test_they_need_a_host_or_a_tag_and_a_time_in_common(new: Fallen, expected: str | None) -> None:
    assert find_root(new, [fallen("a", 0, 30, host="10.0.0.1", tags=("pool", "x"))]) == expected


def test_nothing_has_the_empty_host_in_common() -> None:
    assert find_root(fallen("b", 0, 30), [fallen("a", 0, 30)]) is None


def test_in_a_mass_failure_the_time_is_enough() -> None:
    others = [fallen("a", 0, 30, host="10.0.0.1"), fallen("z", 0, 10, host="10.0.0.9")]
    assert find_root(fallen("b", 5, 30, host="10.0.0.2"), others, is_mass=True) == "inc-z"
    assert find_root(fallen("b", 500, 530, host="10.0.0.2"), others, is_mass=True) is None


def test_who_joins_a_follower_joins_its_root() -> None:
    follower = fallen("b", 0, 30, host="10.0.0.1", root="inc-a")
    assert find_root(fallen("c", 0, 31, host="10.0.0.1"), [follower]) == "inc-a"


def test_siblings_share_a_host_or_a_tag_that_few_have() -> None:
    names = [MonitorId(f"m{n}") for n in range(24)]
    tags = {name: frozenset({"production"}) for name in names}
    tags[names[0]] |= {"pool"}
    tags[names[5]] |= {"pool"}
    kinship = Kinship((name, "h" if name in names[:2] else "", tags[name]) for name in names)
    assert kinship.of(names[0]) == ["m1", "m5"]
    assert kinship.of(names[5]) == ["m0"]
    assert kinship.of(names[7]) == []
    assert kinship.of(MonitorId("other")) == []


# --- a whole host ---------------------------------------------------------------------------------------


def neighbour(state: State, looked_at: float | None = None) -> Health:
    monitor = MonitorId("x")
    evidence = Evidence.ok("HTTP 200") if state is State.UP else Evidence.fail("refused", "refused")
    looks = [
        Observation(monitor=monitor, source=Source.PROBE, evidence=evidence, started_at=at(n), ended_at=at(n))
        for n in (looked_at,)
        if n is not None
    ]
    return Health(monitor=monitor, state=state, since=at(-60), last=looks[0] if looks else None)


UNSEEN = neighbour(State.UP, -20)  #: well when it was looked at last
FAILING = neighbour(State.SUSPECT, 2)
ALIVE = neighbour(State.UP, 1)


@pytest.mark.parametrize(
    ("at_fault", "others", "silent"),
    [
        (3, [UNSEEN, FAILING, neighbour(State.NEW)], 3),
        (2, [UNSEEN, FAILING], 0),  # too few to speak for a host
        (3, [UNSEEN, FAILING, ALIVE], 0),
        (3, [], 0),  # all of it is told by name
        (
            3,
            [FAILING, neighbour(State.FAULT, 1), neighbour(State.STOPPED, 1), neighbour(State.PAUSED, -9)],
            1,
        ),
    ],
)
def test_a_host_is_silent_when_several_are_at_fault_and_nothing_else_there_has_answered_since(
    at_fault: int, others: list[Health], silent: int
) -> None:
    assert silent_beside(at_fault, others, at(0)) == silent


# --- when it is told -----------------------------------------------------------------------------------


def test_the_first_message_waits_for_company_unless_the_evidence_is_authoritative() -> None:
    assert first_due(T, is_sure=False) == at(1.5)
    assert first_due(T, is_sure=True) == T
    assert first_due(T, is_sure=False, has_suspects=True) == at(2.5)
    assert first_due(T, is_sure=True, has_suspects=True) == T


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (0.5, 2.5),
        (2.5, 2.5),
        (2.6, 30),
        (29.9, 30),
        (30, 60),
        (299, 300),
        (300, 600),
        (301, 600),
        (1000, 1200),
    ],
)
def test_what_joins_later_comes_in_batches(now: float, due: float) -> None:
    assert joining_due(T, at(now)) == at(due)


@given(st.floats(0, 10_000))
def test_nothing_waits_longer_than_five_minutes_nor_is_due_before_it_is_decided(now: float) -> None:
    due = joining_due(T, at(now))
    assert at(now) <= due <= at(now) + timedelta(minutes=5)

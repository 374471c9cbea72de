"""What fails together is told together: who belongs to whom, when it is due, and what one message holds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.model.alert import AlertKind, Delivery
from defib.model.health import Incident
from defib.model.ids import DeliveryId, IncidentId, MonitorId
from defib.rules.grouping import Fallen, Pending, find_root, first_due, joining_due, next_message, siblings

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
    hosts = dict.fromkeys(names, "") | {names[0]: "h", names[1]: "h"}
    tags = {name: frozenset({"production"}) for name in names}
    tags[names[0]] |= {"pool"}
    tags[names[5]] |= {"pool"}
    assert siblings(names[0], hosts, tags) == ["m1", "m5"]
    assert siblings(names[7], hosts, tags) == []


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


# --- what goes together --------------------------------------------------------------------------------


def row(
    number: int, monitor: str, event: AlertKind | None, due: float, thread: str = "story", tries: int = 0
) -> Pending:
    delivery = Delivery(
        id=DeliveryId(f"d{number}"), channel="chat", notice=f"a{number}", notice_type="alert", key=f"k{number}",
        created_at=T, due_at=at(due), thread=thread, tries=tries,
    )  # fmt: skip
    return Pending(delivery=delivery, event=event, monitor=MonitorId(monitor))


def told(pending: list[Pending], now: float) -> tuple[list[str], float | None]:
    message, wait = next_message(pending, at(now))
    return [item.delivery.id for item in message], None if wait is None else wait.total_seconds()


DOWN, BACK, HUMAN = AlertKind.DOWN, AlertKind.RECOVERED, AlertKind.RECOVERY_FAILED


def test_falls_of_one_story_go_out_in_one_message_when_the_first_is_due() -> None:
    pending = [row(1, "a", DOWN, 1.5), row(2, "b", DOWN, 1.5), row(3, "c", DOWN, 30)]
    assert told(pending, 1.0) == ([], 0.5)
    assert told(pending, 1.5) == (["d1", "d2", "d3"], None)


def test_stories_are_told_apart() -> None:
    pending = [row(1, "a", DOWN, 0), row(2, "b", DOWN, 0, thread="other")]
    assert told(pending, 0) == (["d1"], None)
    assert told(pending[1:], 0) == (["d2"], None)


def test_falls_and_returns_are_not_mixed_and_one_monitor_keeps_its_order() -> None:
    pending = [row(1, "a", DOWN, 0), row(2, "a", BACK, 0), row(3, "b", DOWN, 0), row(4, "a", DOWN, 0)]
    assert told(pending, 0) == (["d1", "d3"], None)
    assert told([pending[1], pending[3]], 0) == (["d2"], None)


def test_a_return_is_not_held_up_by_a_fall_of_another_that_waits_for_company() -> None:
    pending = [row(1, "b", DOWN, 30), row(2, "a", BACK, 0)]
    assert told(pending, 0) == (["d2"], None)


def test_what_waits_for_company_goes_before_what_follows_it_is_due() -> None:
    pending = [row(1, "a", DOWN, 30), row(2, "a", BACK, 5)]
    assert told(pending, 4) == ([], 1.0)
    assert told(pending, 5) == (["d1"], None)


def test_what_follows_does_not_shorten_the_delay_after_a_failed_try() -> None:
    pending = [row(1, "a", DOWN, 30, tries=1), row(2, "a", BACK, 5)]
    assert told(pending, 5) == ([], 25.0)


def test_a_call_for_a_human_goes_alone() -> None:
    pending = [row(1, "a", HUMAN, 0), row(2, "b", HUMAN, 0)]
    assert told(pending, 0) == (["d1"], None)


def test_with_nothing_pending_nobody_knows_when() -> None:
    assert told([], 0) == ([], None)


_MOMENTS = st.tuples(
    st.sampled_from("abc"), st.sampled_from([DOWN, BACK, HUMAN]), st.floats(0, 60), st.sampled_from("xy")
)


@given(st.lists(_MOMENTS, max_size=12))
def test_everything_is_told_once_and_each_monitor_in_order(
    rows: list[tuple[str, AlertKind, float, str]],
) -> None:
    pending = [row(n, who, event, due, thread) for n, (who, event, due, thread) in enumerate(rows)]
    sent: list[Pending] = []
    while pending:
        message, _ = next_message(pending, at(60))
        assert message
        assert len({(item.event, item.delivery.thread) for item in message}) == 1
        sent += message
        pending = [item for item in pending if item not in message]
    for who in "abc":
        for thread in "xy":
            order = [int(item.delivery.id[1:]) for item in sent
                     if (item.monitor, item.delivery.thread) == (who, thread)]  # fmt: skip
            assert order == sorted(order)

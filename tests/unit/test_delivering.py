"""How rows of the outbox become messages: what goes together, which goes now, in which shape, and who stands in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.model.alert import Alert, AlertFacts, AlertKind, Delivery, Severity
from defib.model.ids import AlertId, DeliveryId, IncidentId, MonitorId
from defib.model.route import EscalationStep, Route, RouteMatch
from defib.model.settings import ChannelSpec
from defib.plugin import Options, Phrases, catalogue, retell
from defib.rules.delivering.buckets import Bucket
from defib.rules.delivering.buttons import LABELS, buttons_for
from defib.rules.delivering.choosing import Pace, next_step
from defib.rules.delivering.failover import failover_at, route_through, stand_in
from defib.rules.delivering.local_time import in_zone, stamped
from defib.rules.delivering.messages import Message, Waiting, messages
from defib.rules.delivering.shaping import Fall, Opening, Shape, decide_shape

T = datetime(2026, 11, 20, 12, tzinfo=UTC)
DOWN, BACK, HUMAN, ACK = (
    AlertKind.DOWN,
    AlertKind.RECOVERED,
    AlertKind.RECOVERY_FAILED,
    AlertKind.ACKNOWLEDGED,
)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def row(
    number: int, monitor: str, event: AlertKind | None, due: float, thread: str = "story", *, tries: int = 0,
    ready: float | None = None, severity: Severity = Severity.HIGH, root: str = "", sent_with: str | None = None,
) -> Waiting:  # fmt: skip
    delivery = Delivery(
        id=DeliveryId(f"d{number:02}"), channel="chat", notice=f"a{number}", notice_type="alert", key=f"k{number}",
        created_at=T + timedelta(milliseconds=number), due_at=at(due), thread=thread, tries=tries,
        sent_with=None if sent_with is None else DeliveryId(sent_with),
    )  # fmt: skip
    return Waiting(
        delivery=delivery, ready_at=at(due if ready is None else ready), event=event, monitor=MonitorId(monitor),
        severity=severity, root=root,
    )  # fmt: skip


def fresh(now: float = 0, rate: int = 20) -> Pace:
    return Pace.fresh(rate, at(now))


def failing(since: float, next_try: float, failures: int = 3) -> Pace:
    return replace(fresh(), failures=failures, failing_since=at(since), next_try_at=at(next_try))


def ids(message: Message | None) -> list[str]:
    return [] if message is None else [str(item.delivery.id) for item in message.rows]


def told(waiting: list[Waiting], now: float, pace: Pace | None = None) -> tuple[list[str], float | None]:
    step = next_step(waiting, pace or fresh(now), at(now))
    return ids(step.message), None if step.wait is None else step.wait.total_seconds()


# --- what goes together --------------------------------------------------------------------------------


def test_falls_of_one_story_go_out_in_one_message_when_the_first_is_due() -> None:
    waiting = [row(1, "a", DOWN, 1.5), row(2, "b", DOWN, 1.5), row(3, "c", DOWN, 30)]
    assert told(waiting, 1.0) == ([], 0.5)
    assert told(waiting, 1.5) == (["d01", "d02", "d03"], None)


def test_a_fall_that_has_just_missed_the_first_message_waits_for_the_next_batch() -> None:
    late, batched = (
        replace(row(n, name, DOWN, due, root="d99"), told_at=at(2.5)) for n, name, due in [(1, "a", 2.5), (2, "b", 30)]
    )  # fmt: skip
    assert told([late], 2.6) == ([], 29.9)
    assert told([late, batched], 29.0) == ([], 1.0)
    assert told([late, batched], 30.0) == (["d01", "d02"], None)


def test_stories_are_told_apart() -> None:
    waiting = [row(1, "a", DOWN, 0), row(2, "b", DOWN, 0, thread="other")]
    assert told(waiting, 0) == (["d01"], None)
    assert told(waiting[1:], 0) == (["d02"], None)


def test_a_return_is_not_held_up_by_a_fall_of_another_that_waits_for_company() -> None:
    assert told([row(1, "b", DOWN, 30), row(2, "a", BACK, 0)], 0) == (["d02"], None)


def test_what_waits_for_company_goes_before_what_follows_it_is_due() -> None:
    waiting = [row(1, "a", DOWN, 30), row(2, "a", HUMAN, 5)]
    assert told(waiting, 4) == ([], 1.0)
    assert told(waiting, 5) == (["d01"], None)


def test_what_follows_does_not_shorten_the_delay_after_a_failed_try() -> None:
    assert told([row(1, "a", DOWN, 30, tries=1), row(2, "a", HUMAN, 5)], 5) == ([], 25.0)


def test_a_call_for_a_human_goes_alone() -> None:
    assert told([row(1, "a", HUMAN, 0), row(2, "b", HUMAN, 0)], 0) == (["d01"], None)


def test_a_fall_that_was_not_told_and_is_over_is_one_message_of_its_end() -> None:
    [message] = messages([row(1, "a", DOWN, 1.5), row(2, "a", HUMAN, 1.6), row(3, "a", BACK, 2)], at(2))

    assert ids(message) == ["d01", "d02", "d03"]
    assert [item.event for item in message.told] == [BACK]


def test_of_several_that_fell_and_came_back_untold_the_ends_are_told_together() -> None:
    waiting = [row(1, "a", DOWN, 0), row(2, "b", DOWN, 0), row(3, "a", BACK, 1), row(4, "b", BACK, 1)]
    [message] = messages(waiting, at(1))

    assert ids(message) == ["d01", "d03", "d02", "d04"]
    assert [item.delivery.id for item in message.told] == ["d03", "d04"]


def test_with_nothing_waiting_nobody_knows_when() -> None:
    assert told([], 0) == ([], None)


def test_what_was_on_its_way_when_the_process_died_goes_out_exactly_so() -> None:
    waiting = [
        row(1, "a", DOWN, 0, "one"), row(2, "b", DOWN, 0, "two", sent_with="d01"), row(3, "c", DOWN, 0, "three"),
        row(4, "c", DOWN, 0, "one"),
    ]  # fmt: skip
    first = next_step(waiting, fresh(), at(0)).message

    assert first is not None
    assert (ids(first), first.is_digest) == (["d01", "d02"], True)


# --- late ----------------------------------------------------------------------------------------------


def test_what_could_not_be_told_for_five_minutes_goes_as_one_digest_in_order() -> None:
    waiting = [
        row(1, "a", DOWN, 400, "one", tries=9, ready=0), row(2, "b", DOWN, 400, "two", tries=9, ready=10),
        row(3, "a", HUMAN, 50, "one", ready=50), row(4, "a", BACK, 399, "one", ready=399), row(5, "c", DOWN, 399, "x"),
    ]  # fmt: skip
    step = next_step(waiting, fresh(400), at(400))

    assert step.message is not None
    assert step.message.is_digest
    assert ids(step.message) == ["d01", "d02", "d03", "d04"]
    assert told([waiting[4]], 400) == (["d05"], None)


def test_a_single_late_message_goes_as_itself() -> None:
    step = next_step([row(1, "a", DOWN, 400, tries=9, ready=0)], fresh(400), at(400))

    assert step.message is not None
    assert not step.message.is_digest


def test_reports_and_tests_never_go_into_a_digest() -> None:
    waiting = [
        row(n, "", event, 400, f"t{n}", ready=0)
        for n, event in enumerate((None, AlertKind.TEST, AlertKind.DIGEST))
    ]

    assert [ids(message) for message in messages(waiting, at(400))] == [["d00"], ["d01"], ["d02"]]


# --- which one now -------------------------------------------------------------------------------------


def run_dry(waiting: list[Waiting], pace: Pace, until: float) -> list[tuple[float, list[str], bool]]:
    """Everything that goes out until then: when, which rows, and whether as a digest."""
    now, sent = 0.0, []
    while now <= until:
        step = next_step([item for item in waiting if item.ready_at <= at(now)], pace, at(now))
        if step.message is None:
            ahead = [(item.ready_at - T).total_seconds() for item in waiting if item.ready_at > at(now)]
            waits = [] if step.wait is None else [now + step.wait.total_seconds()]
            if not (ahead or waits):
                break
            now = min(ahead + waits)
            continue
        sent.append((round(now, 1), ids(step.message), step.message.is_digest))
        pace = pace.accepted(step.message, at(now))
        waiting = [item for item in waiting if item not in step.message.rows]
    return sent


def test_five_conversations_begin_at_once_and_the_rest_is_a_digest_that_accounts_for_all() -> None:
    waiting = [row(n, f"m{n}", DOWN, 0, f"t{n}") for n in range(12)]

    assert run_dry(waiting, fresh(), 3600) == [
        (0.0, ["d00"], False), (0.0, ["d01"], False), (0.0, ["d02"], False), (0.0, ["d03"], False),
        (0.0, ["d04", "d05", "d06", "d07", "d08", "d09", "d10", "d11"], True),
    ]  # fmt: skip


@pytest.mark.parametrize(("rate", "at_once", "every"), [(1, 1, 60), (20, 5, 60), (40, 10, 30), (200, 50, 6)])
def test_whoever_may_say_more_may_begin_more(rate: int, at_once: int, every: float) -> None:
    conversations = fresh(rate=rate).conversations
    assert (conversations.capacity, conversations.refill.total_seconds()) == (at_once, every)


def test_when_not_all_can_be_told_alone_the_severe_ones_are() -> None:
    waiting = [row(n, f"m{n}", DOWN, 0, f"t{n}", severity=Severity.LOW) for n in range(7)]
    waiting += [row(7, "db", DOWN, 0, "t7", severity=Severity.SEVERE)]

    assert run_dry(waiting, fresh(), 0)[0] == (0.0, ["d07"], False)


def test_thirty_failures_in_ten_minutes_are_five_messages_and_a_digest_each_minute() -> None:
    waiting = [row(n, f"m{n}", DOWN, 20 * n, f"t{n}") for n in range(30)]

    sent = run_dry(waiting, fresh(), 3600)

    assert [when for when, _, _ in sent] == [
        0, 20, 40, 60, 80, 100, 120, 180, 240, 300, 360, 420, 480, 540, 600,
    ]  # fmt: skip
    assert [len(rows) for _, rows, _ in sent] == [1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 2]
    assert [is_digest for _, _, is_digest in sent] == [False] * 7 + [True] * 8
    assert sorted(name for _, rows, _ in sent for name in rows) == [f"d{n:02}" for n in range(30)]


def test_replies_count_by_the_minute_only_and_what_is_beyond_is_a_digest() -> None:
    waiting = [row(n, f"m{n}", HUMAN, 0, f"t{n}", root=f"r{n}") for n in range(8)]

    sent = run_dry(waiting, fresh(rate=6), 3600)

    assert [len(rows) for _, rows, _ in sent] == [1, 1, 1, 1, 1, 3]


def test_conversations_that_one_digest_began_go_on_as_one() -> None:
    waiting = [row(n, f"m{n}", BACK, 0, f"t{n}", root="d99") for n in range(3)]

    [message] = messages(waiting, at(0))

    assert (ids(message), message.is_digest) == (["d00", "d01", "d02"], False)


def test_a_channel_that_does_not_answer_is_asked_with_the_oldest_and_each_new_one_once() -> None:
    waiting = [
        row(1, "a", DOWN, 20, "one", tries=3, ready=0), row(2, "b", DOWN, 12, "two", tries=2, ready=1),
        row(3, "c", DOWN, 14, "three"),
    ]  # fmt: skip
    pace = failing(since=0, next_try=20)

    assert told(waiting, 13, pace) == ([], 1.0)
    assert told(waiting, 14, pace) == (["d03"], None)
    assert told(waiting[:2], 14, pace) == ([], 6.0)
    assert told(waiting[:2], 20, pace) == (["d01"], None)


def test_after_eight_tries_another_message_has_its_turn() -> None:
    waiting = [row(1, "a", DOWN, 0, "one", tries=8, ready=0), row(2, "b", DOWN, 0, "two", tries=2, ready=1)]

    assert told(waiting, 60, failing(since=0, next_try=60)) == (["d02"], None)


def test_waits_grow_with_each_failure_and_the_far_end_may_ask_for_more() -> None:
    pace, waits = fresh(), []
    for _ in range(7):
        pace = pace.failed(at(0), None)
        assert pace.next_try_at is not None
        waits.append((pace.next_try_at - T).total_seconds())

    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert pace.failed(at(0), timedelta(seconds=90)).next_try_at == at(90)
    assert pace.failing_since == at(0)


def test_a_clock_that_is_set_changes_no_wait() -> None:
    for step in (timedelta(hours=1), timedelta(hours=-1)):
        pace = replace(
            failing(since=0, next_try=20), conversations=Bucket.full(1, timedelta(minutes=1), T).taken(T)
        )
        moved = pace.moved(step)
        assert moved.next_try_at == at(20) + step
        assert moved.conversations.ready_at(at(10) + step) == at(60) + step


def test_another_rate_begins_with_a_full_bucket_and_the_same_one_changes_nothing() -> None:
    pace = fresh(rate=2).failed(at(0), None)

    assert pace.with_rate(2, at(5)) is pace
    assert pace.with_rate(4, at(5)).messages == Bucket(
        capacity=4, refill=timedelta(seconds=15), level=4.0, at=at(5)
    )
    assert pace.with_rate(4, at(5)).failures == 1


_MOMENTS = st.tuples(
    st.sampled_from("abc"), st.sampled_from([DOWN, BACK, HUMAN]), st.floats(0, 60), st.sampled_from("xy")
)


@given(st.lists(_MOMENTS, max_size=12), st.sampled_from([60, 90, 3600]))
def test_everything_is_told_once_and_each_monitor_in_order(
    rows: list[tuple[str, AlertKind, float, str]], now: float
) -> None:
    waiting = [row(n, who, event, due, thread) for n, (who, event, due, thread) in enumerate(rows)]
    pace, sent = fresh(now), []
    while waiting:
        step = next_step(waiting, pace, at(now))
        if step.message is None:
            assert step.wait is not None
            now += max(step.wait.total_seconds(), 1e-3)
            continue
        pace = pace.accepted(step.message, at(now))
        if not step.message.is_digest:
            assert len({item.story for item in step.message.rows}) == 1
        sent += step.message.rows
        waiting = [item for item in waiting if item not in step.message.rows]
    assert sorted(item.delivery.id for item in sent) == [f"d{n:02}" for n in range(len(rows))]
    if now <= 300:  # no digest of what is late, which is in the order of its time
        for who in "abc":
            for thread in "xy":
                order = [
                    str(item.delivery.id)
                    for item in sent
                    if (item.monitor, item.delivery.thread) == (who, thread)
                ]
                assert order == sorted(order)


# --- buckets -------------------------------------------------------------------------------------------


def test_a_bucket_gives_what_it_holds_and_then_one_each_while() -> None:
    bucket = Bucket.full(2, timedelta(seconds=3), T)
    bucket = bucket.taken(T).taken(T)

    assert bucket.tokens(T) == 0
    assert bucket.ready_at(T) == at(3)
    assert bucket.tokens(at(3)) == 1
    assert bucket.tokens(at(60)) == 2
    assert bucket.tokens(at(-60)) == 0


# --- in which shape ------------------------------------------------------------------------------------


def opening(**given: object) -> Opening:
    first = Opening(
        receipt="m1", accepted_at=at(0), events=frozenset({DOWN}), monitors=frozenset({MonitorId("a")}),
        severity=Severity.HIGH, is_of_one_story=True,
    )  # fmt: skip
    return replace(first, **given)  # type: ignore[arg-type]


def message(
    event: AlertKind, *monitors: str, severity: Severity = Severity.HIGH, is_digest: bool = False
) -> Message:
    rows = tuple(
        row(n, name, event, 0, severity=severity, root="d99") for n, name in enumerate(monitors or ("a",))
    )
    return Message(rows=rows, told=rows, due_at=T, is_digest=is_digest)


@pytest.mark.parametrize(
    ("what", "first", "seconds", "shape"),
    [
        (message(DOWN), None, 0, Shape.NEW),
        (message(DOWN), opening(receipt=""), 0, Shape.NEW),
        (message(DOWN, "b"), opening(), 30, Shape.EDIT),
        (message(DOWN, "b", severity=Severity.SEVERE), opening(), 30, Shape.REPLY),  # an edit makes no sound
        (message(DOWN, "b"), opening(events=frozenset({DOWN, ACK})), 30, Shape.EDIT),
        (message(DOWN, "b"), opening(events=frozenset({DOWN, BACK})), 30, Shape.REPLY),
        (message(BACK), opening(), 10, Shape.EDIT),
        (message(BACK), opening(), 10.1, Shape.REPLY),
        (message(BACK), opening(monitors=frozenset({"a", "b"})), 5, Shape.REPLY),  # b is still down
        (message(BACK, "a", "b"), opening(monitors=frozenset({"a", "b"})), 5, Shape.EDIT),
        (message(ACK), opening(), 3600, Shape.EDIT),
        (message(ACK), opening(events=frozenset({DOWN, BACK})), 3600, Shape.REPLY),
        (message(HUMAN), opening(), 5, Shape.REPLY),
        (message(AlertKind.REMINDER), opening(), 5, Shape.REPLY),
        (message(DOWN, "b"), opening(is_of_one_story=False), 5, Shape.REPLY),  # it began in a digest
        (message(DOWN, "b", is_digest=True), opening(), 5, Shape.NEW),
    ],
)
def test_what_adds_to_the_first_message_or_takes_it_back_changes_it(
    what: Message, first: Opening | None, seconds: float, shape: Shape
) -> None:
    assert decide_shape(what, first, can_edit=True, now=at(seconds)) is shape


def test_where_nothing_can_be_edited_everything_replies() -> None:
    for event in (DOWN, BACK, ACK, HUMAN):
        assert decide_shape(message(event, "b"), opening(), can_edit=False, now=at(1)) is Shape.REPLY


@pytest.mark.parametrize(
    ("what", "falls", "can_edit", "shape"),
    [
        (message(DOWN, "b", "c"), [("box", -5), ("box", 0)], False, Shape.SAID),
        (message(DOWN, "b", "c"), [("box", -5), ("box", 0)], True, Shape.EDIT),  # it can grow
        (message(DOWN, "b", "c"), [], False, Shape.REPLY),  # to a program
        (message(DOWN, "b", "c"), [("box", -5), ("box", 1)], False, Shape.REPLY),  # c was seen well since
        (message(DOWN, "b", "c"), [("box", -5), ("crate", -5)], False, Shape.REPLY),
        (message(DOWN, "b", severity=Severity.SEVERE), [("box", -5)], False, Shape.REPLY),
        (message(BACK, "b"), [("box", -5)], False, Shape.REPLY),
    ],
)
def test_whoever_reads_that_a_whole_host_is_silent_is_not_told_of_each_monitor_on_it(
    what: Message, falls: list[tuple[str, float]], can_edit: bool, shape: Shape
) -> None:
    found = [Fall(host=host, well_at=at(seconds)) for host, seconds in falls]
    first = opening(silent_host="box")
    assert decide_shape(what, first, can_edit=can_edit, now=at(30), falls=found) is shape
    if shape is Shape.SAID:
        assert decide_shape(what, opening(), can_edit=False, now=at(30), falls=found) is Shape.REPLY


# --- who stands in -------------------------------------------------------------------------------------


class NoOptions(Options):
    """Of a channel."""


def channel(name: str, fallback: str | None = None) -> ChannelSpec:
    return ChannelSpec(name=name, kind="any", options=NoOptions(), fallback=fallback)


ROUTE = Route(
    channels=("chat",),
    escalate=(
        EscalationStep(after=timedelta(minutes=10), channels=("chat", "phone")),
        EscalationStep(after=timedelta(minutes=30), channels=("boss",)),
    ),
)


@pytest.mark.parametrize(
    ("spec", "route", "carrying", "expected"),
    [
        (channel("chat", "mail"), ROUTE, set(), "mail"),
        (channel("chat"), ROUTE, set(), "phone"),
        (channel("chat", ""), ROUTE, set(), None),
        (channel("chat", "mail"), None, {"chat", "mail"}, None),
        (channel("chat"), None, set(), None),
        (channel("phone"), ROUTE, set(), "chat"),
    ],
)
def test_the_stand_in_is_the_one_named_or_the_first_that_is_called_next(
    spec: ChannelSpec, route: Route | None, carrying: set[str], expected: str | None
) -> None:
    assert stand_in(spec, route, carrying) == expected


@pytest.mark.parametrize(
    ("ready", "failing_since", "due"), [(0, 0, 10), (0, 5, 15), (100, 5, 100), (12, 5, 15)]
)
def test_a_channel_is_waited_for_ten_seconds_and_one_that_is_known_to_fail_no_more(
    ready: float, failing_since: float, due: float
) -> None:
    assert failover_at(at(ready), at(failing_since)) == at(due)


def alert(**given: object) -> Alert:
    facts = AlertFacts(
        event=DOWN, monitor=MonitorId("a"), monitor_name="A", monitor_kind="http", family="agent", target="", at=at(0),
        since=at(-60), cause="refused", summary="refused", tags=("web",),
    )  # fmt: skip
    made = Alert(
        id=AlertId("a1"), kind="agent_down", severity=Severity.HIGH, title="A is down", description="", evidence=(),
        recommendations=(), at=at(0), monitor=MonitorId("a"), incident=IncidentId("inc-1"), facts=facts,
    )  # fmt: skip
    return replace(made, **given)  # type: ignore[arg-type]


def test_the_route_is_the_first_that_takes_the_alert_to_that_channel() -> None:
    other = Route(match=RouteMatch(tags=frozenset({"db"})), channels=("chat",))
    routes = (other, Route(channels=("mail",)), ROUTE)

    assert route_through(alert(), "chat", routes) is ROUTE
    assert route_through(alert(), "boss", routes) is ROUTE
    assert route_through(alert(), "nobody", routes) is None


# --- what people see -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "acked_at", "can_recover", "acts"),
    [
        (DOWN, None, True, ["acknowledge", "silence", "explain", "recover"]),
        (DOWN, None, False, ["acknowledge", "silence", "explain"]),
        (DOWN, at(-60), False, ["silence", "explain"]),
        (ACK, at(0), True, ["silence", "explain", "recover"]),
        (AlertKind.UNACKNOWLEDGED, None, False, ["acknowledge", "silence", "explain"]),
        (AlertKind.REMINDER, at(-60), False, ["acknowledge", "silence", "explain"]),  # that has timed out
        (AlertKind.ESCALATED, at(60), False, ["silence", "explain"]),
        (BACK, None, True, []),
        (AlertKind.TEST, None, True, []),
    ],
)
def test_buttons_offer_what_can_be_done(
    event: AlertKind, acked_at: datetime | None, can_recover: bool, acts: list[str]
) -> None:
    about = alert(facts=replace(alert().facts, event=event))

    assert [
        button.act for button in buttons_for(about, "en", acked_at=acked_at, can_recover=can_recover)
    ] == acts


def test_buttons_speak_the_channels_language() -> None:
    labels = [button.label for button in buttons_for(alert(), "tr", acked_at=None, can_recover=True)]

    assert labels == ["Üstleniyorum", "1 saat sustur", "Açıkla", "Onarımı başlat"]
    assert {frozenset(names) for names in LABELS.values()} == {
        frozenset({"acknowledge", "silence", "explain", "recover"})
    }


def test_without_an_incident_there_is_nothing_to_press() -> None:
    assert buttons_for(alert(incident=None), "en", acked_at=None, can_recover=True) == ()


@pytest.mark.parametrize(
    ("zone", "lines"),
    [
        ("UTC", ("23:59:58  refused", "00:00:02  refused", "no time of day")),
        ("Asia/Taipei", ("07:59:58  refused", "08:00:02  refused", "no time of day")),
        ("America/New_York", ("18:59:58  refused", "19:00:02  refused", "no time of day")),
    ],
)
def test_evidence_is_told_at_the_readers_local_time(zone: str, lines: tuple[str, ...]) -> None:
    facts = replace(
        alert().facts, at=datetime(2026, 11, 21, 0, 0, 3, tzinfo=UTC),
        evidence=("23:59:58  refused", "00:00:02  refused", "no time of day"),
    )  # fmt: skip

    moved = in_zone(facts, zone)

    assert (moved.timezone, moved.evidence) == (zone, lines)


def test_evidence_of_phrases_is_told_at_the_readers_local_time_and_in_their_language() -> None:
    said = Phrases("defib_plugins")("connection refused by {address}", address="db:5432")
    facts = replace(
        alert().facts, at=datetime(2026, 11, 21, 0, 0, 3, tzinfo=UTC), evidence=(stamped("23:59:58", said),)
    )

    (line,) = in_zone(facts, "Asia/Taipei").evidence

    assert line == "07:59:58  connection refused by db:5432"
    assert retell(line, catalogue("defib_alerts", "zh-Hant")) == "07:59:58  db:5432 拒絕連線"

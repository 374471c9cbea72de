"""The courier on virtual time: what people see at the far ends, and when."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from defib.engine.delivery import Courier
from defib.engine.events import EventBus
from defib.engine.roster import Roster
from defib.errors import UsageError
from defib.model.alert import Alert, AlertFacts, AlertKind, Delivery, DeliveryState, Purpose, Severity
from defib.model.changes import Changes
from defib.model.health import Incident
from defib.model.ids import AlertId, DeliveryId, IncidentId, MonitorId
from defib.model.route import EscalationStep, Route
from defib.model.settings import ChannelSpec, Settings
from defib.plugin import Desk
from defib_sim.far_end import FarEnd, FarEndOptions, load_plugins
from defib_sim.memory_store import MemoryStore
from defib_sim.virtual_loop import VirtualClock, run

DOWN, BACK = AlertKind.DOWN, AlertKind.RECOVERED
CHAT = "chat"


class Post:
    """A courier over a store; it may die and come back."""

    def __init__(
        self, clock: VirtualClock, ends: Mapping[str, FarEnd], specs: Mapping[str, dict[str, Any]] | None = None,
        routes: tuple[Route, ...] = (),
    ) -> None:  # fmt: skip
        self.clock, self.store, self.ends = clock, MemoryStore(), ends
        self._specs, self._routes, self._count = specs or {}, routes, 0
        self.roster = self.make_roster(ends)
        self.come_back()

    def make_roster(self, ends: Mapping[str, FarEnd]) -> Roster:
        channels = tuple(
            ChannelSpec(
                name=name, kind="far-end", options=FarEndOptions(end=end), **self._specs.get(name, {})
            )
            for name, end in ends.items()
        )
        routes = self._routes or (Route(channels=(CHAT,)),)
        return Roster(
            load_plugins(), Settings(base=Path("/"), files=(), channels=channels, routes=routes), {}
        )

    def come_back(self) -> None:
        store = cast(Any, self.store)
        self.courier = Courier(self.clock, self.roster, store, store, EventBus())
        self.courier.start()

    async def die(self) -> None:
        await self.courier.close()

    async def until(self, second: float) -> None:
        await self.clock.sleep(second - self.clock.monotonic())

    async def tell(
        self, monitor: str, event: AlertKind = DOWN, *, story: str = "", channel: str = CHAT, wait: float = 0.0,
        severity: Severity = Severity.HIGH,
    ) -> Delivery:  # fmt: skip
        """An alert of a monitor, due after ``wait`` seconds."""
        self._count += 1
        now, n = self.clock.now(), self._count
        facts = AlertFacts(
            event=event, monitor=MonitorId(monitor), monitor_name=monitor.upper(), monitor_kind="http", family="agent",
            target=monitor, at=now, since=now, cause="refused", summary="connection refused",
            duration_s=1.0 if event is BACK else None,
        )  # fmt: skip
        text = self.roster.texts.compose(facts)
        incident = IncidentId(f"inc-{monitor}")
        alert = Alert(
            id=AlertId(f"alert-{n:03}"), kind=text.kind, severity=severity, title=text.title,
            description=text.description, evidence=(), recommendations=(), at=now, monitor=MonitorId(monitor),
            incident=incident, facts=facts,
        )  # fmt: skip
        row = Delivery(
            id=DeliveryId(f"send-{n:03}"), channel=channel, notice=alert.id, notice_type="alert", key=f"key-{n:03}",
            created_at=now, due_at=now + timedelta(seconds=wait), thread=story or incident,
        )  # fmt: skip
        changes = Changes(alerts=(alert,), new_deliveries=(row,))
        await self.store.commit(changes)
        self.courier.added(changes)
        return row

    def states(self) -> dict[str, str]:
        return {row.id: str(row.state) for row in self.store.deliveries()}

    def seen(self, name: str = CHAT) -> list[tuple[float, list[str], str]]:
        """When, about whom, and what."""
        return [
            (round(item.at, 1), item.members, str(item.alert.facts.event)) for item in self.ends[name].seen
        ]


Story = Callable[[Post], Coroutine[Any, Any, None]]


def play(
    story: Story, *, specs: Mapping[str, dict[str, Any]] | None = None, routes: tuple[Route, ...] = (), **ends: FarEnd
) -> Post:  # fmt: skip
    async def main(clock: VirtualClock) -> Post:
        post = Post(clock, ends or {CHAT: FarEnd()}, specs, routes)
        try:
            await story(post)
        finally:
            await post.die()
        return post

    return run(main)


# --- one conversation ----------------------------------------------------------------------------------


def test_who_falls_later_joins_the_first_message_where_it_can_be_edited() -> None:
    async def story(post: Post) -> None:
        await post.tell("a", wait=1.5, story="s")
        await post.until(10)
        await post.tell("b", wait=21.5, story="s")
        await post.tell("c", wait=21.5, story="s")
        await post.until(60)

    post = play(story, chat=FarEnd(can_edit=True))

    assert post.seen() == [(1.5, ["a", "b", "c"], "down")]
    assert post.ends[CHAT].seen[0].edits == [31.5]
    assert [row.sent_with for row in post.store.deliveries()] == [None, "send-001", "send-001"]
    assert {row.receipt for row in post.store.deliveries()} == {"m1"}


def test_where_it_cannot_who_falls_later_is_told_alone_in_the_same_conversation() -> None:
    async def story(post: Post) -> None:
        await post.tell("a", wait=1.5, story="s")
        await post.until(10)
        await post.tell("b", wait=21.5, story="s")
        await post.until(60)

    post = play(story)

    assert post.seen() == [(1.5, ["a"], "down"), (31.5, ["b"], "down")]
    assert [item.context.thread for item in post.ends[CHAT].seen] == [None, "m1"]


def test_what_is_worse_than_the_first_message_makes_a_sound() -> None:
    async def story(post: Post) -> None:
        await post.tell("a", story="s")
        await post.until(5)
        await post.tell("db", story="s", severity=Severity.SEVERE)
        await post.until(10)

    post = play(story, chat=FarEnd(can_edit=True))

    assert post.seen() == [(0.0, ["a"], "down"), (5.0, ["db"], "down")]


@pytest.mark.parametrize(("seconds", "messages"), [(6.4, ["recovered"]), (10.5, ["down", "recovered"])])
def test_what_is_well_again_within_ten_seconds_changes_the_first_message(
    seconds: float, messages: list[str]
) -> None:
    async def story(post: Post) -> None:
        await post.tell("a")
        await post.until(seconds)
        await post.tell("a", BACK)
        await post.until(30)

    post = play(story, chat=FarEnd(can_edit=True))

    assert [what for _, _, what in post.seen()] == messages


def test_what_is_well_again_before_people_heard_of_it_is_one_message() -> None:
    async def story(post: Post) -> None:
        await post.tell("a", wait=1.5)
        await post.until(1)
        await post.tell("a", BACK)
        await post.until(30)

    post = play(story)

    assert post.seen() == [(1.0, ["a"], "recovered")]
    assert set(post.states().values()) == {"delivered"}


def test_an_acknowledgement_is_written_into_the_first_message() -> None:
    async def story(post: Post) -> None:
        await post.tell("a")
        await post.until(60)
        await post.tell("a", AlertKind.ACKNOWLEDGED)
        await post.until(70)

    post = play(story, chat=FarEnd(can_edit=True))

    [message] = post.ends[CHAT].seen
    assert message.edits == [60.0]
    assert message.alert.facts.event is DOWN
    assert "A is down" in message.alert.title
    assert "taken" in message.alert.description or "acknowledged" in message.alert.description


def incident_of(post: Post, monitor: str) -> Incident:
    now = post.clock.now()
    return Incident(
        id=IncidentId(f"inc-{monitor}"), monitor=MonitorId(monitor), opened_at=now, fault_lo=now, fault_hi=now,
        cause="refused", grade="E1", summary="refused",
    )  # fmt: skip


def test_buttons_offer_what_is_left_to_do() -> None:
    async def story(post: Post) -> None:
        now, incident = post.clock.now(), incident_of(post, "a")
        await post.store.commit(Changes(incidents=(incident,)))
        await post.tell("a")
        await post.until(5)
        assert acts(post) == ["acknowledge", "silence", "explain"]
        await post.store.commit(Changes(incidents=(replace(incident, acked_at=now, acked_by="ada"),)))
        await post.tell("a", AlertKind.ACKNOWLEDGED)
        await post.until(10)
        assert acts(post) == ["silence", "explain"]
        await post.store.commit(Changes(incidents=(replace(incident, closed_at=post.clock.now()),)))
        await post.tell("a", BACK)
        await post.until(15)
        assert acts(post) == []

    def acts(post: Post) -> list[str]:
        return [button.act for button in post.ends[CHAT].seen[-1].context.buttons]

    play(story, chat=FarEnd(can_edit=True))


def test_who_takes_it_back_gives_the_first_message_its_button_again() -> None:
    async def story(post: Post) -> None:
        await post.store.commit(Changes(incidents=(incident_of(post, "a"),)))
        await post.tell("a")
        await post.until(60)
        await post.tell("a", AlertKind.ACKNOWLEDGED)
        await post.until(70)
        await post.tell("a", AlertKind.UNACKNOWLEDGED)
        await post.until(80)

    edited = play(story, chat=FarEnd(can_edit=True)).ends[CHAT].seen
    replied = play(story).ends[CHAT].seen

    [message] = edited
    assert message.edits == [60.0, 70.0]
    assert "Nobody sees to A any more" in message.alert.description
    assert "taken on" not in message.alert.description
    assert [button.act for button in message.context.buttons] == ["acknowledge", "silence", "explain"]
    assert [item.alert.title for item in replied[1:]] == [
        "Somebody has taken on A", "Nobody sees to A any more",
    ]  # fmt: skip


def test_a_message_of_several_keeps_the_buttons_of_those_that_are_left() -> None:
    async def story(post: Post) -> None:
        one, two = incident_of(post, "a"), incident_of(post, "b")
        await post.store.commit(Changes(incidents=(one, two)))
        await post.tell("a", story="s")
        await post.tell("b", story="s")
        await post.until(5)
        taken = replace(one, acked_at=post.clock.now(), acked_by="ada")
        await post.store.commit(Changes(incidents=(taken,)))
        await post.tell("a", AlertKind.ACKNOWLEDGED, story="s")
        await post.until(10)
        assert buttons(post) == [("acknowledge", "inc-b"), ("silence", "inc-b"), ("explain", "inc-b")]
        two_taken = replace(two, acked_at=post.clock.now(), acked_by="ada")
        await post.store.commit(Changes(incidents=(replace(taken, closed_at=post.clock.now()), two_taken)))
        await post.tell("b", AlertKind.ACKNOWLEDGED, story="s")
        await post.until(15)
        assert buttons(post) == [("silence", "inc-b"), ("explain", "inc-b")]

    def buttons(post: Post) -> list[tuple[str, str]]:
        [message] = post.ends[CHAT].seen
        return [(button.act, button.incident) for button in message.context.buttons]

    play(story, chat=FarEnd(can_edit=True))


def test_an_edit_that_the_far_end_refuses_becomes_a_reply_and_is_not_tried_again() -> None:
    async def story(post: Post) -> None:
        await post.tell("a", story="s")
        await post.until(5)
        post.ends[CHAT].mode = "gone"
        await post.tell("b", story="s")
        await post.until(10)
        await post.tell("c", story="s")
        await post.until(15)

    post = play(story, chat=FarEnd(can_edit=True))

    assert post.seen() == [(0.0, ["a"], "down"), (5.0, ["b"], "down"), (10.0, ["c"], "down")]
    assert [item.context.thread for item in post.ends[CHAT].seen] == [None, "m1", "m1"]
    assert post.ends[CHAT].tries == [0.0, 5.0, 5.0, 10.0]


# --- in the channel's words ----------------------------------------------------------------------------


def test_each_channel_is_told_in_its_language_and_at_its_local_time() -> None:
    async def story(post: Post) -> None:
        for channel in ("chat", "taipei"):
            await post.tell("a", channel=channel)
        await post.until(5)

    post = play(
        story,
        specs={"taipei": {"language": "zh-Hant", "timezone": "Asia/Taipei"}},
        chat=FarEnd(),
        taipei=FarEnd(),
    )

    [english], [chinese] = post.ends["chat"].seen, post.ends["taipei"].seen
    assert english.alert.title.startswith("A is down")
    assert english.alert.facts.timezone == "UTC"
    assert chinese.alert.facts.timezone == "Asia/Taipei"
    assert chinese.context.language == "zh-Hant"
    assert chinese.alert.title != english.alert.title


# --- a channel that does not accept --------------------------------------------------------------------


def test_after_ten_seconds_another_channel_carries_it_too_and_the_first_one_brings_it_late() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "trouble"
        await post.tell("a")
        await post.until(80)
        await post.tell("b")
        await post.until(100)
        post.ends[CHAT].mode = "ok"
        await post.until(140)

    post = play(story, specs={CHAT: {"fallback": "mail"}}, chat=FarEnd(), mail=FarEnd())

    assert post.seen("mail") == [(10.0, ["a"], "down"), (80.0, ["b"], "down")]
    assert [who for _, who, _ in post.seen()] == [["a"], ["b"]]
    assert [item.alert.facts.late_since is not None for item in post.ends[CHAT].seen] == [True, False]
    fallbacks = [row for row in post.store.deliveries() if row.purpose is Purpose.FALLBACK]
    assert [(row.channel, row.stands_in_for) for row in fallbacks] == [
        ("mail", "send-001"),
        ("mail", "send-002"),
    ]
    assert set(post.states().values()) == {"delivered"}


def test_single_passes_hand_over_to_another_channel_too() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "trouble"
        await post.tell("a")
        for minute in range(1, 8):
            await post.courier.wait_tried()
            await post.die()
            await post.until(60 * minute)
            post.come_back()
        await post.courier.wait_tried()

    post = play(story, specs={CHAT: {"fallback": "mail"}}, chat=FarEnd(), mail=FarEnd())

    assert [(at // 60, what) for at, _, what in post.seen("mail")] == [(1, "down"), (5, "channel_broken")]


def test_a_channel_that_hangs_is_no_better_than_one_that_refuses() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "hang"
        await post.tell("a")
        await post.until(12)

    post = play(story, specs={CHAT: {"fallback": "mail"}}, chat=FarEnd(), mail=FarEnd())

    assert post.seen("mail") == [(10.0, ["a"], "down")]


def test_by_default_those_stand_in_who_are_called_next() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "trouble"
        await post.tell("a")
        await post.until(30)

    route = Route(
        channels=(CHAT,), escalate=(EscalationStep(after=timedelta(minutes=10), channels=("phone",)),)
    )
    post = play(story, routes=(route,), chat=FarEnd(), phone=FarEnd())

    assert post.seen("phone") == [(10.0, ["a"], "down")]


def test_nobody_stands_in_twice_whatever_restarts() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "trouble"
        await post.tell("a")
        for second in (5, 15, 25, 40):
            await post.until(second)
            await post.die()
            post.come_back()
        await post.until(60)

    post = play(story, specs={CHAT: {"fallback": "mail"}}, chat=FarEnd(), mail=FarEnd())

    assert [who for _, who, _ in post.seen("mail")] == [["a"]]


def test_two_dead_channels_do_not_hand_an_alert_to_and_fro() -> None:
    async def story(post: Post) -> None:
        for end in post.ends.values():
            end.mode = "trouble"
        await post.tell("a")
        await post.until(200)

    post = play(
        story, specs={CHAT: {"fallback": "mail"}, "mail": {"fallback": "chat"}}, chat=FarEnd(), mail=FarEnd()
    )

    assert sorted(row.channel for row in post.store.deliveries() if row.notice == "alert-001") == [
        "chat",
        "mail",
    ]


def test_one_message_that_is_never_taken_holds_up_no_other() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].poison = "bad"
        await post.tell("bad")
        for n in range(4):
            await post.until(10 + 10 * n)
            await post.tell(f"m{n}")
        await post.until(60)

    post = play(story)

    assert [(at, who) for at, who, _ in post.seen()] == [
        (10.0, ["m0"]), (20.0, ["m1"]), (30.0, ["m2"]), (40.0, ["m3"]),
    ]  # fmt: skip


def test_the_far_end_is_given_the_time_that_it_asks_for() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode, post.ends[CHAT].retry_after = "trouble", timedelta(seconds=42)
        await post.tell("a")
        await post.until(50)

    assert play(story).ends[CHAT].tries == [0.0, 42.0]


def test_each_try_is_on_record() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "hang"
        await post.tell("a")
        await post.until(7)
        post.ends[CHAT].mode = "ok"
        await post.until(20)

    post = play(story)

    assert [(one.accepted, one.detail, one.duration_s) for one in post.store.all_tries] == [
        (False, "no answer within 5 s", 6.0), (True, "accepted", 0.0),
    ]  # fmt: skip


def test_a_crashing_channel_tells_no_secret() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "crash"
        await post.tell("a")
        await post.until(2)

    post = play(story)

    assert {one.detail for one in post.store.all_tries} == {"the channel's plugin crashed: RuntimeError"}


# --- dead letters --------------------------------------------------------------------------------------


def test_a_dead_letter_goes_another_way_is_counted_and_told_once() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "refuse"
        await post.tell("a")
        await post.until(5)
        await post.tell("b")
        await post.until(20)
        chat, mail = post.courier.health()
        assert (chat.name, chat.pending, chat.dead, chat.error) == ("chat", 0, 2, "403 never")
        assert (mail.name, mail.dead) == ("mail", 0)

    post = play(story, specs={CHAT: {"fallback": "mail"}}, chat=FarEnd(), mail=FarEnd())

    assert sorted(what for _, _, what in post.seen("mail")) == ["channel_broken", "down", "down"]
    [told] = [
        item.alert for item in post.ends["mail"].seen if item.alert.facts.event is AlertKind.CHANNEL_BROKEN
    ]
    assert "chat" in told.title
    assert "403 never" in told.description
    assert post.states()["send-001"] == post.states()["send-002"] == "dead"


def test_a_dead_letter_can_be_sent_again() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "refuse"
        row = await post.tell("a")
        await post.until(1)
        with pytest.raises(UsageError, match="there is no delivery 'nonsense'"):
            await post.courier.retry(DeliveryId("nonsense"))
        post.ends[CHAT].mode = "ok"
        await post.courier.retry(row.id)
        await post.until(2)
        with pytest.raises(UsageError, match="is delivered; only dead letters can be sent again"):
            await post.courier.retry(row.id)
        assert [one.dead for one in post.courier.health()] == [0]

    assert play(story).seen() == [(1.0, ["a"], "down")]


def test_a_channel_that_is_dead_for_long_is_told_of_once_and_so_is_its_return() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "trouble"
        await post.tell("a")
        await post.until(400)
        await post.die()
        post.come_back()
        await post.until(900)
        post.ends[CHAT].mode = "ok"
        await post.until(1000)

    post = play(story, specs={CHAT: {"fallback": "mail"}}, chat=FarEnd(), mail=FarEnd())

    assert [(at, what) for at, _, what in post.seen("mail")] == [
        (10.0, "down"), (300.0, "channel_broken"), (post.seen()[0][0], "channel_works"),
    ]  # fmt: skip
    assert post.store.settings() == {}
    assert post.ends["mail"].seen[-1].alert.description.endswith("What it owed is delivered now.")


def test_a_channel_that_works_again_says_what_it_will_never_deliver() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "refuse"
        for name in ("a", "b"):
            await post.tell(name)
        await post.until(60)
        post.ends[CHAT].mode = "ok"
        await post.tell("c")
        await post.until(100)

    post = play(story, specs={CHAT: {"fallback": "mail"}}, chat=FarEnd(), mail=FarEnd())

    assert (
        post.ends["mail"]
        .seen[-1]
        .alert.description.endswith(
            "What it owed is delivered now, except 2 dead letters: the page Alerts sends each once more, as does "
            "`POST /api/v1/deliveries/ID/retry`."
        )
    )


# --- long outages, kills and clocks --------------------------------------------------------------------


async def _hour_of_trouble(post: Post) -> None:
    """Forty faults in an hour, thirty of which end."""
    for n in range(40):
        await post.until(10 + 80 * n)
        await post.tell(f"m{n:02}")
        if n < 30:
            await post.until(50 + 80 * n)
            await post.tell(f"m{n:02}", BACK)


def test_an_hour_without_the_channel_is_one_digest_that_accounts_for_everything() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "trouble"
        await _hour_of_trouble(post)
        await post.until(3600)
        post.ends[CHAT].mode = "ok"
        await post.until(3640)

    post = play(story)

    [digest] = post.ends[CHAT].seen
    assert digest.alert.facts.event is AlertKind.DIGEST
    assert digest.alert.facts.late_since is not None
    assert sorted(digest.members) == [f"m{n:02}" for n in range(40)]
    assert sum(item.is_over for item in digest.alert.facts.together) == 30
    assert set(post.states().values()) == {"delivered"}
    assert len(post.ends[CHAT].tries) < 300


@pytest.mark.parametrize("step", [timedelta(0), timedelta(hours=1), timedelta(hours=-1)])
def test_killed_meanwhile_and_the_clock_set_each_alert_still_arrives_once(step: timedelta) -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "trouble"
        for n in range(6):
            await post.until(100 * n + 1)
            await post.tell(f"m{n}")
        await post.until(700)
        await post.die()
        post.clock.set_wall(step.total_seconds())
        await post.until(720)
        post.come_back()
        await post.until(760)
        await post.tell("new")
        await post.until(800)
        post.clock.set_wall(step.total_seconds())
        post.courier.take_step(step)
        await post.until(3500)
        post.ends[CHAT].mode = "ok"
        await post.until(3600)

    post = play(story)

    told = [who for item in post.ends[CHAT].seen for who in item.members]
    assert sorted(told) == ["m0", "m1", "m2", "m3", "m4", "m5", "new"]
    assert len(post.ends[CHAT].seen) <= 2
    assert set(post.states().values()) == {"delivered"}


@pytest.mark.parametrize("dies_at", [(), (5.0,), (5.0, 70.0, 130.0, 131.0)])
def test_who_restarts_in_a_storm_says_no_more_than_who_does_not(dies_at: tuple[float, ...]) -> None:
    async def story(post: Post) -> None:
        deaths = list(dies_at)
        for n in range(30):
            await post.until(8.0 * n)
            if deaths and deaths[0] <= post.clock.monotonic():
                deaths.pop(0)
                await post.die()
                post.come_back()
            await post.tell(f"x{n:02}")
        await post.until(400)

    post = play(story, chat=FarEnd())

    assert [(at, len(members)) for at, members, _ in post.seen()] == [
        (0.0, 1), (8.0, 1), (16.0, 1), (24.0, 1), (32.0, 1), (60.0, 3), (120.0, 8), (180.0, 7), (240.0, 7),
    ]  # fmt: skip


def test_a_digest_that_was_taken_before_a_crash_is_the_same_one_after_it() -> None:
    async def story(post: Post) -> None:
        end = post.ends[CHAT]
        end.mode = "trouble"
        for n in range(4):
            await post.tell(f"m{n}")
        await post.until(600)
        end.mode, end.losing = "ok", True
        await post.until(632)
        assert len(end.seen) == 1  # it is there, but nobody has said so
        await post.die()
        end.losing = False
        await post.tell("late")
        post.come_back()
        await post.until(700)

    post = play(story)

    assert [sorted(item.members) for item in post.ends[CHAT].seen] == [["m0", "m1", "m2", "m3"], ["late"]]
    assert set(post.states().values()) == {"delivered"}


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_each_alert_is_told_and_none_twice(seed: int) -> None:
    """An hour of faults, outages, kills (some between the far end's yes and our note of it) and set clocks."""
    random = Random(seed)

    async def story(post: Post) -> None:
        end, down = post.ends[CHAT], set[str]()
        while post.clock.monotonic() < 3600:
            await post.clock.sleep(random.expovariate(1 / 20))
            match random.choices(("alert", "mode", "kill", "clock"), weights=(60, 20, 10, 10))[0]:
                case "alert":
                    monitor = f"m{random.randrange(8)}"
                    await post.tell(
                        monitor, BACK if monitor in down else DOWN, wait=random.choice((0.0, 1.5, 30.0))
                    )
                    down ^= {monitor}
                case "mode":
                    end.mode = random.choice(("ok", "ok", "trouble", "hang", "crash"))
                case "kill":
                    end.losing = end.mode == "ok"
                    await post.clock.sleep(random.uniform(0, 4))
                    await post.die()
                    end.losing = False
                    post.come_back()
                case "clock":
                    step = timedelta(seconds=random.uniform(-3600, 3600))
                    post.clock.set_wall(step.total_seconds())
                    post.courier.take_step(step)
        end.mode = "ok"
        await post.clock.sleep(1000)

    post = play(story)

    rows = post.store.deliveries()
    assert len(rows) > 60
    assert {row.state for row in rows} == {DeliveryState.DELIVERED}
    assert len(post.ends[CHAT].seen) == sum(row.sent_with is None for row in rows)
    told = {item.context.key.partition("|")[0] for item in post.ends[CHAT].seen}
    assert told == {row.key for row in rows if row.sent_with is None}


def test_rows_of_a_channel_that_is_no_longer_configured_are_dead_letters_and_come_back_with_it() -> None:
    async def story(post: Post) -> None:
        post.ends[CHAT].mode = "trouble"
        row = await post.tell("a")
        await post.until(1)
        post.courier.roster = post.roster = post.make_roster({"mail": post.ends["mail"]})
        post.courier.start()
        await post.until(30)
        assert post.states() == {"send-001": "dead"}
        post.ends[CHAT].mode = "ok"
        post.courier.roster = post.roster = post.make_roster(post.ends)
        post.courier.start()
        await post.courier.retry(row.id)
        await post.until(40)

    assert play(story, chat=FarEnd(), mail=FarEnd()).seen() == [(30.0, ["a"], "down")]


# --- listening and self-tests --------------------------------------------------------------------------


class NoDesk:
    """Nobody asks it for anything here."""


def test_a_channel_that_stops_listening_is_started_again_later_each_time_and_stopped_at_the_end() -> None:
    began: list[float] = []
    ended: list[str] = []

    async def heard(desk: Desk) -> None:
        began.append(asyncio.get_running_loop().time())
        if len(began) < 4:
            raise RuntimeError("token=hunter2")
        try:
            await asyncio.sleep(float("inf"))
        finally:
            ended.append("stopped")

    async def story(post: Post) -> None:
        await post.courier.attend(cast(Desk, NoDesk()))
        await post.until(60)
        await post.courier.attend(cast(Desk, NoDesk()))  # a reload that changes nothing
        await post.until(70)

    play(story, chat=FarEnd(heard=heard))

    assert began == [0.0, 1.0, 3.0, 7.0]
    assert ended == ["stopped"]


def test_a_channel_says_that_it_works_at_its_local_time_and_no_other() -> None:
    async def story(post: Post) -> None:
        await post.courier.attend(cast(Desk, NoDesk()))
        await post.until(2 * 86400 + 60)

    post = play(
        story,
        specs={CHAT: {"self_test": "0 9 * * *", "timezone": "Asia/Taipei"}},
        chat=FarEnd(),
        mail=FarEnd(),
    )

    assert [(at, what) for at, _, what in post.seen()] == [(3600.0, "test"), (90000.0, "test")]
    assert post.seen("mail") == []

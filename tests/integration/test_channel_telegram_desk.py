"""Buttons and commands in Telegram: who may use them, what they do, and that nothing is done twice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alert_samples import make_alert, make_context
from defib.plugin import (
    Alert,
    AlertKind,
    BuildContext,
    Button,
    DeliveryError,
    IncidentId,
    Listening,
    Matcher,
    MonitorId,
    State,
    Subject,
    UsageError,
)
from defib_alerts.telegram_channel import Telegram, TelegramChannel, TelegramOptions
from defib_alerts.telegram_choice import clear
from defib_alerts.telegram_updates import Mailboxes
from defib_testkit.logged import capture_logs
from defib_testkit.telegram_api import BotMessage, TelegramApi
from defib_testkit.waiting import async_wait_until

GROUP = -1001234
ANNA = 1001  #: listed; who presses unless a test says otherwise
EVE = 666
INCIDENT = IncidentId("inc-1jk2m3n4p5q6r7s")
MAIN = Subject(monitor=MonitorId("main"), name="Main", state=State.FAULT, incident=INCIDENT)
MAIN_DB = Subject(
    monitor=MonitorId("main-db"),
    name="Main DB",
    state=State.FAULT,
    incident=IncidentId("inc-1jk2m3n4p5q6r7t"),
)
BUTTONS = tuple(
    Button(act=act, incident=INCIDENT, label=label)  # type: ignore[arg-type]
    for act, label in (
        ("acknowledge", "I see to it"), ("silence", "Silence 1 h"), ("explain", "Why?"), ("recover", "Recover now"),
    )
)  # fmt: skip


class Notebook:
    """A desk that writes down what it is asked."""

    def __init__(self, *known: Subject) -> None:
        self.acts: list[tuple[object, ...]] = []
        self.known = known

    async def acknowledge(self, incident: IncidentId, who: str, note: str = "") -> str:
        self.acts.append(("acknowledge", incident, who, note))
        return f"{who} sees to {incident}."

    async def silence(self, matcher: Matcher, lasting: timedelta, who: str, reason: str = "") -> str:
        self.acts.append(("silence", matcher, lasting, who, reason))
        return "Nobody is told until 23:15."

    async def explain(self, subject: IncidentId | MonitorId) -> str:
        self.acts.append(("explain", subject))
        return f"{subject} began <when> it began.\n" + "🔥" * 4000

    async def meant(self, text: str = "") -> list[Subject]:
        return [item for item in self.known if (text in item.monitor if text else item.incident)]

    async def recover(self, incident: IncidentId, who: str) -> str:
        self.acts.append(("recover", incident, who))
        raise UsageError("recovery is off for main; set recovery.mode")

    async def status(self) -> str:
        self.acts.append(("status",))
        return f"2 up, 1 fault: main ({INCIDENT})"


Make = Callable[..., TelegramChannel]
Hear = Callable[..., Any]


@pytest.fixture
async def make(telegram_api: TelegramApi, tmp_path: Path) -> AsyncIterator[Make]:
    made: list[TelegramChannel] = []
    telegram = Telegram(Mailboxes(pauses_s=(0.01,)))

    def make(**options: Any) -> TelegramChannel:
        values = {
            "token": telegram_api.token, "chat_id": GROUP, "api_url": telegram_api.origin, "allow_users": [ANNA],
            "timeout": "5s", **options,
        }  # fmt: skip
        made.append(
            telegram.channel("ops", TelegramOptions.model_validate(values), BuildContext(base=tmp_path))
        )
        return made[-1]

    yield make
    for channel in made:
        await channel.close()


@asynccontextmanager
async def hearing(channel: TelegramChannel, desk: Notebook) -> AsyncIterator[None]:
    assert isinstance(channel, Listening)
    coroutine: Coroutine[Any, Any, None] = channel.listen(desk)
    task = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def sent(
    channel: TelegramChannel, api: TelegramApi, alert: Alert | None = None, **changes: Any
) -> BotMessage:
    await channel.send(alert or make_alert(), make_context(**{"buttons": BUTTONS, **changes}))
    return api.messages[-1]


# --- buttons ---------------------------------------------------------------------------------------


async def test_an_alert_has_the_buttons_of_its_context_two_in_a_row(
    make: Make, telegram_api: TelegramApi
) -> None:
    message = await sent(make(), telegram_api)

    assert message.params["reply_markup"]["inline_keyboard"] == [
        [
            {"text": "I see to it", "callback_data": f"acknowledge:{INCIDENT}"},
            {"text": "Silence 1 h", "callback_data": f"silence:{INCIDENT}"},
        ],
        [
            {"text": "Why?", "callback_data": f"explain:{INCIDENT}"},
            {"text": "Recover now", "callback_data": f"recover:{INCIDENT}"},
        ],
    ]


async def test_where_nobody_is_listed_there_are_no_buttons_and_nothing_listens(
    make: Make, telegram_api: TelegramApi
) -> None:
    channel = make(allow_users=[])
    message = await sent(channel, telegram_api)

    assert message.buttons == ()
    assert not isinstance(channel, Listening)


async def test_a_button_that_telegram_would_refuse_is_left_out(make: Make, telegram_api: TelegramApi) -> None:
    long = Button(act="explain", incident=IncidentId("i" * 60), label="Why?")
    message = await sent(make(), telegram_api, buttons=(BUTTONS[0], long))

    assert [button["text"] for button in message.buttons] == ["I see to it"]


async def test_a_listed_user_acknowledges_and_is_told_so(make: Make, telegram_api: TelegramApi) -> None:
    channel, desk = make(), Notebook()
    message = await sent(channel, telegram_api)
    async with hearing(channel, desk):
        query = telegram_api.press(message, f"acknowledge:{INCIDENT}", user_id=ANNA)
        (answer,) = await telegram_api.answers.async_wait_for(1)

    assert desk.acts == [("acknowledge", INCIDENT, "Tester (Telegram 1001)", "")]
    assert (answer.query, answer.text) == (query, f"Tester (Telegram 1001) sees to {INCIDENT}.")
    assert len(telegram_api.messages) == 1  # the alert itself will say so


async def test_silence_explain_and_recover_are_answered_below_the_alert(
    make: Make, telegram_api: TelegramApi
) -> None:
    channel, desk = make(), Notebook()
    message = await sent(channel, telegram_api)
    async with hearing(channel, desk):
        for act in ("silence", "explain", "recover"):
            telegram_api.press(message, f"{act}:{INCIDENT}")
        replies = (await telegram_api.messages.async_wait_for(4))[1:]

    assert desk.acts == [
        (
            "silence",
            Matcher(incidents=frozenset({INCIDENT})),
            timedelta(hours=1),
            "Tester (Telegram 1001)",
            "",
        ),
        ("explain", INCIDENT),
        ("recover", INCIDENT, "Tester (Telegram 1001)"),
    ]
    assert replies[0].plain == "Nobody is told until 23:15."
    assert replies[1].plain.startswith(f"{INCIDENT} began <when> it began.\n🔥🔥")
    assert len(replies[1].plain.encode("utf-16-le")) // 2 <= 4096
    assert replies[2].plain == "recovery is off for main; set recovery.mode"
    assert {reply.params["reply_parameters"]["message_id"] for reply in replies} == {message.message_id}
    assert {answer.text for answer in telegram_api.answers} == {""}


async def test_an_unlisted_user_is_refused_and_logged(make: Make, telegram_api: TelegramApi) -> None:
    channel, desk = make(), Notebook()
    message = await sent(channel, telegram_api)
    with capture_logs() as log:
        async with hearing(channel, desk):
            telegram_api.press(message, f"recover:{INCIDENT}", user_id=EVE)
            (answer,) = await telegram_api.answers.async_wait_for(1)

    assert desk.acts == []
    assert answer.is_alert
    assert answer.text == "Only listed people may do this. Your number is 666; allow_users takes it."
    (line,) = [line for line in log if line["event"].startswith("refused")]
    assert (line["user"], line["what"], line["log_level"]) == (EVE, f"recover:{INCIDENT}", "warning")


async def test_what_was_pressed_too_long_ago_is_not_done(make: Make, telegram_api: TelegramApi) -> None:
    channel, desk = make(), Notebook()
    message = await sent(channel, telegram_api)
    telegram_api.expire(telegram_api.press(message, f"recover:{INCIDENT}"))
    async with hearing(channel, desk):
        reply = (await telegram_api.messages.async_wait_for(2))[1]

    assert desk.acts == []
    assert reply.plain == "Defib was not listening when this was pressed; press it again."


async def test_a_button_of_another_version_does_nothing(make: Make, telegram_api: TelegramApi) -> None:
    channel, desk = make(), Notebook()
    button = Button(act="dance", incident=INCIDENT, label="Dance")  # type: ignore[arg-type]
    message = await sent(channel, telegram_api, buttons=(button,))
    async with hearing(channel, desk):
        telegram_api.press(message, f"dance:{INCIDENT}")
        reply = (await telegram_api.messages.async_wait_for(2))[1]

    assert desk.acts == []
    assert reply.plain == "This button is of another time; it does nothing now."


# --- commands --------------------------------------------------------------------------------------


async def test_commands_work_as_answers_to_an_alert_and_by_name(
    make: Make, telegram_api: TelegramApi
) -> None:
    channel, desk = make(), Notebook(MAIN)
    message = await sent(channel, telegram_api)
    who = "Tester (Telegram 1001)"
    told: list[str] = []
    async with hearing(channel, desk):
        for text, reply_to in (
            ("/status", None),
            ("/ack on my way", message),
            (f"/ack@defib_test_bot {INCIDENT} on my way", None),
            ("/silence 2h deploy of 2.4", message),
            (f"/silence 30m {INCIDENT}", None),
            ("/silence main", None),
            ("/explain", message),
            ("/explain mai", None),
        ):
            telegram_api.say(GROUP, text, reply_to=reply_to)
        told = [reply.plain for reply in (await telegram_api.messages.async_wait_for(9))[1:]]

    of_incident = Matcher(incidents=frozenset({INCIDENT}))
    assert desk.acts == [
        ("status",),
        ("acknowledge", INCIDENT, who, "on my way"),
        ("acknowledge", INCIDENT, who, "on my way"),
        ("silence", of_incident, timedelta(hours=2), who, "deploy of 2.4"),
        ("silence", of_incident, timedelta(minutes=30), who, ""),
        ("silence", Matcher(monitors=frozenset({MAIN.monitor})), timedelta(hours=1), who, ""),
        ("explain", INCIDENT),
        ("explain", MAIN.monitor),
    ]
    assert told[0] == f"2 up, 1 fault: main ({INCIDENT})"


async def test_a_command_that_may_mean_several_asks_which_and_a_press_answers(
    make: Make, telegram_api: TelegramApi
) -> None:
    web = Subject(monitor=MonitorId("web"), name="Web shop", state=State.UP, incident=None)
    channel, desk = make(), Notebook(MAIN, MAIN_DB, web)
    async with hearing(channel, desk):
        for text in ("/ack", "/explain ma", "/silence mai 2h", "/ack on my way"):
            telegram_api.say(GROUP, text)
        which, why, silence, nothing = await telegram_api.messages.async_wait_for(4)
        telegram_api.press(which, f"acknowledge:{MAIN_DB.incident}")
        await telegram_api.answers.async_wait_for(1)

    asked = "Which one? Answer an alert with this command, press, or write:\n"
    assert which.plain == f"{asked}/ack main – Main: fault\n/ack main-db – Main DB: fault"
    assert [(b["text"], b["callback_data"]) for b in which.buttons] == [
        ("Main", f"acknowledge:{INCIDENT}"), ("Main DB", f"acknowledge:{MAIN_DB.incident}"),
    ]  # fmt: skip
    assert [b["callback_data"] for b in why.buttons] == [f"explain:{INCIDENT}", f"explain:{MAIN_DB.incident}"]
    assert silence.plain.splitlines()[1:] == [
        "/silence main – Main: fault",
        "/silence main-db – Main DB: fault",
    ]
    assert nothing.plain == "Nothing fits “on”; /status lists what is wrong."
    assert desk.acts == [("acknowledge", MAIN_DB.incident, "Tester (Telegram 1001)", "")]


@pytest.mark.parametrize(
    ("command", "text", "known", "expected"),
    [
        ("/ack", "", [MAIN], MAIN),  # nothing else is wrong
        ("/ack", "MAIN", [MAIN], MAIN),
        ("/ack", "mai", [MAIN], None),  # a slip of the pen takes nothing on
        ("/explain", "mai", [MAIN], MAIN),
        ("/explain", "", [MAIN, MAIN_DB], None),
    ],
)
def test_what_changes_something_wants_its_name_or_nothing_else_to_be_wrong(
    command: str, text: str, known: list[Subject], expected: Subject | None
) -> None:
    assert clear(command, text, known) is expected


async def test_commands_without_a_name_ask_for_one_and_others_are_not_ours(
    make: Make, telegram_api: TelegramApi
) -> None:
    channel, desk = make(), Notebook()
    async with hearing(channel, desk):
        for text in ("hello", "/ack@another_bot x", "/weather", "/help", "/ack", "/silence", "/explain"):
            telegram_api.say(GROUP, text)
        told = await telegram_api.messages.async_wait_for(3)
        telegram_api.say(ANNA, "/help")
        usage = (await telegram_api.messages.async_wait_for(4))[3]

    assert desk.acts == []
    assert {reply.plain.partition(".")[0] for reply in told} == {"Nothing is wrong"}
    assert usage.chat_id == str(ANNA)
    assert usage.plain.startswith("/status – how everything is\n")


async def test_an_unlisted_user_is_told_once_and_what_is_said_in_other_groups_is_nothing(
    make: Make, telegram_api: TelegramApi
) -> None:
    channel, desk = make(), Notebook()
    async with hearing(channel, desk):
        telegram_api.say(-100777, "/status", user_id=ANNA)
        for _ in range(3):
            telegram_api.say(GROUP, "/status", user_id=EVE)
        telegram_api.say(GROUP, "/status", user_id=ANNA)
        refusal, answer = await telegram_api.messages.async_wait_for(2)

    assert desk.acts == [("status",)]
    assert refusal.plain == "Only listed people may do this. Your number is 666; allow_users takes it."
    assert answer.plain.startswith("2 up")


async def test_what_was_written_while_defib_was_away_is_not_done(
    make: Make, telegram_api: TelegramApi
) -> None:
    channel, desk = make(), Notebook()
    telegram_api.say(GROUP, f"/silence {INCIDENT} 8h", ago_s=3600)
    async with hearing(channel, desk):
        (reply,) = await telegram_api.messages.async_wait_for(1)

    assert desk.acts == []
    assert reply.plain == "Defib was not listening when you wrote /silence; write it again if it still holds."


# --- once, and by one ------------------------------------------------------------------------------


async def test_telegram_has_forgotten_a_press_before_it_is_done(
    make: Make, telegram_api: TelegramApi
) -> None:
    class Asking(Notebook):
        async def acknowledge(self, incident: IncidentId, who: str, note: str = "") -> str:
            self.acts.append(("unheard", telegram_api.unheard))
            raise asyncio.CancelledError  # killed in the middle of it

    channel, desk = make(), Asking()
    message = await sent(channel, telegram_api)
    telegram_api.press(message, f"acknowledge:{INCIDENT}")
    async with hearing(channel, desk):
        await async_wait_until(lambda: desk.acts)
    assert desk.acts == [("unheard", 0)]

    again = Notebook()
    async with hearing(make(), again):
        telegram_api.say(GROUP, "/status")
        await telegram_api.messages.async_wait_for(2)
    assert again.acts == [("status",)]


async def test_two_chats_of_one_bot_do_not_fight_and_each_hears_its_own(
    make: Make, telegram_api: TelegramApi
) -> None:
    ops, dev = make(), make(chat_id=-1005678, allow_users=[ANNA, EVE])
    at_ops, at_dev = Notebook(), Notebook()
    with capture_logs() as log:
        async with hearing(ops, at_ops):
            async with hearing(dev, at_dev):
                telegram_api.say(GROUP, "/status")
                telegram_api.say(-1005678, "/status", user_id=EVE)
                await telegram_api.messages.async_wait_for(2)
            telegram_api.say(GROUP, "/status")
            await telegram_api.messages.async_wait_for(3)
        async with hearing(dev, at_dev):  # the other one takes over
            telegram_api.say(-1005678, "/status")
            await telegram_api.messages.async_wait_for(4)

    assert (at_ops.acts, at_dev.acts) == ([("status",)] * 2, [("status",)] * 2)
    assert log == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            "terminated by other getUpdates request; make sure that only one bot instance is running",
            "another program asks for this bot's updates; stop it, or give Defib a bot of its own",
        ),
        (
            "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            "the bot has a webhook, which takes its updates; call deleteWebhook, or use another bot",
        ),
    ],
)
async def test_a_conflict_is_explained_and_overcome(
    make: Make, telegram_api: TelegramApi, said: str, why: str
) -> None:
    telegram_api.mode, telegram_api.conflict = "409", said
    channel, desk = make(), Notebook()
    with capture_logs() as log:
        async with hearing(channel, desk):
            await async_wait_until(lambda: log)
            telegram_api.mode = "ok"
            telegram_api.say(GROUP, "/status")
            await telegram_api.messages.async_wait_for(1)

    assert log[0]["why"] == why
    assert desk.acts == [("status",)]


# --- editing ---------------------------------------------------------------------------------------


async def test_an_edit_takes_the_place_of_the_message_and_of_its_buttons(
    make: Make, telegram_api: TelegramApi
) -> None:
    channel = make()
    first = await channel.send(make_alert(), make_context(buttons=BUTTONS))
    recovered = make_alert(event=AlertKind.RECOVERED, cause="ok", summary="HTTP 200", healed_by="itself")
    second = await channel.send(recovered, make_context(key="2", thread=first.id, edits=first.id))

    assert second.id == first.id
    assert len(telegram_api.messages) == 1
    (edit,) = telegram_api.edits
    assert edit.message_id == int(first.id)
    assert edit.plain.startswith("🟢 RECOVERED · Main Agent has recovered\n")
    assert edit.buttons == ()


async def test_an_edit_that_changes_nothing_is_done_already(make: Make, telegram_api: TelegramApi) -> None:
    channel = make()
    first = await channel.send(make_alert(), make_context(buttons=BUTTONS))
    again = await channel.send(make_alert(), make_context(buttons=BUTTONS, edits=first.id))

    assert again.id == first.id
    assert len(telegram_api.edits) == 0


async def test_a_message_that_is_gone_cannot_be_edited(make: Make, telegram_api: TelegramApi) -> None:
    channel = make()
    first = await channel.send(make_alert(), make_context())
    telegram_api.delete(int(first.id))

    with pytest.raises(DeliveryError) as caught:
        await channel.send(make_alert(), make_context(edits=first.id))

    assert caught.value.permanent
    assert str(caught.value) == (
        f"Telegram chat {GROUP}: message {first.id} can no longer be edited (Message to edit not found)"
    )


async def test_what_is_quiet_makes_no_sound(make: Make, telegram_api: TelegramApi) -> None:
    channel = make()
    await channel.send(make_alert(), make_context(is_quiet=True))
    await channel.send(make_alert(), make_context())

    assert [message.is_silent for message in telegram_api.messages] == [True, False]


async def test_flood_control_holds_for_edits_too(make: Make, telegram_api: TelegramApi) -> None:
    channel = make()
    first = await channel.send(make_alert(), make_context())
    telegram_api.mode, telegram_api.retry_after = "429", 7

    with pytest.raises(DeliveryError) as caught:
        await channel.send(make_alert(event=AlertKind.RECOVERED), make_context(edits=first.id))

    assert caught.value.retry_after == timedelta(seconds=7)
    assert not caught.value.permanent


async def test_what_is_too_long_even_without_evidence_ends_with_a_link(
    make: Make, telegram_api: TelegramApi, tmp_path: Path
) -> None:
    (tmp_path / "alert.telegram.html.j2").write_text("<b>{{ '&é🔥' * 3000 }}</b>")
    await make(templates=".").send(make_alert(), make_context())

    (message,) = telegram_api.messages
    assert 4090 <= len(message.plain.encode("utf-16-le")) // 2 <= 4096
    assert message.text.endswith('…</b>\n\n<a href="https://health.example.com/monitors/main">Defib</a>')

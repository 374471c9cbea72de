"""The Telegram channel against a double of the Bot API."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alert_samples import make_alert, make_context, make_report
from defib.plugin import AlertKind, BuildContext, DeliveryError
from defib_alerts.telegram_channel import TelegramChannel, TelegramOptions
from defib_testkit.telegram_api import TelegramApi

Make = Callable[..., TelegramChannel]


@pytest.fixture
async def make(telegram_api: TelegramApi, tmp_path: Path) -> AsyncIterator[Make]:
    made: list[TelegramChannel] = []

    def make(**options: Any) -> TelegramChannel:
        values = {"token": telegram_api.token, "chat_id": -1001234, "api_url": telegram_api.origin, **options}
        made.append(
            TelegramChannel("ops", TelegramOptions.model_validate(values), BuildContext(base=tmp_path))
        )
        return made[-1]

    yield make
    for channel in made:
        await channel.close()


async def test_a_message_reads_well(make: Make, telegram_api: TelegramApi) -> None:
    await make().send(make_alert(), make_context())

    (message,) = telegram_api.messages
    assert message.plain == (
        "🟠 HIGH · Main Agent is down\n"
        "\n"
        "Main Agent has been failing since 22:14:07 (Asia/Hong_Kong): connection refused by localhost:8000. "
        "Its host answers, but nothing listens on the port: the process is gone or still starting. "
        "Defib will run: systemctl restart openclaw-main.\n"
        "\n"
        "22:15:17 refused in 1 ms\n"
        "22:15:19 refused in 1 ms: 3 of 3 failures in a row\n"
        "\n"
        "1. See whether it runs: systemctl status openclaw-main\n"
        "2. Read its last words: journalctl -u openclaw-main -n 50 --no-pager\n"
        "3. See on its host who listens there: ss -ltnp 'sport = :8000'\n"
        "4. Try a restart: systemctl restart openclaw-main\n"
        "5. Check the way to it from here: curl -v --max-time 10 http://localhost:8000/health\n"
        "\n"
        "Open the incident · Acknowledge · The monitor's page"
    )


async def test_severity_and_title_are_bold_evidence_and_commands_are_code(
    make: Make, telegram_api: TelegramApi
) -> None:
    await make().send(make_alert(), make_context())

    (message,) = telegram_api.messages
    assert message.parse_mode == "HTML"
    assert "<b>HIGH · Main Agent is down</b>" in message.text
    assert "<pre>22:15:17 refused in 1 ms\n22:15:19 refused" in message.text
    assert "<code>systemctl restart openclaw-main</code>" in message.text
    assert message.params["link_preview_options"] == {"is_disabled": True}


async def test_one_message_is_one_request(make: Make, telegram_api: TelegramApi) -> None:
    channel = make()
    await channel.send(make_alert(), make_context())
    await channel.send(make_alert(), make_context())

    assert [request.path.rpartition("/")[2] for request in telegram_api.requests] == [
        "sendMessage",
        "sendMessage",
    ]


async def test_a_recovery_replies_to_the_first_message_of_its_incident(
    make: Make, telegram_api: TelegramApi
) -> None:
    channel = make()
    down = await channel.send(make_alert(), make_context(key="1"))
    recovered = make_alert(
        event=AlertKind.RECOVERED, cause="ok", summary="HTTP 200 in 12 ms", healed_by="itself"
    )
    await channel.send(recovered, make_context(key="2", thread=down.id))

    first, second = telegram_api.messages
    assert down.id == str(first.message_id)
    assert "reply_parameters" not in first.params
    assert second.params["reply_parameters"]["message_id"] == first.message_id
    assert second.params["reply_parameters"]["allow_sending_without_reply"] is True
    assert second.plain.startswith("🟢 RECOVERED · Main Agent has recovered\n")


async def test_a_receipt_of_another_make_is_no_thread(make: Make, telegram_api: TelegramApi) -> None:
    await make().send(make_alert(), make_context(thread="<1@example.com>"))

    (message,) = telegram_api.messages
    assert "reply_parameters" not in message.params


async def test_messages_go_to_the_topic(make: Make, telegram_api: TelegramApi) -> None:
    channel = make(thread_id=77)
    await channel.send(make_alert(), make_context())

    (message,) = telegram_api.messages
    assert message.params["message_thread_id"] == "77"
    assert channel.target == "Telegram chat -1001234, topic 77"


async def test_too_much_evidence_loses_its_oldest_lines(make: Make, telegram_api: TelegramApi) -> None:
    lines = tuple(f"line {number} <&> " + "🔥" * 250 for number in range(12))
    await make().send(make_alert(evidence=lines), make_context())

    (message,) = telegram_api.messages
    units = len(message.plain.encode("utf-16-le")) // 2
    assert 3000 < units <= 4096
    assert "line 11 <&> 🔥" in message.plain
    assert "line 0 " not in message.plain
    assert "5. Check the way to it" in message.plain


async def test_a_group_that_moved_gets_the_message_and_the_receipt_says_so(
    make: Make, telegram_api: TelegramApi
) -> None:
    telegram_api.migrate(-1001234, -1009999)
    channel = make()
    receipt = await channel.send(make_alert(), make_context())
    await channel.send(make_alert(), make_context())

    assert [message.chat_id for message in telegram_api.messages] == ["-1009999", "-1009999"]
    assert receipt.detail == "the group has become a supergroup; write chat_id: -1009999"
    assert len(telegram_api.requests) == 3  # the second message went to the new chat at once


async def test_a_group_that_keeps_moving_is_given_up(make: Make, telegram_api: TelegramApi) -> None:
    telegram_api.migrate(-1001234, -1009999)
    telegram_api.migrate(-1009999, -1001234)

    with pytest.raises(DeliveryError) as caught:
        await make().send(make_alert(), make_context())

    assert caught.value.permanent


async def test_flood_control_says_how_long_to_wait(make: Make, telegram_api: TelegramApi) -> None:
    telegram_api.mode, telegram_api.retry_after = "429", 37

    with pytest.raises(DeliveryError) as caught:
        await make().send(make_alert(), make_context())

    assert caught.value.retry_after == timedelta(seconds=37)
    assert not caught.value.permanent
    assert str(caught.value) == "Telegram chat -1001234: Telegram asks to wait for 37s"


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (
            "401",
            "Telegram chat -1001234: the bot's token is not valid; "
            "write the token that @BotFather shows, and check api_url",
        ),
        (
            "403",
            "Telegram chat -1001234: the bot may not write there (Forbidden: bot was blocked by the user); "
            "start a chat with the bot or add it to the group",
        ),
    ],
)
async def test_a_refusal_names_its_remedy(
    make: Make, telegram_api: TelegramApi, mode: str, message: str
) -> None:
    telegram_api.mode = mode

    with pytest.raises(DeliveryError) as caught:
        await make().send(make_alert(), make_context())

    assert str(caught.value) == message
    assert caught.value.permanent


async def test_a_report_comes_as_its_first_lines(make: Make, telegram_api: TelegramApi) -> None:
    text = "Daily report\n" + "\n".join(f"monitor-{number:03}  99.9 %" for number in range(500))
    await make().send(make_report(text=text), make_context())

    (message,) = telegram_api.messages
    assert message.text.startswith(
        "<b>[Defib] Daily report, Fri 2 Jan 2026: 99.98 % well</b>\n\n<pre>Daily report\n"
    )
    assert "monitor-028" in message.plain
    assert "monitor-029" not in message.plain
    assert message.plain.endswith("…\n\nOpen the dashboard")


async def test_a_template_of_ones_own_takes_the_place_of_the_shipped_one(
    make: Make, telegram_api: TelegramApi, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/alert.telegram.html.j2").write_text("<i>{{ alert.title }}</i> at {{ facts.target }}")
    receipt = await make(templates="mine").send(make_alert(monitor_name="A & B"), make_context())

    (message,) = telegram_api.messages
    assert message.text == "<i>A &amp; B is down</i> at http://localhost:8000/health"
    assert receipt.detail == ""


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        (
            "{{ alert.no_such_field }}",
            "UndefinedError: 'defib.model.alert.Alert object' has no attribute 'no_such_field'",
        ),
        ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero"),
        ("{% include 'missing.j2' %}", "TemplateNotFound: missing.j2)"),
        ("{% include 'alert.telegram.html.j2' %}", "RecursionError: maximum recursion depth exceeded"),
        ("{% if %}", "TemplateSyntaxError: Expected an expression, got 'end of statement block'"),
        (
            "{{ alert.__class__.__mro__ }}",
            "SecurityError: access to attribute '__class__' of 'Alert' object is unsafe.",
        ),
    ],
)
async def test_a_broken_template_of_ones_own_never_holds_back_an_alert(
    make: Make, telegram_api: TelegramApi, tmp_path: Path, template: str, complaint: str
) -> None:
    channel = make(templates=".")
    (tmp_path / "alert.telegram.html.j2").write_text(template)  # since Defib was started
    receipt = await channel.send(make_alert(), make_context())

    (message,) = telegram_api.messages
    assert "HIGH · Main Agent is down" in message.plain
    assert receipt.detail.startswith(f"your template alert.telegram.html.j2 fails ({complaint}")
    assert receipt.detail.endswith("); the shipped one was used")


async def test_markup_that_telegram_refuses_is_sent_without_markup(
    make: Make, telegram_api: TelegramApi, tmp_path: Path
) -> None:
    (tmp_path / "alert.telegram.html.j2").write_text("<h1>{{ alert.title }}</h1> &amp; more")
    receipt = await make(templates=".").send(make_alert(), make_context())

    (message,) = telegram_api.messages
    assert message.text == "Main Agent is down & more"
    assert "parse_mode" not in message.params
    assert receipt.detail.startswith("sent without markup, which Telegram refused: ")


def test_a_missing_folder_of_templates_is_a_mistake(make: Make, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"templates: there is no folder .*/nowhere; make it, or leave the key out"
    ):
        make(templates="nowhere")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "123456"}, "is not a bot token; @BotFather gives one that looks like 123456:ABC-DEF"),
        (
            {"chat_id": "ops chat"},
            "write the chat's number, such as -1001234567890, or @name of a public channel",
        ),
    ],
)
def test_mistakes_in_the_options_name_their_remedy(make: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make(**options)

    assert message in str(caught.value)
    assert "123456:" not in str(caught.value).replace("123456:ABC-DEF", "")

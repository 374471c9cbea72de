"""People answer Defib in Telegram: the whole program, a Bot API double, and a kill in between."""

from collections.abc import Callable

from defib_testkit.company import Company
from defib_testkit.telegram_api import TelegramApi
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

GROUP = -1001234
WHO = "Tester (Telegram 1001)"
SILENCES = "SELECT kind, made_by FROM window"


def test_a_press_counts_once_and_only_from_those_who_are_listed(
    make_company: Callable[..., Company], victim: Victim, telegram_api: TelegramApi
) -> None:
    company = make_company()
    company.watch({"id": "main", "name": "Main Agent", "type": "http", "url": victim.url})
    company.channel(
        "chat", type="telegram", token=telegram_api.token, chat_id=GROUP, api_url=telegram_api.origin,
        allow_users=[1001],
    )  # fmt: skip
    company.serve()
    company.wait_for("main", "up")
    victim.kill()
    alert = telegram_api.messages.wait_for(1, timeout=15)[0]
    assert [button["text"] for button in alert.buttons] == ["Acknowledge", "Silence 1 h", "Explain"]
    ack, silence, _ = (button["callback_data"] for button in alert.buttons)

    telegram_api.press(alert, ack, user_id=666)
    telegram_api.press(alert, ack, user_id=1001)
    refusal, taken = telegram_api.answers.wait_for(2, timeout=10)
    assert refusal.text == "Only listed people may do this. Your number is 666; allow_users takes it."
    assert taken.text == f"{WHO} sees to main: no more reminders"
    company.wait_for_rows("SELECT acked_by FROM incident", [(WHO,)])
    told = wait_until(
        lambda: [*telegram_api.edits, *telegram_api.messages.all()[1:]], 10, "the chat to be told"
    )
    assert WHO in told[0].plain

    company.kill()
    telegram_api.press(alert, silence, user_id=1001)
    company.serve()
    company.wait_for_rows(SILENCES, [("silence", WHO)])
    company.kill()  # and once more: what was done is not done again
    company.serve()
    count = len(telegram_api.messages)
    telegram_api.say(GROUP, "/status", user_id=1001)
    status = telegram_api.messages.wait_for(count + 1, timeout=10)[count]
    first, second = status.plain.splitlines()
    assert first == "1 fault"
    assert second.startswith("main since ")
    assert second.endswith(f"({ack.partition(':')[2]}); {WHO} sees to it")
    assert company.rows(SILENCES) == [("silence", WHO)]
    telegram_api.say(GROUP, "/ack main on my way", user_id=1001)
    company.wait_for_rows("SELECT ack_note FROM incident", [("on my way",)])
    company.stop()

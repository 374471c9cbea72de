"""The Apprise channel against Apprise itself, which posts to a webhook sink."""

import importlib.util
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alert_samples import make_alert, make_context, make_report
from defib import logs
from defib.plugin import AlertKind, BuildContext, DeliveryError
from defib_alerts.apprise_channel import AppriseChannel, AppriseOptions
from defib_testkit.logged import logging_kept
from defib_testkit.webhook_sink import WebhookSink

Make = Callable[..., AppriseChannel]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[AppriseChannel] = []

    def make(*urls: str, **options: Any) -> AppriseChannel:
        checked = AppriseOptions.model_validate({"url": urls, **options})
        made.append(AppriseChannel("all", checked, BuildContext(base=Path("/"))))
        return made[-1]

    yield make
    for channel in made:
        await channel.close()


def address(sink: WebhookSink, *, options: str = "") -> str:
    return f"json://127.0.0.1:{sink.port}/hook{options}"


async def test_an_alert_arrives_as_markdown(make: Make, webhook_sink: WebhookSink) -> None:
    receipt = await make(address(webhook_sink)).send(make_alert(monitor_name="Main *Agent*"), make_context())

    (request,) = webhook_sink.requests
    said = request.json()
    assert said["title"] == "HIGH · Main *Agent* is down"
    assert said["type"] == "failure"
    assert said["message"].startswith("Main \\*Agent\\* has been failing since 22:14:07")
    assert (
        "\n\n```\n22:15:17 refused in 1 ms\n22:15:19 refused in 1 ms: 3 of 3 failures in a row\n```\n\n"
        in said["message"]
    )
    assert "1. See whether it runs: `systemctl status openclaw-main`\n2. " in said["message"]
    assert said["message"].endswith("[The monitor's page](https://health.example.com/monitors/main)")
    assert receipt.detail == ""


async def test_a_service_of_plain_text_gets_plain_text(make: Make, webhook_sink: WebhookSink) -> None:
    channel = make(address(webhook_sink, options="?format=text"))
    await channel.send(make_alert(monitor_name="Main *Agent*"), make_context(key="1"))
    recovered = make_alert(event=AlertKind.RECOVERED, cause="ok", summary="HTTP 200", healed_by="itself")
    await channel.send(recovered, make_context(key="2"))
    await channel.send(make_report(), make_context(key="3"))

    down, well, report = (request.json() for request in webhook_sink.requests)
    assert down["message"].startswith("Main *Agent* has been failing since 22:14:07")
    assert "```" not in down["message"]
    assert well["type"] == "success"
    assert (report["title"], report["type"]) == ("[Defib] Daily report, Fri 2 Jan 2026: 99.98 % well", "info")
    assert report["message"].startswith("Daily report, Fri 2 Jan 2026")


async def test_of_several_services_only_those_that_failed_are_told_again(
    make: Make, webhook_sink: WebhookSink
) -> None:
    with closing(WebhookSink()) as other:
        other.mode = "error500"
        channel = make(address(webhook_sink), address(other))

        with pytest.raises(DeliveryError) as caught:
            await channel.send(make_alert(), make_context())
        other.mode = "ok"
        other.status = 200
        await channel.send(make_alert(), make_context())

        assert not caught.value.permanent
        assert str(caught.value).startswith(
            "json by Apprise did not take it: Failed to send JSON POST notification"
        )
        assert str(caught.value).endswith("; taken by 1 of 2")
        assert (len(webhook_sink.requests), len(other.requests)) == (1, 2)


async def test_a_refusal_for_good_beside_one_that_took_it_is_named(
    make: Make, webhook_sink: WebhookSink
) -> None:
    with closing(WebhookSink()) as other:
        other.status = 404
        receipt = await make(address(webhook_sink), address(other)).send(make_alert(), make_context())

    assert receipt.detail.startswith("json by Apprise did not take it: ")
    assert "error=404" in receipt.detail


@pytest.fixture
def program_logs() -> Iterator[None]:
    """Logging as a program of Defib sets it up."""
    with logging_kept():
        logs.configure(stream=StringIO())
        yield


@pytest.mark.usefixtures("program_logs")
async def test_a_program_hears_why_a_service_did_not_take_it(make: Make, webhook_sink: WebhookSink) -> None:
    webhook_sink.status = 404
    with pytest.raises(DeliveryError, match="error=404") as caught:
        await make(address(webhook_sink)).send(make_alert(), make_context())

    assert caught.value.permanent


async def test_what_apprise_does_not_understand_is_final_and_stays_secret(make: Make) -> None:
    with pytest.raises(DeliveryError) as caught:
        await make("slack://only-one-token-0123456789").send(make_alert(), make_context())

    assert caught.value.permanent
    assert str(caught.value) == (
        "slack by Apprise knows no such service, or misses a part of it; "
        "see https://appriseit.com for how its address is written"
    )


def test_without_apprise_the_configuration_says_how_to_get_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ValueError, match=r"needs Apprise, .*; install it: pip install 'defib\[apprise\]'"):
        make("json://127.0.0.1")


def test_what_is_no_address_is_a_mistake_and_stays_secret(make: Make) -> None:
    with pytest.raises(ValidationError, match="is not an address of Apprise's; write service://") as caught:
        make("xoxb-my-token")

    assert "xoxb" not in str(caught.value)

"""What the engine relies on in every channel, run against real servers."""

import logging
import re
import subprocess
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from alert_samples import make_alert, make_context, make_report
from defib.plugin import Alert, AlertKind, BuildContext, Channel, ChannelType, DeliveryError
from defib_alerts import email_channel, telegram_channel, webhook_channel
from defib_testkit.certificate import Certificate
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.telegram_api import TelegramApi
from defib_testkit.webhook_sink import WebhookSink

REFERENCE = Path(__file__).parents[2] / "docs/reference/channels.md"


class Rig(ABC):
    """One channel and its far end."""

    secrets: tuple[str, ...]
    """What must never be seen outside of the conversation itself."""

    def __init__(self, hook: Callable[[], Any], options: dict[str, Any]) -> None:
        (self.type,) = hook()
        assert isinstance(self.type, ChannelType)
        self.options: BaseModel = self.type.options.model_validate(options)
        self.channel: Channel = self.type.create("ops", self.options, BuildContext(base=Path("/")))

    @abstractmethod
    def received(self) -> list[str]:
        """What came in, as text."""

    @abstractmethod
    def set_mode(self, mode: str) -> None:
        """``ok``, ``refuse`` for ever, be in ``trouble`` for now, ``hang``, or be ``dead``."""


class TelegramRig(Rig):
    def __init__(self, api: TelegramApi) -> None:
        self._api = api
        self.secrets = (api.token, api.token.partition(":")[2])
        options = {"token": api.token, "chat_id": -1001234, "api_url": api.origin}
        super().__init__(telegram_channel.defib_channels, options)

    def received(self) -> list[str]:
        return [message.plain for message in self._api.messages]

    def set_mode(self, mode: str) -> None:
        self._api.mode = {"refuse": "403", "trouble": "502"}.get(mode, mode)


class EmailRig(Rig):
    def __init__(self, server: SmtpServer, certificate: Certificate) -> None:
        self._server = server
        self.secrets = ("pass word/42",)
        options = {
            "smtp": f"smtps://127.0.0.1:{server.port}",
            "ca_file": str(certificate.cert),
            "username": "defib",
            "password": "pass word/42",
            "from": "Defib <defib@example.com>",
            "to": ["ops@example.com"],
        }
        super().__init__(email_channel.defib_channels, options)

    def received(self) -> list[str]:
        texts = []
        for mail in self._server.messages:
            body = mail.message.get_body(("plain",))
            assert body is not None
            texts.append(f"{mail.message['Subject']}\n{' '.join(body.get_content().split())}")
        return texts

    def set_mode(self, mode: str) -> None:
        self._server.greylist_first = 100
        self._server.mode = {"trouble": "greylist"}.get(mode, mode)


class WebhookRig(Rig):
    def __init__(self, sink: WebhookSink) -> None:
        self._sink = sink
        self.secrets = ("T0P-path-key-0123456789", "signing-key", "bearer-key", "query-key")
        options = {
            "url": f"{sink.origin}/hook/T0P-path-key-0123456789?k=query-key",
            "secret": "signing-key",
            "headers": {"Authorization": "Bearer bearer-key"},
        }
        super().__init__(webhook_channel.defib_channels, options)

    def received(self) -> list[str]:
        return [request.body.decode() for request in self._sink.requests]

    def set_mode(self, mode: str) -> None:
        self._sink.status = 410 if mode == "refuse" else 204
        self._sink.mode = {"refuse": "ok", "trouble": "error500"}.get(mode, mode)


@pytest.fixture(params=["telegram", "email", "webhook"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    made: Rig
    match request.param:
        case "telegram":
            made = TelegramRig(request.getfixturevalue("telegram_api"))
        case "email":
            certificate: Certificate = request.getfixturevalue("certificate")
            make_server: Callable[..., SmtpServer] = request.getfixturevalue("make_smtp_server")
            server = make_server(tls=certificate.server_context(), credentials=("defib", "pass word/42"))
            made = EmailRig(server, certificate)
        case _:
            made = WebhookRig(request.getfixturevalue("webhook_sink"))
    yield made
    await made.channel.close()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that any library logs."""
    with caplog.at_level(logging.DEBUG):
        yield caplog


def every_kind_of_alert() -> list[Alert]:
    return [
        make_alert(),
        make_alert(event=AlertKind.DEGRADED, cause="slow", summary="HTTP 200 in 2.7 s, expected within 2s"),
        make_alert(
            event=AlertKind.RECOVERED,
            cause="ok",
            summary="HTTP 200 in 12 ms",
            healed_by="defib",
            duration_s=72.0,
        ),
        make_alert(event=AlertKind.RECOVERY_FAILED, attempts=3),
        make_alert(
            event=AlertKind.TEST,
            cause="test",
            summary="a test of the channel ops",
            evidence=(),
            incident=None,
        ),
    ]


async def test_every_kind_of_alert_arrives_with_its_title_and_description(rig: Rig) -> None:
    for number, alert in enumerate(every_kind_of_alert()):
        await rig.channel.send(alert, make_context(key=f"key-{number}"))

    received = rig.received()

    assert len(received) == 5
    for alert, text in zip(every_kind_of_alert(), received, strict=True):
        assert alert.title in text
        assert alert.description in text


async def test_recommendations_arrive_best_first(rig: Rig) -> None:
    await rig.channel.send(make_alert(), make_context())

    (text,) = rig.received()
    status = text.index("systemctl status openclaw-main")
    log = text.index("journalctl -u openclaw-main -n 50")
    restart = text.index("Try a restart: ")
    assert status < log < restart


async def test_a_report_arrives(rig: Rig) -> None:
    await rig.channel.send(make_report(), make_context(key="report_20260102", thread_key=""))

    (text,) = rig.received()
    assert "99.98 %" in text
    assert "[Defib] Daily report, Fri 2 Jan 2026" in text


async def test_markup_in_what_targets_say_stays_text(rig: Rig) -> None:
    alert = make_alert(summary='it said <script>alert("x")</script> & `rm`', evidence=("<b>&amp;</i>",))

    await rig.channel.send(alert, make_context())

    (text,) = rig.received()
    assert "<script>alert(" in text
    assert "<b>&amp;</i>" in text


async def test_an_alert_of_any_size_arrives(rig: Rig) -> None:
    lines = tuple(f"line {number} " + "<&🔥>" * 60 for number in range(200))

    await rig.channel.send(make_alert(summary="x" * 9000, evidence=lines), make_context())

    (text,) = rig.received()
    assert "Main Agent is down" in text


async def test_the_receipt_of_the_first_alert_threads_the_next(rig: Rig) -> None:
    first = await rig.channel.send(make_alert(), make_context(key="key-1"))
    second = await rig.channel.send(
        make_alert(event=AlertKind.RECOVERED, healed_by="itself"), make_context(key="key-2", thread=first.id)
    )

    assert len(rig.received()) == 2
    assert not second.id or second.id != first.id


async def test_a_final_refusal_is_permanent_and_names_no_secret(rig: Rig) -> None:
    rig.set_mode("refuse")

    with pytest.raises(DeliveryError) as caught:
        await rig.channel.send(make_alert(), make_context())

    assert caught.value.permanent
    assert_safe(rig, caught.value)


@pytest.mark.parametrize("mode", ["trouble", "dead"])
async def test_trouble_at_the_far_end_is_worth_another_try_and_names_no_secret(rig: Rig, mode: str) -> None:
    rig.set_mode(mode)

    with pytest.raises(DeliveryError) as caught:
        await rig.channel.send(make_alert(), make_context())

    assert not caught.value.permanent
    assert_safe(rig, caught.value)


async def test_a_channel_works_again_when_its_far_end_does(rig: Rig) -> None:
    rig.set_mode("dead")
    with pytest.raises(DeliveryError):
        await rig.channel.send(make_alert(), make_context())

    rig.set_mode("ok")
    await rig.channel.send(make_alert(), make_context())

    assert len(rig.received()) == 1


async def test_a_far_end_that_hangs_costs_no_more_than_the_timeout(rig: Rig) -> None:
    await rig.channel.send(make_alert(), make_context())  # libraries are loaded by now
    rig.set_mode("hang")

    started = time.monotonic()
    with pytest.raises(DeliveryError) as caught:
        await rig.channel.send(make_alert(), make_context(timeout=timedelta(milliseconds=300)))
    took_s = time.monotonic() - started

    assert 0.25 < took_s < 1.3
    assert not caught.value.permanent
    assert_safe(rig, caught.value)


async def test_no_secret_is_logged(rig: Rig, log: pytest.LogCaptureFixture) -> None:
    await rig.channel.send(make_alert(), make_context())
    for mode in ("refuse", "trouble", "dead"):
        rig.set_mode(mode)
        with pytest.raises(DeliveryError):
            await rig.channel.send(make_alert(), make_context())

    for record in log.records:
        assert not any(secret in record.getMessage() for secret in rig.secrets), record.name


async def test_target_and_options_show_no_secret(rig: Rig) -> None:
    shown = f"{rig.channel.target} {rig.options!r} {rig.options} {rig.options.model_dump_json()}"

    assert not any(secret in shown for secret in rig.secrets)


async def test_close_may_be_called_again_and_before_anything_was_sent(rig: Rig) -> None:
    await rig.channel.close()
    await rig.channel.close()


async def test_close_after_a_failure_leaves_nothing_open(rig: Rig) -> None:
    rig.set_mode("trouble")
    with pytest.raises(DeliveryError):
        await rig.channel.send(make_alert(), make_context())

    await rig.channel.close()
    await rig.channel.close()


async def test_every_option_is_described_in_the_schema_and_on_the_reference_page(rig: Rig) -> None:
    section = REFERENCE.read_text().split(f"\n## {rig.type.kind}\n")[1].split("\n## ")[0]
    options = rig.type.options.model_json_schema()["properties"]

    listed = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", section, re.MULTILINE))))

    assert listed == set(options)
    assert [name for name, schema in options.items() if not schema.get("description")] == []


def test_channels_load_their_libraries_only_when_they_send() -> None:
    program = (
        "import sys\n"
        "import defib.plugin\n"
        "before = set(sys.modules)\n"
        "import defib_alerts.texts, defib_alerts.telegram_channel, defib_alerts.email_channel\n"
        "import defib_alerts.webhook_channel\n"
        "new = set(sys.modules) - before\n"
        "print(sorted({'telegram', 'aiosmtplib', 'httpx', 'jinja2', 'markupsafe'} & new))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert (done.stdout, done.stderr) == ("[]\n", "")


def assert_safe(rig: Rig, error: DeliveryError) -> None:
    """One line for people, and no secret in it or in what a log shows of it."""
    shown = "".join(traceback.format_exception(error))
    assert "\n" not in str(error)
    assert not any(secret in shown for secret in rig.secrets), shown

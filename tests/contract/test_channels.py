"""What the engine relies on in every channel, run against real servers."""

import asyncio
import logging
import re
import socket
import subprocess
import sys
import time
import traceback
from abc import ABC, abstractmethod
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from pydantic import BaseModel

from alert_samples import NOW, make_alert, make_context, make_report
from defib.plugin import (
    Alert,
    AlertKind,
    BuildContext,
    Channel,
    ChannelType,
    DeliveryError,
    Editing,
    Listening,
)
from defib_alerts import (
    alertmanager_channel,
    apprise_channel,
    email_channel,
    ntfy_channel,
    telegram_channel,
    webhook_channel,
)
from defib_testkit.alertmanager_double import AlertmanagerDouble
from defib_testkit.certificate import Certificate
from defib_testkit.logged import capture_logs
from defib_testkit.ntfy_server import NtfyServer
from defib_testkit.server_double import ServerDouble
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.telegram_api import TelegramApi
from defib_testkit.waiting import async_wait_until
from defib_testkit.webhook_sink import WebhookSink

REFERENCE = Path(__file__).parents[2] / "docs/reference/channels.md"


class Rig(ABC):
    """One channel and its far end."""

    secrets: tuple[str, ...]
    """What must never be seen outside of the conversation itself."""
    takes_reports = True
    scheme = "http"  #: of addresses; with an ``s`` behind it for TLS

    def __init__(self, hook: Callable[[], Any], port: int) -> None:
        (self.type,) = hook()
        assert isinstance(self.type, ChannelType)
        self.options: BaseModel = self.type.options.model_validate(
            self.options_for(f"{self.scheme}://127.0.0.1:{port}")
        )
        self.channel = self.make(self.options)

    def make(self, options: BaseModel) -> Channel:
        channel: Channel = self.type.create("ops", options, BuildContext(base=Path("/")))
        return channel

    def elsewhere(self, place: str) -> Channel:
        """The same channel with a far end of that scheme, host and port."""
        return self.make(self.type.options.model_validate(self.options_for(place)))

    @abstractmethod
    def options_for(self, place: str) -> dict[str, Any]:
        """With a far end at that scheme, host and port."""

    @abstractmethod
    def received(self) -> list[str]:
        """What came in, as text."""

    @abstractmethod
    def set_mode(self, mode: str) -> None:
        """``ok``, ``refuse`` for ever, ``unauthorized``, be in ``trouble`` for now, ``hang``, or be ``dead``."""


class TelegramRig(Rig):
    def __init__(self, api: TelegramApi) -> None:
        self._api = api
        self.secrets = (api.token, api.token.partition(":")[2])
        super().__init__(telegram_channel.defib_channels, api.port)

    def options_for(self, place: str) -> dict[str, Any]:
        return {"token": self._api.token, "chat_id": -1001234, "api_url": place, "allow_users": [1001]}

    def received(self) -> list[str]:
        return [message.plain for message in self._api.messages]

    def set_mode(self, mode: str) -> None:
        self._api.mode = {"refuse": "403", "unauthorized": "401", "trouble": "502"}.get(mode, mode)


class EmailRig(Rig):
    scheme = "smtps"

    def __init__(self, server: SmtpServer, certificate: Certificate) -> None:
        self._server = server
        self._certificate = certificate
        self.secrets = ("pass word/42", "\0defib\0pass word/42")
        super().__init__(email_channel.defib_channels, server.port)

    def options_for(self, place: str) -> dict[str, Any]:
        is_ours = place.endswith(f":{self._server.port}")
        return {
            "smtp": place.replace("smtpss", "smtps"), "username": "defib", "password": "pass word/42",
            "from": "Defib <defib@example.com>", "to": ["ops@example.com"],
        } | ({"ca_file": str(self._certificate.cert)} if is_ours else {})  # fmt: skip

    def received(self) -> list[str]:
        texts = []
        for mail in self._server.messages:
            body = mail.message.get_body(("plain",))
            assert body is not None
            texts.append(f"{mail.message['Subject']}\n{' '.join(body.get_content().split())}")
        return texts

    def set_mode(self, mode: str) -> None:
        self._server.greylist_first = 100
        self._server.credentials = ("defib", "another" if mode == "unauthorized" else "pass word/42")
        self._server.mode = {"trouble": "greylist", "unauthorized": "ok"}.get(mode, mode)


class WebhookRig(Rig):
    def __init__(self, sink: WebhookSink) -> None:
        self._sink = sink
        self.secrets = ("T0P-path-key-0123456789", "signing key/+", "bearer key/+", "query-key")
        super().__init__(webhook_channel.defib_channels, sink.port)

    def options_for(self, place: str) -> dict[str, Any]:
        return {
            "url": f"{place}/hook/T0P-path-key-0123456789?k=query-key",
            "secret": "signing key/+",
            "headers": {"Authorization": "Bearer bearer key/+"},
        }

    def received(self) -> list[str]:
        return [request.body.decode() for request in self._sink.requests]

    def set_mode(self, mode: str) -> None:
        self._sink.status = {"refuse": 410, "unauthorized": 401}.get(mode, 204)
        self._sink.body = echo(self.secrets) if mode in ("refuse", "unauthorized") else b""
        self._sink.mode = {"refuse": "ok", "unauthorized": "ok", "trouble": "error500"}.get(mode, mode)


class AlertmanagerRig(Rig):
    takes_reports = False

    def __init__(self, alertmanager: AlertmanagerDouble) -> None:
        self._alertmanager = alertmanager
        self.secrets = ("am pass/+word", "defib:am pass/+word", "prefix-0123456789")
        super().__init__(alertmanager_channel.defib_channels, alertmanager.port)

    def options_for(self, place: str) -> dict[str, Any]:
        return {"url": f"{place}/prefix-0123456789", "username": "defib", "password": "am pass/+word"}

    def received(self) -> list[str]:
        return ["\n".join(post[-1]["annotations"].values()) for post in self._alertmanager.posts]

    def set_mode(self, mode: str) -> None:
        self._alertmanager.remark = echo(self.secrets).decode()
        self._alertmanager.mode = {"refuse": "400", "unauthorized": "401", "trouble": "500"}.get(mode, mode)


class NtfyRig(Rig):
    def __init__(self, server: NtfyServer) -> None:
        self._server = server
        self.secrets = ("secret-topic_42", "tk_0123456789/+")
        super().__init__(ntfy_channel.defib_channels, server.port)

    def options_for(self, place: str) -> dict[str, Any]:
        return {"server": place, "topic": "secret-topic_42", "token": "tk_0123456789/+"}

    def received(self) -> list[str]:
        return [f"{said.title}\n{said.message}" for said in self._server.notifications]

    def set_mode(self, mode: str) -> None:
        self._server.remark = echo(self.secrets).decode()
        self._server.authorization = "Bearer another" if mode == "unauthorized" else ""
        self._server.mode = {"refuse": "403", "unauthorized": "ok", "trouble": "500"}.get(mode, mode)


class AppriseRig(Rig):
    scheme = "json"

    def __init__(self, sink: WebhookSink) -> None:
        self._sink = sink
        self.secrets = ("json-pass-42", "T0P-path-key-0123456789")
        super().__init__(apprise_channel.defib_channels, sink.port)

    def options_for(self, place: str) -> dict[str, Any]:
        scheme, _, host = place.partition("://")
        return {"url": f"{scheme}://defib:json-pass-42@{host}/T0P-path-key-0123456789?format=text"}

    def received(self) -> list[str]:
        return [
            f"{said['title']}\n{said['message']}"
            for said in (request.json() for request in self._sink.requests)
        ]

    def set_mode(self, mode: str) -> None:
        self._sink.status = {"refuse": 410, "unauthorized": 401}.get(mode, 204)
        self._sink.body = echo(self.secrets) if mode in ("refuse", "unauthorized") else b""
        self._sink.mode = {"refuse": "ok", "unauthorized": "ok", "trouble": "error500"}.get(mode, mode)


KINDS = ("telegram", "email", "webhook", "alertmanager", "ntfy", "apprise")


@pytest.fixture(params=KINDS)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    made: Rig
    with ExitStack() as stack:
        match request.param:
            case "telegram":
                made = TelegramRig(request.getfixturevalue("telegram_api"))
            case "email":
                certificate: Certificate = request.getfixturevalue("certificate")
                make_server: Callable[..., SmtpServer] = request.getfixturevalue("make_smtp_server")
                server = make_server(tls=certificate.server_context(), credentials=("defib", "pass word/42"))
                made = EmailRig(server, certificate)
            case "webhook":
                made = WebhookRig(request.getfixturevalue("webhook_sink"))
            case "alertmanager":
                made = AlertmanagerRig(stack.enter_context(closing(AlertmanagerDouble(now=NOW))))
            case "ntfy":
                made = NtfyRig(stack.enter_context(closing(NtfyServer())))
            case _:
                made = AppriseRig(request.getfixturevalue("webhook_sink"))
        yield made
        await made.channel.close()


def spellings(secret: str) -> set[str]:
    """How far ends and libraries write it."""
    raw = secret.encode()
    return {
        secret, quote(secret), quote(secret, safe=""), quote_plus(secret),
        b64encode(raw).decode(), urlsafe_b64encode(raw).decode(), repr(secret)[1:-1],
    }  # fmt: skip


def echo(secrets: Iterable[str]) -> bytes:
    """What a far end says that repeats all it was told."""
    return " ".join(
        ["I was told", *(spelling for secret in secrets for spelling in spellings(secret))]
    ).encode()


def assert_no_secret(rig: Rig, shown: str, where: str) -> None:
    found = [spelling for secret in rig.secrets for spelling in spellings(secret) if spelling in shown]
    assert found == [], f"{where}: {shown}"


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


async def test_a_report_arrives_or_is_refused_for_good(rig: Rig) -> None:
    if not rig.takes_reports:
        with pytest.raises(DeliveryError, match="takes no reports") as caught:
            await rig.channel.send(make_report(), make_context(key="report_20260102", thread_key=""))
        assert caught.value.permanent
        return
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


@pytest.mark.parametrize("mode", ["trouble", "dead"])
async def test_trouble_at_the_far_end_is_worth_another_try(rig: Rig, mode: str) -> None:
    rig.set_mode(mode)

    with pytest.raises(DeliveryError) as caught:
        await rig.channel.send(make_alert(), make_context())

    assert not caught.value.permanent


@pytest.mark.parametrize("failure", ["refuse", "unauthorized", "trouble", "dead", "hang", "dns", "tls"])
async def test_no_failure_shows_a_secret_in_errors_or_logs(
    rig: Rig, failure: str, log: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    channel, timeout = rig.channel, timedelta(seconds=5)
    with ExitStack() as stack, capture_logs() as events:
        match failure:
            case "dns":
                request.getfixturevalue("no_such_host")
                channel = rig.elsewhere(f"{rig.scheme}://nosuch.invalid:9")
            case "tls":  # nobody vouches for its certificate
                certificate: Certificate = request.getfixturevalue("certificate")
                make: Callable[..., ServerDouble] = SmtpServer if rig.scheme == "smtps" else WebhookSink
                server = stack.enter_context(closing(make(tls=certificate.server_context())))
                channel = rig.elsewhere(f"{rig.scheme}s://127.0.0.1:{server.port}")
            case "hang":
                rig.set_mode("hang")
                timeout = timedelta(milliseconds=300)
            case _:
                rig.set_mode(failure)
        with pytest.raises(DeliveryError) as caught:
            await channel.send(make_alert(), make_context(timeout=timeout))
        await channel.close()

    assert caught.value.permanent == (failure in ("refuse", "unauthorized"))
    assert "\n" not in str(caught.value)
    assert_no_secret(rig, "".join(traceback.format_exception(caught.value)), "the error")
    for record in log.records:
        assert_no_secret(rig, f"{record.getMessage()} {record.exc_info}", f"the log of {record.name}")
    assert_no_secret(rig, repr(events), "our own log")


@pytest.fixture
def no_such_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that knows everybody but nosuch.invalid, and that is asked nothing elsewhere."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host in ("nosuch.invalid", b"nosuch.invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


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


async def test_no_secret_is_logged_or_kept_in_a_receipt(rig: Rig, log: pytest.LogCaptureFixture) -> None:
    receipt = await rig.channel.send(make_alert(), make_context())

    assert_no_secret(rig, repr(receipt), "the receipt")
    for record in log.records:
        assert_no_secret(rig, record.getMessage(), f"the log of {record.name}")


# --- what some channels are besides ----------------------------------------------------------------


async def test_a_channel_that_edits_puts_the_new_text_in_the_place_of_the_old(rig: Rig) -> None:
    assert isinstance(rig.channel, Editing) == (rig.type.kind in ("telegram", "ntfy"))
    if not isinstance(rig.channel, Editing):
        return
    assert rig.channel.can_edit
    first = await rig.channel.send(make_alert(), make_context(key="1"))
    recovered = make_alert(event=AlertKind.RECOVERED, healed_by="itself")
    second = await rig.channel.send(recovered, make_context(key="2", edits=first.id))

    assert first.id
    assert second.id == first.id


async def test_an_edit_that_fails_for_now_is_worth_another_try(rig: Rig) -> None:
    if not isinstance(rig.channel, Editing):
        return
    first = await rig.channel.send(make_alert(), make_context(key="1"))
    rig.set_mode("trouble")

    with pytest.raises(DeliveryError) as caught:
        await rig.channel.send(make_alert(), make_context(key="2", edits=first.id))

    assert not caught.value.permanent


class SilentDesk:
    """Nobody is served here."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the desk was asked for {name}")


async def test_a_channel_that_listens_does_so_until_cancelled_through_all_trouble(
    rig: Rig, log: pytest.LogCaptureFixture
) -> None:
    assert isinstance(rig.channel, Listening) == (rig.type.kind == "telegram")
    if not isinstance(rig.channel, Listening):
        return
    with capture_logs() as events:
        listening = asyncio.create_task(rig.channel.listen(SilentDesk()))  # type: ignore[arg-type]
        for number, mode in enumerate(("unauthorized", "dead"), 1):
            rig.set_mode(mode)
            await async_wait_until(lambda number=number: len(events) >= number)  # type: ignore[misc]
        assert not listening.done()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening

    assert_no_secret(rig, repr(events), "our own log")
    for record in log.records:
        assert_no_secret(rig, record.getMessage(), f"the log of {record.name}")


# --- options and order -----------------------------------------------------------------------------


async def test_target_and_options_show_no_secret(rig: Rig) -> None:
    shown = f"{rig.channel.target} {rig.options!r} {rig.options} {rig.options.model_dump_json()}"

    assert_no_secret(rig, shown, "what is shown")


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
    modules = ", ".join(f"defib_alerts.{kind}_channel" for kind in KINDS)
    program = (
        "import sys\n"
        "import defib.plugin\n"
        "before = set(sys.modules)\n"
        f"import defib_alerts.texts, {modules}\n"
        "new = set(sys.modules) - before\n"
        "print(sorted({'telegram', 'aiosmtplib', 'httpx', 'jinja2', 'markupsafe', 'apprise', 'requests'} & new))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert (done.stdout, done.stderr) == ("[]\n", "")

"""The webhook channel against a real HTTP server, and the promises of its reference page."""

import asyncio
import contextlib
import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alert_samples import make_alert, make_context, make_report
from defib.plugin import BuildContext, DeliveryError
from defib_alerts.webhook_channel import WebhookChannel, WebhookOptions
from defib_testkit.ports import free_port
from defib_testkit.webhook_sink import WebhookSink

REFERENCE = Path(__file__).parents[2] / "docs/reference/channels.md"
NOON = datetime(2026, 1, 3, 12, 0, 0, tzinfo=UTC)

Make = Callable[..., WebhookChannel]


@pytest.fixture
async def make(webhook_sink: WebhookSink) -> AsyncIterator[Make]:
    made: list[WebhookChannel] = []

    def make(*, now: Callable[[], datetime] | None = None, **options: Any) -> WebhookChannel:
        checked = WebhookOptions.model_validate({"url": webhook_sink.url, **options})
        clock = {} if now is None else {"now": now}
        made.append(WebhookChannel("hook", checked, BuildContext(base=Path("/")), **clock))
        return made[-1]

    yield make
    for channel in made:
        await channel.close()


def example(language: str) -> str:
    """The one example in this language on the reference page."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    return str(code)


async def test_the_body_is_the_one_of_the_reference_page(make: Make, webhook_sink: WebhookSink) -> None:
    await make().send(make_alert(facts={"error": "refused"}, tags=("agents",)), make_context())

    (request,) = webhook_sink.requests
    assert request.json() == json.loads(example("json"))


async def test_the_signature_is_accepted_by_the_example_of_the_reference_page(
    make: Make, webhook_sink: WebhookSink
) -> None:
    await make(secret="key").send(make_alert(monitor_name="天气"), make_context())

    (request,) = webhook_sink.requests
    header = request.headers["X-Defib-Signature"]
    names: dict[str, Any] = {}
    exec(example("python"), names)
    is_genuine = names["is_genuine"]
    assert is_genuine(header, request.body, "key")
    assert not is_genuine(header, request.body + b" ", "key")
    assert not is_genuine(header, request.body, "other key")
    assert not is_genuine(header, request.body, "key", tolerance_s=-1)


async def test_the_signature_covers_time_and_body(make: Make, webhook_sink: WebhookSink) -> None:
    channel = make(secret="key", now=lambda: NOON)
    await channel.send(make_report(text="", html="", data="", csv="", images={}, subject="S"), make_context())

    (request,) = webhook_sink.requests
    assert request.body == (
        b'{"specversion":"1.0","id":"report_20260102","source":"https://health.example.com","type":"defib.report",'
        b'"time":"2026-01-03T14:15:19.000Z","datacontenttype":"application/json","data":{"name":"daily",'
        b'"start":"2026-01-02T14:15:19.000Z","end":"2026-01-03T14:15:19.000Z",'
        b'"generated_at":"2026-01-03T14:15:19.000Z","subject":"S","text":"","report":null}}'
    )
    # printf '1767441600.%s' "$body" | openssl dgst -sha256 -hmac key
    assert (
        request.headers["X-Defib-Signature"]
        == "t=1767441600,v1=8397d65b1954173e45c03e51cb5837dc0270b167be757e1509558295908b0014"
    )


async def test_without_a_secret_nothing_is_signed(make: Make, webhook_sink: WebhookSink) -> None:
    await make().send(make_alert(), make_context())

    (request,) = webhook_sink.requests
    assert "X-Defib-Signature" not in request.headers


async def test_headers_and_method_are_as_configured(make: Make, webhook_sink: WebhookSink) -> None:
    channel = make(method="PUT", headers={"Authorization": "Bearer b", "X-Team": "ops"})
    receipt = await channel.send(make_alert(), make_context(key="inc-7|down|1|hook"))

    (request,) = webhook_sink.requests
    assert request.method == "PUT"
    assert request.headers["Authorization"] == "Bearer b"
    assert request.headers["X-Team"] == "ops"
    assert request.headers["Content-Type"] == "application/cloudevents+json"
    assert request.headers["Idempotency-Key"] == "inc-7|down|1|hook"
    assert receipt.detail == "HTTP 204"


async def test_every_try_carries_the_same_event_and_key(make: Make, webhook_sink: WebhookSink) -> None:
    channel = make()
    webhook_sink.then("error500")
    with pytest.raises(DeliveryError):
        await channel.send(make_alert(), make_context())
    await channel.send(make_alert(), make_context())

    first, second = webhook_sink.requests
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


async def test_numbers_that_json_does_not_know_are_null(make: Make, webhook_sink: WebhookSink) -> None:
    facts = {"load": math.inf, "cpu": math.nan, "ok": 1.5}
    await make().send(make_alert(facts=facts), make_context())

    (request,) = webhook_sink.requests
    assert request.json()["data"]["facts"]["facts"] == {"load": None, "cpu": None, "ok": 1.5}


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_accepts(make: Make, webhook_sink: WebhookSink, status: int) -> None:
    webhook_sink.status = status

    receipt = await make().send(make_alert(), make_context())

    assert receipt.detail == f"HTTP {status}"


@pytest.mark.parametrize(
    ("status", "is_permanent"),
    [
        (400, True), (401, True), (403, True), (404, True), (410, True), (422, True),
        (408, False), (425, False), (429, False), (500, False), (502, False), (503, False), (504, False),
    ],
)  # fmt: skip
async def test_the_status_decides_whether_to_try_again(
    make: Make, webhook_sink: WebhookSink, status: int, is_permanent: bool
) -> None:
    webhook_sink.status = status

    with pytest.raises(DeliveryError, match=f"HTTP {status}") as caught:
        await make().send(make_alert(), make_context())

    assert caught.value.permanent is is_permanent
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("value", "pause"),
    [
        ("120", timedelta(seconds=120)),
        ("Sat, 03 Jan 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Sat, 03 Jan 2026 11:00:00 GMT", timedelta(0)),
        ("99999999", timedelta(days=1)),
        ("soon", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(
    make: Make, webhook_sink: WebhookSink, status: int, value: str, pause: timedelta | None
) -> None:
    webhook_sink.status, webhook_sink.headers = status, {"Retry-After": value}

    with pytest.raises(DeliveryError) as caught:
        await make(now=lambda: NOON).send(make_alert(), make_context())

    assert caught.value.retry_after == pause
    assert not caught.value.permanent


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(make: Make, webhook_sink: WebhookSink, status: int) -> None:
    webhook_sink.status, webhook_sink.headers = status, {"Location": f"{webhook_sink.origin}/elsewhere?key=k"}

    with pytest.raises(DeliveryError) as caught:
        await make(secret="key").send(make_alert(), make_context())

    assert len(webhook_sink.requests) == 1
    assert caught.value.permanent
    assert str(caught.value) == (
        f"{webhook_sink.origin} redirects elsewhere (HTTP {status}); write the final address as url"
    )


@pytest.fixture
async def answer() -> AsyncIterator[Callable[[bytes], Awaitable[str]]]:
    """Start a server that answers with these bytes and says no more; gives its address."""
    servers: list[asyncio.Server] = []
    conversations: list[asyncio.Task[None]] = []

    async def answer(said: bytes) -> str:
        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            conversations.append(asyncio.current_task())  # type: ignore[arg-type]
            writer.write(said)
            with contextlib.suppress(OSError):
                await reader.read()  # until the client hangs up
                writer.close()
                await writer.wait_closed()

        servers.append(await asyncio.start_server(converse, "127.0.0.1", free_port()))
        return f"http://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}"

    yield answer
    for server in servers:
        server.close()
    await asyncio.wait_for(asyncio.gather(*conversations), timeout=5)


async def test_a_refusal_tells_what_the_far_end_said_but_no_secret(
    make: Make, answer: Callable[[bytes], Awaitable[str]]
) -> None:
    said = b"no field\r\n  of that name; your key was k3y, was it?"
    origin = await answer(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(said) + said)

    channel = make(url=origin, secret="k3y")

    with pytest.raises(DeliveryError) as caught:
        await channel.send(make_alert(), make_context())
    await channel.close()

    assert str(caught.value) == (
        f"{origin} refused with HTTP 400: no field of that name; your key was ***, was it?"
    )


@pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked", b"Content-Length: 99999999"])
async def test_a_refusal_without_end_is_not_waited_for(
    make: Make, answer: Callable[[bytes], Awaitable[str]], head: bytes
) -> None:
    origin = await answer(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n\r\n3\r\nfoo\r\n")
    channel = make(url=origin)

    with pytest.raises(DeliveryError) as caught:
        await channel.send(make_alert(), make_context())
    await channel.close()

    assert str(caught.value) == f"{origin} refused with HTTP 400"
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "example.com/hook"}, "is not an address; write https://host/path"),
        ({"url": "ftp://example.com/s3cret"}, "is not an address; write https://host/path"),
        ({"headers": {"Bad Name": "x"}}, "'Bad Name' is not the name of a header"),
        ({"headers": {"Idempotency-Key": "x"}}, "Idempotency-Key is set by Defib itself; leave it out"),
        (
            {"headers": {"X-A": "s3cret\r\nX-B: y"}},
            "the value of X-A has a line end or a character outside of ASCII",
        ),
        ({"method": "GET"}, "'POST' or 'PUT'"),
    ],
)
def test_mistakes_in_the_options_name_their_remedy(make: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make(**options)

    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_target_is_scheme_and_host(make: Make) -> None:
    assert (
        make(url="https://user:pw@hooks.example.com:8443/T/B/x?k=v").target
        == "https://hooks.example.com:8443"
    )

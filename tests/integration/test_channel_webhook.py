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
from defib_alerts.webhook_signature import key_of, signed
from defib_testkit.certificate import Certificate
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
    for secret in ("key", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"):
        await make(secret=secret).send(make_alert(monitor_name="天气"), make_context())

        request = webhook_sink.requests[-1]
        names: dict[str, Any] = {}
        exec(example("python"), names)
        is_genuine = names["is_genuine"]
        assert is_genuine(request.headers, request.body, secret)
        assert not is_genuine(request.headers, request.body + b" ", secret)
        assert not is_genuine(request.headers, request.body, "other key")
        assert not is_genuine(request.headers, request.body, secret, tolerance_s=-1)


def test_signatures_are_those_of_standard_webhooks() -> None:
    # The vector in the documentation of Svix, who wrote the specification.
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)

    headers = signed(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', at)

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_the_signature_covers_delivery_time_and_body(make: Make, webhook_sink: WebhookSink) -> None:
    channel = make(secret="key", now=lambda: NOON)
    await channel.send(make_report(text="", html="", data="", csv="", images={}, subject="S"), make_context())

    (request,) = webhook_sink.requests
    assert request.body == (
        b'{"specversion":"1.0","id":"report_20260102","source":"https://health.example.com","type":"defib.report",'
        b'"time":"2026-01-03T14:15:19.000Z","datacontenttype":"application/json","data":{"name":"daily",'
        b'"start":"2026-01-02T14:15:19.000Z","end":"2026-01-03T14:15:19.000Z",'
        b'"generated_at":"2026-01-03T14:15:19.000Z","subject":"S","text":"","report":null}}'
    )
    assert request.headers["webhook-id"] == "msg_da87f258cc67206dc9de8860c9d9663e"
    assert request.headers["webhook-timestamp"] == "1767441600"
    # printf '%s.1767441600.%s' "$id" "$body" | openssl dgst -sha256 -hmac key -binary | base64
    assert request.headers["webhook-signature"] == "v1,NujytTIGze0iu9Gu2iOr/M0S5ZRIpyEuQzqqUum3OTk="


async def test_without_a_secret_nothing_is_signed(make: Make, webhook_sink: WebhookSink) -> None:
    await make().send(make_alert(), make_context())

    (request,) = webhook_sink.requests
    assert "webhook-signature" not in request.headers
    assert request.headers["webhook-id"].startswith("msg_")


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
        f"{webhook_sink.origin} redirects elsewhere (HTTP {status}); write the final address in the configuration"
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
        (
            {"secret": "whsec_s3cret!"},
            "is not base64 after whsec_; copy it again, or write a text without that prefix",
        ),
        ({"content_type": "json"}, "String should match pattern"),
        ({"headers": {"Idempotency-Key": "x"}}, "Idempotency-Key is set by Defib itself; leave it out"),
        (
            {"headers": {"X-A": "s3cret\r\nX-B: y"}},
            "the value of X-A has a line end or a character outside of ASCII",
        ),
        ({"method": "GET"}, "'POST', 'PUT' or 'PATCH'"),
    ],
)
def test_mistakes_in_the_options_name_their_remedy(make: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make(**options)

    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


# --- bodies of one's own ---------------------------------------------------------------------------


async def test_a_body_of_ones_own_takes_the_place_of_the_event(make: Make, webhook_sink: WebhookSink) -> None:
    [body] = re.findall(r"^    body: '(.*)'$", REFERENCE.read_text(), re.MULTILINE)
    channel = make(body=body, secret="key")
    await channel.send(make_alert(monitor_name='Main "Agent"'), make_context())
    await channel.send(make_report(), make_context())

    alert, report = webhook_sink.requests
    assert alert.headers["Content-Type"] == "application/json"
    text = alert.json()["text"]
    assert text.startswith('high: Main "Agent" is down\nMain "Agent" has been failing since 22:14:07')
    assert alert.json()["link"] == "https://health.example.com/monitors/main"
    assert report.json()["text"].startswith(
        "info: [Defib] Daily report, Fri 2 Jan 2026: 99.98 % well\nDaily report"
    )


async def test_a_body_may_be_of_any_type(make: Make, webhook_sink: WebhookSink) -> None:
    channel = make(body="{{ severity }} {{ title }} <天气>", content_type="text/plain; charset=utf-8")
    await channel.send(make_alert(), make_context())

    (request,) = webhook_sink.requests
    assert request.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert request.body.decode() == "high Main Agent is down <天气>"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{{ nothing }}", "body: fails for an alert: UndefinedError: 'nothing' is undefined"),
        ("{% if %}", "body: TemplateSyntaxError: Expected an expression, got 'end of statement block'"),
        (
            '{"text": "{{ title }}"}',
            "body: fails for an alert: is not JSON (Expecting ',' delimiter: line 1 column 17",
        ),
        (
            '{"text": {{ alert.title | tojson }}}',
            "body: fails for a report, which has no alert and no facts: UndefinedError: 'None' has no attribute",
        ),
        ('{"text": {{ titel | tojson }}}', "body: fails for an alert: UndefinedError: 'titel' is undefined"),
        ("{{ alert | tojson }}", "body: fails for an alert: TypeError: Alert has no form in JSON"),
        ("{{ title.__class__.__mro__ }}", "body: fails for an alert: SecurityError: "),
    ],
)
def test_a_body_that_cannot_work_is_a_mistake(make: Make, body: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        make(body=body)


async def test_a_body_that_fails_later_gives_way_to_the_event(make: Make, webhook_sink: WebhookSink) -> None:
    channel = make(body='{"a": {{ 1 / (0 if title == "Main Agent is down" else 1) }} }')
    receipt = await channel.send(make_alert(), make_context())

    (request,) = webhook_sink.requests
    assert request.json()["data"]["title"] == "Main Agent is down"
    assert (
        receipt.detail
        == "your body fails (ZeroDivisionError: division by zero); sent as a CloudEvent; HTTP 204"
    )


# --- certificates ----------------------------------------------------------------------------------


async def test_a_certificate_needs_an_authority_that_is_known(make: Make, certificate: Certificate) -> None:
    with contextlib.closing(WebhookSink(tls=certificate.server_context())) as sink:
        with pytest.raises(DeliveryError, match="certificate verify failed") as caught:
            await make(url=sink.url).send(make_alert(), make_context())
        await make(url=sink.url, ca_file=str(certificate.cert)).send(make_alert(), make_context())

        assert not caught.value.permanent
        assert len(sink.requests) == 1


def test_a_missing_authority_is_a_mistake(make: Make) -> None:
    with pytest.raises(ValueError, match=r"ca_file: there is no file /nowhere\.pem"):
        make(ca_file="/nowhere.pem")


def test_the_target_is_scheme_and_host(make: Make) -> None:
    assert (
        make(url="https://user:pw@hooks.example.com:8443/T/B/x?k=v").target
        == "https://hooks.example.com:8443"
    )

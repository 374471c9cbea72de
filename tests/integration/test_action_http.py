"""The ``http`` action against real servers: what reaches the far end, and what is told of its answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from defib.engine.clock import SystemClock
from defib.engine.recovery.executor import ProcessExecutor
from defib.plugin import (
    Action,
    ActionContext,
    BuildContext,
    Family,
    MonitorId,
    MonitorSpec,
    Options,
)
from defib_strategies import http_action

(KIND,) = http_action.defib_actions()
MONITOR = MonitorSpec(id=MonitorId("main"), name="Main", kind="http", family=Family.AGENT, options=Options())
FACTS = {
    "DEFIB_MONITOR": "main",
    "DEFIB_TYPE": "http",
    "DEFIB_STATE": "fault",
    "DEFIB_REASON": '500 "Oops"\n{incident}',
    "DEFIB_INCIDENT": "inc-7",
    "DEFIB_ATTEMPT": "2",
}
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Request:
    """One request as it came over the wire."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.line, *lines = head.decode("latin-1").split("\r\n")
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
        }
        self.body = body


class Server:
    """Takes requests and answers each with the same bytes."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 6\r\n\r\nqueued"
        self.requests: list[Request] = []
        self.port = 0
        self.is_silent = False
        self.talks: set[asyncio.Task[None]] = set()

    def url(self, path: str = "/restart") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (talk := asyncio.current_task()) is not None:
            self.talks.add(talk)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
            length = int(Request(head, b"").headers.get("content-length", "0"))
            self.requests.append(Request(head, await reader.readexactly(length)))
            if self.is_silent:
                await reader.read()
                return
            writer.write(self.answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server
        await asyncio.wait_for(asyncio.gather(*server.talks), 5)


def action(**options: Any) -> Action:
    created: Action = KIND.create(KIND.options.model_validate(options), MONITOR, BuildContext(base=Path("/")))
    return created


def context(timeout_s: float = 5.0, key: str = "try-9", **env: str) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=timeout_s), env={**FACTS, **env}, execute=ProcessExecutor(), clock=SystemClock(),
        key=key,
    )  # fmt: skip


# --- what is sent --------------------------------------------------------------------------------------


async def test_it_posts_what_is_known_with_an_idempotency_key() -> None:
    async with serving() as server:
        result = await action(url=server.url()).run(context())
        (request,) = server.requests

    assert (result.exit_status, result.timed_out) == (0, False)
    assert result.output == f"POST http://127.0.0.1:{server.port}/…: status 202\nqueued"
    assert request.line == "POST /restart HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "try-9"
    assert json.loads(request.body) == {
        "monitor": "main",
        "type": "http",
        "state": "fault",
        "reason": '500 "Oops"\n{incident}',
        "incident": "inc-7",
        "attempt": "2",
    }


async def test_the_key_is_that_of_the_attempt_however_often_it_is_sent() -> None:
    async with serving() as server:
        call = action(url=server.url())
        await call.run(context())
        await call.run(context())
        await call.run(context(key=""))

    assert [request.headers["idempotency-key"] for request in server.requests] == [
        "try-9",
        "try-9",
        "inc-7-2",
    ]


async def test_method_headers_and_body_are_those_of_the_configuration() -> None:
    body = {"unit": "{monitor}", "why": ["{reason}", 5, None, True], "literal": "{unknown} {{monitor}}"}
    async with serving() as server:
        call = action(url=server.url("/v2/x?y=1"), method="PUT", headers={"X-Api-Key": "hunter2"}, body=body)
        await call.run(context())
        (request,) = server.requests

    assert request.line == "PUT /v2/x?y=1 HTTP/1.1"
    assert request.headers["x-api-key"] == "hunter2"
    assert json.loads(request.body) == {
        "unit": "main",
        "why": ['500 "Oops"\n{incident}', 5, None, True],
        "literal": "{unknown} {main}",
    }


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(reason=st.text(st.characters(exclude_categories=("Cs",)), max_size=200), monitor=st.text(max_size=50))
def test_nothing_that_a_target_says_becomes_structure(reason: str, monitor: str) -> None:
    async def one() -> Request:
        async with serving() as server:
            call = action(url=server.url(), body={"a": "{reason}", "b": {"c": "<{monitor}>"}})
            await call.run(
                context(DEFIB_REASON=reason, DEFIB_MONITOR=monitor.encode(errors="replace").decode())
            )
            return server.requests[0]

    request = asyncio.run(one())

    assert request.line == "POST /restart HTTP/1.1"
    assert json.loads(request.body) == {
        "a": reason,
        "b": {"c": f"<{monitor.encode(errors='replace').decode()}>"},
    }
    assert set(request.headers) == {
        "host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "idempotency-key",
        "content-length",
    }  # fmt: skip


# --- what is made of the answer ------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "exit_status"), [(200, 0), (204, 0), (404, 1), (500, 1), (302, 1)])
async def test_only_a_2xx_is_a_success_and_no_redirect_is_followed(status: int, exit_status: int) -> None:
    async with serving() as server:
        elsewhere = f"http://127.0.0.1:{server.port}/elsewhere"
        server.answer = f"HTTP/1.1 {status} X\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode()
        result = await action(url=server.url()).run(context())

    assert result.exit_status == exit_status
    assert result.output.endswith(f": status {status}")
    assert len(server.requests) == 1


async def test_an_endless_answer_is_cut_off() -> None:
    async with serving() as server:
        server.answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000_000
        result = await action(url=server.url()).run(context())

    assert result.exit_status == 0
    assert len(result.output) < 5_000


async def test_a_far_end_that_does_not_answer_is_given_up_in_time() -> None:
    async with serving() as server:
        server.is_silent = True
        began = asyncio.get_running_loop().time()
        result = await action(url=server.url()).run(context(timeout_s=0.4))
        took = asyncio.get_running_loop().time() - began

    assert (result.exit_status, result.timed_out) == (None, True)
    assert result.output.endswith("no answer in time; it may have been taken all the same")
    assert took < 1.5


async def test_secrets_are_never_told_also_when_the_far_end_repeats_them() -> None:
    async with serving() as server:
        server.answer = (
            b"HTTP/1.1 403 X\r\nConnection: close\r\n\r\nkey hunter2 at /hooks/opensesame?key=swordfish"
        )
        call = action(
            url=f"http://app:letmein@127.0.0.1:{server.port}/hooks/opensesame?key=swordfish",
            headers={"X-Key": "hunter2"},
        )
        result = await call.run(context())

    for secret in ("hunter2", "opensesame", "swordfish", "letmein"):
        assert secret not in result.output + call.description
    assert result.exit_status == 1
    assert server.requests[0].headers["authorization"].startswith("Basic ")


# --- configuration -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "ftp://x/",
        "http://",
        "http://x/ y",
        "http://x/\r\nX: y",
        "http://[::1",
        "http://x:99999/",
    ],
)
def test_what_is_no_web_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValidationError, match="is no web address; write for example https://"):
        action(url=url)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("X Y", "z", "is no name of a header"),
        ("X:Y", "z", "is no name of a header"),
        ("", "z", "is no name of a header"),
        ("X-Key", "a\r\nInjected: b", "has a character that no header can carry"),
        ("X-Key", "é", "has a character that no header can carry"),
        ("Idempotency-Key", "mine", "is set by Defib; remove it"),
        ("host", "other", "is set by Defib; remove it"),
    ],
)
def test_a_wrong_header_is_refused_without_its_value(name: str, value: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        action(url="http://localhost/", headers={name: value})
    assert "Injected" not in str(caught.value)


@pytest.mark.parametrize("method", ["GET", "post", "POST /x"])
def test_only_methods_that_act_are_taken(method: str) -> None:
    with pytest.raises(ValidationError):
        action(url="http://localhost/", method=method)

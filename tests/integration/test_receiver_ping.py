"""The ``ping`` receiver over real HTTP: the Healthchecks ping API."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from defib.engine.clock import SystemClock
from defib.plugin import Fact, IngestSettings, MonitorId, ReceiverContext, Signal, StoreError
from defib_plugins import ping_receiver
from defib_testkit.ports import free_port
from defib_testkit.waiting import wait_until

UUID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
RUN = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


@dataclass
class Taken:
    """One beat that the sink took."""

    monitor: str
    signal: Signal
    exit_status: int | None
    body: str
    facts: dict[str, Fact]


@dataclass
class Sink:
    """Takes beats as the engine does, and can be full."""

    taken: list[Taken] = field(default_factory=list)
    is_full: bool = False

    def find(self, key: str) -> MonitorId | None:
        return MonitorId("nightly-backup") if key in (UUID, "nightly-backup") else None

    async def accept(
        self,
        monitor: MonitorId,
        signal: Signal,
        *,
        protocol: str,
        exit_status: int | None = None,
        body: str = "",
        facts: Mapping[str, Fact] | None = None,
        **others: Any,
    ) -> None:
        assert protocol == "ping"
        assert not others
        await asyncio.sleep(0)
        if self.is_full:
            raise StoreError("disk full")
        self.taken.append(Taken(monitor, signal, exit_status, body, dict(facts or {})))


class NoFleet:
    """Nobody was given a token."""

    settings = IngestSettings()

    def token(self, shown: str) -> None:
        return None


def around(sink: Sink) -> ReceiverContext:
    """As on this machine, where a monitor's id needs no token."""
    fleet: Any = NoFleet()
    nothing: Any = None
    return ReceiverContext(
        sink=sink, jobs=nothing, fleet=fleet, clock=SystemClock(), may_read=lambda connection: True
    )


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def client(sink: Sink) -> Iterator[httpx.Client]:
    """A client of a server with the receiver's routes at its root, as Defib mounts them."""
    (kind,) = ping_receiver.defib_receivers()
    port = free_port()
    config = uvicorn.Config(
        Starlette(routes=list(kind.routes(around(sink)))),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        lifespan="off",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, what="the server to listen")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"User-Agent": "curl/8"}) as client:
        yield client
    server.should_exit = True
    thread.join(5)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", [f"/ping/{UUID}", f"/ping/{UUID}/", "/ping/nightly-backup"])
def test_a_ping_is_taken(client: httpx.Client, sink: Sink, method: str, path: str) -> None:
    answer = client.request(method, path)

    assert answer.status_code == 200
    assert answer.text == ("" if method == "HEAD" else "OK")
    assert answer.headers["content-type"].startswith("text/plain")
    assert sink.taken == [
        Taken("nightly-backup", Signal.ALIVE, None, "", {"method": method, "user_agent": "curl/8"})
    ]


@pytest.mark.parametrize(
    ("suffix", "signal", "exit_status"),
    [
        ("start", Signal.START, None),
        ("fail", Signal.FAIL, None),
        ("log", Signal.LOG, None),
        ("0", Signal.ALIVE, 0),
        ("1", Signal.FAIL, 1),
        ("123", Signal.FAIL, 123),
        ("255", Signal.FAIL, 255),
        ("007", Signal.FAIL, 7),
    ],
)
def test_a_suffix_says_what_the_ping_means(
    client: httpx.Client, sink: Sink, suffix: str, signal: Signal, exit_status: int | None
) -> None:
    assert client.get(f"/ping/{UUID}/{suffix}").text == "OK"
    assert [(taken.signal, taken.exit_status) for taken in sink.taken] == [(signal, exit_status)]


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/ping/07c2f548-9850-4b27-af5d-6c9dc157ec02", 404, "not found"),
        (f"/ping/{UUID.upper()}", 404, "not found"),
        (f"/ping/{UUID.replace('-', '')}", 404, "not found"),
        ("/ping/nonesuch", 404, "not found"),
        ("/ping/" + "x" * 5000, 404, "not found"),
        (f"/ping/{UUID}/stop", 404, "not found"),
        (f"/ping/{UUID}/-1", 404, "not found"),
        (f"/ping/{UUID}/1.5", 404, "not found"),
        (f"/ping/{UUID}/%D9%A3", 404, "not found"),  # an Arabic three
        ("/ping/nonesuch/start", 404, "not found"),
        (f"/ping/{UUID}/256", 400, "invalid url format"),
        (f"/ping/{UUID}/99999999999999999999", 400, "invalid url format"),
        ("/ping/nonesuch/256", 400, "invalid url format"),
        (f"/ping/{UUID}?rid=nonsense", 400, "invalid uuid format"),
        (f"/ping/{UUID}?rid={RUN.replace('-', '')}", 400, "invalid uuid format"),
        (f"/ping/{UUID}?rid=", 400, "invalid uuid format"),
    ],
)
def test_a_wrong_ping_is_refused(client: httpx.Client, sink: Sink, path: str, status: int, text: str) -> None:
    answer = client.post(path, content=b"lost")

    assert (answer.status_code, answer.text) == (status, text)
    assert sink.taken == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_not_allowed(client: httpx.Client, sink: Sink, method: str) -> None:
    assert client.request(method, f"/ping/{UUID}").status_code == 405
    assert sink.taken == []


@pytest.mark.parametrize("run", [RUN, RUN.upper()])
def test_the_id_of_a_run_is_kept(client: httpx.Client, sink: Sink, run: str) -> None:
    assert client.post(f"/ping/{UUID}/start?rid={run}").status_code == 200
    assert sink.taken[0].facts["rid"] == RUN


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json", "multipart/form-data"],
)
def test_the_body_is_kept_whatever_its_type_says(client: httpx.Client, sink: Sink, content_type: str) -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: 100% & more = bad'

    client.post(f"/ping/{UUID}/fail", content=trace.encode(), headers={"Content-Type": content_type})

    assert sink.taken[0].body == trace


@pytest.mark.parametrize(("size", "kept"), [(100_000, 100_000), (100_001, 100_000), (3_000_000, 100_000)])
def test_a_long_body_is_cut_and_no_error(client: httpx.Client, sink: Sink, size: int, kept: int) -> None:
    answer = client.post(f"/ping/{UUID}", content=b"x" * size)

    assert answer.status_code == 200
    assert len(sink.taken[0].body) == kept


def test_a_body_in_chunks_is_kept(client: httpx.Client, sink: Sink) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"made "
        yield b"3 files"

    client.post(f"/ping/{UUID}", content=pieces())

    assert sink.taken[0].body == "made 3 files"


def test_bad_text_in_a_body_is_replaced(client: httpx.Client, sink: Sink) -> None:
    client.post(f"/ping/{UUID}", content=b"a\xffb\x00c")

    assert sink.taken[0].body == "a\ufffdb\ufffdc"


def test_clients_learn_the_limit_and_that_nothing_is_cached(client: httpx.Client) -> None:
    for path in (f"/ping/{UUID}", "/ping/nonesuch"):
        headers = client.get(path).headers
        assert headers["ping-body-limit"] == "100000"
        assert headers["access-control-allow-origin"] == "*"
        assert "no-cache" in headers["cache-control"]


def test_a_ping_that_cannot_be_stored_is_to_be_sent_again(client: httpx.Client, sink: Sink) -> None:
    sink.is_full = True

    answer = client.get(f"/ping/{UUID}")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "disk" not in answer.text


def test_a_long_user_agent_is_cut(client: httpx.Client, sink: Sink) -> None:
    client.get(f"/ping/{UUID}", headers={"User-Agent": "x" * 1000})

    assert len(str(sink.taken[0].facts["user_agent"])) == 200


def test_it_is_a_receiver_of_its_own_kind() -> None:
    (kind,) = ping_receiver.defib_receivers()
    routes: Any = kind.routes(around(Sink()))

    assert kind.kind == "ping"
    assert {route.path.split("/")[1] for route in routes} == {"ping"}

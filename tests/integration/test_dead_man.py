"""Pings over HTTP to somebody who raises the alarm when they stop, and what keeps them back."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from defib import assembly, registry
from defib.engine.clock import SystemClock
from defib.engine.engine import Engine
from defib.engine.observer.dead_man import DeadMan
from defib.engine.one_pass import run_pass
from defib.engine.roster import Roster
from defib.errors import StoreError
from defib.model.changes import Changes
from defib.model.settings import DeadManSettings, ObserverSettings, Settings
from defib.registry import Registry
from defib_testkit.logged import capture_logs
from defib_testkit.ports import free_port
from defib_testkit.waiting import async_wait_until
from defib_testkit.webhook_sink import WebhookSink

KEY = "3f2c-key-of-the-ping"


@pytest.fixture(scope="module")
def plugins() -> Registry:
    return registry.load()


def settings_of(tmp_path: Path, plugins: Registry, url: str, every: float = 60.0) -> Settings:
    dead_man = DeadManSettings(url=url, every=timedelta(seconds=every))
    return Settings(
        base=tmp_path, files=(), store=f"sqlite:///{tmp_path}/defib.db",
        strategies=dict(plugins.strategies.items), observer=ObserverSettings(dead_man=dead_man),
    )  # fmt: skip


@pytest.fixture
def pinging(plugins: Registry, tmp_path: Path) -> Callable[..., DeadMan]:
    def make(url: str, obstacle: Callable[[], str] = lambda: "", every: float = 60.0) -> DeadMan:
        return DeadMan(
            SystemClock(), Roster(plugins, settings_of(tmp_path, plugins, url, every), {}), obstacle
        )

    return make


@contextmanager
def engine_of(plugins: Registry, settings: Settings) -> Iterator[Engine]:
    with assembly.engine(plugins, settings, role="a test") as engine:
        yield engine


async def test_pings_come_as_often_as_is_configured(
    pinging: Callable[..., DeadMan], webhook_sink: WebhookSink
) -> None:
    watching = asyncio.create_task(pinging(f"{webhook_sink.origin}/{KEY}", every=1.0).watch())
    try:
        await async_wait_until(lambda: len(webhook_sink.requests) >= 3, 20, "three pings")
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    assert {(ping.method, ping.path) for ping in webhook_sink.requests} == {("GET", f"/{KEY}")}


async def test_nobody_vouches_for_a_defib_that_does_not_work(
    pinging: Callable[..., DeadMan], webhook_sink: WebhookSink
) -> None:
    await pinging(webhook_sink.url, lambda: "the store cannot be written").ping()

    assert list(webhook_sink.requests) == []


@pytest.mark.parametrize(
    ("mode", "status", "problem"),
    [
        ("error500", 204, "the dead-man service answered HTTP 500"),
        ("ok", 404, "the dead-man service answered HTTP 404: check observer.dead_man.url"),
        ("ok", 301, "the dead-man service answered HTTP 301: check observer.dead_man.url"),
    ],
)
async def test_a_refusal_is_a_problem_without_the_address(
    pinging: Callable[..., DeadMan], webhook_sink: WebhookSink, mode: str, status: int, problem: str
) -> None:
    webhook_sink.mode, webhook_sink.status = mode, status
    dead_man = pinging(f"{webhook_sink.origin}/{KEY}")

    await dead_man.ping()
    assert dead_man.problem == problem

    webhook_sink.mode, webhook_sink.status = "ok", 200
    await dead_man.ping()
    assert dead_man.problem == ""


async def test_failures_are_logged_once_in_a_while_and_never_with_the_address(
    pinging: Callable[..., DeadMan],
) -> None:
    dead_man = pinging(f"http://user:{KEY}@127.0.0.1:{free_port()}/{KEY}?token={KEY}")

    with capture_logs() as events:
        for _ in range(3):
            await dead_man.ping()

    assert [event["event"] for event in events] == ["the dead-man ping fails"]
    assert dead_man.problem == "the dead-man service cannot be reached: ConnectError"
    assert KEY not in str(events) + dead_man.problem + repr(dead_man.roster.settings)


async def test_a_pass_pings_once_at_its_end(
    plugins: Registry, tmp_path: Path, webhook_sink: WebhookSink
) -> None:
    with engine_of(plugins, settings_of(tmp_path, plugins, f"{webhook_sink.origin}/{KEY}")) as engine:
        await run_pass(engine, budget=timedelta(seconds=5))

    assert [ping.path for ping in webhook_sink.requests] == [f"/{KEY}"]


async def test_a_pass_that_cannot_write_its_store_does_not_ping(
    plugins: Registry, tmp_path: Path, webhook_sink: WebhookSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(changes: Changes) -> None:
        raise StoreError("the disk is full")

    with engine_of(plugins, settings_of(tmp_path, plugins, webhook_sink.url)) as engine:
        monkeypatch.setattr(engine.writer, "commit", refuse)
        assert engine.working.obstacle_to_vouching() == ""
        await run_pass(engine, budget=timedelta(seconds=5))
        assert engine.working.obstacle_to_vouching() == "the store cannot be written: the disk is full"

    assert list(webhook_sink.requests) == []

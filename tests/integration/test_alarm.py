"""An event loop that is really held up, and people who hear of it while it still is."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from defib import assembly, registry
from defib.engine.engine import Engine
from defib.engine.observer.alarm import SETTING, Alarm
from defib.model.alert import AlertKind, DeliveryState
from defib.model.route import Route
from defib.model.settings import ChannelSpec, Settings
from defib.registry import Registry
from defib.rules.observer import Patience
from defib_testkit.waiting import async_wait_until
from defib_testkit.webhook_sink import WebhookSink

HELD_UP_S = 3.0
BRIEF = Patience(sick_s=0.6, cut_off_s=0.2, well_s=0.5, at_most_every_s=60.0)


@pytest.fixture(scope="module")
def plugins() -> Registry:
    return registry.load()


@pytest.fixture
async def engine(plugins: Registry, webhook_sink: WebhookSink, tmp_path: Path) -> AsyncIterator[Engine]:
    kind = plugins.channels["webhook"]
    options = kind.options.model_validate({"url": webhook_sink.url})
    settings = Settings(
        base=tmp_path, files=(), store=f"sqlite:///{tmp_path}/defib.db",
        strategies=dict(plugins.strategies.items), strategy="normal",
        channels=(ChannelSpec(name="hook", kind="webhook", options=options),), routes=(Route(channels=("hook",)),),
    )  # fmt: skip
    with assembly.engine(plugins, settings, role="a test") as engine:
        yield engine


@asynccontextmanager
async def standing_by(engine: Engine) -> AsyncIterator[Alarm]:
    """The guard's senses, the outbox and an alarm with little patience, as the engine runs them."""
    alarm = Alarm(
        engine.clock, engine.roster, engine.writer, engine.reader, engine.guard,
        patience=BRIEF, held_up_s=0.3, tick_s=0.1,
    )  # fmt: skip
    alarm.on_deliveries = engine.courier.added
    engine.guard.start()
    engine.courier.start()
    alarm.start()
    watching = asyncio.create_task(alarm.watch())
    try:
        yield alarm
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.to_thread(alarm.close)
        await engine.wind_down()


async def told(engine: Engine, *kinds: AlertKind) -> None:
    """Wait until the log of alerts holds these, all of them delivered."""

    def are_delivered() -> bool:
        alerts = engine.reader.alerts()
        states = {item.state for item in engine.reader.deliveries(notices=[alert.id for alert in alerts])}
        return sorted(alert.facts.event for alert in alerts) == sorted(kinds) and states == {
            DeliveryState.DELIVERED
        }

    await async_wait_until(are_delivered, 20, "the alerts in the log, delivered")


async def test_people_hear_of_a_loop_that_is_held_up_while_it_is(
    engine: Engine, webhook_sink: WebhookSink
) -> None:
    async with standing_by(engine):
        await asyncio.sleep(0.2)  # the senses measure
        time.sleep(HELD_UP_S)  # noqa: ASYNC251 - the very thing under test
        heard = [
            request.json()["data"]["kind"] for request in webhook_sink.requests
        ]  # nobody else ran meanwhile

        assert heard == ["observer_sick"]
        await told(engine, AlertKind.OBSERVER_SICK, AlertKind.OBSERVER_WELL)

    [sick, well] = sorted(engine.reader.alerts(), key=lambda alert: alert.at)
    assert (sick.kind, well.kind) == ("observer_sick", "observer_well")
    assert sick.description.startswith("Since ")
    assert "event loop has been held up for" in sick.description
    assert sick.monitor is None
    [delivery] = engine.reader.deliveries(notices=[sick.id])
    assert delivery.tries == 1
    assert len(webhook_sink.requests) == 2
    assert SETTING not in engine.reader.settings()


async def test_what_could_not_be_told_meanwhile_goes_on_in_the_outbox(
    engine: Engine, webhook_sink: WebhookSink
) -> None:
    webhook_sink.mode = "error500"
    async with standing_by(engine):
        await asyncio.sleep(0.2)
        time.sleep(HELD_UP_S)  # noqa: ASYNC251
        refused = len(webhook_sink.requests)
        webhook_sink.mode = "ok"
        await told(engine, AlertKind.OBSERVER_SICK, AlertKind.OBSERVER_WELL)

    assert refused == 1
    keys = [request.headers["Idempotency-Key"] for request in webhook_sink.requests]
    assert keys[0] == keys[1]  # the same notice
    assert len(set(keys)) == 2


async def test_an_all_clear_is_owed_across_a_restart(engine: Engine, webhook_sink: WebhookSink) -> None:
    from defib.model.changes import Changes

    before = engine.clock.now() - timedelta(minutes=20)
    await engine.writer.commit(Changes(settings=((SETTING, before.isoformat()),)))

    async with standing_by(engine):
        await told(engine, AlertKind.OBSERVER_WELL)

    assert SETTING not in engine.reader.settings()
    [well] = engine.reader.alerts()
    assert well.facts.duration_s == pytest.approx(1200, abs=20)


async def test_a_loop_that_turns_tells_nobody(engine: Engine, webhook_sink: WebhookSink) -> None:
    async with standing_by(engine):
        await asyncio.sleep(1.0)

    assert list(webhook_sink.requests) == []
    assert engine.reader.alerts() == []

"""What pages and programs say while Defib itself is not well."""

import asyncio
import time
from pathlib import Path

from defib.model.ids import MonitorId
from defib_testkit.waiting import async_wait_until
from web_world import World

BAD = {"ok": False, "says": "HTTP 500 in 3 ms"}


async def hold_up(seconds: float) -> None:
    """Hold the loop up most of the time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.7)  # noqa: ASYNC251 - the very thing under test
        await asyncio.sleep(0.25)


async def test_a_frozen_judgement_is_shown_with_its_beginning_and_its_effect(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.watch("main")
    async with world.running() as site:
        await async_wait_until(lambda: site.health("main").last is not None, 20, "the first look")
        assert (await site.client.get("/api/v1/overview")).json()["headline"] == "All well"
        while site.engine.guard.trouble() is None:
            await hold_up(1.0)
        view = await asyncio.to_thread(site.services.views.overview)

        [problem] = view["problems"]
        assert problem["what"] == "observer"
        assert problem["message"].startswith("The observer is sick (score ")
        assert "judgement is frozen: event loop held up for " in problem["message"]
        assert ", since 20" in problem["message"]
        assert problem["message"].endswith(
            ". Meanwhile no fault is declared for up to 5 minutes, and nothing is repaired."
        )
        assert (view["headline"], view["tone"]) == ("Defib itself is not well", "warn")

        await async_wait_until(lambda: site.engine.guard.trouble() is None, 30, "judgement to be free")
        view = await asyncio.to_thread(site.services.views.overview)
        assert (view["problems"], view["headline"]) == ([], "All well")


async def test_a_look_that_told_nothing_is_marked_on_the_overview(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.watch("main")
    world.watch("db")
    async with world.running() as site:
        await async_wait_until(
            lambda: {str(site.health(name).state) for name in ("main", "db")} == {"up"}, 20, "all to be well"
        )
        world.play("db", crash="a bug of the plugin")
        await async_wait_until(
            lambda: (last := site.health("db").last) is not None and last.evidence.cause == "plugin-crashed",
            20, "the crash to be seen",
        )  # fmt: skip
        view = await asyncio.to_thread(site.services.views.overview)
        page = (await site.client.get("/")).text

    marks = {item["id"]: item["inconclusive"] for item in view["monitors"]}
    assert marks == {"main": False, "db": True}
    assert 'data-id="db" data-state="up" data-look="inconclusive"' in page
    assert 'data-id="main" data-state="up" data-look="clear"' in page
    assert "could not look: the monitor&#39;s plugin crashed: RuntimeError" in page


async def test_the_reason_says_that_a_verdict_waits_for_the_observer(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.watch("main")
    async with world.running() as site:
        await async_wait_until(lambda: site.health("main").last is not None, 20, "the first look")
        while site.engine.guard.trouble() is None:
            await hold_up(1.0)
        world.play("main", **BAD)
        for _ in range(6):
            await site.engine.look(MonitorId("main"))
            time.sleep(0.3)  # noqa: ASYNC251
        why = await asyncio.to_thread(site.services.views.why, MonitorId("main"))

    assert why is not None
    assert why["state"] == "suspect"
    assert "failing, but no fault is declared: the observer is sick" in why["sentences"][0]

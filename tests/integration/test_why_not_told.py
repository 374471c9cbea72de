"""Why an alert did not reach anybody, over the API, with the real store: held, told afterwards, dropped."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from defib_testkit.waiting import async_wait_until
from web_world import TOKEN, Site, World

BROKEN = {"ok": False, "says": "HTTP 500 in 3 ms", "latency_ms": 3}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    world = World(tmp_path)
    world.watch("main", name="Main Agent")
    world.tell("ops")
    async with world.running() as site:
        site.client.headers.update({"Authorization": f"Bearer {TOKEN}", "Defib-Actor": "kim"})
        await site.wait_for("main", "up")
        yield site


async def silence(site: Site) -> str:
    body = {"monitors": ["main"], "for": "1h", "reason": "deploy"}
    response = await site.client.post("/api/v1/silences", json=body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def sentences(site: Site) -> list[str]:
    return list((await site.get("/monitors/main/explain"))["sentences"])


async def alerts(site: Site) -> list[tuple[str, str, list[str]]]:
    """Kind, last ruling and channels of each, oldest first."""
    found = (await site.get("/alerts"))["items"]
    return [
        (item["kind"], item["verdicts"][-1]["ruling"], [way["channel"] for way in item["deliveries"]])
        for item in reversed(found)
    ]


async def test_a_silence_says_what_it_holds_back_and_lets_go_of_it_when_it_ends(site: Site) -> None:
    window = await silence(site)
    site.world.play("main", **BROKEN)
    await site.wait_for("main", "fault")

    held = next(line for line in await sentences(site) if line.startswith("“Main Agent is down”"))
    assert held.startswith("“Main Agent is down” was held back until ")
    assert held.endswith("silenced “deploy” by kim. It is told afterwards if a fresh look finds it so.")
    assert await alerts(site) == [("agent_down", "held", [])]

    response = await site.client.delete(f"/api/v1/silences/{window}")
    assert response.status_code == 200

    async def told() -> Any:
        return [item for item in await alerts(site) if item[2]]

    assert await async_wait_until(told, 10) == [("agent_down", "passed", ["ops"])]
    [first] = [alert for alert in site.engine.reader.alerts() if alert.facts.held is not None]
    assert first.facts.held is not None
    assert (first.facts.held.by, first.facts.held.name) == ("silence", "deploy")


async def test_the_end_of_what_nobody_heard_of_is_not_told_and_says_so(site: Site) -> None:
    await silence(site)
    site.world.play("main", **BROKEN)
    await site.wait_for("main", "fault")
    site.world.play("main")
    await site.wait_for("main", "up")

    assert await alerts(site) == [("agent_down", "held", []), ("recovered", "dropped", [])]
    [incident] = site.engine.reader.incidents()
    story = await site.get(f"/incidents/{incident.id}")
    assert (
        story["sentences"][-1]
        == "“Main Agent has recovered” was not told: nobody was told of what it follows."
    )

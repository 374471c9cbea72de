"""Monitors that are made, changed and removed over the API, against a real server."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from defib import assembly
from defib.model.agent import Introduction, Scope
from defib.model.ids import AgentId, MonitorId
from receiver_world import bearer, make_world, new_token
from web_world import Site, World

MONITORS = "/api/v1/monitors"
PARTS = (
    "defib_plugins.tcp_port", "defib_plugins.http_endpoint", "defib_plugins.command", "defib_plugins.postgres",
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path, *PARTS)
    world.watch("main")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


@pytest.fixture
async def api(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    headers = bearer(await new_token(site, "terraform", Scope.WRITE))
    async with httpx.AsyncClient(base_url=site.url, headers=headers, trust_env=False) as client:
        yield client


def staged(site: Site, monitor: str, **more: Any) -> dict[str, Any]:
    return {
        "id": monitor,
        "type": "staged",
        "stage": str(site.world.stage(monitor)),
        "strategy": "quick",
    } | more


async def make(api: httpx.AsyncClient, **definition: Any) -> dict[str, Any]:
    answer = await api.post(MONITORS, json=definition)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refused(answer: httpx.Response, status: int) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    return str(answer.json()["detail"])


# --- making ----------------------------------------------------------------------------------------


async def test_a_monitor_of_any_type_is_made_and_looked_at_at_once(
    site: Site, api: httpx.AsyncClient
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        made = await make(
            api, type="tcp", name="Data base", host="127.0.0.1", port=port, tags=["prod"], interval="5s",
            requires=["main"],
        )  # fmt: skip
        await site.wait_for("data-base", "up")

    assert made["id"] == "data-base"
    assert made["made_by"] == "terraform (token)"
    assert made["definition"] == {
        "id": "data-base", "type": "tcp", "name": "Data base", "tags": ["prod"], "interval": "5s",
        "requires": ["main"], "host": "127.0.0.1", "port": port,
    }  # fmt: skip
    shown = await site.get("/monitors/data-base")
    assert (shown["type"], shown["tags"], shown["interval"], shown["requires"]) == (
        "tcp", ["prod"], "5s", ["main"],
    )  # fmt: skip
    assert [item["id"] for item in (await site.get("/monitors", tag="prod"))["items"]] == ["data-base"]


async def test_what_was_made_fails_recovers_and_is_told_as_any_other(
    site: Site, api: httpx.AsyncClient
) -> None:
    site.world.play("shop", ok=False)
    await make(api, **staged(site, "shop"))
    await site.wait_for("shop", "fault")
    site.world.play("shop", ok=True)
    await site.wait_for("shop", "up")

    [incident] = (await site.get("/incidents"))["items"]
    assert (incident["monitor"], incident["resolution"]) == ("shop", "recovered by itself")


async def test_what_was_made_is_there_after_a_restart_and_a_reload(world: World, tmp_path: Path) -> None:
    async with world.running() as site:
        headers = bearer(await new_token(site, "terraform", Scope.WRITE))
        await site.client.post(MONITORS, json=staged(site, "shop", tags=["a"]), headers=headers)
    async with world.running() as site:
        await site.wait_for("shop", "up")
        await site.engine.reload(assembly.build_roster(world.plugins, world.settings(), site.engine.reader))
        assert site.engine.roster.monitors[MonitorId("shop")].spec.tags == {"a"}
        world.watch("shop", name="From the file")
        await site.engine.reload(assembly.build_roster(world.plugins, world.settings(), site.engine.reader))
        assert (await site.get("/monitors/shop"))["name"] == "From the file"
        answer = await site.client.patch(f"{MONITORS}/shop", json={"name": "x"}, headers=headers)
        assert await refused(answer, 409) == "shop is in the configuration; change it there"


async def test_what_was_made_is_shown_while_nothing_runs(world: World) -> None:
    async with world.running() as site:
        headers = bearer(await new_token(site, "terraform", Scope.WRITE))
        await site.client.post(MONITORS, json=staged(site, "shop"), headers=headers)
        await site.wait_for("shop", "up")
        await site.engine.fleet.register(Introduction(id=AgentId("far")), key="let-me-in-please")
    with assembly.stored_views(world.plugins, world.settings()) as (views, _, _):
        shown = {item["id"]: item["state"] for item in views.overview()["monitors"]}

    assert shown == {"main": "up", "shop": "up", "far": "new"}


# --- what is refused -------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"type": "tpc"}, "type: unknown monitor type 'tpc'; did you mean 'tcp'?"),
    ({"type": "tcp"}, "host: is missing"),
    ({"type": "tcp", "host": "a", "port": "x"}, "port: must be a whole number"),
    ({"type": "tcp", "host": "a", "port": 1, "prot": 2}, "prot: unknown key; did you mean 'port'?"),
    ({"type": "tcp", "host": "a", "port": 1, "id": "No Id"}, "id: must consist of lower-case letters"),
    ({"type": "tcp", "host": "a", "port": 1, "interval": "0s"}, "interval: "),
    ({"type": "tcp", "host": "a", "port": 1, "strategy": "fast"}, "strategy: unknown strategy 'fast'"),
    ({"type": "tcp", "host": "a", "port": 1, "recovery": "auto"}, "recovery: cannot be set through the API"),
    ({"type": "tcp", "host": "a", "port": 1, "enabled": False}, "enabled: cannot be set through the API"),
    ({"type": "command", "argv": ["/bin/true"]}, "type: monitors of type command are written in the conf"),
    ({"type": "agent", "agent_id": "a"}, "type: monitors of type agent are written in the configuration"),
    ({"type": "tcp", "host": "a", "port": 1, "requires": ["nowhere"]}, "requires: there is no monitor 'nowhere'"),
    ({"type": "http", "url": "http://a/", "headers": {"a": [[[[[[[[[[[[[1]]]]]]]]]]]]]}}, "headers"),
    ({"type": "tcp", "host": {"a": 1}, "port": [1]}, "host: must be text, not a mapping"),
]  # fmt: skip


async def test_every_mistake_is_named_and_nothing_is_made(site: Site, api: httpx.AsyncClient) -> None:
    for definition, mistake in WRONG:
        answer = await api.post(MONITORS, json=definition)
        said = await refused(answer, 422)
        assert any(line.startswith(mistake) for line in said.splitlines()), (definition, said)
    assert list(site.engine.jobs) == []
    assert set(site.engine.roster.monitors) == {"main"}


async def test_an_id_is_given_once(site: Site, api: httpx.AsyncClient) -> None:
    await make(api, **staged(site, "shop"))

    for taken in ("shop", "main"):
        said = await refused(await api.post(MONITORS, json=staged(site, taken)), 409)
        assert said == f"there is a monitor {taken!r} already; PATCH changes one"


async def test_who_may_only_read_makes_nothing_and_sees_no_definition(
    site: Site, api: httpx.AsyncClient
) -> None:
    await make(api, **staged(site, "shop"))
    headers = bearer(await new_token(site, "dashboard", Scope.READ))
    path = f"{MONITORS}/shop"

    answers = [
        await site.client.post(MONITORS, json=staged(site, "x"), headers=headers),
        await site.client.patch(path, json={}, headers=headers), await site.client.delete(path, headers=headers),
        await site.client.get(f"{path}/definition", headers=headers),
    ]  # fmt: skip

    assert [answer.status_code for answer in answers] == [403] * 4


# --- changing --------------------------------------------------------------------------------------


async def test_a_change_names_what_it_changes_and_the_rest_stays(site: Site, api: httpx.AsyncClient) -> None:
    await make(api, **staged(site, "shop", tags=["a"], target="http://one.test"))
    await site.wait_for("shop", "up")
    since = site.health("shop").since

    answer = await api.patch(
        f"{MONITORS}/shop", json={"target": "http://two.test", "tags": None, "name": "Shop", "interval": "7s"}
    )

    assert answer.json()["definition"] == staged(site, "shop", target="http://two.test") | {
        "name": "Shop", "interval": "7s",
    }  # fmt: skip
    shown = await site.get("/monitors/shop")
    assert (shown["name"], shown["target"], shown["tags"], shown["interval"]) == (
        "Shop", "http://two.test", [], "7s",
    )  # fmt: skip
    assert site.health("shop").since == since
    assert [item.event for item in site.engine.reader.audit() if item.subject == "shop"] == [
        "monitor.changed", "monitor.made",
    ]  # fmt: skip


async def test_a_change_that_is_wrong_changes_nothing(site: Site, api: httpx.AsyncClient) -> None:
    await make(api, **staged(site, "shop"))
    await make(api, **staged(site, "cart", requires=["shop"]))

    for changes, mistake in (
        ({"id": "other"}, "id cannot be changed"), ({"type": "tcp"}, "type cannot be changed"),
        ({"stage": None}, "stage: is missing"),
        ({"requires": ["cart"]}, "requires: shop would require itself, directly or through others"),
        ({"requires": ["shop"]}, "requires: shop would require itself"),
    ):  # fmt: skip
        assert (await refused(await api.patch(f"{MONITORS}/shop", json=changes), 422)).startswith(mistake)
    assert (await api.get(f"{MONITORS}/shop/definition")).json()["definition"] == staged(site, "shop") | {
        "name": "shop"
    }


async def test_secrets_are_stored_and_not_shown(site: Site, api: httpx.AsyncClient) -> None:
    dsn = "postgresql://app:s3cr3t-word@127.0.0.1:1/app"
    made = await make(api, id="db", type="postgres", dsn=dsn)
    shown = await api.get(f"{MONITORS}/db/definition")

    assert "s3cr3t-word" not in shown.text + str(made) + (await api.get(f"{MONITORS}/db")).text
    assert (await api.patch(f"{MONITORS}/db", json={"name": "DB"})).status_code == 200
    [stored] = site.engine.reader.made_monitors()
    assert stored.options["dsn"] == dsn


# --- removing --------------------------------------------------------------------------------------


async def test_what_is_removed_is_looked_at_no_more_and_its_history_stays(
    site: Site, api: httpx.AsyncClient
) -> None:
    site.world.play("shop", ok=False)
    await make(api, **staged(site, "shop"))
    await site.wait_for("shop", "fault")

    gone = await api.delete(f"{MONITORS}/shop")

    assert (gone.status_code, gone.json()["id"]) == (200, "shop")
    assert (await api.get(f"{MONITORS}/shop")).status_code == 404
    assert (await api.delete(f"{MONITORS}/shop")).status_code == 404
    [incident] = (await site.get("/incidents"))["items"]
    assert incident["resolution"] == "the monitor was removed"

    site.world.play("shop", ok=True)
    await make(api, **staged(site, "shop"))
    assert site.health("shop").incident is None
    await site.wait_for("shop", "up")
    states = [str(item.to_state) for item in site.engine.reader.transitions(monitor=MonitorId("shop"))]
    assert states[-2:] == ["new", "up"]


async def test_what_another_one_requires_stays(site: Site, api: httpx.AsyncClient) -> None:
    await make(api, **staged(site, "shop"))
    await make(api, **staged(site, "cart", requires=["shop"]))

    said = await refused(await api.delete(f"{MONITORS}/shop"), 409)
    assert said == "cart requires shop; change or remove that first"
    assert (await api.delete(f"{MONITORS}/cart")).status_code == 200
    assert (await api.delete(f"{MONITORS}/shop")).status_code == 200


async def test_the_monitor_of_an_agent_and_of_the_file_are_read_only(
    site: Site, api: httpx.AsyncClient
) -> None:
    await site.engine.fleet.register(Introduction(id=AgentId("far")), key="let-me-in-please")

    of_agent = await refused(await api.delete(f"{MONITORS}/far"), 409)
    of_file = await refused(await api.patch(f"{MONITORS}/main", json={"name": "x"}), 409)

    assert of_agent == "far was made for agent 'far'; PATCH or DELETE /api/v1/agents/far instead"
    assert of_file == "main is in the configuration; change it there"
    assert (await api.get(f"{MONITORS}/nothing/definition")).status_code == 404

"""Tokens that were made, and the agents they are for: what each scope may, over the API."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from defib.model.agent import AgentReport, Introduction, Scope
from defib.model.ids import AgentId, MonitorId
from defib.model.settings import ServerSettings
from receiver_world import bearer, make_world
from web_world import TOKEN, Site, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path, "defib_plugins.agent_heartbeat_receiver")
    world.watches = False
    world.watch("main")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


async def call(
    site: Site, method: str, path: str, token: str = TOKEN, body: Any = None, **headers: str
) -> httpx.Response:
    return await site.client.request(
        method, f"/api/v1{path}", json=body or {}, headers={**bearer(token), **headers}
    )


async def make(site: Site, scope: str, name: str = "", **more: Any) -> str:
    """The text of a fresh token."""
    made = await call(site, "POST", "/tokens", body={"name": name or scope, "scope": scope, **more})
    assert made.status_code == 201, made.text
    text: str = made.json()["text"]
    return text


async def add_agent(site: Site, agent: str, **said: Any) -> None:
    introduction = Introduction(id=AgentId(agent), **said)
    token, _ = await site.engine.fleet.access.make_token(f"of {agent}", Scope.INGEST, "test")
    await site.engine.fleet.register(introduction, token=token)


# --- scopes --------------------------------------------------------------------------------------------

ASKED = {
    "see": ("GET", "/overview", {}),
    "see agents": ("GET", "/agents", {}),
    "steer": ("PUT", "/strategies", {"name": "normal"}),
    "make tokens": ("POST", "/tokens", {"name": "more", "scope": "read"}),
    "list tokens": ("GET", "/tokens", {}),
    "log in": ("POST", "/login-links", {}),
}
MAY = {
    "read": {"see", "see agents"},
    "write": {"see", "see agents", "steer"},
    "admin": set(ASKED),
    "ingest": set(),
}


@pytest.mark.parametrize("scope", MAY)
@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.10"])
async def test_a_token_may_what_its_scope_says_and_nothing_else(world: World, scope: str, host: str) -> None:
    world.server = ServerSettings(host=host, port=8420)
    async with world.running() as site:
        token = await make(site, scope)
        found = {what: await call(site, *ask[:2], token, ask[2]) for what, ask in ASKED.items()}

    assert {what for what, answer in found.items() if answer.is_success} == MAY[scope]
    assert {answer.status_code for answer in found.values() if not answer.is_success} <= {403}


async def test_a_refusal_says_which_scope_is_needed(site: Site) -> None:
    reading = await call(site, "PUT", "/strategies", await make(site, "read"), {"name": "normal"})
    writing = await call(site, "POST", "/tokens", await make(site, "write"), {"name": "x", "scope": "admin"})
    ingesting = await call(site, "GET", "/overview", await make(site, "ingest"))

    assert reading.json()["detail"] == "this needs a token of scope write or admin, not read"
    assert writing.json()["detail"] == "this needs a token of scope admin, not write"
    assert ingesting.json()["detail"].startswith("a token of scope ingest does nothing but report beats")


async def test_an_ingest_token_reports_all_the_same(site: Site) -> None:
    token = await make(site, "ingest")

    answer = await site.client.post("/api/v1/agents/web-1/heartbeat", headers=bearer(token))

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
async def test_other_tokens_report_nothing(site: Site, scope: str) -> None:
    answer = await site.client.post("/api/v1/agents/web-1/heartbeat", headers=bearer(await make(site, scope)))

    assert answer.status_code == 401


async def test_what_a_token_does_is_audited_under_its_name_whatever_it_claims(site: Site) -> None:
    token = await make(site, "write", "deploy")

    await call(site, "PUT", "/strategies", token, {"name": "normal"}, **{"Defib-Actor": "somebody else"})

    newest = site.engine.reader.audit(newest=1)[0]
    assert (newest.event, newest.actor) == ("strategy.set", "deploy (token)")


# --- their life ----------------------------------------------------------------------------------------


async def test_a_token_is_shown_once_and_kept_as_a_hash_only(site: Site, world: World) -> None:
    text = await make(site, "read", "wall")

    listed = await call(site, "GET", "/tokens")
    (token,) = listed.json()["items"]

    assert text.startswith("defib_")
    assert text not in listed.text
    assert "digest" not in listed.text
    assert (token["name"], token["scope"], token["good"], token["expires_at"]) == ("wall", "read", True, None)
    for file in world.folder.glob("defib.db*"):
        assert text.encode() not in file.read_bytes()


async def test_a_token_expires(site: Site) -> None:
    text = await make(site, "read", expires="90d")
    (token,) = (await call(site, "GET", "/tokens")).json()["items"]
    stored = site.engine.fleet.tokens.named(token["id"])

    assert stored.expires_at is not None
    assert abs(stored.expires_at - stored.created_at - timedelta(days=90)) < timedelta(seconds=1)
    assert site.engine.fleet.tokens.find(text, stored.expires_at - timedelta(seconds=1)) == stored
    assert site.engine.fleet.tokens.find(text, stored.expires_at) is None


async def test_a_revoked_token_is_as_good_as_none(site: Site) -> None:
    text = await make(site, "read", "wall")

    revoked = await call(site, "DELETE", "/tokens/wall")
    again = await call(site, "DELETE", "/tokens/wall")
    used = await call(site, "GET", "/overview", text)
    guessed = await call(site, "GET", "/overview", "defib_guess")

    assert (revoked.status_code, revoked.json()["good"]) == (200, False)
    assert again.status_code == 404
    assert (used.status_code, used.json()) == (401, guessed.json())


async def test_a_rotated_token_works_beside_its_successor_for_a_while(site: Site) -> None:
    old = await make(site, "write", "deploy")

    made = (await call(site, "POST", "/tokens/deploy/rotate", body={"overlap": "1h"})).json()

    assert made["token"]["scope"] == "write"
    for text in (old, made["text"]):
        assert (await call(site, "PUT", "/strategies", text, {"name": "normal"})).status_code == 200
    stored = site.engine.fleet.tokens.find(old, site.engine.clock.now())
    assert stored is not None
    assert stored.expires_at is not None
    assert site.engine.fleet.tokens.find(old, stored.expires_at) is None


async def test_a_token_revoked_by_its_name_takes_those_along_that_it_replaced(site: Site) -> None:
    old = await make(site, "read", "wall")
    new = (await call(site, "POST", "/tokens/wall/rotate", body={"overlap": "1h"})).json()
    newest = (await call(site, "POST", "/tokens/wall/rotate", body={"overlap": "1h"})).json()

    revoked = await call(site, "DELETE", "/tokens/wall")

    assert (revoked.status_code, revoked.json()["id"]) == (200, newest["token"]["id"])
    for text in (old, new["text"], newest["text"]):
        assert (await call(site, "GET", "/overview", text)).status_code == 401


async def test_by_its_id_one_token_is_revoked_and_its_successor_is_not(site: Site) -> None:
    old = await make(site, "read", "wall")
    (before,) = (await call(site, "GET", "/tokens")).json()["items"]
    new = (await call(site, "POST", "/tokens/wall/rotate", body={"overlap": "1h"})).json()

    assert (await call(site, "DELETE", f"/tokens/{before['id']}")).status_code == 200

    assert (await call(site, "GET", "/overview", old)).status_code == 401
    assert (await call(site, "GET", "/overview", new["text"])).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("POST", "/rotate")])
async def test_a_name_that_two_tokens_were_given_has_to_be_said_by_id(
    site: Site, method: str, path: str
) -> None:
    for _ in range(2):
        await make(site, "read", "wall")

    refused = await call(site, method, f"/tokens/wall{path}")

    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("2 tokens are named 'wall'; say which by its id: token-")


async def test_a_token_that_expires_is_rotated_into_one_that_lasts_as_long(site: Site) -> None:
    first = (
        await call(site, "POST", "/tokens", body={"name": "ci", "scope": "read", "expires": "2h"})
    ).json()

    made = (await call(site, "POST", "/tokens/ci/rotate", body={"overlap": "1d"})).json()

    ends, began = (datetime.fromisoformat(made["token"][name]) for name in ("expires_at", "created_at"))
    assert abs(ends - began - timedelta(hours=2)) < timedelta(seconds=1)
    before = site.engine.fleet.tokens.named(first["token"]["id"])
    assert before.expires_at == datetime.fromisoformat(first["token"]["expires_at"])  # and no day longer


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": "x"}, {"name": "", "scope": "read"}, {"name": "x", "scope": "root"},
        {"name": "two\nlines", "scope": "read"}, {"name": " x", "scope": "read"}, {"name": "x" * 61, "scope": "read"},
        {"name": "x", "scope": "read", "expires": "0s"}, {"name": "x", "scope": "read", "expires": "soon"},
        {"name": "x", "scope": "read", "expires": "-5d"}, {"name": "x", "scope": "read", "more": 1},
    ],
)  # fmt: skip
async def test_a_token_that_makes_no_sense_is_not_made(site: Site, body: dict[str, Any]) -> None:
    answer = await call(site, "POST", "/tokens", body=body)

    assert answer.status_code == 422
    assert (await call(site, "GET", "/tokens")).json()["total"] == 0


# --- agents --------------------------------------------------------------------------------------------


async def test_agents_are_listed_those_that_need_attention_first(site: Site) -> None:
    await add_agent(site, "web-1", pool="web")
    await add_agent(site, "web-2", pool="web", tags=("prod",))
    await add_agent(site, "db-1")
    report = AgentReport(status="busy", metrics={"cpu_percent": 12.5}, disks={"/": 40.0, "/var": 71.5})
    await site.engine.fleet.report(AgentId("web-1"), report)

    everyone = await site.get("/agents")
    web = await site.get("/agents", pool="web", limit=1)
    online = await site.get("/agents", status="online")
    pools = await site.get("/pools")

    assert [item["id"] for item in everyone["items"]] == ["web-1", "db-1", "web-2"]
    first = everyone["items"][0]
    assert (first["status"], first["word"], first["says"]) == ("online", "Online", "busy")
    assert (first["metrics"], first["disk_percent"]) == ({"cpu_percent": 12.5}, 71.5)
    assert first["cpu_hour"][-1] == 12.5
    assert len(first["cpu_hour"]) == 60
    assert (web["total"], len(web["items"])) == (2, 1)
    assert [item["id"] for item in online["items"]] == ["web-1"]
    assert pools["items"] == [{"name": "web", "agents": 2, "counts": {"online": 1, "unknown": 1}}]


async def test_what_an_operator_sets_outlasts_what_the_agent_says(site: Site) -> None:
    await add_agent(site, "web-1", name="web-1", pool="web", tags=("a",))

    changed = await call(
        site, "PATCH", "/agents/web-1", body={"name": "Shop", "tags": ["prod", "eu"], "pool": ""}
    )
    await site.engine.fleet.describe(
        AgentId("web-1"), Introduction(name="web-1", pool="web", tags=("b",), os="Debian 13")
    )

    after = await site.get("/agents/web-1")
    assert changed.status_code == 200
    assert (after["name"], after["tags"], after["pool"], after["os"]) == (
        "Shop",
        ["prod", "eu"],
        "",
        "Debian 13",
    )
    assert site.engine.roster.monitors[MonitorId("web-1")].spec.name == "Shop"
    amended = next(item for item in site.engine.reader.audit() if item.event == "agent.amended")
    assert amended.actor == "api"


async def test_an_agent_is_kept_out_and_let_in_by_an_administrator(site: Site) -> None:
    await add_agent(site, "web-1")
    writer = await make(site, "write")
    assert (await call(site, "POST", "/agents/web-1/keep-out", writer)).status_code == 403

    out = await call(site, "POST", "/agents/web-1/keep-out")
    again = await call(site, "POST", "/agents/web-1/keep-out")
    assert (out.status_code, again.json()["kept_out_at"]) == (200, out.json()["kept_out_at"])
    assert out.json()["kept_out_at"] is not None

    back = await call(site, "POST", "/agents/web-1/let-in")
    assert (back.status_code, back.json()["kept_out_at"]) == (200, None)
    assert (await call(site, "POST", "/agents/nobody/keep-out")).status_code == 404
    told = [
        (item.event, item.actor)
        for item in site.engine.reader.audit()
        if item.event in ("agent.kept-out", "agent.let-in")
    ]
    assert sorted(told) == [("agent.kept-out", "api"), ("agent.let-in", "api")]


async def test_a_removed_agent_is_gone_with_its_monitor(site: Site) -> None:
    await add_agent(site, "web-1")

    removed = await call(site, "DELETE", "/agents/web-1")
    again = await call(site, "DELETE", "/agents/web-1")

    assert (removed.status_code, removed.json()) == (200, {"id": "web-1", "monitor": "web-1"})
    assert again.status_code == 404
    assert MonitorId("web-1") not in site.engine.roster.monitors


async def test_an_agent_whose_id_fits_no_path_is_found_by_its_monitor(site: Site) -> None:
    await add_agent(site, "rack/7 ä")

    found = await site.get("/agents/rack-7")

    assert (found["id"], found["monitor"]) == ("rack/7 ä", "rack-7")


async def test_nobody_changes_agents_without_a_token(site: Site) -> None:
    await add_agent(site, "web-1")

    for method in ("PATCH", "DELETE"):
        answer = await site.client.request(method, "/api/v1/agents/web-1", json={})
        assert answer.status_code == 401

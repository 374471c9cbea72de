"""What a monitor's page tells to take elsewhere: the address of its pings, and that of its badge."""

import html
import re
from pathlib import Path

import httpx

from defib.model.agent import Scope
from defib.model.ids import MonitorId
from defib.model.settings import BadgeAccess, ServerSettings
from receiver_world import bearer, make_world, new_token
from web_world import Site, World


def world_of(folder: Path, **server: object) -> World:
    world = make_world(folder)
    world.server = ServerSettings(port=0, **server)  # type: ignore[arg-type] # of the test
    world.expect_beats("nightly", every="1d")
    world.watch("web")
    world.watches = False
    return world


async def lines(site: Site, monitor: str, scope: Scope | None) -> list[str]:
    """The lines that the page of a monitor offers to copy."""
    headers = bearer(await new_token(site, str(scope), scope)) if scope else {}
    page: httpx.Response = await site.client.get(f"/monitors/{monitor}", headers=headers)
    assert page.status_code == 200
    return [
        html.unescape(item) for item in re.findall(r'<code tabindex="0">([^<]*)</code><button', page.text)
    ]


async def test_who_may_change_something_sees_how_to_ping(tmp_path: Path) -> None:
    async with world_of(tmp_path, public_url="https://health.example.com").running() as site:
        url = f"https://health.example.com/ping/{site.engine.roster.beat_uuid(MonitorId('nightly'))}"

        assert await lines(site, "nightly", Scope.WRITE) == [
            url,
            f"curl -fsS -m 10 --retry 5 -o /dev/null {url}",
            f"30 2 * * * /path/to/job; curl -fsS -m 10 --retry 5 -o /dev/null {url}/$?",
        ]
        assert (await site.client.get(httpx.URL(url).path)).text == "OK"
        assert (await site.client.get(httpx.URL(url).path + "/0")).text == "OK"


async def test_who_may_only_read_does_not_and_neither_does_whoever_looks_from_this_machine(
    tmp_path: Path,
) -> None:
    async with world_of(tmp_path).running() as site:
        uuid = site.engine.roster.beat_uuid(MonitorId("nightly"))
        for scope in (Scope.READ, None):
            assert await lines(site, "nightly", scope) == []
        assert uuid not in (await site.client.get("/monitors/nightly")).text
        assert await lines(site, "web", Scope.WRITE) == []


async def test_a_badge_that_is_switched_on_has_its_address_there(tmp_path: Path) -> None:
    async with world_of(tmp_path, badges=BadgeAccess.SIGNED).running() as site:
        [address] = await lines(site, "web", Scope.READ)

        assert re.fullmatch(r"http://\S+/badge/monitor/web\.svg\?key=\S{22}", address)
        assert (await site.client.get(address)).headers["content-type"] == "image/svg+xml"

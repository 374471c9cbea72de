"""Where a request came from: by a proxy that is trusted, by one that is not, and how often an address may be wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from defib.model.settings import ServerSettings
from defib.web.app import create_app
from web_world import TOKEN, Site, World

OVERVIEW = "/api/v1/overview"
WRONG, RIGHT = {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    server = ServerSettings(host="192.0.2.10", port=8420, trusted_proxies=("10.0.0.0/8", "2001:db8::1/128"))
    world = World(tmp_path, watches=False, server=server)
    async with world.running() as site:
        yield site


class From:
    """Requests that come from an address."""

    def __init__(self, site: Site) -> None:
        self._app = create_app(site.services)

    @asynccontextmanager
    async def address(self, host: str, forwarded: str = "") -> AsyncIterator[httpx.AsyncClient]:
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        transport = httpx.ASGITransport(self._app, client=(host, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://defib", headers=headers) as client:
            yield client

    async def statuses(self, host: str, count: int, forwarded: str = "") -> list[int]:
        async with self.address(host, forwarded) as client:
            return [(await client.get(OVERVIEW, headers=WRONG)).status_code for _ in range(count)]


async def test_who_guesses_tokens_is_told_to_wait_and_who_has_one_is_not(site: Site) -> None:
    come = From(site)

    assert await come.statuses("198.51.100.7", 31) == [401] * 30 + [429]
    async with come.address("198.51.100.7") as client:
        refused = await client.get(OVERVIEW, headers=WRONG)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["detail"] == "too many wrong tokens came from your address; try again later"
        assert (await client.get(OVERVIEW, headers=RIGHT)).status_code == 200
        assert (await client.get(OVERVIEW)).status_code == 401
    assert await come.statuses("198.51.100.8", 1) == [401]


async def test_the_addresses_of_one_network_of_version_six_guess_together(site: Site) -> None:
    come = From(site)

    for number in range(30):
        assert await come.statuses(f"2001:db8:7:7::{number + 1:x}", 1) == [401]
    assert await come.statuses("2001:db8:7:7:ffff::1", 1) == [429]
    assert await come.statuses("2001:db8:7:8::1", 1) == [401]


async def test_a_trusted_proxy_says_who_it_asks_for(site: Site) -> None:
    come = From(site)

    assert await come.statuses("10.0.0.5", 31, "198.51.100.7") == [401] * 30 + [429]
    assert await come.statuses("10.0.0.5", 1, "198.51.100.8") == [401]
    assert await come.statuses("10.9.9.9", 1, "198.51.100.7") == [429]
    assert await come.statuses("2001:db8::1", 1, "198.51.100.7:39482") == [429]
    assert await come.statuses("198.51.100.7", 1) == [429]


async def test_what_a_client_claims_before_the_trusted_proxy_counts_for_nothing(site: Site) -> None:
    come = From(site)

    for number in range(30):
        assert await come.statuses("10.0.0.5", 1, f"203.0.113.{number}, 198.51.100.7") == [401]
    assert await come.statuses("10.0.0.5", 1, "127.0.0.1, 198.51.100.7, 10.0.0.9") == [429]


async def test_nobody_else_is_believed(site: Site) -> None:
    come = From(site)

    for number in range(30):
        assert await come.statuses("198.51.100.7", 1, f"203.0.113.{number}") == [401]
    assert await come.statuses("198.51.100.7", 1, "203.0.113.99") == [429]


async def test_a_reload_changes_who_is_believed(site: Site) -> None:
    come, server = From(site), site.engine.roster.settings.server

    def trust(*proxies: str) -> None:
        settings = site.engine.roster.settings
        changed = replace(settings, server=replace(server, trusted_proxies=proxies))
        site.engine.roster.settings = changed

    assert await come.statuses("203.0.113.9", 31, "198.51.100.7") == [401] * 30 + [429]
    trust("203.0.113.9/32")
    assert await come.statuses("203.0.113.9", 1, "198.51.100.7") == [401]
    trust()
    assert await come.statuses("203.0.113.9", 1, "198.51.100.7") == [429]

"""Who may read, who may steer, and what every answer forbids browsers to do."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from defib.model.ids import MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.settings import ServerSettings
from web_world import TOKEN, Site, World

PAGES = ["/", "/monitors/main", "/reports", "/docs"]
READS = [*PAGES, "/api/v1/overview", "/api/v1/monitors/main", "/metrics", "/openapi.json"]
OPEN = ["/health", "/livez", "/readyz", "/ping/nightly"]
ELSEWHERE = ServerSettings(host="192.0.2.10", port=8420)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, watches=False)
    world.watch("main", name="Main <b>Agent</b>")
    world.expect_beats("nightly")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


@pytest.fixture
async def far_site(world: World) -> AsyncIterator[Site]:
    """The same, listening where others reach it."""
    world.server = ELSEWHERE
    async with world.running() as site:
        yield site


async def log_in(site: Site) -> str:
    """Give the client a session; answers its CSRF token."""
    response = await site.client.get(site.services.login_url(""))
    assert response.status_code == 303
    page = (await site.client.get("/")).text
    match = re.search(r'<meta name="csrf-token" content="([^"]+)">', page)
    assert match is not None
    return match[1]


# --- reading -------------------------------------------------------------------------------------------


async def statuses(site: Site, paths: list[str], **headers: str) -> set[int]:
    """With which statuses all of the paths are answered."""
    return {(await site.client.get(path, headers=headers)).status_code for path in paths}


async def test_on_this_machine_reading_is_open(site: Site) -> None:
    assert await statuses(site, [*READS, *OPEN]) == {200}


async def test_elsewhere_reading_needs_the_token_or_a_login(far_site: Site) -> None:
    assert await statuses(far_site, READS) == {401}
    assert await statuses(far_site, READS, Authorization="Bearer wrong") == {401}
    assert await statuses(far_site, READS, Authorization=f"Bearer {TOKEN}") == {200}
    await log_in(far_site)
    assert await statuses(far_site, READS) == {200}


async def test_elsewhere_supervisors_and_beats_that_nobody_can_guess_need_no_login(far_site: Site) -> None:
    uuid = far_site.engine.roster.beat_uuid(MonitorId("nightly"))

    assert await statuses(far_site, ["/health", "/livez", "/readyz", f"/ping/{uuid}"]) == {200}
    assert await statuses(far_site, ["/ping/nightly"]) == {401}


async def test_people_without_a_login_are_told_how_to_get_one(far_site: Site) -> None:
    page = await far_site.client.get("/", headers={"Accept": "text/html"})

    assert (page.status_code, page.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "open the login link that Defib printed when it started" in page.text


async def test_other_schemes_of_authorization_are_somebody_elses(site: Site) -> None:
    response = await site.client.get("/", headers={"Authorization": "Basic dXNlcjpwYXNz"})

    assert response.status_code == 200


# --- sessions ------------------------------------------------------------------------------------------


async def test_a_login_link_works_once(site: Site) -> None:
    url = site.services.login_url("http://127.0.0.1:0")

    first = await site.client.get(url)
    second = await site.client.get(url, headers={"Accept": "text/html"})

    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert (second.status_code, "This link does not log in" in second.text) == (403, True)


@pytest.mark.parametrize("key", ["", "guess", "guess%00"])
async def test_a_guessed_key_does_not_log_in(site: Site, key: str) -> None:
    response = await site.client.get(f"/login?key={key}")

    assert response.status_code == 403
    assert "set-cookie" not in response.headers


async def test_a_link_that_is_only_looked_at_stays_good(site: Site) -> None:
    url = site.services.login_url("http://127.0.0.1:0")

    looked = await site.client.head(url)
    fetched = await site.client.get(url, headers={"Sec-Purpose": "prefetch;prerender"})
    opened = await site.client.get(url)

    assert [looked.status_code, fetched.status_code, opened.status_code] == [204, 204, 303]


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site: Site) -> None:
    response = await site.client.get(site.services.login_url(""))

    name, *attributes = response.headers["set-cookie"].split("; ")
    assert name.startswith("defib_session=")
    assert sorted(attributes) == ["HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=strict"]


async def test_the_cookie_stays_on_https_where_that_is_the_public_address(world: World) -> None:
    world.server = replace(ServerSettings(), public_url="https://health.example.com")
    async with world.running() as site:
        url = site.services.login_url("http://127.0.0.1:8420")
        response = await site.client.get(url, headers={"Host": "health.example.com"})

    assert "Secure" in response.headers["set-cookie"].split("; ")


async def test_steering_with_a_session_needs_its_csrf_token(site: Site) -> None:
    csrf = await log_in(site)

    async def switch(**headers: str) -> httpx.Response:
        return await site.client.put("/api/v1/strategies", json={"name": "aggressive"}, headers=headers)

    without = await switch()
    wrong = await switch(**{"X-CSRF-Token": "wrong"})
    right = await switch(**{"X-CSRF-Token": csrf})

    assert [without.status_code, wrong.status_code, right.status_code] == [403, 403, 200]
    assert without.json()["detail"] == "the header X-CSRF-Token is missing or wrong; load the page again"


async def test_the_csrf_token_of_one_session_is_no_good_in_another(site: Site) -> None:
    first = await log_in(site)
    site.client.cookies.clear()
    await log_in(site)

    response = await site.client.put(
        "/api/v1/strategies", json={"name": "aggressive"}, headers={"X-CSRF-Token": first}
    )

    assert response.status_code == 403


async def test_a_forged_or_outdated_cookie_is_no_session(site: Site, world: World) -> None:
    await log_in(site)
    cookie = site.client.cookies["defib_session"]
    async with httpx.AsyncClient(transport=site.client._transport, base_url=site.url) as client:
        client.cookies["defib_session"] = cookie[:-2] + "xx"
        forged = (await client.get("/")).text

    assert "csrf-token" not in forged


async def test_logging_out_ends_the_session_in_the_browser(site: Site) -> None:
    csrf = await log_in(site)

    refused = await site.client.post("/logout")
    response = await site.client.post("/logout", headers={"X-CSRF-Token": csrf})

    assert (refused.status_code, response.status_code) == (403, 204)
    assert "csrf-token" not in (await site.client.get("/")).text


async def test_buttons_are_there_for_those_who_are_logged_in_only(site: Site) -> None:
    before = (await site.client.get("/monitors/main")).text
    await log_in(site)
    after = (await site.client.get("/monitors/main")).text

    assert "Check now" not in before
    assert "Check now" in after


async def test_recovering_is_offered_only_where_there_is_a_ladder(world: World) -> None:
    world.watch("bare")
    world.watch("mendable", mode=RecoveryMode.DRY_RUN)
    async with world.running() as site:
        await log_in(site)
        pages = {name: (await site.client.get(f"/monitors/{name}")).text for name in ("bare", "mendable")}

    assert {name: 'data-act="recover"' in page for name, page in pages.items()} == {
        "bare": False, "mendable": True,
    }  # fmt: skip


# --- names ---------------------------------------------------------------------------------------------


HOSTS = {
    "127.0.0.1:8420": 200,
    "localhost": 200,
    "LOCALHOST:1234": 200,
    "[::1]:8420": 200,
    "127.9.9.9": 200,
    "health.example.com": 200,
    "evil.example.com": 421,
    "127.0.0.1.evil.example.com": 421,
    "localhost.evil.example.com": 421,
    "192.0.2.7:8420": 421,
    "": 421,
    "[::1": 421,
}


async def test_a_server_for_this_machine_answers_to_its_own_names_only(world: World) -> None:
    world.server = replace(ServerSettings(), public_url="https://health.example.com")
    paths = ["/api/v1/overview", "/livez", "/ping/nightly"]
    async with world.running() as site:
        found = {host: await statuses(site, paths, Host=host) for host in HOSTS}

    assert found == {host: {status} for host, status in HOSTS.items()}


async def test_a_server_for_others_answers_to_any_name(far_site: Site) -> None:
    assert (await far_site.client.get("/livez", headers={"Host": "defib.internal"})).status_code == 200


# --- what browsers may do ------------------------------------------------------------------------------


class Inline(HTMLParser):
    """Finds what a strict policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attributes}
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        self.found += [name for name in names if name == "style" or name.startswith("on")]
        values = [value or "" for name, value in attributes if name in ("src", "href", "action")]
        self.found += [value for value in values if "//" in value or value.startswith("javascript:")]


@pytest.mark.parametrize("path", [*PAGES, "/nothing-here"])
async def test_pages_hold_nothing_inline_and_nothing_from_elsewhere(site: Site, path: str) -> None:
    await log_in(site)

    response = await site.client.get(path, headers={"Accept": "text/html"})

    inline = Inline()
    inline.feed(response.text)
    assert inline.found == []
    policy = response.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= {
        *policy
    }
    assert not any("unsafe" in rule for rule in policy)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"


async def test_names_are_shown_as_text_and_never_as_markup(site: Site) -> None:
    for path in PAGES[:2]:
        text = (await site.client.get(path)).text

        assert "<b>Agent" not in text
        assert "Main &lt;b&gt;Agent&lt;/b&gt;" in text


async def test_every_file_of_a_page_is_there_and_kept_for_good(site: Site) -> None:
    found = set()
    for path in PAGES:
        found |= set(re.findall(r'"(/static/[^"]+)"', (await site.client.get(path)).text))

    assert len({path.split("/")[2] for path in found}) == 1
    for path in sorted(found):
        first = await site.client.get(path)
        again = await site.client.get(path, headers={"If-None-Match": first.headers["etag"]})

        assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert first.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["page.css", "../app.py", "%2e%2e/app.py", "..%2fapp.py"])
async def test_no_other_file_and_no_other_version_is_served(site: Site, name: str) -> None:
    assert (await site.client.get(f"/static/0000000000000000/{name}")).status_code == 404


async def test_every_module_that_a_script_imports_is_there(site: Site) -> None:
    page = (await site.client.get("/")).text
    folder = re.findall(r'"(/static/[^/]+)/', page)[0]
    wanted, seen = {"overview.js", "monitor.js", "reports.js"}, set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        response = await site.client.get(f"{folder}/{name}")
        assert response.status_code == 200, name
        wanted |= set(re.findall(r'from "\./([^"]+)"', response.text)) - seen

    assert {"words.js", "clock.js", "drawing.js", "live.js", "rows.js", "steering.js", "filter.js"} <= seen

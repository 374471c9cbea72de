"""The description of the API: valid, whole, and true of the routes."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from starlette.routing import Route

from defib.web.app import create_app
from web_world import Site, World

METHODS = {"get", "put", "post", "delete", "patch"}
NOT_API = re.compile(
    r"/$|/static/|/login|/logout|/monitors/|/incidents|/alerts|/silences|/agents|/pools/|/reports|/docs|/openapi.json"
    r"|/ping/|/badge/"
)
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "http-api.md"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with World(tmp_path, watches=False).running() as site:
        yield site


@pytest.fixture
async def api(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = (await site.client.get("/openapi.json")).json()
    return found


def operations(api: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def every(node: Any, key: str) -> Iterator[Any]:
    """Each value under ``key``, at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from every(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from every(value, key)


async def test_it_has_the_shape_of_openapi_3_1(api: dict[str, Any]) -> None:
    assert api["openapi"] == "3.1.0"
    assert {"title", "version"} <= api["info"].keys()
    names = [operation["operationId"] for _, _, operation in operations(api)]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in api["tags"]}
    for path, method, operation in operations(api):
        assert path.startswith("/")
        assert method in METHODS
        assert set(operation["tags"]) <= tags
        assert operation["summary"].endswith(".")
        assert all(re.fullmatch(r"[1-5]\d\d", status) for status in operation["responses"])
        assert all("description" in answer for answer in operation["responses"].values())
        in_path = {item["name"] for item in operation.get("parameters", []) if item["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))


async def test_every_schema_is_valid_and_every_reference_leads_somewhere(api: dict[str, Any]) -> None:
    for schema in [*api["components"]["schemas"].values(), *every(api["paths"], "schema")]:
        Draft202012Validator.check_schema(schema)

    references = set(every(api, "$ref"))
    assert {ref.rpartition("/")[0] for ref in references} == {"#/components/schemas"}
    assert {ref.rpartition("/")[2] for ref in references} <= api["components"]["schemas"].keys()


async def test_what_changes_something_asks_for_the_token_or_a_login(api: dict[str, Any]) -> None:
    for path, method, operation in operations(api):
        if path.startswith("/api/"):
            is_open = {} in operation["security"]
            shows_secrets = path.endswith(("/tokens", "/definition"))
            assert is_open == (method == "get" and not shows_secrets), path


async def test_every_route_of_the_api_is_described_and_nothing_else_is(
    site: Site, api: dict[str, Any]
) -> None:
    app = create_app(site.services)
    routes = {
        (route.path, method.lower())
        for route in app.routes
        if isinstance(route, Route) and not NOT_API.match(route.path)
        for method in (route.methods or set()) - {"HEAD"}
    }

    assert {(path, method) for path, method, _ in operations(api)} == routes


async def test_the_reference_names_every_operation(api: dict[str, Any]) -> None:
    text = REFERENCE.read_text()

    missing = [f"`{method.upper()} {path}`" for path, method, _ in operations(api)
               if f"`{method.upper()} {path}`" not in text]  # fmt: skip
    assert missing == []


async def test_the_page_shows_every_operation_and_every_type(site: Site, api: dict[str, Any]) -> None:
    page = (await site.client.get("/docs")).text

    for _, _, operation in operations(api):
        assert f'<details id="{operation["operationId"]}">' in page
    for name in api["components"]["schemas"]:
        assert f'<details id="type-{name}">' in page
    targets = set(re.findall(r'href="#(type-\w+)"', page))
    assert targets <= set(re.findall(r'id="(type-\w+)"', page))

"""Schemathesis over the API's own description: no 500, and no answer that the description does not promise."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from defib.model.agent import Introduction
from defib.model.ids import AgentId
from receiver_world import KEY, make_world
from web_world import TOKEN, Site, World

CHECKS = (
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
)  # fmt: skip
EXAMPLES = 6  #: of each operation: a smoke test; `--hypothesis-seed=random` and more of them find more
NAMES = {"id": ["web", "nightly", "far", "nothing"], "name": ["mail", "nothing"], "date": ["2026-01-05"]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path, "defib_plugins.tcp_port")
    world.watch("web", tags=["prod"])
    world.expect_beats("nightly")
    world.tell("mail")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        await site.engine.fleet.register(Introduction(id=AgentId("far"), hostname="far"), key=KEY)
        site.world.play("web", ok=False)
        await site.wait_for("web", "fault")
        yield site


async def test_no_request_that_the_description_allows_is_answered_otherwise(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    description = (await site.client.get("/openapi.json")).json()

    found = await asyncio.to_thread(fuzz, description, site.url)

    assert found == {}
    assert [record.getMessage() for record in caplog.records if "crashed" in record.getMessage()] == []
    assert (await site.client.get("/readyz")).status_code == 200


def fuzz(description: dict[str, Any], url: str) -> dict[str, str]:
    """What was wrong, by operation."""
    known_names(description)
    wrong: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = schemathesis.openapi.from_dict(description)
        for result in schema.get_all_operations():
            operation = result.ok()

            @seed(20260105)
            @settings(
                max_examples=EXAMPLES, deadline=None, database=None, phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck), print_blob=False,
            )  # fmt: skip
            @given(case=operation.as_strategy())
            def ask(case: Case) -> None:
                answer = case.call(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"})
                case.validate_response(answer, checks=CHECKS)

            try:
                ask()
            except (Exception, BaseExceptionGroup) as error:
                wrong[operation.label] = str(error)[:2000]
    return wrong


def known_names(description: dict[str, Any]) -> None:
    """Of the names in paths, most are some that there are: an unknown one is 404 whatever else is asked."""
    for path in description["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"] in NAMES:
                    parameter["schema"] = {"enum": NAMES[parameter["name"]]}

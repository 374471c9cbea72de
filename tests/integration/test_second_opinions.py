"""Agents on other hosts are asked about a target that fails: what they say is told, and holds a fault for a while."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from defib.engine.detection import second_opinion
from defib.model.agent import Introduction
from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import State
from defib.model.ids import AgentId, MonitorId
from receiver_world import KEY, make_world
from web_world import Site, World

SHOP = MonitorId("shop")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path)
    world.watch("shop", target="http://shop.test/health", second_opinion=True)
    world.watch("cart", target="http://cart.test/health")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        await site.wait_for("shop", "up")
        yield site


class Peer:
    """An agent on another host, at the other end of its stream."""

    def __init__(self, site: Site, name: str, answer: str | None, after_s: float = 0.0, **told: Any) -> None:
        self._fleet = site.engine.fleet
        self.id = AgentId(name)
        self.asked: list[Mapping[str, object]] = []
        self._answer, self._after_s, self._told = answer, after_s, told

    async def send(self, kind: str, data: Mapping[str, object]) -> None:
        assert kind == "probe_request"
        self.asked.append(data)
        if self._answer is not None:
            say = {"id": data["id"], **self._told}
            asyncio.get_running_loop().call_later(
                self._after_s, lambda: self._fleet.hear(self.id, str(self._answer), say)
            )

    @asynccontextmanager
    async def connected(self, hostname: str = "") -> AsyncIterator["Peer"]:
        introduction = Introduction(id=self.id, hostname=hostname or f"host-of-{self.id}")
        await self._fleet.register(introduction, key=KEY)
        with self._fleet.connect(self.id, lambda: None, self.send):
            yield self


def fact(site: Site) -> object:
    """What is told of the second opinions with the newest look."""
    last = site.health("shop").last
    assert last is not None
    return last.evidence.facts.get("second_opinion")


async def test_a_target_that_answers_others_is_suspect_and_not_yet_at_fault(site: Site) -> None:
    async with Peer(site, "far", "probe_ack", why="HTTP 200").connected() as peer:
        site.world.play("shop", ok=False, cause="timeout", says="no answer within 2s")
        await site.look("shop", times=8)

        assert site.health("shop").state is State.SUSPECT
        assert site.health("shop").reason == (
            "failing, but no fault is declared: not reachable from here: it answers far (HTTP 200)"
        )
        assert fact(site) == "it answers far (HTTP 200)"
        assert len(peer.asked) == 1
        assert (peer.asked[0]["kind"], peer.asked[0]["target"]) == ("http", "http://shop.test/health")
        site.world.play("shop", ok=True)
        await site.look("shop", times=3)
        assert site.health("shop").state is State.UP
        assert site.engine.reader.incidents() == []


async def test_a_peers_word_holds_a_fault_for_a_while_only(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_opinion, "HELD_S", 0.5)
    async with Peer(site, "far", "probe_ack", why="HTTP 200").connected():
        site.world.play("shop", ok=False, cause="timeout", says="no answer within 2s")

        await site.wait_for("shop", "fault")
        assert fact(site) == "it answers far (HTTP 200)"


async def test_a_target_that_answers_nobody_is_at_fault_at_once_and_that_is_told(site: Site) -> None:
    async with Peer(site, "far", "probe_nack", why="no answer within 5 s").connected():
        site.world.play("shop", ok=False, cause="timeout", says="no answer within 2s")
        await site.look("shop", times=3)

        assert site.health("shop").state is State.FAULT
        assert fact(site) == "it does not answer far (no answer within 5 s) either"


async def test_what_a_target_says_itself_is_not_weighed_against_others(site: Site) -> None:
    async with Peer(site, "far", "probe_ack", why="HTTP 200").connected():
        site.world.play("shop", ok=False, cause="http-500", says="HTTP 500")
        await site.look("shop", times=3)

        assert site.health("shop").state is State.FAULT
        assert fact(site) == "it answers far (HTTP 200)"


async def test_a_verdict_waits_a_second_for_an_answer_and_no_longer(site: Site) -> None:
    async with Peer(site, "far", None).connected():
        site.world.play("shop", ok=False, cause="timeout", says="no answer within 2s")
        began = site.engine.clock.monotonic()
        await site.look("shop", times=3)

        assert site.health("shop").state is State.FAULT
        assert site.engine.clock.monotonic() - began < 1.5
        assert fact(site) is None


async def test_who_does_not_want_to_look_is_left_alone(site: Site) -> None:
    async with Peer(site, "shy", "probe_nack", is_refused=True, why="not allowed").connected() as shy:
        weigh, failing = site.engine.second_opinions.weigh, look_of("timeout")
        watched = site.engine.roster.monitors[SHOP]
        await weigh(watched, failing, is_suspect=False)
        await weigh(watched, failing, is_suspect=True)
        site.engine.second_opinions.close()
        await weigh(watched, failing, is_suspect=True)

        assert len(shy.asked) == 1
        assert (await weigh(watched, failing, is_suspect=True))[1] == ""


async def test_only_agents_elsewhere_are_asked_three_at_most_and_one_of_each_host(site: Site) -> None:
    import socket

    here, twins = socket.gethostname(), "twins"
    names = {"own": here, "a": twins, "b": twins, "c": "", "d": "", "e": "", "target": "shop.test"}
    peers = [Peer(site, name, "probe_nack", why="no") for name in names]
    watched = site.engine.roster.monitors[SHOP]
    watched.plugin.host = "shop.test"  # type: ignore[union-attr] # a stage has none
    async with (
        peers[0].connected(here),
        peers[1].connected(twins),
        peers[2].connected(twins),
        peers[3].connected(),
        peers[4].connected(),
        peers[5].connected(),
        peers[6].connected("shop.test"),
    ):
        await site.engine.second_opinions.weigh(watched, look_of("timeout"), is_suspect=True)
        asked = {peer.id for peer in peers if peer.asked}

    assert len(asked) == 3
    assert asked <= {"a", "b", "c", "d", "e"}
    assert not {"a", "b"} <= asked


async def test_without_a_word_in_the_configuration_nobody_is_asked(site: Site) -> None:
    async with Peer(site, "far", "probe_ack", why="HTTP 200").connected() as peer:
        site.world.play("cart", ok=False, cause="timeout", says="no answer within 2s")
        await site.look("cart", times=3)

        assert site.health("cart").state is State.FAULT
        assert peer.asked == []


def look_of(cause: str) -> Observation:
    from datetime import UTC, datetime

    at = datetime(2026, 1, 5, tzinfo=UTC)
    evidence = Evidence.fail(cause, "no answer")
    return Observation(
        monitor=SHOP,
        source=Source.PROBE,
        evidence=evidence,
        started_at=at,
        ended_at=at + timedelta(seconds=2),
    )

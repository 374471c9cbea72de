"""Agents that introduce themselves, through the real engine on virtual time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from defib.errors import RegistrationRefusedError, UsageError
from defib.model.agent import AgentStatus, Introduction, Scope, Task
from defib.model.health import State
from defib.model.ids import AgentId
from defib.model.monitor import Family
from defib.model.settings import IngestSettings
from defib.plugin import Signal
from defib_sim.memory_store import MemoryStore
from fleet_world import KEY, World, in_world

HOST = Introduction(hostname="db-1", os="Debian 12", tags=("rack-2",))


def test_an_agent_that_shows_the_key_is_given_a_token_and_a_monitor() -> None:
    async def play(world: World) -> None:
        agent, text = await world.fleet.register(HOST, key=KEY)
        token = world.fleet.token(text)
        assert token is not None
        assert token.agent == agent.id
        assert token.scope is Scope.INGEST
        assert agent.monitor == "db-1"
        assert world.engine.roster.monitors[agent.monitor].spec.family is Family.AGENT
        assert world.status(agent.id) is AgentStatus.UNKNOWN
        await world.beat(agent.id, metrics={"cpu_percent": 12.5}, tasks=(Task(id="7"),))
        view = world.fleet.find(agent.id)
        assert view is not None
        assert view.status is AgentStatus.ONLINE
        assert view.seconds_since == 0.0
        assert view.live is not None
        assert view.live.report.tasks == (Task(id="7"),)
        assert world.engine.table[agent.monitor].state is State.UP

    in_world(play)


@pytest.mark.parametrize(
    ("ingest", "key"),
    [
        (IngestSettings(), ""),
        (IngestSettings(), "anything"),
        (IngestSettings(registration_key=KEY), ""),
        (IngestSettings(registration_key=KEY), KEY + "x"),
        (IngestSettings(registration_key=KEY), "\ud800"),
    ],
)
def test_without_the_key_nobody_registers(ingest: IngestSettings, key: str) -> None:
    async def play(world: World) -> None:
        with pytest.raises(RegistrationRefusedError, match="registration needs a token"):
            await world.fleet.register(HOST, key=key)
        assert world.fleet.agents() == []

    in_world(play, ingest)


def test_anybody_registers_where_the_operator_says_so() -> None:
    async def play(world: World) -> None:
        agent, text = await world.fleet.register(Introduction(name="My Server"))
        assert agent.name == "My Server"
        assert text.startswith("vmoi_")

    in_world(play, IngestSettings(open_registration=True))


def test_an_agent_that_falls_silent_is_late_after_30_s_and_offline_after_60_s() -> None:
    async def play(world: World) -> None:
        agent, _ = await world.fleet.register(HOST, key=KEY)
        await world.beat(agent.id)
        await world.clock.sleep(30.0)
        assert world.status(agent.id) is AgentStatus.ONLINE
        await world.clock.sleep(0.25)
        assert world.status(agent.id) is AgentStatus.WARNING
        await world.clock.sleep(29.7)
        assert world.status(agent.id) is AgentStatus.WARNING
        await world.clock.sleep(0.3)  # 60.25 s after the beat
        assert world.status(agent.id) is AgentStatus.OFFLINE
        assert world.engine.table[agent.monitor].state is State.FAULT
        await world.beat(agent.id)
        assert world.status(agent.id) is AgentStatus.ONLINE

    in_world(play)


def test_an_agent_that_says_itself_that_it_fails_is_there_until_it_falls_silent() -> None:
    async def play(world: World) -> None:
        agent, _ = await world.fleet.register(HOST, key=KEY)
        await world.beat(agent.id, signal=Signal.FAIL, error="the queue is stuck")
        assert world.engine.table[agent.monitor].state is State.FAULT
        assert world.status(agent.id) is AgentStatus.ERROR
        await world.clock.sleep(45.0)
        assert world.status(agent.id) is AgentStatus.WARNING
        await world.clock.sleep(30.0)
        assert world.status(agent.id) is AgentStatus.OFFLINE
        await world.beat(agent.id, signal=Signal.FAIL, error="the queue is stuck")
        assert world.status(agent.id) is AgentStatus.ERROR
        await world.beat(agent.id)
        assert world.status(agent.id) is AgentStatus.ONLINE

    in_world(play)


def test_an_agent_beyond_a_limit_is_degraded_and_not_gone() -> None:
    async def play(world: World) -> None:
        agent, _ = await world.fleet.register(HOST, key=KEY)
        await world.beat(agent.id)
        health = world.engine.table[agent.monitor]
        world.engine.table.put(replace(health, state=State.DEGRADED))

        assert world.status(agent.id) is AgentStatus.DEGRADED

    in_world(play)


def test_a_planned_stop_is_no_fault_however_long_it_lasts() -> None:
    async def play(world: World) -> None:
        agent, _ = await world.fleet.register(HOST, key=KEY)
        await world.beat(agent.id)
        await world.beat(agent.id, signal=Signal.STOPPING)
        await world.clock.sleep(600.0)
        assert world.status(agent.id) is AgentStatus.STOPPED
        assert world.engine.table[agent.monitor].incident is None
        await world.beat(agent.id)
        assert world.status(agent.id) is AgentStatus.ONLINE

    in_world(play)


def test_the_oldest_client_registers_without_an_id_and_beats_under_one_of_its_own() -> None:
    async def play(world: World) -> None:
        token, _ = await world.fleet.make_token("old agents", Scope.INGEST, "test")
        agent, text = await world.fleet.register(HOST, token=token)
        assert text == ""  # it keeps the token it showed
        same, _ = await world.fleet.register(HOST, token=token)
        assert same.id == agent.id
        resolved = await world.fleet.resolve(token, "my-agent-001")
        assert resolved.id == agent.id
        assert resolved.aliases == ("my-agent-001",)
        await world.beat(resolved.id)
        view = world.fleet.find("my-agent-001")
        assert view is not None
        assert view.agent.id == agent.id
        other = await world.fleet.resolve(token, "my-agent-002", hostname="web-1")
        assert other.id == "my-agent-002"
        assert other.monitor == "my-agent-002"

    in_world(play)


def test_a_token_reports_only_for_its_own_agents() -> None:
    async def play(world: World) -> None:
        one, _ = await world.fleet.make_token("one", Scope.INGEST, "test")
        two, _ = await world.fleet.make_token("two", Scope.INGEST, "test")
        agent, _ = await world.fleet.register(Introduction(id=AgentId("web")), token=one)
        assert world.fleet.may_report(one, "web")
        assert not world.fleet.may_report(two, "web")
        with pytest.raises(RegistrationRefusedError, match="reports with another token"):
            await world.fleet.resolve(two, agent.id)
        with pytest.raises(RegistrationRefusedError, match="registered with another token"):
            await world.fleet.register(Introduction(id=AgentId("web")), token=two)

    in_world(play)


def test_only_ingest_tokens_ingest_and_a_revoked_one_does_no_more() -> None:
    async def play(world: World) -> None:
        _, reading = await world.fleet.make_token("wall", Scope.READ, "test")
        assert world.fleet.token(reading) is None
        _, text = await world.fleet.make_token("agents", Scope.INGEST, "test")
        assert world.fleet.token(text) is not None
        await world.fleet.revoke_token("agents", "test")
        assert world.fleet.token(text) is None
        assert world.fleet.token("") is None
        with pytest.raises(UsageError, match="there is no token 'none'"):
            await world.fleet.revoke_token("none", "test")

    in_world(play)


def test_new_agents_come_in_by_a_beat_only_where_the_operator_allows_it() -> None:
    async def play(world: World) -> None:
        token, _ = await world.fleet.make_token("agents", Scope.INGEST, "test")
        with pytest.raises(RegistrationRefusedError, match="'stranger' is not registered"):
            await world.fleet.resolve(token, "stranger")

    in_world(play, IngestSettings(new_agents=False))


def test_agents_and_tokens_outlive_a_restart() -> None:
    store = MemoryStore()
    texts: list[str] = []

    async def first(world: World) -> None:
        agent, text = await world.fleet.register(
            Introduction(id=AgentId("DESKTOP-ABC123"), every=timedelta(seconds=10)), key=KEY
        )
        await world.beat(agent.id)
        texts.append(text)

    async def second(world: World) -> None:
        view = world.fleet.find("DESKTOP-ABC123")
        assert view is not None
        assert view.agent.monitor == "desktop-abc123"
        assert view.status is AgentStatus.ONLINE
        token = world.fleet.token(texts[0])
        assert token is not None
        assert world.fleet.may_report(token, "DESKTOP-ABC123")
        await world.clock.sleep(25.0)
        assert world.status(view.agent.id) is AgentStatus.OFFLINE

    in_world(first, store=store)
    in_world(second, store=store)


def test_a_configured_monitor_takes_the_place_of_the_one_that_would_be_made() -> None:
    async def play(world: World) -> None:
        agent, _ = await world.fleet.register(Introduction(id=AgentId("DB-1")), key=KEY)
        assert agent.monitor == "database-host"
        assert list(world.engine.roster.monitors) == ["database-host"]
        await world.beat(agent.id, metrics={"cpu_percent": 99.0})
        await world.clock.sleep(20.0)
        await world.beat(agent.id, metrics={"cpu_percent": 99.0})
        assert world.engine.table[agent.monitor].state is State.DEGRADED

    in_world(play, **{"database-host": {"agent_id": "DB-1", "limits": {"cpu": 90, "for": "15s"}}})


def test_a_stream_that_ends_without_a_word_makes_its_agent_suspect_at_once() -> None:
    async def play(world: World) -> None:
        agent, _ = await world.fleet.register(HOST, key=KEY)
        closed: list[str] = []
        with world.fleet.connect(agent.id, lambda: closed.append("first")):
            await world.beat(agent.id)
            view = world.fleet.find(agent.id)
            assert view is not None
            assert view.is_connected
        await world.clock.sleep(0.1)
        assert world.status(agent.id) is AgentStatus.WARNING
        with world.fleet.connect(agent.id, lambda: closed.append("second")):
            await world.beat(agent.id)
            with world.fleet.connect(agent.id, lambda: closed.append("third")):
                assert closed == ["second"]
                await world.clock.sleep(0.1)
                assert world.status(agent.id) is AgentStatus.ONLINE
                await world.beat(agent.id, signal=Signal.STOPPING)
        await world.clock.sleep(0.1)
        assert world.status(agent.id) is AgentStatus.STOPPED

    in_world(play)


def test_a_consumer_is_told_each_agents_newest_report_once_a_batch_and_when_it_goes_offline() -> None:
    async def play(world: World) -> None:
        agents = [
            (await world.fleet.register(Introduction(id=AgentId(name), pool="pool-1"), key=KEY))[0]
            for name in ("a", "b")
        ]
        await world.fleet.register(Introduction(id=AgentId("elsewhere"), pool="pool-2"), key=KEY)
        with world.fleet.watch("pool-1") as feed:
            assert feed.snapshot() == []
            for cpu in (1.0, 2.0, 3.0):
                await world.beat(agents[0].id, metrics={"cpu_percent": cpu})
            await world.beat(AgentId("elsewhere"))
            newer, gone = await feed.changes()
            assert [(live.agent, live.report.metrics) for live in newer] == [("a", {"cpu_percent": 3.0})]
            assert gone == []
            newer, gone = await feed.changes()
            assert ([live.agent for live in newer], gone) == (["a"], [])  # late: it stands otherwise
            assert 30.0 < world.clock.monotonic() < 30.6
            newer, gone = await feed.changes()
            assert (newer, gone) == ([], ["a"])
            assert 60.0 < world.clock.monotonic() < 60.6
            await world.clock.sleep(300.0)
            assert feed.snapshot() == []

    in_world(play)


def test_a_consumer_is_told_of_agents_with_a_configured_monitor_too() -> None:
    async def play(world: World) -> None:
        agent, _ = await world.fleet.register(Introduction(id=AgentId("DB-1"), pool="pool-1"), key=KEY)
        await world.beat(agent.id)
        with world.fleet.watch("pool-1") as feed:
            feed.snapshot()
            await feed.changes()
            _, gone = await feed.changes()
            assert gone == ["DB-1"]

    in_world(play, **{"database-host": {"agent_id": "DB-1"}})


def test_a_removed_agent_is_watched_no_more_and_its_token_is_void() -> None:
    async def play(world: World) -> None:
        agent, text = await world.fleet.register(HOST, key=KEY)
        await world.beat(agent.id)
        await world.fleet.remove(agent.id, "test")
        assert world.fleet.find(agent.id) is None
        assert world.fleet.token(text) is None
        assert agent.monitor not in world.engine.roster.monitors
        await world.clock.sleep(120.0)
        assert world.engine.table[agent.monitor].state is State.UP  # as it was left
        again, _ = await world.fleet.register(HOST, key=KEY)
        assert again.id != agent.id

    in_world(play)


@pytest.mark.parametrize(
    ("wanted", "monitor"),
    [
        ("DESKTOP-ABC123", "desktop-abc123"),
        ("../../etc/passwd", "etc-passwd"),
        ("--help", "help"),
        ("名前", "agent"),
        ("a" * 200, "a" * 80),
        ("$(reboot)`x`\t;", None),
        ("a\nb", None),
        ("x" * 201, None),
    ],
)
def test_an_id_from_outside_becomes_a_harmless_monitor_id_or_is_refused(
    wanted: str, monitor: str | None
) -> None:
    async def play(world: World) -> None:
        introduction = Introduction(id=AgentId(wanted))
        if monitor is None:
            with pytest.raises(RegistrationRefusedError, match="an agent's id is printable"):
                await world.fleet.register(introduction, key=KEY)
        else:
            agent, _ = await world.fleet.register(introduction, key=KEY)
            assert agent.monitor == monitor
            assert agent.id == wanted

    in_world(play)


def test_an_agent_whose_token_was_revoked_is_let_in_again_by_the_key_alone() -> None:
    async def play(world: World) -> None:
        agent, text = await world.fleet.register(HOST, key=KEY)
        named = Introduction(id=agent.id)
        with pytest.raises(RegistrationRefusedError, match="registered with another token"):
            await world.fleet.register(named, key=KEY)
        await world.fleet.revoke_token(f"agent {agent.id}", "test")
        again, fresh = await world.fleet.register(named, key=KEY)
        assert again.id == agent.id
        assert again.monitor == agent.monitor
        token = world.fleet.token(fresh)
        assert token is not None
        assert world.fleet.may_report(token, agent.id)
        assert world.fleet.token(text) is None

    in_world(play)


def test_an_agent_that_is_removed_while_it_is_offline_leaves_no_open_incident() -> None:
    async def play(world: World) -> None:
        agent, _ = await world.fleet.register(HOST, key=KEY)
        await world.beat(agent.id)
        await world.clock.sleep(90.0)
        assert world.engine.table[agent.monitor].incident is not None
        await world.fleet.remove(agent.id, "test")
        assert world.engine.table[agent.monitor].incident is None
        assert world.engine.reader.incidents(only_open=True) == []

    in_world(play)

"""Agents that introduce themselves, through the real engine on virtual time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from defib.errors import KeptOutError, RegistrationRefusedError, UsageError
from defib.model.agent import AgentReport, AgentStatus, Introduction, Scope, Task
from defib.model.health import State
from defib.model.ids import AgentId
from defib.model.monitor import Family
from defib.model.settings import IngestSettings
from defib.model.window import Matcher, WindowKind
from defib.plugin import Signal
from defib.rules import admission
from defib_sim.memory_store import MemoryStore
from defib_testkit.logged import capture_logs
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


def test_the_log_says_who_is_heard_who_goes_and_who_comes_back() -> None:
    async def play(world: World) -> None:
        with capture_logs() as logs:
            agent, _ = await world.fleet.register(HOST, key=KEY)
            await world.beat(agent.id)
            await world.clock.sleep(61.0)
            await world.beat(agent.id)

        told = [
            (item["event"], item["log_level"])
            for item in logs
            if item["event"].startswith(("heartbeat", "marking"))
        ]
        heard, offline, online = (
            "heartbeat received from agent", "marking agent as offline", "marking agent as online",
        )  # fmt: skip
        assert told == [(line, "info") for line in (online, heard, offline, online, heard)]
        assert {item["agent"] for item in logs if item["event"] in (heard, offline, online)} == {agent.id}

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
        token, _ = await world.fleet.access.make_token("old agents", Scope.INGEST, "test")
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
        one, _ = await world.fleet.access.make_token("one", Scope.INGEST, "test")
        two, _ = await world.fleet.access.make_token("two", Scope.INGEST, "test")
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
        _, reading = await world.fleet.access.make_token("wall", Scope.READ, "test")
        assert world.fleet.token(reading) is None
        _, text = await world.fleet.access.make_token("agents", Scope.INGEST, "test")
        assert world.fleet.token(text) is not None
        await world.fleet.access.revoke_token("agents", "test")
        assert world.fleet.token(text) is None
        assert world.fleet.token("") is None
        with pytest.raises(UsageError, match="there is no token 'none'"):
            await world.fleet.access.revoke_token("none", "test")

    in_world(play)


def test_new_agents_come_in_by_a_beat_only_where_the_operator_allows_it() -> None:
    async def play(world: World) -> None:
        token, _ = await world.fleet.access.make_token("agents", Scope.INGEST, "test")
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


def test_after_a_restart_an_agent_of_a_configured_monitor_comes_back_online_in_the_log() -> None:
    store, monitors = MemoryStore(), {"the-database": {"agent_id": "DB-1"}}

    async def registered(world: World) -> None:
        agent, _ = await world.fleet.register(Introduction(id=AgentId("DB-1")), key=KEY)
        assert agent.monitor == "db-1"

    async def lost(world: World) -> None:
        await world.beat(AgentId("DB-1"))
        await world.clock.sleep(120.0)
        assert world.status(AgentId("DB-1")) is AgentStatus.OFFLINE

    async def returned(world: World) -> None:
        with capture_logs() as logs:
            await world.beat(AgentId("DB-1"))
            await world.beat(AgentId("DB-1"))
        assert world.status(AgentId("DB-1")) is AgentStatus.ONLINE
        assert [item["agent"] for item in logs if item["event"] == "marking agent as online"] == ["DB-1"]

    in_world(registered, store=store)
    in_world(lost, store=store, **monitors)
    in_world(returned, store=store, **monitors)


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


def test_an_agent_whose_token_has_expired_is_let_in_again_by_the_key_alone() -> None:
    async def play(world: World) -> None:
        agent, text = await world.fleet.register(HOST, key=KEY)
        named = Introduction(id=agent.id)
        with pytest.raises(RegistrationRefusedError, match="registered with another token"):
            await world.fleet.register(named, key=KEY)
        _, rotated = await world.fleet.access.rotate_token(f"agent {agent.id}", "test", overlap=timedelta(0))
        token = world.fleet.token(rotated)
        assert token is not None
        world.fleet.tokens.put(replace(token, expires_at=world.clock.now()))

        again, fresh = await world.fleet.register(named, key=KEY)
        assert (again.id, again.monitor) == (agent.id, agent.monitor)
        token = world.fleet.token(fresh)
        assert token is not None
        assert world.fleet.may_report(token, agent.id)
        assert world.fleet.token(text) is None

    in_world(play)


def test_what_an_agent_told_when_it_registered_stays_for_five_minutes_of_beats_that_tell_nothing() -> None:
    async def play(world: World) -> None:
        told = AgentReport(metrics={"cpu_percent": 17.0})
        agent, _ = await world.fleet.register(replace(HOST, told=told), key=KEY)

        def shown() -> dict[str, float] | None:
            view = world.fleet.find(agent.id)
            assert view is not None
            return None if view.live is None else dict(view.live.report.metrics)

        assert (world.status(agent.id), shown()) == (AgentStatus.UNKNOWN, {"cpu_percent": 17.0})
        for _ in range(10):
            await world.clock.sleep(29.0)
            await world.beat(agent.id)
            assert (world.status(agent.id), shown()) == (AgentStatus.ONLINE, {"cpu_percent": 17.0})
        await world.clock.sleep(29.0)
        await world.beat(agent.id)
        assert shown() == {}
        hour = world.fleet.board.history.means(agent.id, "cpu_percent", world.clock.now())
        assert [mean for mean in hour if mean is not None] == [17.0]  # it was told once

    in_world(play)


def test_neither_a_key_nor_a_token_brings_in_agents_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MOST_KNOWN", 3)
    monkeypatch.setattr(admission, "MOST_AGENTS", 2)

    async def play(world: World) -> None:
        token, _ = await world.fleet.access.make_token("agents", Scope.INGEST, "test")
        for name in ("a", "b"):
            await world.fleet.resolve(token, name)
        with pytest.raises(RegistrationRefusedError, match="token 'agents' has brought in 2 agents already"):
            await world.fleet.resolve(token, "c")
        await world.fleet.register(Introduction(id=AgentId("d")), key=KEY)
        with pytest.raises(
            RegistrationRefusedError, match="3 agents are known already; remove those that are gone"
        ):
            await world.fleet.register(Introduction(id=AgentId("e")), key=KEY)
        await world.fleet.resolve(token, "a")  # who is known is served

    in_world(play)


# --- kept out ------------------------------------------------------------------------------------------

NAMELESS = Introduction(id=AgentId("uuid-1"), name="My Server", protocol="host-agent", is_anonymous=True,
                        source="192.0.2.7")  # fmt: skip


def test_an_agent_whose_token_was_revoked_stays_out_until_an_operator_lets_it_in() -> None:
    store = MemoryStore()

    async def first(world: World) -> None:
        agent, _ = await world.fleet.register(Introduction(id=AgentId("web-1")), key=KEY)
        await world.beat(agent.id)
        await world.fleet.access.revoke_token("agent web-1", "test")
        with pytest.raises(KeptOutError, match="'defib agents let-in' lets it in again"):
            await world.fleet.register(Introduction(id=AgentId("web-1")), key=KEY)
        with pytest.raises(KeptOutError):
            await world.beat(agent.id)

    async def second(world: World) -> None:
        with pytest.raises(KeptOutError):
            await world.fleet.register(Introduction(id=AgentId("web-1")), key=KEY)
        assert (await world.fleet.access.let_in(AgentId("web-1"), "test")).kept_out_at is None
        again, text = await world.fleet.register(Introduction(id=AgentId("web-1")), key=KEY)
        assert again.monitor == "web-1"
        token = world.fleet.token(text)
        assert token is not None
        await world.fleet.resolve(token, "web-1")
        await world.beat(AgentId("web-1"))

    in_world(first, store=store)
    in_world(second, store=store)


@pytest.mark.parametrize(
    ("said", "is_out"),
    [
        (replace(NAMELESS, id=AgentId("uuid-2")), True),
        (replace(NAMELESS, id=AgentId("uuid-2"), source="192.0.2.99"), True),  # its address has changed
        (replace(NAMELESS, id=AgentId("uuid-2"), name="Other"), True),  # it gives itself another name
        (replace(NAMELESS, id=AgentId("uuid-2"), name="Other", source="192.0.2.99"), False),
        (Introduction(id=AgentId("web-9"), source="192.0.2.7"), True),  # it takes to another protocol
        (Introduction(id=AgentId("web-9"), name="My Server", source="192.0.2.99"), False),
        (Introduction(id=AgentId("uuid-1"), source="192.0.2.99"), True),
    ],
)
def test_whoever_registers_and_cannot_be_told_from_an_outcast_is_kept_out(
    said: Introduction, is_out: bool
) -> None:
    async def play(world: World) -> None:
        agent, _ = await world.fleet.register(NAMELESS, key=KEY)
        await world.fleet.amend(agent.id, {"name": "Renamed by an operator"}, "test")
        await world.fleet.access.revoke_token(f"agent {agent.id}", "test")
        if is_out:
            with pytest.raises(KeptOutError):
                await world.fleet.register(said, key=KEY)
        else:
            assert (await world.fleet.register(said, key=KEY))[0].id == said.id

    in_world(play)


def test_an_agent_without_an_id_is_known_again_when_its_token_is_good_no_more() -> None:
    async def play(world: World) -> None:
        first, _ = await world.fleet.register(NAMELESS, key=KEY)
        second, _ = await world.fleet.register(replace(NAMELESS, id=AgentId("uuid-2")), key=KEY)
        assert second.id == "uuid-2"  # the first one's token is good: this is somebody else

        async def lose(agent: str) -> None:
            await world.fleet.access.revoke_token(f"agent {agent}", "test")
            await world.fleet.access.let_in(AgentId(agent), "test")

        await lose("uuid-1")
        again, text = await world.fleet.register(replace(NAMELESS, id=AgentId("uuid-3")), key=KEY)
        assert (again.id, again.monitor) == (first.id, first.monitor)
        token = world.fleet.token(text)
        assert token is not None
        assert token.agent == "uuid-1"

        await lose("uuid-1")
        moved = replace(NAMELESS, id=AgentId("uuid-4"), source="192.0.2.99")
        assert (await world.fleet.register(moved, key=KEY))[0].id == "uuid-4"
        await lose("uuid-2")  # two that may be it: neither is
        assert (await world.fleet.register(replace(NAMELESS, id=AgentId("uuid-5")), key=KEY))[
            0
        ].id == "uuid-5"

    in_world(play)


def test_an_address_that_other_agents_register_from_shuts_nobody_out() -> None:
    async def play(world: World) -> None:
        outcast, _ = await world.fleet.register(NAMELESS, key=KEY)
        await world.fleet.register(replace(NAMELESS, id=AgentId("uuid-2"), name="Neighbour"), key=KEY)
        await world.fleet.access.revoke_token(f"agent {outcast.id}", "test")

        third, _ = await world.fleet.register(replace(NAMELESS, id=AgentId("uuid-3"), name="New"), key=KEY)
        assert third.id == "uuid-3"
        with pytest.raises(KeptOutError):
            await world.fleet.register(replace(NAMELESS, id=AgentId("uuid-4")), key=KEY)

    in_world(play)


def test_a_key_that_is_wrong_learns_nothing_of_who_is_kept_out() -> None:
    async def play(world: World) -> None:
        await world.fleet.register(Introduction(id=AgentId("web-1")), key=KEY)
        await world.fleet.access.keep_out(AgentId("web-1"), "test")
        with pytest.raises(RegistrationRefusedError, match="registration needs a token") as refused:
            await world.fleet.register(Introduction(id=AgentId("web-1")), key="guessed")
        assert not isinstance(refused.value, KeptOutError)

    in_world(play)


def test_one_agent_of_a_shared_token_is_kept_out_and_the_others_go_on() -> None:
    async def play(world: World) -> None:
        token, _ = await world.fleet.access.make_token("agents", Scope.INGEST, "test")
        for name in ("web-1", "web-2"):
            await world.fleet.resolve(token, name)
        await world.fleet.access.keep_out(AgentId("web-1"), "test")
        assert not world.fleet.may_report(token, "web-1")
        for refused in (
            world.fleet.resolve(token, "web-1"),
            world.fleet.register(Introduction(id=AgentId("web-1")), token=token),
        ):
            with pytest.raises(KeptOutError):
                await refused
        await world.fleet.resolve(token, "web-2")

        await world.fleet.access.let_in(AgentId("web-1"), "test")
        assert (await world.fleet.resolve(token, "web-1")).id == "web-1"

    in_world(play)


def test_all_agents_of_a_shared_token_are_kept_out_when_it_is_revoked_and_none_when_it_was_replaced() -> None:
    async def play(world: World) -> None:
        for name in ("old", "leaked"):
            token, _ = await world.fleet.access.make_token(name, Scope.INGEST, "test")
            await world.fleet.resolve(token, f"{name}-1")
            await world.fleet.resolve(token, f"{name}-2")
        fresh, _ = await world.fleet.access.rotate_token("old", "test")
        before = next(item for item in world.fleet.tokens if item.name == "old" and item.id != fresh.id)

        await world.fleet.access.revoke_token(before.id, "test")
        await world.fleet.access.revoke_token("leaked", "test")

        out = {view.agent.id: view.agent.kept_out_at is not None for view in world.fleet.agents()}
        assert out == {"old-1": False, "old-2": False, "leaked-1": True, "leaked-2": True}

    in_world(play)


def test_an_agents_own_token_beats_for_one_id_of_its_choice_and_no_other() -> None:
    async def play(world: World) -> None:
        agent, text = await world.fleet.register(HOST, key=KEY)
        token = world.fleet.token(text)
        assert token is not None
        assert (await world.fleet.resolve(token, "its-own-id")).id == agent.id
        assert (await world.fleet.resolve(token, "its-own-id")).aliases == ("its-own-id",)
        with pytest.raises(RegistrationRefusedError, match="the token is that of agent its-own-id alone"):
            await world.fleet.resolve(token, "somebody-else")

        named, text = await world.fleet.register(Introduction(id=AgentId("web-1")), key=KEY)
        token = world.fleet.token(text)
        assert token is not None
        with pytest.raises(RegistrationRefusedError, match="the token is that of agent web-1 alone"):
            await world.fleet.resolve(token, "web-2")
        assert world.fleet.find("web-2") is None
        assert named.aliases == ()

    in_world(play)


def test_an_agent_in_maintenance_is_told_as_such_and_stands_by_the_age_of_its_beat() -> None:
    async def play(world: World) -> None:
        agent, _ = await world.fleet.register(HOST, key=KEY)
        await world.beat(agent.id)
        windows = world.engine.windows
        window = windows.new(
            WindowKind.MAINTENANCE, Matcher(monitors=frozenset({agent.monitor})),
            until=None, reason="", actor="test",
        )  # fmt: skip
        await windows.begin(window, "test")
        await world.engine.duty.review()

        async def stands_after(seconds: float) -> tuple[str, AgentStatus]:
            await world.clock.sleep(seconds)
            view = world.fleet.find(agent.id)
            assert view is not None
            return view.aside, view.status

        assert await stands_after(0.0) == ("maintenance", AgentStatus.ONLINE)
        assert await stands_after(30.3) == ("maintenance", AgentStatus.WARNING)
        assert await stands_after(30.0) == ("maintenance", AgentStatus.OFFLINE)
        assert world.engine.table[agent.monitor].incident is None
        await world.beat(agent.id, signal=Signal.FAIL, error="no disk")
        assert await stands_after(0.0) == ("maintenance", AgentStatus.ERROR)
        await world.beat(agent.id)
        assert await stands_after(0.0) == ("maintenance", AgentStatus.ONLINE)
        await windows.end(window.id, "test")
        await world.engine.duty.review()
        assert await stands_after(0.0) == ("", AgentStatus.ONLINE)

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

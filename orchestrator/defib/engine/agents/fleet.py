"""Agents that introduce themselves: each is registered once, and watched by a monitor of its own from then on.

    introduction ─→ Agent + Token (stored) ─→ monitor of type ``agent`` in the roster
    report ─→ Beats (stored, judged) ─→ the agent's state
        └──→ LiveBoard (memory) ─→ pages

A monitor of type ``agent`` in the configuration that names the agent's id takes the place of the one that would be
made for it, so that thresholds, tags and recovery can be given by hand.
"""

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from defib.engine.agents.agent_streams import AgentStreams
from defib.engine.agents.live_board import LiveBoard
from defib.engine.agents.remote import Remote, Send
from defib.engine.agents.tokens import Tokens, new_token
from defib.engine.events import Event, EventBus
from defib.engine.heartbeats.beats import Beats
from defib.engine.heartbeats.enlisting import AGENT, agent_spec, configured_for, is_configured
from defib.engine.ids import is_made_up, new_id
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.errors import RegistrationRefusedError
from defib.logs import get_logger
from defib.model.agent import (
    Agent,
    AgentReport,
    AgentStatus,
    AgentView,
    Introduction,
    Live,
    Scope,
    Token,
)
from defib.model.beat import Beat, Signal
from defib.model.changes import Changes
from defib.model.evidence import Evidence, Grade
from defib.model.health import Health, State
from defib.model.ids import AgentId, MonitorId
from defib.model.phrase import phrase
from defib.model.recovery import AuditEntry
from defib.model.settings import IngestSettings
from defib.ports import Clock, Deadline, LiveFeed
from defib.rules import agent_status, introductions
from defib.store import Reader, Writer

log = get_logger("defib.fleet")

SAID_EVERY = timedelta(seconds=10)  #: a beat of an agent is logged at most so often
_NOTHING = timedelta(0)
MOST_AGENTS = 1000  #: that one token may bring in: a leaked one fills no disk
MOST_KNOWN = 10_000  #: in all: nor does a leaked registration key
_TOKEN_PREFIX = "vmoi_"  # noqa: S105 - what clients of the host protocol expect theirs to begin with


class Fleet:
    """See :class:`defib.ports.Fleet`."""

    def __init__(
        self,
        clock: Clock,
        roster: Roster,
        table: StateTable,
        writer: Writer,
        reader: Reader,
        beats: Beats,
        bus: EventBus,
    ) -> None:
        self._clock = clock
        self._table = table
        self._writer = writer
        self._beats = beats
        self._bus = bus
        self.tokens = Tokens(reader.tokens())
        self.board = LiveBoard(clock)
        self.remote = Remote()
        self._agents: dict[AgentId, Agent] = {agent.id: agent for agent in reader.agents()}
        self._names: dict[str, AgentId] = {}  # ids and aliases
        self._by_monitor: dict[MonitorId, AgentId] = {}  # of monitors that were made here
        self._watched: dict[MonitorId, AgentId] = {}  # of those and of the configured ones
        self._streams = AgentStreams(self.remote, self._told_of, self._lost)
        self._said: dict[AgentId, datetime] = {}
        self._offline: set[AgentId] = set()
        self._registering = asyncio.Lock()
        self.withdraw: Callable[[MonitorId, str], Awaitable[None]] = _nothing  #: closes a monitor's incident
        self.roster = roster
        for agent in tuple(self._agents.values()):
            self._index(agent)
            self._watch(agent, roster)
            if self._view(agent).status in _OFFLINE:
                self._offline.add(agent.id)

    @property
    def settings(self) -> IngestSettings:
        """See :class:`defib.ports.Fleet`."""
        return self.roster.settings.server.ingest

    def enlist(self, roster: Roster) -> None:
        """Watch every agent in ``roster``, which is about to be put in force."""
        for agent in self._agents.values():
            self._watch(agent, roster)

    # --- questions ---------------------------------------------------------------------------------

    def token(self, shown: str) -> Token | None:
        """See :class:`defib.ports.Fleet`."""
        token = self.tokens.find(shown, self._clock.now())
        return token if token is not None and token.scope is Scope.INGEST else None

    def api_key(self, shown: str) -> Token | None:
        """See :class:`defib.ports.Fleet`."""
        token = self.tokens.find(shown, self._clock.now())
        return token if token is not None and token.scope is not Scope.INGEST else None

    def find(self, agent: str) -> AgentView | None:
        """See :class:`defib.ports.Fleet`."""
        known = self._names.get(agent)
        return None if known is None else self._view(self._agents[known])

    def watched_by(self, monitor: MonitorId) -> AgentId | None:
        """The agent that ``monitor`` watches."""
        return self._watched.get(monitor)

    def agents(self, pool: str | None = None) -> list[AgentView]:
        """See :class:`defib.ports.Fleet`."""
        return [self._view(agent) for agent in self._agents.values() if pool in (None, agent.pool)]

    def pools(self) -> list[str]:
        """Every pool that has agents, by name."""
        return sorted({agent.pool for agent in self._agents.values() if agent.pool})

    def may_report(self, token: Token, agent: str) -> bool:
        """See :class:`defib.ports.Fleet`."""
        known = self._names.get(agent)
        if known is None:
            return False
        found = self._agents[known]
        return found.kept_out_at is None and introductions.is_its_token(token, found)

    def _registered(self, agent: AgentId) -> Agent:
        """:raises RegistrationRefusedError: it was removed meanwhile."""
        known = self._agents.get(agent)
        if known is None:
            raise RegistrationRefusedError(f"agent {introductions.shown(agent)} is not registered")
        return known

    def _view(self, agent: Agent) -> AgentView:
        health, now = self._table.get(agent.monitor), self._clock.now()
        heard = agent_status.heard(health)
        since = None if heard is None else max(0.0, (now - heard).total_seconds())
        is_aside = health is not None and health.state.is_aside
        if health is not None and is_aside:
            due = self._expected(agent.monitor, health)
            late_at, gone_at = (due.at, due.fault_at) if due is not None else (None, None)
            status = agent_status.status_aside(health, heard, now, late_at=late_at, gone_at=gone_at)
        else:
            status = agent_status.status(health, heard)
        return AgentView(
            agent=agent, status=status, last_seen=heard, seconds_since=since, is_connected=agent.id in self._streams,
            live=self.board.get(agent.id), aside=str(health.state) if health is not None and is_aside else "",
        )  # fmt: skip

    def _expected(self, monitor: MonitorId, health: Health) -> Deadline | None:
        """The beat that would be waited for, were it not set aside."""
        plugin = self.roster.pushed(monitor)
        return plugin.deadline(health.beats) if plugin is not None else None

    # --- registration ------------------------------------------------------------------------------

    async def register(
        self, introduction: Introduction, *, token: Token | None = None, key: str = ""
    ) -> tuple[Agent, str]:
        """See :class:`defib.ports.Fleet`."""
        self._check_may_register(token, key)
        agent, text = await self._register(introduction, token)
        if introduction.told is not None:
            live = Live(
                agent=agent.id,
                name=agent.name,
                pool=agent.pool,
                report=introduction.told,
                at=self._clock.now(),
            )
            self.board.put(live)
        return agent, text

    async def _register(self, introduction: Introduction, token: Token | None) -> tuple[Agent, str]:
        async with self._registering:
            before = self._known_as(introduction, token)
            if token is None:
                introductions.check_is_no_outcast(introduction, self._agents.values())
            elif before is not None and introductions.is_its_token(token, before):
                introductions.check_let_in(before)
                return await self._put(introductions.renewed(before, introduction), "agent.renewed"), ""
            if before is not None and token is None and self._has_no_token(before):
                own, text = self._own_token(before.id)
                agent = introductions.renewed(replace(before, token=own.root), introduction)
                return await self._put(agent, "agent.renewed", (own,)), text
            if before is not None:
                raise RegistrationRefusedError(
                    f"agent {before.id} is registered with another token; "
                    "remove it first ('defib agents remove'), or let it choose another id"
                )
            text = ""
            tokens: tuple[Token, ...] = ()
            agent = self._new(introduction, token)
            if token is None:
                own, text = self._own_token(agent.id)
                agent, tokens = replace(agent, token=own.root), (own,)
            return await self._put(agent, "agent.registered", tokens), text

    async def admit(self, introduction: Introduction) -> Agent:
        """See :class:`defib.ports.Fleet`."""
        async with self._registering:
            before = self._known_as(introduction, None)
            if before is None:
                if sum(agent.token is None for agent in self._agents.values()) >= MOST_AGENTS:
                    raise RegistrationRefusedError(f"{MOST_AGENTS} agents without a token are known already")
                return await self._put(self._new(introduction, None), "agent.registered")
            if before.token is not None:
                raise RegistrationRefusedError(f"agent {before.id} reports with a token")
            introductions.check_let_in(before)
            after = introductions.renewed(before, introduction)
            return before if after == before else await self._put(after, None)

    async def resolve(self, token: Token, agent: str, hostname: str = "") -> Agent:
        """See :class:`defib.ports.Fleet`."""
        known = self._names.get(agent)
        if known is not None:
            introductions.check_may_report(token, self._agents[known])
            return self._agents[known]
        if token.agent is not None:
            return await self._named(self._agents[token.agent], agent)
        async with self._registering:
            if agent in self._names:  # it came in while we waited
                return await self.resolve(token, agent, hostname)
            if (unnamed := self._unnamed(token, hostname)) is not None:
                return await self._named(unnamed, agent)
            if not self.settings.new_agents:
                raise RegistrationRefusedError(
                    f"agent {introductions.shown(agent)} is not registered, and new agents are not let in by a beat"
                )
            introduction = Introduction(id=AgentId(agent), hostname=hostname)
            return await self._put(self._new(introduction, token), "agent.registered")

    async def describe(self, agent: AgentId, introduction: Introduction) -> Agent:
        """See :class:`defib.ports.Fleet`."""
        before = self._registered(agent)
        after = introductions.renewed(before, introduction)
        return before if after == before else await self._put(after, None)

    async def amend(self, agent: AgentId, changes: Mapping[str, str | tuple[str, ...]], actor: str) -> Agent:
        """Set ``name``, ``tags`` or ``pool`` by hand; what the agent says of them is passed over from then on.

        :raises RegistrationRefusedError: it was removed meanwhile.
        """
        async with self._registering:
            before = self._registered(agent)
            given = tuple(sorted({*before.given, *changes}))
            values: dict[str, Any] = dict(changes)
            after = await self._put(replace(before, **values, given=given), "agent.amended", actor=actor)
            if before.pool != after.pool:
                self.board.put_gone(agent, before.pool)
            return after

    async def remove(self, agent: AgentId, actor: str) -> None:
        """Forget an agent, its monitor and the token that was made for it. Its history stays.

        :raises RegistrationRefusedError: it was removed meanwhile.
        """
        async with self._registering:
            await self._remove(self._registered(agent), actor)

    async def _remove(self, known: Agent, actor: str) -> None:
        now, agent = self._clock.now(), known.id
        gone = replace(known, removed_at=now)
        tokens = tuple(replace(token, revoked_at=now) for token in self.tokens if token.agent == agent)
        await self._writer.commit(
            Changes(agents=(gone,), tokens=tokens, audit=(self._audit("agent.removed", gone, actor),))
        )
        for token in tokens:
            self.tokens.put(token)
        self._streams.hang_up(agent)
        del self._agents[agent]
        self._offline.discard(agent)
        self._names = {name: known for name, known in self._names.items() if known != agent}
        self.board.forget(agent)
        self._watched.pop(gone.monitor, None)
        if self._by_monitor.pop(gone.monitor, None) is not None:
            self._beats.silences.forget(gone.monitor)
            await self.withdraw(gone.monitor, "the agent was removed")
            self.roster.dismiss(gone.monitor)
        self._bus.publish(Event(type="agent", monitor=gone.monitor))

    async def make_token(
        self, name: str, scope: Scope, actor: str, expires_at: datetime | None = None
    ) -> tuple[Token, str]:
        """A new token and its text, which is never shown again."""
        now = self._clock.now()
        token, text = new_token(name, scope, now, expires_at=expires_at)
        audit = AuditEntry(at=now, actor=actor, event="token.created", subject="*",
                           facts={"token": token.id, "name": name, "scope": str(scope)})  # fmt: skip
        await self._writer.commit(Changes(tokens=(token,), audit=(audit,)))
        self.tokens.put(token)
        return token, text

    async def revoke_token(self, token: str, actor: str) -> Token:
        """Revoke a token by its id, or by its name with those that it replaced; streams end with their next message.

        Agents that have no other are kept out from then on: the registration key alone brings none of them back.

        :return: the newest of them.
        :raises NoTokenError: there is none.
        :raises UsageError: several that have nothing to do with one another have that name.
        """
        async with self._registering:
            now = self._clock.now()
            revoked = self.tokens.revoked(token, now)
            outcasts = tuple(
                replace(agent, kept_out_at=now)
                for agent in self._agents.values()
                if agent.kept_out_at is None
                and introductions.is_its_token(revoked[0], agent)
                and introductions.has_lost_its_tokens(agent, self.tokens, now, but=revoked)
            )
            audit = [AuditEntry(at=now, actor=actor, event="token.revoked", subject="*",
                                facts={"token": item.id, "name": item.name}) for item in revoked]  # fmt: skip
            audit += [self._audit("agent.kept-out", agent, actor) for agent in outcasts]
            await self._writer.commit(Changes(tokens=revoked, agents=outcasts, audit=tuple(audit)))
            for item in revoked:
                self.tokens.put(item)
            for agent in outcasts:
                self._agents[agent.id] = agent
                self._bus.publish(Event(type="agent", monitor=agent.monitor))
            return revoked[0]

    async def keep_out(self, agent: AgentId, actor: str) -> Agent:
        """Take nothing of an agent any more, and do not let it register, until :meth:`let_in`. Its token stays.

        :raises RegistrationRefusedError: it was removed meanwhile.
        """
        async with self._registering:
            known = self._registered(agent)
            if known.kept_out_at is not None:
                return known
            return await self._put(
                replace(known, kept_out_at=self._clock.now()), "agent.kept-out", actor=actor
            )

    async def let_in(self, agent: AgentId, actor: str) -> Agent:
        """Let an agent report again with a token that is good, or else register by the key.

        :raises RegistrationRefusedError: it was removed meanwhile.
        """
        async with self._registering:
            known = self._registered(agent)
            if known.kept_out_at is None:
                return known
            return await self._put(replace(known, kept_out_at=None), "agent.let-in", actor=actor)

    async def rotate_token(
        self, token: str, actor: str, overlap: timedelta = timedelta(hours=24)
    ) -> tuple[Token, str]:
        """A new token in the place of one, which stays good for ``overlap``; one that expires lasts as long again.

        :param token: its id or name.
        :raises UsageError: there is none.
        """
        now = self._clock.now()
        before = self.tokens.named(token)
        lasts = None if before.expires_at is None else before.expires_at - before.created_at
        ends = now + overlap if before.expires_at is None else min(now + overlap, before.expires_at)
        old = replace(before, expires_at=ends)
        fresh, text = new_token(
            old.name, old.scope, now, expires_at=None if lasts is None else now + lasts, agent=old.agent, root=old.root
        )  # fmt: skip
        audit = AuditEntry(at=now, actor=actor, event="token.rotated", subject="*",
                           facts={"token": old.id, "name": old.name, "successor": fresh.id})  # fmt: skip
        await self._writer.commit(Changes(tokens=(old, fresh), audit=(audit,)))
        for item in (old, fresh):
            self.tokens.put(item)
        return fresh, text

    def _own_token(self, agent: AgentId) -> tuple[Token, str]:
        return new_token(f"agent {agent}", Scope.INGEST, self._clock.now(), agent=agent, prefix=_TOKEN_PREFIX)

    def _has_no_token(self, agent: Agent) -> bool:
        return introductions.has_lost_its_tokens(agent, self.tokens, self._clock.now())

    def _check_may_register(self, token: Token | None, key: str) -> None:
        if token is not None or self.settings.open_registration:
            return
        if self.settings.registration_key and _equal(key, self.settings.registration_key):
            return
        raise RegistrationRefusedError(
            "registration needs a token, or the key of 'server.ingest.registration_key'"
        )

    def _known_as(self, introduction: Introduction, token: Token | None) -> Agent | None:
        if introduction.id is not None and not introduction.is_anonymous:
            known = self._names.get(introduction.id)
            return None if known is None else self._agents[known]
        return introductions.known_as(
            introduction, token, self._agents, tuple(self.tokens), self._clock.now()
        )

    def _unnamed(self, token: Token, hostname: str) -> Agent | None:
        """The one agent that registered with ``token`` without an id of its own and was never heard since."""
        silent = [
            agent
            for agent in self._agents.values()
            if agent.token == token.root
            and agent.kept_out_at is None
            and _is_nameless(agent)
            and agent_status.heard(self._table.get(agent.monitor)) is None
            and (not hostname or agent.hostname == hostname)
        ]
        return silent[0] if len(silent) == 1 else None

    def _new(self, introduction: Introduction, token: Token | None) -> Agent:
        now = self._clock.now()
        agent_id = introduction.id or AgentId(new_id("agent", now))
        introductions.check_id(agent_id)
        if len(self._agents) >= MOST_KNOWN:
            raise RegistrationRefusedError(
                f"{MOST_KNOWN} agents are known already; remove those that are gone"
            )
        if (
            token is not None
            and sum(agent.token == token.root for agent in self._agents.values()) >= MOST_AGENTS
        ):
            raise RegistrationRefusedError(
                f"token {token.name!r} has brought in {MOST_AGENTS} agents already; give the next ones another"
            )
        agent = Agent(
            id=agent_id, monitor=self._monitor_for(introduction, agent_id),
            name=introduction.name or introduction.hostname or agent_id, registered_at=now,
            token=token.root if token is not None else None,
        )  # fmt: skip
        return introductions.renewed(agent, introduction)

    def _monitor_for(self, introduction: Introduction, agent: AgentId) -> MonitorId:
        """The configured monitor of this agent, else a free id that resembles what it is called."""
        configured = self.roster.find_agent(agent)
        if configured is not None and self.roster.monitors[configured].spec.kind == AGENT:
            return configured
        chosen = "" if introduction.is_anonymous else introduction.id
        wanted = chosen or introduction.hostname or introduction.name or agent
        slug = re.sub(r"[^a-z0-9._-]+", "-", wanted.lower()).strip("-._")[:80] or "agent"
        number = 1
        name = slug
        while MonitorId(name) in self.roster.monitors or MonitorId(name) in self._by_monitor:
            number += 1
            name = f"{slug}-{number}"
        return MonitorId(name)

    async def _named(self, agent: Agent, name: str) -> Agent:
        """The agent under the id that it calls itself, once: one that has an id of its own keeps that."""
        introductions.check_let_in(agent)
        if not _is_nameless(agent):
            raise RegistrationRefusedError(
                f"the token is that of agent {agent.aliases[0] if agent.aliases else agent.id} alone"
            )
        introductions.check_id(name)
        waiting = self.roster.find_agent(name)
        if waiting is not None and waiting != agent.monitor and is_configured(waiting, self.roster):
            raise RegistrationRefusedError(
                f"agent {agent.id} cannot beat as {name}: monitor {waiting!r} of the configuration is another agent's"
            )
        return await self._put(replace(agent, aliases=(AgentId(name),)), "agent.renamed")

    async def _put(
        self, agent: Agent, event: str | None, tokens: tuple[Token, ...] = (), *, actor: str = "agent"
    ) -> Agent:
        audit = (self._audit(event, agent, actor),) if event else ()
        await self._writer.commit(Changes(agents=(agent,), tokens=tokens, audit=audit))
        for token in tokens:
            self.tokens.put(token)
        before = self._agents.get(agent.id)
        self._agents[agent.id] = agent
        self._index(agent)
        if before is None or introductions.watched_as(before) != introductions.watched_as(agent):
            self._watch(agent, self.roster)
            self._table.ensure((agent.monitor,), self._clock.now())
        if event:
            log.info(event.replace(".", " "), agent=agent.id, monitor=agent.monitor, hostname=agent.hostname)
        self._bus.publish(Event(type="agent", monitor=agent.monitor))
        return agent

    def _index(self, agent: Agent) -> None:
        for name in (agent.id, *agent.aliases):
            self._names[name] = agent.id

    def _watch(self, agent: Agent, roster: Roster) -> None:
        """Put a monitor for ``agent`` into ``roster``, unless the configuration has one."""
        configured = configured_for(agent, roster)
        if configured is not None:
            self._agents[agent.id] = replace(agent, monitor=configured)
            self._watched[configured] = agent.id
            return
        self._watched[agent.monitor] = agent.id
        if agent.monitor in roster.monitors and agent.monitor not in self._by_monitor:
            return
        roster.enlist(agent_spec(agent, roster.registry))
        self._by_monitor[agent.monitor] = agent.id

    def _audit(self, event: str, agent: Agent, actor: str) -> AuditEntry:
        return AuditEntry(
            at=self._clock.now(), actor=actor, event=event, subject=agent.monitor,
            facts={"agent": agent.id, "hostname": agent.hostname, "address": agent.address, "token": agent.token},
        )  # fmt: skip

    # --- reports -----------------------------------------------------------------------------------

    async def report(self, agent: AgentId, report: AgentReport) -> None:
        """See :class:`defib.ports.Fleet`."""
        known = self._registered(agent)
        introductions.check_let_in(known)
        now, metrics = self._clock.now(), report.metrics
        if report.disks:
            metrics = {**metrics, **{f"disk_percent:{name}": used for name, used in report.disks.items()}}
        beat = Beat(
            monitor=known.monitor, signal=report.signal, received_at=now, protocol=report.protocol or known.protocol,
            body=report.error, facts={**report.facts, "status": report.status} if report.status else report.facts,
            metrics=metrics, seq=report.seq, epoch=report.epoch, eta=report.every, age=max(report.age, _NOTHING),
        )  # fmt: skip
        await self._beats.take(beat, is_kept=report.signal is not Signal.ALIVE)
        if report.tells_something or not self.board.renew(known.id):
            self.board.put(Live(agent=known.id, name=known.name, pool=known.pool, report=report, at=now))
        said_at = self._said.get(known.id)
        if said_at is None or now - said_at >= SAID_EVERY:
            self._said[known.id] = now
            log.info("heartbeat received from agent", agent=known.id, protocol=report.protocol)

    def watch(self, pool: str | None = None) -> AbstractContextManager[LiveFeed]:
        """See :class:`defib.ports.Fleet`."""
        return self.board.watch(pool)

    def connect(
        self, agent: AgentId, close: Callable[[], None], send: Send | None = None
    ) -> AbstractContextManager[None]:
        """See :class:`defib.ports.Fleet`."""
        introductions.check_let_in(self._registered(agent))
        return self._streams.hold(agent, close, send)

    def hear(self, agent: AgentId, kind: str, data: Mapping[str, object]) -> None:
        """See :class:`defib.ports.Fleet`."""
        self.remote.hear(agent, kind, data)

    def close(self) -> None:
        """Streams that end from now on are ended by ourselves."""
        self._streams.close()

    def _told_of(self, agent: AgentId) -> None:
        """Its stream has begun or ended."""
        if agent in self._agents:
            self._bus.publish(Event(type="agent", monitor=self._agents[agent].monitor))

    def _lost(self, agent: AgentId) -> Coroutine[Any, Any, None] | None:
        """Its stream ended. Unless it said that it stops, that is reason for suspicion, and not more."""
        known = self._agents.get(agent)
        if known is None or self._table[known.monitor].state is State.STOPPED:
            return None
        evidence = Evidence.fail(
            "stream-closed", phrase("its connection ended without a word"), grade=Grade.WEAK
        )
        return self._beats.suspect(known.monitor, evidence)

    def take_change(self, monitor: MonitorId, before: State, after: State) -> None:
        """An agent's monitor changed its state."""
        agent = self._agents.get(self._watched.get(monitor, AgentId("")))
        if agent is None:
            return
        was_off, is_off = agent.id in self._offline, self._view(agent).status in _OFFLINE
        if is_off and not was_off:
            self._offline.add(agent.id)
            log.info("marking agent as offline", agent=agent.id, state=after)
        elif (was_off or before is State.NEW) and not is_off:
            self._offline.discard(agent.id)
            log.info("marking agent as online", agent=agent.id, state=after)
        self.board.take_change(agent.id, agent.pool, is_gone=is_off)


def _is_nameless(agent: Agent) -> bool:
    """Whether it has not said yet how it calls itself: its id was made up here."""
    return is_made_up(agent.id) and not agent.aliases


_OFFLINE = (AgentStatus.OFFLINE, AgentStatus.STOPPED)


async def _nothing(monitor: MonitorId, why: str) -> None: ...


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())

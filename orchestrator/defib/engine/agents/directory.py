"""The agents that are known, under every name that they have: in memory what is in the store.

Whoever changes who is known reads and writes within :attr:`Directory.changing`, one at a time; a change is committed
before anybody sees it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from defib.engine.agents.agent_monitors import AgentMonitors
from defib.engine.agents.tokens import Tokens
from defib.engine.events import Event, EventBus
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.errors import RegistrationRefusedError
from defib.logs import get_logger
from defib.model.agent import Agent, Token
from defib.model.changes import Changes
from defib.model.ids import AgentId
from defib.model.recovery import AuditEntry
from defib.ports import Clock
from defib.rules import introductions
from defib.store import Reader, Writer

log = get_logger("defib.fleet")


class Directory:
    """Agents by id and alias, and the tokens that they were given."""

    def __init__(
        self,
        clock: Clock,
        table: StateTable,
        writer: Writer,
        reader: Reader,
        bus: EventBus,
        monitors: AgentMonitors,
    ) -> None:
        self._clock = clock
        self._table = table
        self._writer = writer
        self._bus = bus
        self._monitors = monitors
        self._agents: dict[AgentId, Agent] = {}
        self._names: dict[str, AgentId] = {}  # ids and aliases
        self.tokens = Tokens(reader.tokens())
        self.changing = asyncio.Lock()
        for agent in reader.agents():
            self._agents[agent.id] = monitors.watch(agent)
            self._index(agent)

    @property
    def agents(self) -> Mapping[AgentId, Agent]:
        """All of them by their ids, in the order of their registration."""
        return MappingProxyType(self._agents)

    def __iter__(self) -> Iterator[Agent]:
        return iter(self._agents.values())

    def named(self, agent: str) -> Agent | None:
        """An agent by its id or one of its aliases."""
        known = self._names.get(agent)
        return None if known is None else self._agents[known]

    def registered(self, agent: AgentId) -> Agent:
        """:raises RegistrationRefusedError: it was removed meanwhile."""
        known = self._agents.get(agent)
        if known is None:
            raise RegistrationRefusedError(f"agent {introductions.shown(agent)} is not registered")
        return known

    def enlist(self, roster: Roster) -> None:
        """Watch every agent in ``roster``, which is about to be put in force."""
        for agent in self:
            self._agents[agent.id] = self._monitors.watch(agent, roster)

    async def keep(
        self, agent: Agent, event: str | None, tokens: tuple[Token, ...] = (), *, actor: str = "agent"
    ) -> Agent:
        """Store an agent that is new, or of which something changed.

        :param event: for the audit log and the log: ``agent.registered``; None: nothing worth noting.
        :param tokens: that go with it.
        """
        audit = (audit_entry(event, agent, actor, self._clock.now()),) if event else ()
        await self._writer.commit(Changes(agents=(agent,), tokens=tokens, audit=audit))
        for token in tokens:
            self.tokens.put(token)
        before = self._agents.get(agent.id)
        self._agents[agent.id] = agent
        self._index(agent)
        if before is None or introductions.watched_as(before) != introductions.watched_as(agent):
            self._agents[agent.id] = self._monitors.watch(agent)
            self._table.ensure((agent.monitor,), self._clock.now())
        if event:
            log.info(event.replace(".", " "), agent=agent.id, monitor=agent.monitor, hostname=agent.hostname)
        self.announce(agent)
        return agent

    def put(self, agent: Agent) -> None:
        """An agent that was committed; its names and what its monitor is made of are the same."""
        self._agents[agent.id] = agent
        self.announce(agent)

    async def forget(self, agent: Agent, actor: str) -> None:
        """Know an agent no more, nor the token that was made for it. Its history stays."""
        now = self._clock.now()
        gone = replace(agent, removed_at=now)
        tokens = tuple(replace(token, revoked_at=now) for token in self.tokens if token.agent == agent.id)
        audit = (audit_entry("agent.removed", gone, actor, now),)
        await self._writer.commit(Changes(agents=(gone,), tokens=tokens, audit=audit))
        for token in tokens:
            self.tokens.put(token)
        del self._agents[agent.id]
        self._names = {name: known for name, known in self._names.items() if known != agent.id}

    def announce(self, agent: Agent) -> None:
        """Let pages know that there is something new of an agent."""
        self._bus.publish(Event(type="agent", monitor=agent.monitor))

    def _index(self, agent: Agent) -> None:
        for name in (agent.id, *agent.aliases):
            self._names[name] = agent.id


def audit_entry(event: str, agent: Agent, actor: str, now: datetime) -> AuditEntry:
    """What the audit log says of a change to an agent."""
    return AuditEntry(
        at=now, actor=actor, event=event, subject=agent.monitor,
        facts={"agent": agent.id, "hostname": agent.hostname, "address": agent.address, "token": agent.token},
    )  # fmt: skip

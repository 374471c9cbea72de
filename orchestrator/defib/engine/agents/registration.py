"""Who registers as whom: an agent that is known already is renewed, any other is taken in, if it is let in."""

from dataclasses import replace

from defib.engine.agents.agent_monitors import AgentMonitors
from defib.engine.agents.directory import Directory
from defib.engine.agents.live_board import LiveBoard
from defib.engine.agents.tokens import own_token
from defib.engine.ids import is_made_up, new_id
from defib.engine.table import StateTable
from defib.errors import RegistrationRefusedError
from defib.model.agent import Agent, Introduction, Live, Token
from defib.model.ids import AgentId
from defib.ports import Clock
from defib.rules import admission, agent_status, introductions


class Registration:
    """Takes introductions: with a token, with the registration key, from this machine, or by a first beat."""

    def __init__(
        self,
        clock: Clock,
        table: StateTable,
        directory: Directory,
        monitors: AgentMonitors,
        board: LiveBoard,
    ) -> None:
        self._clock = clock
        self._table = table
        self._directory = directory
        self._monitors = monitors
        self._board = board

    async def register(
        self, introduction: Introduction, *, token: Token | None = None, key: str = ""
    ) -> tuple[Agent, str]:
        """See :class:`defib.ports.Fleet`."""
        admission.check_may_register(self._monitors.settings, token, key)
        async with self._directory.changing:
            agent, text = await self._register(introduction, token)
        if (report := introduction.told) is not None:
            now = self._clock.now()
            self._board.put(Live(agent=agent.id, name=agent.name, pool=agent.pool, report=report, at=now))
        return agent, text

    async def _register(self, introduction: Introduction, token: Token | None) -> tuple[Agent, str]:
        before = self._known_as(introduction, token)
        if token is None:
            admission.check_is_no_outcast(introduction, self._directory.agents.values())
        if before is None:
            agent = self._new(introduction, token)
            if token is None:
                return await self._keep_with_own_token(agent, "agent.registered")
            return await self._directory.keep(agent, "agent.registered"), ""
        renewed = introductions.renewed(before, introduction)
        if token is not None and admission.is_its_token(token, before):
            admission.check_let_in(before)
            return await self._directory.keep(renewed, "agent.renewed"), ""
        if token is None and admission.has_lost_its_tokens(before, self._directory.tokens, self._clock.now()):
            return await self._keep_with_own_token(renewed, "agent.renewed")
        raise RegistrationRefusedError(
            f"agent {before.id} is registered with another token; "
            "remove it first ('defib agents remove'), or let it choose another id"
        )

    async def _keep_with_own_token(self, agent: Agent, event: str) -> tuple[Agent, str]:
        own, text = own_token(agent.id, self._clock.now())
        return await self._directory.keep(replace(agent, token=own.root), event, (own,)), text

    async def admit(self, introduction: Introduction) -> Agent:
        """See :class:`defib.ports.Fleet`."""
        async with self._directory.changing:
            before = self._known_as(introduction, None)
            if before is None:
                admission.check_has_room_without_token(self._directory)
                return await self._directory.keep(self._new(introduction, None), "agent.registered")
            if before.token is not None:
                raise RegistrationRefusedError(f"agent {before.id} reports with a token")
            admission.check_let_in(before)
            return await self._renew(before, introduction)

    async def resolve(self, token: Token, agent: str, hostname: str = "") -> Agent:
        """See :class:`defib.ports.Fleet`."""
        known = self._directory.named(agent)
        if known is not None:
            admission.check_may_report(token, known)
            return known
        if token.agent is not None:
            return await self._named(self._directory.agents[token.agent], agent)
        async with self._directory.changing:
            if self._directory.named(agent) is not None:  # it came in while we waited
                return await self.resolve(token, agent, hostname)
            if (unnamed := self._unnamed(token, hostname)) is not None:
                return await self._named(unnamed, agent)
            if not self._monitors.settings.new_agents:
                raise RegistrationRefusedError(
                    f"agent {introductions.shown(agent)} is not registered, and new agents are not let in by a beat"
                )
            introduction = Introduction(id=AgentId(agent), hostname=hostname)
            return await self._directory.keep(self._new(introduction, token), "agent.registered")

    async def describe(self, agent: AgentId, introduction: Introduction) -> Agent:
        """See :class:`defib.ports.Fleet`."""
        return await self._renew(self._directory.registered(agent), introduction)

    async def _renew(self, before: Agent, introduction: Introduction) -> Agent:
        after = introductions.renewed(before, introduction)
        return before if after == before else await self._directory.keep(after, None)

    def _known_as(self, introduction: Introduction, token: Token | None) -> Agent | None:
        if introduction.id is not None and not introduction.is_anonymous:
            return self._directory.named(introduction.id)
        return introductions.known_as(
            introduction, token, self._directory.agents, tuple(self._directory.tokens), self._clock.now()
        )

    def _unnamed(self, token: Token, hostname: str) -> Agent | None:
        """The one agent that registered with ``token`` without an id of its own and was never heard since."""
        silent = [
            agent
            for agent in self._directory
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
        admission.check_has_room(self._directory.agents.values(), token)
        agent = Agent(
            id=agent_id, monitor=self._monitors.choose(introduction, agent_id),
            name=introduction.name or introduction.hostname or agent_id, registered_at=now,
            token=token.root if token is not None else None,
        )  # fmt: skip
        return introductions.renewed(agent, introduction)

    async def _named(self, agent: Agent, name: str) -> Agent:
        """The agent under the id that it calls itself, once: one that has an id of its own keeps that."""
        admission.check_let_in(agent)
        if not _is_nameless(agent):
            raise RegistrationRefusedError(
                f"the token is that of agent {agent.aliases[0] if agent.aliases else agent.id} alone"
            )
        introductions.check_id(name)
        waiting = self._monitors.waiting_for(name)
        if waiting not in (None, agent.monitor):
            raise RegistrationRefusedError(
                f"agent {agent.id} cannot beat as {name}: monitor {waiting!r} of the configuration is another agent's"
            )
        return await self._directory.keep(replace(agent, aliases=(AgentId(name),)), "agent.renamed")


def _is_nameless(agent: Agent) -> bool:
    """Whether it has not said yet how it calls itself: its id was made up here."""
    return is_made_up(agent.id) and not agent.aliases

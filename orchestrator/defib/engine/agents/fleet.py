"""Agents that introduce themselves: each is registered once, and watched by a monitor of its own from then on.

    introduction ─→ Registration ─→ Agent + Token (stored, Directory) ─→ monitor in the roster (AgentMonitors)
    report ─→ Reports ─→ Beats (stored, judged) ─→ the agent's state (Presence)
                 └──→ LiveBoard (memory) ─→ pages
    operator ─→ Access: tokens, and who is kept out

Here is what they are together: what receivers call, and what an operator does that concerns them all.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from defib.engine.agents.access import Access
from defib.engine.agents.agent_monitors import AgentMonitors
from defib.engine.agents.directory import Directory
from defib.engine.agents.live_board import LiveBoard
from defib.engine.agents.presence import Presence
from defib.engine.agents.registration import Registration
from defib.engine.agents.remote import Remote, Send
from defib.engine.agents.reports import Reports
from defib.engine.agents.tokens import Tokens
from defib.engine.events import EventBus
from defib.engine.heartbeats.beats import Beats
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.model.agent import Agent, AgentReport, AgentView, Introduction, Token
from defib.model.health import State
from defib.model.ids import AgentId, MonitorId
from defib.model.settings import IngestSettings
from defib.ports import Clock, LiveFeed
from defib.store import Reader, Writer


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
        withdraw: Callable[[MonitorId, str], Awaitable[None]],
    ) -> None:
        """:param withdraw: ``withdraw(monitor, why)`` closes the incident of a monitor that is watched no more."""
        self._beats = beats
        self._withdraw = withdraw
        self._monitors = AgentMonitors(roster)
        self._directory = Directory(clock, table, writer, reader, bus, self._monitors)
        self.board = LiveBoard(clock)
        self.remote = Remote()
        self.access = Access(clock, writer, self._directory)
        self._registration = Registration(clock, table, self._directory, self._monitors, self.board)
        self._presence = Presence(
            clock, table, self._directory, self._monitors, self.board, self.remote, beats
        )
        self._reports = Reports(clock, self._directory, self.board, beats)

    @property
    def roster(self) -> Roster:
        """The one in force."""
        return self._monitors.roster

    @roster.setter
    def roster(self, roster: Roster) -> None:
        self._monitors.roster = roster

    @property
    def settings(self) -> IngestSettings:
        """See :class:`defib.ports.Fleet`."""
        return self._monitors.settings

    @property
    def tokens(self) -> Tokens:
        """Every token that was given out."""
        return self._directory.tokens

    def enlist(self, roster: Roster) -> None:
        """Watch every agent in ``roster``, which is about to be put in force."""
        self._directory.enlist(roster)

    # --- what receivers call -----------------------------------------------------------------------

    def token(self, shown: str) -> Token | None:
        """See :class:`defib.ports.Fleet`."""
        return self.access.token(shown)

    def api_key(self, shown: str) -> Token | None:
        """See :class:`defib.ports.Fleet`."""
        return self.access.api_key(shown)

    def may_report(self, token: Token, agent: str) -> bool:
        """See :class:`defib.ports.Fleet`."""
        return self.access.may_report(token, agent)

    def find(self, agent: str) -> AgentView | None:
        """See :class:`defib.ports.Fleet`."""
        return self._presence.find(agent)

    def agents(self, pool: str | None = None) -> list[AgentView]:
        """See :class:`defib.ports.Fleet`."""
        return self._presence.agents(pool)

    async def register(
        self, introduction: Introduction, *, token: Token | None = None, key: str = ""
    ) -> tuple[Agent, str]:
        """See :class:`defib.ports.Fleet`."""
        return await self._registration.register(introduction, token=token, key=key)

    async def admit(self, introduction: Introduction) -> Agent:
        """See :class:`defib.ports.Fleet`."""
        return await self._registration.admit(introduction)

    async def resolve(self, token: Token, agent: str, hostname: str = "") -> Agent:
        """See :class:`defib.ports.Fleet`."""
        return await self._registration.resolve(token, agent, hostname)

    async def describe(self, agent: AgentId, introduction: Introduction) -> Agent:
        """See :class:`defib.ports.Fleet`."""
        return await self._registration.describe(agent, introduction)

    async def report(self, agent: AgentId, report: AgentReport) -> None:
        """See :class:`defib.ports.Fleet`."""
        await self._reports.take(agent, report)

    def connect(
        self, agent: AgentId, close: Callable[[], None], send: Send | None = None
    ) -> AbstractContextManager[None]:
        """See :class:`defib.ports.Fleet`."""
        return self._presence.connect(agent, close, send)

    def hear(self, agent: AgentId, kind: str, data: Mapping[str, object]) -> None:
        """See :class:`defib.ports.Fleet`."""
        self.remote.hear(agent, kind, data)

    def watch(self, pool: str | None = None) -> AbstractContextManager[LiveFeed]:
        """See :class:`defib.ports.Fleet`."""
        return self.board.watch(pool)

    # --- what the engine and operators do ----------------------------------------------------------

    def watched_by(self, monitor: MonitorId) -> AgentId | None:
        """The agent that ``monitor`` watches."""
        return self._monitors.agent_of(monitor)

    def take_change(self, monitor: MonitorId, before: State, after: State) -> None:
        """A monitor changed its state; it may be an agent's."""
        self._presence.take_change(monitor, before, after)

    async def amend(self, agent: AgentId, changes: Mapping[str, str | tuple[str, ...]], actor: str) -> Agent:
        """Set ``name``, ``tags`` or ``pool`` by hand; what the agent says of them is passed over from then on.

        :raises RegistrationRefusedError: it was removed meanwhile.
        """
        async with self._directory.changing:
            before = self._directory.registered(agent)
            given = tuple(sorted({*before.given, *changes}))
            values: dict[str, Any] = dict(changes)
            amended = replace(before, **values, given=given)
            after = await self._directory.keep(amended, "agent.amended", actor=actor)
            if before.pool != after.pool:
                self.board.put_gone(agent, before.pool)
            return after

    async def remove(self, agent: AgentId, actor: str) -> None:
        """Forget an agent, its monitor and the token that was made for it. Its history stays.

        :raises RegistrationRefusedError: it was removed meanwhile.
        """
        async with self._directory.changing:
            known = self._directory.registered(agent)
            await self._directory.forget(known, actor)
            self._presence.forget(agent)
            self.board.forget(agent)
            if self._monitors.forget(known.monitor):
                self._beats.silences.forget(known.monitor)
                await self._withdraw(known.monitor, "the agent was removed")
                self.roster.dismiss(known.monitor)
            self._directory.announce(known)

    def close(self) -> None:
        """Streams that end from now on are ended by ourselves."""
        self._presence.close()

"""How agents stand now: heard, late, gone, and connected or not. Views are made here."""

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any

from defib.engine.agents.agent_monitors import AgentMonitors
from defib.engine.agents.agent_streams import AgentStreams
from defib.engine.agents.directory import Directory
from defib.engine.agents.live_board import LiveBoard
from defib.engine.agents.remote import Remote, Send
from defib.engine.heartbeats.beats import Beats
from defib.engine.table import StateTable
from defib.logs import get_logger
from defib.model.agent import Agent, AgentStatus, AgentView
from defib.model.evidence import Evidence, Grade
from defib.model.health import State
from defib.model.ids import AgentId, MonitorId
from defib.model.phrase import phrase
from defib.ports import Clock
from defib.rules import admission, agent_status

log = get_logger("defib.fleet")

_OFFLINE = (AgentStatus.OFFLINE, AgentStatus.STOPPED)


class Presence:
    """The streams that agents hold open, and who of them is offline."""

    def __init__(
        self,
        clock: Clock,
        table: StateTable,
        directory: Directory,
        monitors: AgentMonitors,
        board: LiveBoard,
        remote: Remote,
        beats: Beats,
    ) -> None:
        self._clock = clock
        self._table = table
        self._directory = directory
        self._monitors = monitors
        self._board = board
        self._beats = beats
        self._streams = AgentStreams(remote, self._announce, self._lost)
        self._offline = {agent.id for agent in directory if self._is_offline(agent)}

    def find(self, agent: str) -> AgentView | None:
        """See :class:`defib.ports.Fleet`."""
        known = self._directory.named(agent)
        return None if known is None else self._view(known)

    def agents(self, pool: str | None = None) -> list[AgentView]:
        """See :class:`defib.ports.Fleet`."""
        return [self._view(agent) for agent in self._directory if pool in (None, agent.pool)]

    def _view(self, agent: Agent) -> AgentView:
        health, now = self._table.get(agent.monitor), self._clock.now()
        heard = agent_status.heard(health)
        since = None if heard is None else max(0.0, (now - heard).total_seconds())
        is_aside = health is not None and health.state.is_aside
        if health is not None and is_aside:
            due = self._monitors.expected(agent.monitor, health)
            late_at, gone_at = (due.at, due.fault_at) if due is not None else (None, None)
            status = agent_status.status_aside(health, heard, now, late_at=late_at, gone_at=gone_at)
        else:
            status = agent_status.status(health, heard)
        return AgentView(
            agent=agent, status=status, last_seen=heard, seconds_since=since, is_connected=agent.id in self._streams,
            live=self._board.get(agent.id), aside=str(health.state) if health is not None and is_aside else "",
        )  # fmt: skip

    def connect(
        self, agent: AgentId, close: Callable[[], None], send: Send | None = None
    ) -> AbstractContextManager[None]:
        """See :class:`defib.ports.Fleet`."""
        admission.check_let_in(self._directory.registered(agent))
        return self._streams.hold(agent, close, send)

    def take_change(self, monitor: MonitorId, before: State, after: State) -> None:
        """An agent's monitor changed its state."""
        agent = self._directory.agents.get(self._monitors.agent_of(monitor) or AgentId(""))
        if agent is None:
            return
        was_off, is_off = agent.id in self._offline, self._is_offline(agent)
        if is_off and not was_off:
            self._offline.add(agent.id)
            log.info("marking agent as offline", agent=agent.id, state=after)
        elif (was_off or before is State.NEW) and not is_off:
            self._offline.discard(agent.id)
            log.info("marking agent as online", agent=agent.id, state=after)
        self._board.take_change(agent.id, agent.pool, is_gone=is_off)

    def forget(self, agent: AgentId) -> None:
        """An agent that was removed: its stream is closed."""
        self._streams.hang_up(agent)
        self._offline.discard(agent)

    def close(self) -> None:
        """Streams that end from now on are ended by ourselves."""
        self._streams.close()

    def _is_offline(self, agent: Agent) -> bool:
        return self._view(agent).status in _OFFLINE

    def _announce(self, agent: AgentId) -> None:
        """Its stream has begun or ended."""
        if (known := self._directory.agents.get(agent)) is not None:
            self._directory.announce(known)

    def _lost(self, agent: AgentId) -> Coroutine[Any, Any, None] | None:
        """Its stream ended. Unless it said that it stops, that is reason for suspicion, and not more."""
        known = self._directory.agents.get(agent)
        if known is None or self._table[known.monitor].state is State.STOPPED:
            return None
        evidence = Evidence.fail(
            "stream-closed", phrase("its connection ended without a word"), grade=Grade.WEAK
        )
        return self._beats.suspect(known.monitor, evidence)

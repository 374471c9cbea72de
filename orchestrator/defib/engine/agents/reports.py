"""What a report of an agent changes: a beat is accepted and judged, and the board shows what it tells."""

from datetime import datetime, timedelta

from defib.engine.agents.directory import Directory
from defib.engine.agents.live_board import LiveBoard
from defib.engine.heartbeats.beats import Beats
from defib.logs import get_logger
from defib.model.agent import AgentReport, Live
from defib.model.beat import Signal
from defib.model.ids import AgentId
from defib.ports import Clock
from defib.rules import admission
from defib.rules.agent_reports import as_beat

log = get_logger("defib.fleet")

SAID_EVERY = timedelta(seconds=10)  #: a beat of an agent is logged at most so often


class Reports:
    """Takes the reports of every agent."""

    def __init__(self, clock: Clock, directory: Directory, board: LiveBoard, beats: Beats) -> None:
        self._clock = clock
        self._directory = directory
        self._board = board
        self._beats = beats
        self._said: dict[AgentId, datetime] = {}

    async def take(self, agent: AgentId, report: AgentReport) -> None:
        """See :meth:`defib.ports.Fleet.report`."""
        known = self._directory.registered(agent)
        admission.check_let_in(known)
        now = self._clock.now()
        await self._beats.take(as_beat(known, report, now), is_kept=report.signal is not Signal.ALIVE)
        if report.tells_something or not self._board.renew(known.id):
            self._board.put(Live(agent=known.id, name=known.name, pool=known.pool, report=report, at=now))
        said_at = self._said.get(known.id)
        if said_at is None or now - said_at >= SAID_EVERY:
            self._said[known.id] = now
            log.info("heartbeat received from agent", agent=known.id, protocol=report.protocol)

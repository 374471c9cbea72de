"""The monitors that watch agents: one for each, made in the roster unless the configuration has it.

A monitor of type ``agent`` in the configuration that names the agent's id takes the place of the one that would be
made for it, so that thresholds, tags and recovery can be given by hand.
"""

import re
from dataclasses import replace

from defib.engine.heartbeats.enlisting import AGENT, agent_spec, configured_for, is_configured
from defib.engine.roster import Roster
from defib.model.agent import Agent, Introduction
from defib.model.health import Health
from defib.model.ids import AgentId, MonitorId
from defib.model.settings import IngestSettings
from defib.ports import Deadline

_LONGEST_NAME = 80  #: characters of an id that is made here, without its number


class AgentMonitors:
    """Which monitor watches which agent, in the roster in force."""

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        self._watched: dict[MonitorId, AgentId] = {}
        self._made: set[MonitorId] = set()  # of those, the ones that were made here

    @property
    def settings(self) -> IngestSettings:
        """What the operator lets reporters do."""
        return self.roster.settings.server.ingest

    def agent_of(self, monitor: MonitorId) -> AgentId | None:
        """The agent that ``monitor`` watches."""
        return self._watched.get(monitor)

    def expected(self, monitor: MonitorId, health: Health) -> Deadline | None:
        """The beat that is to come next, or would be, were the monitor not set aside; None: none."""
        plugin = self.roster.pushed(monitor)
        return plugin.deadline(health.beats) if plugin is not None else None

    def choose(self, introduction: Introduction, agent: AgentId) -> MonitorId:
        """For a new agent its configured monitor, else a free id that resembles what it is called."""
        configured = self.roster.find_agent(agent)
        if configured is not None and self.roster.monitors[configured].spec.kind == AGENT:
            return configured
        chosen = "" if introduction.is_anonymous else introduction.id
        wanted = chosen or introduction.hostname or introduction.name or agent
        slug = re.sub(r"[^a-z0-9._-]+", "-", wanted.lower()).strip("-._")[:_LONGEST_NAME] or "agent"
        number = 1
        name = slug
        while MonitorId(name) in self.roster.monitors or MonitorId(name) in self._made:
            number += 1
            name = f"{slug}-{number}"
        return MonitorId(name)

    def waiting_for(self, agent: str) -> MonitorId | None:
        """The configured monitor that the beats of ``agent`` would go to."""
        found = self.roster.find_agent(agent)
        return found if found is not None and is_configured(found, self.roster) else None

    def watch(self, agent: Agent, roster: Roster | None = None) -> Agent:
        """Put a monitor for ``agent`` into a roster, unless the configuration has one.

        :param roster: that is about to be put in force; None: the one that is.
        :return: the agent with the monitor that watches it.
        """
        roster = self.roster if roster is None else roster
        configured = configured_for(agent, roster)
        if configured is not None:
            self._watched[configured] = agent.id
            return replace(agent, monitor=configured)
        self._watched[agent.monitor] = agent.id
        if agent.monitor not in roster.monitors or agent.monitor in self._made:
            roster.enlist(agent_spec(agent, roster.registry))
            self._made.add(agent.monitor)
        return agent

    def forget(self, monitor: MonitorId) -> bool:
        """It watches its agent no more; whether it was made here, so that the roster is to dismiss it."""
        self._watched.pop(monitor, None)
        was_made = monitor in self._made
        self._made.discard(monitor)
        return was_made

"""Asks agents on other hosts whether they reach what we do not: is it it, or the way from here?

After SWIM's indirect probes (A. Das et al., DSN 2002). A peer's word decides nothing:

1. From the first failing look on, up to three connected agents are asked, in the background, again every ten seconds.
2. What they say is a fact of the evidence, for the explanation.
3. Where somebody reaches a target that does not answer us at all, a fault is held for a minute at most: it is our way
   there that fails, or soon the target as well. Then it is declared all the same.
4. A verdict waits for answers that are still on their way until a second after the question, and no longer.

Both sides have to want it: ``second_opinion`` of the monitor, since its address is told to agents, and of each agent.
"""

import asyncio
import random
import socket
from dataclasses import dataclass, field, replace
from datetime import timedelta

from defib.engine.agents.fleet import Fleet
from defib.engine.agents.remote import Said
from defib.engine.ids import new_id
from defib.engine.roster import Watched
from defib.logs import get_logger
from defib.model.agent import AgentView
from defib.model.evidence import Observation, Outcome, Source
from defib.model.ids import AgentId, MonitorId
from defib.ports import Clock, Seconded

log = get_logger("defib.second-opinion")

PEERS = 3
AGAIN_S = 10.0  #: from one question to the next, while it fails
FRESH_S = 15.0  #: an answer says something for so long
VERDICT_WAITS_S = 1.0
ANSWER_WITHIN = timedelta(seconds=6)  #: an agent's own look takes five seconds at most
HELD_S = 60.0
UNWILLING_S = 600.0  #: an agent that does not look is left alone for so long
UNREACHED = frozenset({"timeout", "unreachable", "connect-failed"})
"""Causes that say nothing of the target but that nothing comes from it."""


@dataclass(slots=True)
class _Case:
    """One monitor that fails."""

    asked_at: float = float("-inf")
    questions: set["asyncio.Task[None]"] = field(default_factory=set)
    said: dict[AgentId, tuple[float, Said]] = field(default_factory=dict)  # when, and what
    held_since: float | None = None


class SecondOpinions:
    """Asks and remembers, for one engine."""

    def __init__(self, clock: Clock, fleet: Fleet) -> None:
        self._clock = clock
        self._fleet = fleet
        self._cases: dict[MonitorId, _Case] = {}
        self._unwilling: dict[AgentId, float] = {}
        self._hostname = socket.gethostname()

    async def weigh(
        self, watched: Watched, observation: Observation, *, is_suspect: bool
    ) -> tuple[Observation, str]:
        """An observation with what others say beside it, and why a fault has to wait; "" when it does not.

        :param is_suspect: its monitor failed before: this look may be the verdict.
        """
        plugin = watched.plugin
        if not watched.spec.second_opinion or not isinstance(plugin, Seconded) or plugin.elsewhere is None:
            return observation, ""
        monitor, evidence = watched.spec.id, observation.evidence
        if evidence.is_ok:
            self._close(monitor)
        if evidence.outcome is not Outcome.FAIL or observation.source is not Source.PROBE:
            return observation, ""
        case = self._cases.setdefault(monitor, _Case())
        self._ask(monitor, case, *plugin.elsewhere, host=plugin.host)
        if is_suspect and not self._fresh(case):
            await self._wait(case)
        said = self._fresh(case)
        if not said:
            return observation, ""
        words, reached = _told(said), [name for name, word in said.items() if word.has_answered]
        facts = {**evidence.facts, "second_opinion": words}
        observation = replace(observation, evidence=replace(evidence, facts=facts))
        if not reached or evidence.cause not in UNREACHED:
            return observation, ""
        now = self._clock.monotonic()
        case.held_since = now if case.held_since is None else case.held_since
        return observation, f"not reachable from here: {words}" if now - case.held_since < HELD_S else ""

    def close(self) -> None:
        """Wait for no answer any more."""
        for monitor in tuple(self._cases):
            self._close(monitor)

    def _close(self, monitor: MonitorId) -> None:
        case = self._cases.pop(monitor, None)
        for question in case.questions if case is not None else ():
            question.cancel()

    # --- asking ------------------------------------------------------------------------------------

    def _ask(self, monitor: MonitorId, case: _Case, kind: str, target: str, *, host: str) -> None:
        now = self._clock.monotonic()
        if now - case.asked_at < AGAIN_S:
            return
        case.asked_at = now
        for peer in self._peers(host, now):
            question = asyncio.ensure_future(self._question(case, peer, kind, target))
            case.questions.add(question)
            question.add_done_callback(case.questions.discard)

    def _peers(self, host: str, now: float) -> list[AgentId]:
        """Up to three connected agents on as many hosts, none of them this one or the target's own."""
        by_host: dict[str, AgentView] = {}
        for view in self._fleet.agents():
            agent = view.agent
            is_targets_own = bool(host) and host in (agent.hostname, agent.address)
            is_elsewhere = agent.hostname != self._hostname and not is_targets_own
            is_willing = now - self._unwilling.get(agent.id, float("-inf")) > UNWILLING_S
            if is_elsewhere and is_willing and self._fleet.remote.can_ask(agent.id):
                by_host[agent.hostname or agent.id] = view
        found = [view.agent.id for view in by_host.values()]
        return random.sample(found, min(PEERS, len(found)))

    async def _question(self, case: _Case, peer: AgentId, kind: str, target: str) -> None:
        key = new_id("look", self._clock.now())
        said = await self._fleet.remote.look(peer, key=key, kind=kind, target=target, timeout=ANSWER_WITHIN)
        if said is None:
            return
        if said.is_refused:
            log.info("agent gives no second opinion", agent=peer, why=said.why)
            self._unwilling[peer] = self._clock.monotonic()
            return
        case.said[peer] = self._clock.monotonic(), said

    async def _wait(self, case: _Case) -> None:
        """Until everybody has answered, or a second after the question."""
        left = case.asked_at + VERDICT_WAITS_S - self._clock.monotonic()
        if case.questions and left > 0:
            await asyncio.wait(tuple(case.questions), timeout=left)

    def _fresh(self, case: _Case) -> dict[AgentId, Said]:
        now = self._clock.monotonic()
        return {peer: said for peer, (at, said) in case.said.items() if now - at <= FRESH_S}


def _told(said: dict[AgentId, Said]) -> str:
    """What the others say, in words: ``it answers agent web-1 (HTTP 200), and not agent db-2 (timed out)``."""
    ways = [
        ", ".join(f"{name} ({word.why})" for name, word in sorted(said.items()) if word.has_answered is is_so)
        for is_so in (True, False)
    ]
    reached, missed = ways
    if reached and missed:
        return f"it answers {reached}, and not {missed}"
    return f"it answers {reached}" if reached else f"it does not answer {missed} either"

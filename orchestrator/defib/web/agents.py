"""The API's agents and pools: who reports, how each stands, and what it reported last."""

from http import HTTPStatus
from typing import Any

from defib.engine.agents.agent_views import agent_json, in_order, pools_json
from defib.engine.engine import Engine
from defib.model.agent import AgentView, Scope
from defib.model.ids import MonitorId
from defib.web import answers, questions
from defib.web.operations import Call, Operation
from defib.web.problems import Problem
from defib.web.snapshot import Snapshot

_NOT_FOUND = {HTTPStatus.NOT_FOUND: "There is none of that id."}


class Agents:
    """Answers and removes."""

    def __init__(self, engine: Engine, snapshot: Snapshot) -> None:
        self._engine = engine
        self._fleet = engine.fleet
        self._snapshot = snapshot

    def operations(self) -> list[Operation]:
        """What can be asked, and asked for."""
        return [
            Operation(
                method="GET", path="/agents", name="listAgents", group="Agents", answer=self.all,
                summary="The agents, those that need attention first.", query=questions.AgentsQuery,
                shape=answers.AgentPage,
            ),
            Operation(
                method="GET", path="/agents/{id}", name="getAgent", group="Agents", answer=self.one,
                summary="One agent, by its id, one of its aliases, or the id of its monitor.", shape=answers.Agent,
                refusals=_NOT_FOUND,
            ),
            Operation(
                method="PATCH", path="/agents/{id}", name="amendAgent", group="Agents", answer=self.amend,
                scope=Scope.WRITE, body=questions.AgentBody, shape=answers.Agent, refusals=_NOT_FOUND,
                summary="Set its name, tags or pool; what it says of them itself is passed over from then on.",
            ),
            Operation(
                method="POST", path="/agents/{id}/keep-out", name="keepAgentOut", group="Agents", answer=self.keep_out,
                scope=Scope.ADMIN, body=questions.Nothing, shape=answers.Agent, refusals=_NOT_FOUND,
                summary="Take nothing of it any more, and do not let it register, until it is let in again.",
            ),
            Operation(
                method="POST", path="/agents/{id}/let-in", name="letAgentIn", group="Agents", answer=self.let_in,
                scope=Scope.ADMIN, body=questions.Nothing, shape=answers.Agent, refusals=_NOT_FOUND,
                summary="Let it report again with a token that is good, or else register by the registration key.",
            ),
            Operation(
                method="DELETE", path="/agents/{id}", name="removeAgent", group="Agents", answer=self.remove,
                scope=Scope.WRITE, body=questions.Nothing, shape=answers.AgentRemoved, refusals=_NOT_FOUND,
                summary="Forget it, its monitor, the token that was made for it, and that it is kept out; "
                "its history stays.",
            ),
            Operation(
                method="GET", path="/pools", name="listPools", group="Agents", answer=self.pools,
                summary="The pools, with how their agents stand.", shape=answers.Pools,
            ),
        ]  # fmt: skip

    def views(self, pool: str | None = None) -> list[dict[str, Any]]:
        """All agents, or those of a pool, those that need attention first."""
        return [self.view(view) for view in in_order(self._fleet.agents(pool))]

    def view(self, view: AgentView) -> dict[str, Any]:
        """One agent as JSON."""
        return agent_json(view, self._fleet.board.history, self._engine.clock.now())

    def find(self, agent: str) -> AgentView:
        """By id, alias or monitor.

        :raises Problem: 404.
        """
        found = self._fleet.find(agent)
        if found is None and (watched := self._fleet.watched_by(MonitorId(agent))) is not None:
            found = self._fleet.find(watched)
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no agent {agent!r}; GET /api/v1/agents lists them")
        return found

    async def all(self, call: Call) -> dict[str, Any]:
        wanted: questions.AgentsQuery = call.query
        found = [
            view
            for view in in_order(self._fleet.agents(wanted.pool))
            if wanted.status is None or view.status is wanted.status
        ]
        part = found[wanted.offset : wanted.offset + wanted.limit]
        return {
            "items": [self.view(view) for view in part],
            "total": len(found),
            "limit": wanted.limit,
            "offset": wanted.offset,
        }

    async def one(self, call: Call) -> dict[str, Any]:
        return self.view(self.find(call.part("id")))

    async def amend(self, call: Call) -> dict[str, Any]:
        wanted: questions.AgentBody = call.body
        before = self.find(call.part("id"))
        changes = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in wanted.model_dump(exclude_none=True).items()
        }
        agent = await self._fleet.amend(before.agent.id, changes, call.caller.actor)
        self._snapshot.expire()
        return self.view(self.find(agent.id))

    async def keep_out(self, call: Call) -> dict[str, Any]:
        agent = self.find(call.part("id")).agent
        await self._fleet.access.keep_out(agent.id, call.caller.actor)
        return self.view(self.find(agent.id))

    async def let_in(self, call: Call) -> dict[str, Any]:
        agent = self.find(call.part("id")).agent
        await self._fleet.access.let_in(agent.id, call.caller.actor)
        return self.view(self.find(agent.id))

    async def remove(self, call: Call) -> dict[str, Any]:
        agent = self.find(call.part("id")).agent
        await self._fleet.remove(agent.id, call.caller.actor)
        self._snapshot.expire()
        return {"id": agent.id, "monitor": agent.monitor}

    async def pools(self, call: Call) -> dict[str, Any]:
        found = pools_json(self._fleet.agents())
        return {"items": found, "total": len(found)}

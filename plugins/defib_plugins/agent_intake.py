"""From an agent's words to the fleet, over whatever connection they came."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from defib.plugin import Agent, AgentView, KeptOutError, ReceiverContext, RegistrationRefusedError, Token
from defib_plugins.agent_words import PROTOCOL, Heartbeat, Registration
from defib_plugins.receiving import Gate, RefusedError, source

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

NOT_FOUND = "agent not found"


def say(status: int, why: str) -> Mapping[str, Any]:
    """A refusal in this protocol's words."""
    return {"detail": why}


class Intake:
    """Takes in agents and their beats. Whatever is not to be is a :class:`RefusedError`."""

    def __init__(self, context: ReceiverContext) -> None:
        self.gate = Gate(context)
        self.clock = context.clock
        self.fleet = context.fleet
        self.may_read = context.may_read

    async def register(
        self, connection: "HTTPConnection", shown: str, said: Registration
    ) -> tuple[Agent, str]:
        """The agent, renewed or new, and the token that it was given for a registration key; "" for none.

        :param shown: a token, or the registration key.
        """
        token = self.fleet.token(shown)
        try:
            introduction = replace(said.introduction(), source=source(connection))
            return await self.fleet.register(introduction, token=token, key=shown)
        except RegistrationRefusedError as error:
            if token is None or isinstance(
                error, KeptOutError
            ):  # a key that is none says no more than a token that is none
                raise self.gate.turn_away(connection, error) from None
            raise RefusedError(403, str(error)) from None

    async def resolve(
        self, connection: "HTTPConnection", token: Token, agent_id: str, hostname: str = ""
    ) -> Agent:
        """The agent that beats as ``agent_id``: 401 for somebody else's, 404 and 403 for one that is not let in."""
        try:
            return await self.fleet.resolve(token, agent_id, hostname)
        except RegistrationRefusedError as error:
            if self.fleet.find(agent_id) is not None:
                raise self.gate.turn_away(connection, error) from None
            if not self.fleet.settings.new_agents:
                raise RefusedError(404, NOT_FOUND) from None
            raise RefusedError(403, str(error)) from None

    async def take(self, agent: Agent, said: Heartbeat) -> None:
        """One beat. Returns once it cannot be lost any more."""
        try:
            if not agent.protocol or _is_news(agent, said):
                protocol = agent.protocol or PROTOCOL
                await self.fleet.describe(agent.id, replace(said.introduction(), protocol=protocol))
            await self.fleet.report(agent.id, said.report())
        except RegistrationRefusedError:  # it was removed meanwhile
            raise RefusedError(404, NOT_FOUND) from None

    def view(self, agent_id: str) -> AgentView:
        """How an agent stands."""
        view = self.fleet.find(agent_id)
        if view is None:
            raise RefusedError(404, NOT_FOUND)
        return view


def _is_news(agent: Agent, said: Heartbeat) -> bool:
    """Whether it tells of its host what is not known; what it leaves out is no news."""
    return said.hostname not in (None, "", agent.hostname) or said.os not in (None, "", agent.os)

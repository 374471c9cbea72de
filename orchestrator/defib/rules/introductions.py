"""Who an agent is, by what it says of itself and the token that it shows. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from defib.errors import RegistrationRefusedError
from defib.model.agent import Agent, Introduction, Token
from defib.model.ids import AgentId
from defib.rules import admission

LONGEST_ID = 200  #: characters


def is_alike(said: Introduction, agent: Agent) -> bool:
    """Whether one that has no id of its own is likely the agent: by its protocol, its name and its address."""
    return (said.protocol, said.name, said.source) == (agent.protocol, agent.called, agent.source)


def known_as(
    said: Introduction, token: Token | None, agents: Mapping[AgentId, Agent], tokens: Collection[Token], now: datetime
) -> Agent | None:  # fmt: skip
    """Who registers here again without the id it is known by.

    That is the one agent of its own token; of a token of several the one of its host name; and where the protocol has
    no ids, the one of its name and address whose token is good no more.
    """
    if said.is_anonymous:
        alike = [agent for agent in agents.values() if is_alike(said, agent)]
        lost = [agent for agent in alike if admission.has_lost_its_tokens(agent, tokens, now)]
        return lost[0] if len(lost) == 1 else None
    if token is None:
        return None
    if token.agent is not None:
        return agents.get(token.agent)
    same = (
        agent for agent in agents.values() if agent.token == token.root and agent.hostname == said.hostname
    )
    return next(same, None) if said.hostname else None


def watched_as(agent: Agent) -> tuple[object, ...]:
    """What its monitor is made of."""
    return agent.every, agent.offline_after, agent.name, agent.tags


def renewed(agent: Agent, said: Introduction) -> Agent:
    """What it says now, over what was known, but for what an operator has set."""

    def own(field: str) -> Any:
        known = getattr(agent, field)
        return known if field in agent.given else getattr(said, field) or known

    return replace(
        agent, name=own("name"), hostname=said.hostname or agent.hostname,
        address=said.address or agent.address, os=said.os or agent.os, version=said.version or agent.version,
        tags=own("tags"), pool=own("pool"), protocol=said.protocol or agent.protocol,
        facts={**agent.facts, **said.facts}, every=said.every or agent.every,
        offline_after=said.offline_after or agent.offline_after, source=said.source or agent.source,
        called=said.name or agent.called,
    )  # fmt: skip


def is_id(text: str) -> bool:
    """Whether it can be an agent's id."""
    return text.isprintable() and len(text) <= LONGEST_ID and bool(text.strip())


def check_id(agent: str) -> None:
    """:raises RegistrationRefusedError: it cannot be an agent's id."""
    if not is_id(agent):
        raise RegistrationRefusedError(
            f"an agent's id is printable and has at most {LONGEST_ID} characters: {shown(agent)} is not one"
        )


def shown(text: str) -> str:
    """As it stands in a message."""
    return repr(text if len(text) <= 60 else text[:60] + "…")

"""Who an agent is, by what it says of itself and the token that it shows. Pure."""

from dataclasses import replace
from typing import Any

from defib.errors import RegistrationRefusedError
from defib.model.agent import Agent, Introduction, Token

LONGEST_ID = 200  #: characters


def may_report(token: Token, agent: Agent) -> bool:
    """Whether ``token`` is the agent's own, or one that it was brought in with."""
    return token.agent == agent.id if token.agent is not None else token.root == agent.token


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
        offline_after=said.offline_after or agent.offline_after,
    )  # fmt: skip


def check_id(agent: str) -> None:
    """:raises RegistrationRefusedError: it cannot be an agent's id."""
    if not agent.isprintable() or len(agent) > LONGEST_ID or not agent.strip():
        raise RegistrationRefusedError(
            f"an agent's id is printable and has at most {LONGEST_ID} characters: {shown(agent)} is not one"
        )


def shown(text: str) -> str:
    """As it stands in a message."""
    return repr(text if len(text) <= 60 else text[:60] + "…")

"""Whom a token or the registration key lets in, how many of them, and who is kept out. Pure."""

import hmac
from collections.abc import Collection, Iterable
from datetime import datetime

from defib.errors import KeptOutError, RegistrationRefusedError
from defib.model.agent import Agent, Introduction, Token
from defib.model.settings import IngestSettings

MOST_AGENTS = 1000  #: that one token may bring in, and all who need none: a leaked one fills no disk
MOST_KNOWN = 10_000  #: in all: nor does a leaked registration key


def is_its_token(token: Token, agent: Agent) -> bool:
    """Whether ``token`` is the agent's own, or one that it was brought in with."""
    return token.agent == agent.id if token.agent is not None else token.root == agent.token


def may_report(token: Token, agent: Agent) -> bool:
    """Whether an agent is heard with ``token``."""
    return agent.kept_out_at is None and is_its_token(token, agent)


def check_may_report(token: Token, agent: Agent) -> None:
    """:raises RegistrationRefusedError: it is another's token; a :class:`KeptOutError` when the agent is kept out."""
    if not is_its_token(token, agent):
        raise RegistrationRefusedError(f"agent {agent.id} reports with another token")
    check_let_in(agent)


def check_may_register(settings: IngestSettings, token: Token | None, key: str) -> None:
    """:raises RegistrationRefusedError: it shows neither a token nor the key, and the operator wants one of them."""
    if token is not None or settings.open_registration:
        return
    if settings.registration_key and _is_equal(key, settings.registration_key):
        return
    raise RegistrationRefusedError(
        "registration needs a token, or the key of 'server.ingest.registration_key'"
    )


def check_has_room(agents: Collection[Agent], token: Token | None) -> None:
    """:raises RegistrationRefusedError: there are too many ``agents`` for one more, in all or of ``token``."""
    if len(agents) >= MOST_KNOWN:
        raise RegistrationRefusedError(f"{MOST_KNOWN} agents are known already; remove those that are gone")
    if token is not None and sum(agent.token == token.root for agent in agents) >= MOST_AGENTS:
        raise RegistrationRefusedError(
            f"token {token.name!r} has brought in {MOST_AGENTS} agents already; give the next ones another"
        )


def check_has_room_without_token(agents: Iterable[Agent]) -> None:
    """:raises RegistrationRefusedError: there are too many ``agents`` that have no token for one more."""
    if sum(agent.token is None for agent in agents) >= MOST_AGENTS:
        raise RegistrationRefusedError(f"{MOST_AGENTS} agents without a token are known already")


def check_let_in(agent: Agent) -> None:
    """:raises KeptOutError: an operator has shut it out."""
    if agent.kept_out_at is not None:
        raise KeptOutError(f"agent {agent.id} is kept out; 'defib agents let-in' lets it in again")


def check_is_no_outcast(said: Introduction, agents: Collection[Agent]) -> None:
    """Whoever registers by a key proves nothing of itself: one that cannot be told from an outcast counts as it.

    That is one of its id; where the protocol has no ids, one of its name; and one from its address, unless agents
    that are let in register from there, too.

    :raises KeptOutError: it cannot.
    """
    shared = {agent.source for agent in agents if agent.kept_out_at is None}
    for agent in agents:
        if agent.kept_out_at is not None and (
            said.id in (agent.id, *agent.aliases)
            or (said.is_anonymous and (said.protocol, said.name) == (agent.protocol, agent.called))
            or (said.source and said.source == agent.source and said.source not in shared)
        ):
            check_let_in(agent)


def has_lost_its_tokens(
    agent: Agent, tokens: Iterable[Token], now: datetime, but: Collection[Token] = ()
) -> bool:
    """Whether none of ``tokens`` is left to report for it, or none ``but`` these."""
    gone = {token.id for token in but}
    return not any(
        is_its_token(token, agent) and token.is_good(now) and token.id not in gone for token in tokens
    )


def left_without(
    agents: Iterable[Agent], revoked: Collection[Token], tokens: Collection[Token], now: datetime
) -> list[Agent]:
    """Those that are let in by nothing but the tokens ``revoked``, all of one root."""
    return [
        agent
        for agent in agents
        if agent.kept_out_at is None
        and any(is_its_token(token, agent) for token in revoked)
        and has_lost_its_tokens(agent, tokens, now, but=revoked)
    ]


def _is_equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())

"""What tokens allow: they are given out, replaced and taken back here, and agents are kept out and let in again."""

from dataclasses import replace
from datetime import datetime, timedelta

from defib.engine.agents.directory import Directory, audit_entry
from defib.engine.agents.tokens import new_token, successor
from defib.model.agent import Agent, Scope, Token
from defib.model.changes import Changes
from defib.model.evidence import Fact
from defib.model.ids import AgentId
from defib.model.recovery import AuditEntry
from defib.ports import Clock
from defib.rules import admission
from defib.store import Writer


class Access:
    """To the API by tokens, and to the fleet by tokens and by the list of those that are kept out."""

    def __init__(self, clock: Clock, writer: Writer, directory: Directory) -> None:
        self._clock = clock
        self._writer = writer
        self._directory = directory
        self._tokens = directory.tokens

    def token(self, shown: str) -> Token | None:
        """See :class:`defib.ports.Fleet`."""
        token = self._tokens.find(shown, self._clock.now())
        return token if token is not None and token.scope is Scope.INGEST else None

    def api_key(self, shown: str) -> Token | None:
        """See :class:`defib.ports.Fleet`."""
        token = self._tokens.find(shown, self._clock.now())
        return token if token is not None and token.scope is not Scope.INGEST else None

    def may_report(self, token: Token, agent: str) -> bool:
        """See :class:`defib.ports.Fleet`."""
        known = self._directory.named(agent)
        return known is not None and admission.may_report(token, known)

    async def make_token(
        self, name: str, scope: Scope, actor: str, expires_at: datetime | None = None
    ) -> tuple[Token, str]:
        """A new token and its text, which is never shown again."""
        now = self._clock.now()
        token, text = new_token(name, scope, now, expires_at=expires_at)
        audit = _audit_entry("token.created", token, actor, now, scope=str(scope))
        await self._writer.commit(Changes(tokens=(token,), audit=(audit,)))
        self._tokens.put(token)
        return token, text

    async def rotate_token(
        self, token: str, actor: str, overlap: timedelta = timedelta(hours=24)
    ) -> tuple[Token, str]:
        """A new token in the place of one, which stays good for ``overlap``; one that expires lasts as long again.

        :param token: its id or name.
        :raises UsageError: there is none.
        """
        now = self._clock.now()
        old, fresh, text = successor(self._tokens.named(token), now, overlap)
        audit = _audit_entry("token.rotated", old, actor, now, successor=fresh.id)
        await self._writer.commit(Changes(tokens=(old, fresh), audit=(audit,)))
        for item in (old, fresh):
            self._tokens.put(item)
        return fresh, text

    async def revoke_token(self, token: str, actor: str) -> Token:
        """Revoke a token by its id, or by its name with those that it replaced; streams end with their next message.

        Agents that have no other are kept out from then on: the registration key alone brings none of them back.

        :return: the newest of them.
        :raises NoTokenError: there is none.
        :raises UsageError: several that have nothing to do with one another have that name.
        """
        async with self._directory.changing:
            now = self._clock.now()
            revoked = self._tokens.revoked(token, now)
            lost = admission.left_without(self._directory, revoked, tuple(self._tokens), now)
            outcasts = tuple(replace(agent, kept_out_at=now) for agent in lost)
            audit = (
                *(_audit_entry("token.revoked", item, actor, now) for item in revoked),
                *(audit_entry("agent.kept-out", agent, actor, now) for agent in outcasts),
            )
            await self._writer.commit(Changes(tokens=revoked, agents=outcasts, audit=audit))
            for item in revoked:
                self._tokens.put(item)
            for agent in outcasts:
                self._directory.put(agent)
            return revoked[0]

    async def keep_out(self, agent: AgentId, actor: str) -> Agent:
        """Take nothing of an agent any more, and do not let it register, until :meth:`let_in`. Its token stays.

        :raises RegistrationRefusedError: it was removed meanwhile.
        """
        async with self._directory.changing:
            known = self._directory.registered(agent)
            if known.kept_out_at is not None:
                return known
            outcast = replace(known, kept_out_at=self._clock.now())
            return await self._directory.keep(outcast, "agent.kept-out", actor=actor)

    async def let_in(self, agent: AgentId, actor: str) -> Agent:
        """Let an agent report again with a token that is good, or else register by the key.

        :raises RegistrationRefusedError: it was removed meanwhile.
        """
        async with self._directory.changing:
            known = self._directory.registered(agent)
            if known.kept_out_at is None:
                return known
            return await self._directory.keep(replace(known, kept_out_at=None), "agent.let-in", actor=actor)


def _audit_entry(event: str, token: Token, actor: str, now: datetime, **more: Fact) -> AuditEntry:
    facts = {"token": token.id, "name": token.name, **more}
    return AuditEntry(at=now, actor=actor, event=event, subject="*", facts=facts)

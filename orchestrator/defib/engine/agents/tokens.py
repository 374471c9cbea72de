"""The tokens that were given out: made, known by their hash, revoked."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from defib.engine.ids import new_id
from defib.errors import UsageError
from defib.model.agent import Scope, Token
from defib.model.ids import AgentId, TokenId

_BYTES = 19  #: of randomness; with ``defib_`` 32 characters, exactly as long as clients of Healthchecks want theirs
_OWN_PREFIX = "vmoi_"  #: what clients of the host protocol expect theirs to begin with


def digest(shown: str) -> str:
    """What is kept of a token. A fast hash will do: tokens are random, not chosen by people."""
    return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()


def new_token(
    name: str, scope: Scope, now: datetime, *, agent: AgentId | None = None, expires_at: datetime | None = None,
    prefix: str = "defib_", root: TokenId | None = None,
) -> tuple[Token, str]:  # fmt: skip
    """A fresh token, and its text, which is shown once and kept nowhere.

    :param root: of the token in whose place it is made.
    :param prefix: tells people and secret scanners what it is: ``defib_…``.
    """
    text = prefix + secrets.token_urlsafe(_BYTES)
    token_id = TokenId(new_id("token", now))
    token = Token(
        id=token_id, root=root or token_id, name=name, scope=scope, digest=digest(text), created_at=now, agent=agent,
        expires_at=expires_at,
    )  # fmt: skip
    return token, text


def own_token(agent: AgentId, now: datetime) -> tuple[Token, str]:
    """A fresh token that one agent reports with, and its text."""
    return new_token(f"agent {agent}", Scope.INGEST, now, agent=agent, prefix=_OWN_PREFIX)


def successor(before: Token, now: datetime, overlap: timedelta) -> tuple[Token, Token, str]:
    """A token with the end that it has after ``overlap``, the one in its place, and the text of that.

    The one in its place lasts as long as it was given itself.
    """
    lasts = None if before.expires_at is None else before.expires_at - before.created_at
    ends = now + overlap if before.expires_at is None else min(now + overlap, before.expires_at)
    fresh, text = new_token(
        before.name, before.scope, now, expires_at=None if lasts is None else now + lasts, agent=before.agent,
        root=before.root,
    )  # fmt: skip
    return replace(before, expires_at=ends), fresh, text


class NoTokenError(UsageError):
    """There is no token of that id or name."""


class Tokens:
    """All tokens by their hash."""

    def __init__(self, stored: Iterable[Token]) -> None:
        self._by_digest = {token.digest: token for token in stored}

    def __iter__(self) -> Iterator[Token]:
        return iter(self._by_digest.values())

    def put(self, token: Token) -> None:
        """A token that was committed."""
        self._by_digest[token.digest] = token

    def find(self, shown: str, now: datetime) -> Token | None:
        """The good token that was shown. The lookup is by hash, so that its time tells nothing of the token."""
        token = self._by_digest.get(digest(shown))
        return token if token is not None and token.is_good(now) else None

    def revoked(self, token: str, now: datetime) -> tuple[Token, ...]:
        """The token of this id; by a name also those in whose place it was made and that are good for a while yet.

        The caller commits them and puts them back.

        :raises NoTokenError: there is none.
        :raises UsageError: its name is not unique.
        """
        return tuple(replace(item, revoked_at=item.revoked_at or now) for item in self._in_use(token))

    def named(self, token: str) -> Token:
        """The token of this id, else the newest of this name; raises like :meth:`revoked`."""
        return self._in_use(token)[0]

    def _in_use(self, token: str) -> list[Token]:
        """The token of this id, else those of this name that are not revoked, the newest first."""
        by_id = [item for item in self._by_digest.values() if item.id == token]
        found = by_id or [
            item for item in self._by_digest.values() if item.name == token and item.revoked_at is None
        ]
        if not found:
            raise NoTokenError(f"there is no token {token!r}; 'defib token list' shows them")
        if len({item.root for item in found}) > 1:
            raise UsageError(
                f"{len(found)} tokens are named {token!r}; say which by its id: "
                f"{', '.join(item.id for item in found)}"
            )
        return sorted(found, key=lambda item: (item.created_at, item.id), reverse=True)

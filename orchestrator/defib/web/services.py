"""What the server is given, and the one-time keys that log a browser in."""

import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from defib.engine.engine import Engine
from defib.engine.views.read_model import Views

KEY_LIFETIME_S = 24 * 3600.0
_MOST_KEYS = 100


class LoginKeys:
    """Keys that log in once each. Kept in memory only, and only as their hashes."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def new(self) -> str:
        """A fresh key, good for :data:`KEY_LIFETIME_S`."""
        key = secrets.token_urlsafe(24)
        while len(self._until) >= _MOST_KEYS:
            del self._until[next(iter(self._until))]
        self._until[_hash(key)] = time.monotonic() + KEY_LIFETIME_S
        return key

    def redeem(self, key: str) -> bool:
        """Whether ``key`` is good; it is not a second time."""
        until = self._until.pop(_hash(key), None)
        return until is not None and time.monotonic() < until


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts behind the server."""

    engine: Engine
    views: Views
    reload: Callable[[], Awaitable[list[str]]]
    """Load the configuration again; answers every mistake, none when the new one is in force."""
    token: str = field(repr=False)  #: of this run: whoever presents it may do everything
    login_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """Signs sessions; a new one ends them all."""
    login_keys: LoginKeys = field(default_factory=LoginKeys, repr=False)

    def login_url(self, base: str) -> str:
        """A link that logs one browser in, once.

        :param base: where the server is reached: ``http://127.0.0.1:8420``.
        """
        return f"{base.rstrip('/')}/login?key={self.login_keys.new()}"

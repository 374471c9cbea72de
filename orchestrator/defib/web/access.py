"""Who may read and who may steer.

Reading is open while the server listens on this machine's own addresses only; otherwise, and for steering
always, a caller shows a token (``Authorization: Bearer …``) or a session. The token of this run and a session may do
everything, a stored token what its scope allows. A session is a signed cookie that a one-time login link sets; steering
by it needs its CSRF token as a header, too. Who has the token of this run may say on whose behalf (``Defib-Actor``): it
stands in the audit log, as the name of a stored token does.
"""

import hmac
import ipaddress
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeSerializer, URLSafeTimedSerializer
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from defib.model.agent import Scope, Token
from defib.rules.pacing import Allowances, source
from defib.web.problems import Problem
from defib.web.services import Services

COOKIE = "defib_session"
CSRF_HEADER = "X-CSRF-Token"
ACTOR_HEADER = "Defib-Actor"
SESSION_LIFETIME_S = 30 * 86400
_LONGEST_ACTOR = 60
_WRONG_TOKENS_PER_S, _WRONG_TOKENS_AT_ONCE = 1.0, 30
_HOW = (
    "show the token as 'Authorization: Bearer …', or open the login link that Defib printed when it started"
)
_NEEDED = {
    Scope.READ: (Scope.READ, Scope.WRITE, Scope.ADMIN),
    Scope.WRITE: (Scope.WRITE, Scope.ADMIN),
    Scope.ADMIN: (Scope.ADMIN,),
}  # fmt: skip
"""Which scopes of a token do for what."""

Page = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking."""

    actor: str  #: for the audit log
    session: str | None = None
    scope: Scope | None = None  #: what the token that was shown, or the session, allows; None without either
    may_read: bool = False

    def may(self, scope: Scope) -> bool:
        """Whether it may do what needs ``scope``."""
        return self.may_read if scope is Scope.READ else self.scope in _NEEDED[scope]


class Access:
    """Decides for one server."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sessions = URLSafeTimedSerializer(services.login_secret, salt="defib-session")
        self._csrf = URLSafeSerializer(services.login_secret, salt="defib-csrf")
        self.host = services.engine.roster.settings.server.host  # what is bound; a reload does not change it
        self.is_local = is_loopback(self.host)
        self._wrong = Allowances(per_second=_WRONG_TOKENS_PER_S, at_once=_WRONG_TOKENS_AT_ONCE)

    # --- who it is ---------------------------------------------------------------------------------

    def caller(self, connection: HTTPConnection) -> Caller:
        """Who is asking, by token, else by cookie.

        :raises Problem: 401 for a token that is wrong: whoever shows one wants to know; 429 after too many from one
            address, where a right one is let in all the same. 403 for one that only ingests.
        """
        scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._holder(connection, shown.strip())
        session = self._session(connection.cookies.get(COOKIE))
        if session is not None:
            return Caller("dashboard", session=session, scope=Scope.ADMIN, may_read=True)
        return Caller("anybody", may_read=self.is_local)

    def _holder(self, connection: HTTPConnection, shown: str) -> Caller:
        """Who shows a token: that of this run, or a stored one."""
        if hmac.compare_digest(shown.encode("utf-8", "surrogatepass"), self._services.token.encode()):
            return Caller(_named(connection) or "api", scope=Scope.ADMIN, may_read=True)
        engine = self._services.engine
        token = engine.fleet.tokens.find(shown, engine.clock.now())
        if token is None:
            raise self._wrong_token(connection)
        if token.scope is Scope.INGEST:
            raise _beyond(token, "does nothing but report beats")
        return Caller(f"{token.name} (token)", scope=token.scope, may_read=True)

    def _wrong_token(self, connection: HTTPConnection) -> Problem:
        """What whoever shows a wrong token is told: 401, or 429 when its address does so too often."""
        host = connection.client.host if connection.client is not None else ""
        wait_s = self._wrong.spend(source(host), self._services.engine.clock.monotonic())
        if not wait_s:
            return _refused("the token is not good")
        return Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too many wrong tokens came from your address; try again later",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )

    def require(self, connection: HTTPConnection, scope: Scope) -> Caller:
        """Someone who may do what needs ``scope``.

        :raises Problem: 401 for nobody in particular, 403 for a token that allows less and for a session that steers
            without its CSRF token.
        """
        caller = self.caller(connection)
        if not caller.may(scope):
            if caller.scope is None:
                raise _refused(
                    "reading needs a login here" if scope is Scope.READ else "steering needs a login"
                )
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"this needs a token of scope {' or '.join(_NEEDED[scope])}, not {caller.scope}",
            )
        if scope is not Scope.READ and caller.session is not None:
            self._check_csrf(connection, caller)
        return caller

    def reader(self, connection: HTTPConnection) -> Caller:
        """Someone who may read; raises like :meth:`require`."""
        return self.require(connection, Scope.READ)

    def for_readers(self, page: Page) -> Page:
        """``page``, for someone who may read."""

        async def endpoint(request: Request) -> Response:
            self.reader(request)
            return await page(request)

        return endpoint

    def operator(self, connection: HTTPConnection) -> Caller:
        """Someone who may steer; raises like :meth:`require`."""
        return self.require(connection, Scope.WRITE)

    def _check_csrf(self, connection: HTTPConnection, caller: Caller) -> None:
        shown = connection.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(shown.encode(), self.csrf_token(caller).encode()):
            raise Problem(
                HTTPStatus.FORBIDDEN, f"the header {CSRF_HEADER} is missing or wrong; load the page again"
            )

    # --- sessions ----------------------------------------------------------------------------------

    def csrf_token(self, caller: Caller) -> str:
        """What a session's own pages send along; "" without a session."""
        return str(self._csrf.dumps(caller.session)) if caller.session else ""

    def begin_session(self, connection: HTTPConnection, response: Response) -> None:
        """Log the browser in."""
        response.set_cookie(
            COOKIE,
            str(self._sessions.dumps(secrets.token_urlsafe(16))),
            max_age=SESSION_LIFETIME_S,
            httponly=True,
            samesite="strict",
            secure=self._is_public_https(connection),
        )

    @staticmethod
    def end_session(response: Response) -> None:
        """Log the browser out."""
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")

    def _session(self, cookie: str | None) -> str | None:
        if cookie is None:
            return None
        try:
            return str(self._sessions.loads(cookie, max_age=SESSION_LIFETIME_S))
        except BadSignature:  # also of one that is too old, or from before the last start
            return None

    # --- where it comes from -----------------------------------------------------------------------

    def is_known_host(self, host: str) -> bool:
        """Whether a request's Host is one of ours.

        A page of another site can be made to resolve to 127.0.0.1 (DNS rebinding); what it then asks for carries
        its own name. Servers that listen elsewhere have names that we do not know, and no open reading.
        """
        if not self.is_local:
            return True
        name = _hostname(host)
        return name is not None and (
            is_loopback(name) or name in (self.host.strip("[]"), self._public_host())
        )

    def is_known_origin(self, connection: HTTPConnection) -> bool:
        """Whether a WebSocket was opened by a page of ours, or by no page at all."""
        origin = connection.headers.get("origin")
        if origin is None:
            return True
        authority = urlsplit(origin).netloc
        public = urlsplit(self._public_url()).netloc
        return bool(authority) and authority in (connection.headers.get("host", ""), public)

    def _public_url(self) -> str:
        return self._services.engine.roster.settings.server.public_url

    def _public_host(self) -> str | None:
        return urlsplit(self._public_url()).hostname

    def _is_public_https(self, connection: HTTPConnection) -> bool:
        public = urlsplit(self._public_url())
        return public.scheme == "https" and public.hostname == _hostname(connection.headers.get("host", ""))


def _named(connection: HTTPConnection) -> str:
    """Who a holder of the token says it is, for the audit log: ``alice (command line)``."""
    name = connection.headers.get(ACTOR_HEADER, "")
    return name[:_LONGEST_ACTOR] if name.isprintable() else ""


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=64)
def _hostname(authority: str) -> str | None:
    """Of a Host header: without its port, and an IPv6 address without its brackets."""
    try:
        return urlsplit(f"//{authority}").hostname
    except ValueError:
        return None


def _refused(why: str) -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED, f"{why}; {_HOW}", headers={"WWW-Authenticate": 'Bearer realm="Defib"'}
    )


def _beyond(token: Token, why: str) -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, f"a token of scope {token.scope} {why}; make one of another scope")

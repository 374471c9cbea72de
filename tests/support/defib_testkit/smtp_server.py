"""A real SMTP server (aiosmtpd) with the faults that mail servers have."""

import asyncio
import email.message
import email.policy
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from defib_testkit.recorder import Recorder
from defib_testkit.server_double import ServerDouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail that was taken, or lost in mode ``drop``."""

    sender: str  # of the envelope
    recipients: tuple[str, ...]  # of the envelope
    message: email.message.EmailMessage
    raw: bytes
    is_encrypted: bool  # whether it came over TLS
    user: str | None  # who had logged in


class SmtpServer(ServerDouble):
    """Records mails in ``messages``.

    | mode | the sender sees |
    |---|---|
    | ok | 250 |
    | refuse | 550 for every recipient |
    | greylist | 451 for the first ``greylist_first`` attempts of each sender and recipient, then 250 |
    | hang | a connection without a greeting |
    | hang-data | no answer to the end of the message |
    | drop | the connection reset in place of that answer, although the mail was recorded |
    | dead | connection refused |

    ``then`` counts connections for ``hang``, and mails for the rest.
    """

    MODES = ("ok", "refuse", "greylist", "hang", "hang-data", "drop", "dead")

    def __init__(
        self,
        *,
        starttls: ssl.SSLContext | None = None,
        tls: ssl.SSLContext | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        """
        :param starttls: offer STARTTLS, and demand it.
        :param tls: speak TLS from the first byte on (port 465 in the real world).
        :param credentials: the one user and password; AUTH is then demanded, and offered over TLS only.
        """
        self.host = "127.0.0.1"
        self.messages: Recorder[Mail] = Recorder("mails")
        self.greylist_first = 1
        self._starttls = starttls
        self.credentials = credentials
        self._attempts: Counter[tuple[str | None, str]] = Counter()
        super().__init__(tls)

    def _protocol(self) -> asyncio.BaseProtocol:
        if (self._next or [self._mode])[0] == "hang":
            self._next_mode()
            return _Silence(self)
        return _Conversation(self, _Handler(self))

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        if isinstance(data, LoginPassword):
            given = (data.login.decode(), data.password.decode())
            return AuthResult(success=given == self.credentials, handled=False, auth_data=given[0])
        return AuthResult(success=False, handled=False)


class _Silence(asyncio.Protocol):
    """A connection that nobody greets."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server._connected(transport)


class _Conversation(SMTP):
    def __init__(self, server: SmtpServer, handler: "_Handler") -> None:
        self._server = server
        is_tls = server._tls is not None
        super().__init__(
            handler,
            hostname="mail.example",
            ident="test kit",
            enable_SMTPUTF8=True,
            tls_context=server._starttls,
            require_starttls=server._starttls is not None,
            auth_required=server.credentials is not None,
            authenticator=server._authenticate,
            loop=asyncio.get_running_loop(),
        )
        if is_tls:
            self._auth_require_tls = False  # it knows only STARTTLS; set here, its parameter warns

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server._connected(transport)
        super().connection_made(transport)


class _Handler:
    """Decides about each recipient and each mail; aiosmtpd finds the methods by their names."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._mode = "ok"  # of the mail under way

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self._mode = self._server._next_mode()
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._mode == "refuse":
            return "550 5.1.1 No such mailbox"
        if self._mode == "greylist":
            pair = (envelope.mail_from, address)
            self._server._attempts[pair] += 1
            if self._server._attempts[pair] <= self._server.greylist_first:
                return "451 4.7.1 Greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._mode == "hang-data":
            await asyncio.get_running_loop().create_future()
        transport: Any = server.transport
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self._server.messages.add(
            Mail(
                sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                message=message,
                raw=envelope.content,
                is_encrypted=transport.get_extra_info("ssl_object") is not None,
                user=session.auth_data if session.authenticated else None,
            )
        )
        if self._mode == "drop":
            transport.abort()
        return "250 OK: kept"

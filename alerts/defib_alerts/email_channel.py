"""E-mail over SMTP: one mail for each alert, threaded by incident, and reports with their pictures."""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from defib.plugin import (
    Alert,
    BuildContext,
    ChannelType,
    DeliveryError,
    Duration,
    Options,
    Receipt,
    ReportDocument,
    Secret,
    SendContext,
    hookimpl,
)
from defib_alerts.deadlines import deadline
from defib_alerts.mail import mail_of_alert, mail_of_report
from defib_alerts.masking import Masker
from defib_alerts.rendering import Templates, check_folder
from defib_alerts.wording import one_line

if TYPE_CHECKING:
    import aiosmtplib

_PORTS = {"smtp": 25, "smtps": 465}
_FAREWELL_S = 1.0


def parse_address(text: str) -> Address:
    """``Defib <defib@example.com>`` or ``defib@example.com``.

    :raises ValueError: with an example to follow.
    """
    name, bare = parseaddr(text)
    user, at, domain = bare.rpartition("@")
    if not (at and user and domain and text.isprintable() and bare.isascii()):
        raise ValueError(f"{text!r} is not an address; write name@example.com or Name <name@example.com>")
    try:
        return Address(display_name=name, addr_spec=bare)
    except (HeaderParseError, ValueError, IndexError):
        raise ValueError(
            f"{text!r} is not an address; write name@example.com or Name <name@example.com>"
        ) from None


class EmailOptions(Options):
    """A mail server, and who writes to whom."""

    smtp: str = Field(
        description="The mail server: smtp://host:587, or smtps://host:465 for encryption from the first byte on"
    )
    starttls: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Encryption on smtp://: if offered (and demanded when there is a password), always, or never",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file with the authority of the mail server's certificate, beside the system's",
    )
    username: str | None = Field(default=None, description="For servers that want a login")
    password: Secret | None = Field(default=None, description="For servers that want a login")
    sender: str = Field(alias="from", description="Sender: Defib <defib@example.com>")
    to: tuple[str, ...] = Field(min_length=1, description="Recipients, one or more")
    timeout: Duration = Field(default=timedelta(seconds=20), description="For one try, all in all")
    templates: Path | None = Field(
        default=None, description="Folder with alert.html.j2 or alert.txt.j2 of your own"
    )

    @field_validator("smtp")
    @classmethod
    def _is_a_server(cls, smtp: str) -> str:
        try:
            parts = urlsplit(smtp)
            is_server = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_server = False
        if not is_server:
            raise ValueError("is not a mail server; write smtp://host:587 or smtps://host:465")
        if parts.username or parts.password:
            raise ValueError("holds a login; write it as username and password")
        return smtp

    @field_validator("to", mode="before")
    @classmethod
    def _one_is_a_list(cls, to: object) -> object:
        return (to,) if isinstance(to, str) else to

    @field_validator("sender")
    @classmethod
    def _is_an_address(cls, sender: str) -> str:
        parse_address(sender)
        return sender

    @field_validator("to")
    @classmethod
    def _are_addresses(cls, to: tuple[str, ...]) -> tuple[str, ...]:
        for text in to:
            parse_address(text)
        return to

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together; write both or neither")
        if self.smtp.startswith("smtps:") and self.starttls != "auto":
            raise ValueError("starttls: leave it out, smtps:// is encrypted from the first byte on")
        return self

    @property
    def host(self) -> str:
        return urlsplit(self.smtp).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.smtp)
        return parts.port or _PORTS[parts.scheme]

    @property
    def is_encrypted_at_once(self) -> bool:
        return self.smtp.startswith("smtps:")


class EmailChannel:
    """Makes one connection for each mail, so that an idle server never has to be noticed."""

    def __init__(self, name: str, options: EmailOptions, context: BuildContext) -> None:
        count = len(options.to)
        self.target = f"{count} {'recipient' if count == 1 else 'recipients'} at {options.host}"
        self._options = options
        self._server = f"{options.host}:{options.port}"
        self._sender = parse_address(options.sender)
        self._recipients = tuple(parse_address(text) for text in options.to)
        self._own_templates = check_folder(options.templates, context.base)
        self._ca_file = None if options.ca_file is None else context.base / options.ca_file
        if self._ca_file is not None and not self._ca_file.is_file():
            raise ValueError(f"ca_file: there is no file {self._ca_file}")
        self._mask = Masker(_secrets(options))
        self._opening = asyncio.Lock()
        self._opened: tuple[Templates, ssl.SSLContext] | None = None

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        """Send one mail. Taken when the server takes it for at least one recipient."""
        import aiosmtplib

        limit = min(self._options.timeout, context.timeout)
        client: aiosmtplib.SMTP | None = None
        is_taken = False
        try:
            async with deadline(limit, self._server):
                templates, tls = await self._open()
                mail, complaint = self._write(notice, templates, context)
                client = aiosmtplib.SMTP(
                    hostname=self._options.host,
                    port=self._options.port,
                    use_tls=self._options.is_encrypted_at_once,
                    start_tls=False if self._options.starttls == "never" else None,
                    tls_context=tls,
                    timeout=limit.total_seconds(),
                )
                refused = await self._converse(client, mail)
                is_taken = True
        finally:
            if client is not None:
                await _part(client, politely=is_taken)
        notes = [complaint] if complaint else []
        notes += [f"refused for {address}: {self._tell(*answer)}" for address, answer in refused.items()]
        return Receipt(id=str(mail["Message-ID"]), detail="; ".join(notes))

    async def close(self) -> None:
        self._opened = None

    async def _open(self) -> tuple[Templates, ssl.SSLContext]:
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(self._build)  # loads certificates
            return self._opened

    def _build(self) -> tuple[Templates, ssl.SSLContext]:
        tls = ssl.create_default_context()
        if self._ca_file is not None:
            tls.load_verify_locations(self._ca_file)
        return Templates(self._own_templates), tls

    def _write(
        self, notice: Alert | ReportDocument, templates: Templates, context: SendContext
    ) -> tuple[EmailMessage, str]:
        if isinstance(notice, Alert):
            return mail_of_alert(notice, templates, context, sender=self._sender, recipients=self._recipients)
        return mail_of_report(notice, context, sender=self._sender, recipients=self._recipients), ""

    async def _converse(self, client: "aiosmtplib.SMTP", mail: EmailMessage) -> Mapping[str, tuple[int, str]]:
        """The whole conversation up to the server's acceptance.

        :return: the recipients that were refused, with the server's answers.
        """
        import aiosmtplib

        try:
            await client.connect()
            self._demand_encryption(client)
            if self._options.username is not None and self._options.password is not None:
                await client.login(self._options.username, self._options.password.get_secret_value())
            recipients = [address.addr_spec for address in self._recipients]
            refused, _ = await client.sendmail(self._sender.addr_spec, recipients, mail.as_bytes(policy=SMTP))
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._failure(error) from None
        return refused

    def _demand_encryption(self, client: "aiosmtplib.SMTP") -> None:
        """Refuse to go on in clear where that was not asked for: somebody in between may have removed the offer."""
        has_login = self._options.username is not None
        is_demanded = self._options.starttls == "always" or (self._options.starttls == "auto" and has_login)
        if is_demanded and client.get_transport_info("sslcontext") is None:
            remedy = "use smtps:// or another port; starttls: never sends in clear"
            raise DeliveryError(f"{self._server} offers no encryption (STARTTLS); {remedy}", permanent=True)

    def _failure(self, error: Exception) -> DeliveryError:
        import aiosmtplib

        for link in (error, error.__cause__):
            if isinstance(link, ssl.SSLCertVerificationError):
                remedy = "name its authority as ca_file, or write the host as the certificate does"
                return DeliveryError(
                    f"the certificate of {self._server} is not trusted ({link.verify_message}); {remedy}"
                )
        match error:
            case aiosmtplib.SMTPRecipientsRefused(recipients=refused):
                first = refused[0]
                others = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
                return DeliveryError(
                    f"{self._server} refused {first.recipient}{others}: {self._tell(first.code, first.message)}",
                    permanent=all(_is_final(refusal.code) for refusal in refused),
                )
            case aiosmtplib.SMTPAuthenticationError(code=code, message=answer):
                words = f"{self._server} refused the login: {self._tell(code, answer)}; check username and password"
                return DeliveryError(words, permanent=_is_final(code))
            case aiosmtplib.SMTPResponseException(code=code, message=answer):
                return DeliveryError(
                    f"{self._server} refused: {self._tell(code, answer)}", permanent=_is_final(code)
                )
            case TimeoutError():
                return DeliveryError(f"{self._server} did not answer in time")
            case aiosmtplib.SMTPServerDisconnected():
                return DeliveryError(f"{self._server} cut the connection")
            case _:
                return DeliveryError(
                    f"{self._server} cannot be used: {one_line(self._mask(str(error)), 200)}"
                )

    def _tell(self, code: int, answer: str) -> str:
        return one_line(self._mask(f"{code} {answer}" if code > 0 else answer), 200)


def _secrets(options: EmailOptions) -> list[str]:
    """The password, and the forms in which AUTH PLAIN sends it."""
    if options.username is None or options.password is None:
        return []
    password = options.password.get_secret_value()
    return [password, f"\0{options.username}\0{password}"]


def _is_final(code: int) -> bool:
    """Whether trying again is of no use (RFC 5321, section 4.2.1)."""
    return 500 <= code < 600


async def _part(client: "aiosmtplib.SMTP", *, politely: bool) -> None:
    """Hang up; what happens now changes nothing about the mail."""
    transport = client.transport
    if politely:
        from aiosmtplib import SMTPException

        with suppress(SMTPException, OSError):
            await client.quit(timeout=_FAREWELL_S)
    client.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()  # TLS would wait for the other side's farewell
        await asyncio.sleep(0)  # the socket is closed in the loop's next turn


@hookimpl
def defib_channels() -> Iterable[ChannelType]:
    """E-mail."""
    return [
        ChannelType(
            kind="email",
            summary="Mail over SMTP, threaded by incident",
            options=EmailOptions,
            create=EmailChannel,
        )
    ]

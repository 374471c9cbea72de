"""E-mail over SMTP: one mail for each alert, threaded by incident, and reports with their pictures."""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING

from defib.plugin import (
    N_,
    Alert,
    BuildContext,
    ChannelType,
    DeliveryError,
    Receipt,
    ReportDocument,
    SendContext,
    hookimpl,
)
from defib_alerts.deadlines import deadline
from defib_alerts.email_options import EmailOptions, parse_address
from defib_alerts.halfway import Halfway, Progress
from defib_alerts.mail import Envelope, mail_of_alert, mail_of_report, receipt_of
from defib_alerts.mail_policy import WIRE
from defib_alerts.masking import Masker
from defib_alerts.phrases import phrase
from defib_alerts.rendering import Templates, check_folder
from defib_alerts.wording import one_line

if TYPE_CHECKING:
    import aiosmtplib

_FAREWELL_S = 1.0
_MOST_TRIES = 20  #: for a recipient that puts us off when others have taken the mail: ten minutes at least
_GREY = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(minutes=15)
_PAUSE = re.compile(r"\b(\d+) ?(s|sec|secs|seconds?|m|min|mins|minutes?)\b", re.IGNORECASE)


class EmailChannel:
    """Makes one connection for each mail, so that an idle server never has to be noticed."""

    def __init__(self, name: str, options: EmailOptions, context: BuildContext) -> None:
        count = len(options.to)
        self.target = f"{count} {'recipient' if count == 1 else 'recipients'} at {options.host}"
        self.timeout = options.timeout
        self.is_read_by_people = True
        self._options = options
        self._server = f"{options.host}:{options.port}"
        self._sender = parse_address(options.sender)
        recipients = tuple(parse_address(text) for text in options.to)
        self._recipients = tuple(dict.fromkeys(address.addr_spec for address in recipients))
        self._envelope = Envelope(
            sender=self._sender, recipients=recipients, same_subject=options.same_subject
        )
        self._halfway = Halfway()
        self._own_templates = check_folder(options.templates, context.base)
        self._ca_file = None if options.ca_file is None else context.base / options.ca_file
        if self._ca_file is not None and not self._ca_file.is_file():
            raise ValueError(f"ca_file: there is no file {self._ca_file}")
        self._mask = Masker(options.secrets)
        self._opening = asyncio.Lock()
        self._opened: tuple[Templates, ssl.SSLContext] | None = None

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        """Send one mail to everybody who has not got it in an earlier try of the same delivery.

        :raises DeliveryError: somebody is to be tried again, or nobody at all can be reached.
        """
        import aiosmtplib

        limit = min(self.timeout, context.timeout)
        client: aiosmtplib.SMTP | None = None
        is_taken = False
        progress = self._halfway.of(context.key)
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
                missing = [address for address in self._recipients if address not in progress.answers]
                refused = await self._converse(client, mail, missing)
                is_taken = True
        finally:
            if client is not None:
                await _part(client, politely=is_taken)
        self._settle(missing, refused, progress)
        self._halfway.forget(context.key)
        notes = [complaint] if complaint else []
        notes += [
            f"refused for {address}: {answer}" for address, answer in progress.answers.items() if answer
        ]
        return Receipt(id=receipt_of(mail, context, self._envelope), detail="; ".join(notes))

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
            return mail_of_alert(notice, templates, context, self._envelope)
        return mail_of_report(notice, context, self._envelope), ""

    async def _converse(
        self, client: "aiosmtplib.SMTP", mail: EmailMessage, recipients: list[str]
    ) -> Mapping[str, tuple[int, str]]:
        """The whole conversation up to the server's acceptance, if there is anybody whom it accepts.

        :return: the recipients that were refused, with the server's answers.
        """
        import aiosmtplib

        try:
            await client.connect()
            self._demand_encryption(client)
            if self._options.username is not None and self._options.password is not None:
                await client.login(self._options.username, self._options.password.get_secret_value())
            refused, _ = await client.sendmail(self._sender.addr_spec, recipients, mail.as_bytes(policy=WIRE))
        except aiosmtplib.SMTPRecipientsRefused as everybody:
            return {refusal.recipient: (refusal.code, refusal.message) for refusal in everybody.recipients}
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._failure(error) from None
        return refused

    def _settle(
        self, asked: Iterable[str], refused: Mapping[str, tuple[int, str]], progress: Progress
    ) -> None:
        """Note who has answered for good.

        :raises DeliveryError: for those who asked to be tried again, or because nobody takes it.
        """
        later: dict[str, str] = {}
        for address in asked:
            code, said = refused.get(address, (250, ""))
            words = self._tell(code, said)
            if code < 400:
                progress.answers[address] = ""
            elif _is_final(code):
                progress.answers[address] = words
            else:
                later[address] = words
        if later and progress.taken and progress.tries >= _MOST_TRIES:
            progress.answers |= {address: f"{words} (given up)" for address, words in later.items()}
        elif later:
            progress.tries += bool(progress.taken)
            pause = max(pause_in(words) for words in later.values())
            words = self._refused(later)
            if progress.taken:
                words = phrase(
                    "{refused}; taken for {n} of {most}", refused=words, n=progress.taken,
                    most=len(self._recipients),
                )  # fmt: skip
            raise DeliveryError(words, retry_after=pause)
        if not progress.taken:
            raise DeliveryError(self._refused(progress.answers), permanent=True)

    def _refused(self, recipients: Mapping[str, str]) -> str:
        """The first, what it was told, and how many more there are."""
        address, words = next(iter(recipients.items()))
        if len(recipients) == 1:
            return phrase(
                "{server} refused {address}: {said}", server=self._server, address=address, said=words
            )
        return phrase(
            "{server} refused {address} and {n} more: {said}", server=self._server, address=address, said=words,
            n=len(recipients) - 1,
        )  # fmt: skip

    def _demand_encryption(self, client: "aiosmtplib.SMTP") -> None:
        """Refuse to go on in clear where that was not asked for: somebody in between may have removed the offer."""
        has_login = self._options.username is not None
        is_demanded = self._options.starttls == "always" or (self._options.starttls == "auto" and has_login)
        if is_demanded and client.get_transport_info("sslcontext") is None:
            words = phrase(
                "{server} offers no encryption (STARTTLS); use smtps:// or another port; starttls: never sends in "
                "clear",
                server=self._server,
            )
            raise DeliveryError(words, permanent=True)

    def _failure(self, error: Exception) -> DeliveryError:
        import aiosmtplib

        for link in (error, error.__cause__):
            if isinstance(link, ssl.SSLCertVerificationError):
                return DeliveryError(
                    phrase(
                        "the certificate of {server} is not trusted ({why}); name its authority as ca_file, or write "
                        "the host as the certificate does",
                        server=self._server, why=link.verify_message,
                    )
                )  # fmt: skip
            if isinstance(link, socket.gaierror):
                is_final = link.errno != socket.EAI_AGAIN
                message = (
                    N_("host {host} not found") if is_final else N_("host {host} cannot be looked up now")
                )
                return DeliveryError(phrase(message, host=self._options.host))
        match error:
            case aiosmtplib.SMTPAuthenticationError(code=code, message=answer):
                words = phrase(
                    "{server} refused the login: {said}; check username and password", server=self._server,
                    said=self._tell(code, answer),
                )  # fmt: skip
                return DeliveryError(words, permanent=_is_final(code))
            case aiosmtplib.SMTPResponseException(code=code, message=answer):
                words = phrase("{server} refused: {said}", server=self._server, said=self._tell(code, answer))
                return DeliveryError(words, permanent=_is_final(code))
            case TimeoutError():
                return DeliveryError(phrase("{target} did not answer in time", target=self._server))
            case aiosmtplib.SMTPServerDisconnected():
                return DeliveryError(phrase("{server} cut the connection", server=self._server))
            case _:
                said = one_line(self._mask(str(error)), 200)
                return DeliveryError(
                    phrase("{server} cannot be used: {error}", server=self._server, error=said)
                )

    def _tell(self, code: int, answer: str) -> str:
        return one_line(self._mask(f"{code} {answer}" if code > 0 else answer), 200)


def pause_in(words: str) -> timedelta:
    """When to come back to a server that puts us off: as it says, within a quarter of an hour, or in half a minute."""
    found = _PAUSE.search(words)
    if found is None:
        return _GREY
    unit = timedelta(minutes=1) if found[2].lower().startswith("m") else timedelta(seconds=1)
    return max(min(int(found[1][:6]) * unit, _LONGEST_PAUSE), timedelta(seconds=1))


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

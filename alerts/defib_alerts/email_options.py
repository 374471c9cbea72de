"""Options of the e-mail channel: a mail server, and who writes to whom."""

from datetime import timedelta
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from defib.plugin import Duration, Options, Secret

_PORTS = {"smtp": 25, "smtps": 465}


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
    same_subject: bool = Field(
        default=False,
        description="Later mails of an incident repeat the subject of the first, for clients that group by subject",
    )
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
    def secrets(self) -> list[str]:
        """The password, and the forms in which a login sends it."""
        if self.username is None or self.password is None:
            return []
        password = self.password.get_secret_value()
        return [password, f"\0{self.username}\0{password}", f"{self.username}:{password}"]

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

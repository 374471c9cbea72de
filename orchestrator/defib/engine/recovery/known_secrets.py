"""The secrets of a configuration by their values, so that they can be kept out of what others say."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretBytes, SecretStr

from defib.model.settings import Settings

_LEAST = 4  #: characters; shorter ones would garble every text without hiding anything
_PASSWORD_WORD = re.compile(r"\bpassword\s*=\s*('(?:[^'\\]|\\.)*'|\S+)")


def secrets_of(settings: Settings) -> frozenset[str]:
    """Every secret of monitors, rungs, channels and Defib itself; of an address also its password alone."""
    found: set[str] = set()
    for spec in settings.monitors:
        found.update(secrets_in(spec.options))
        for rung in spec.recovery.ladder:
            found.update(secrets_in(rung.options))
    for channel in settings.channels:
        found.update(secrets_in(channel.options))
    found.add(settings.server.ingest.registration_key)
    if settings.observer.dead_man is not None:
        found.add(settings.observer.dead_man.url)
    found.update(_passwords(settings.store))
    return frozenset(secret for secret in found if len(secret) >= _LEAST)


def secrets_in(value: Any) -> Iterator[str]:
    """Every secret in options, and of an address also its password alone."""
    match value:
        case SecretStr():
            yield value.get_secret_value()
            yield from _passwords(value.get_secret_value())
        case SecretBytes():
            yield value.get_secret_value().decode(errors="replace")
        case BaseModel():
            for name in type(value).model_fields:
                yield from secrets_in(getattr(value, name))
        case dict():
            for below in value.values():
                yield from secrets_in(below)
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from secrets_in(item)


def _passwords(text: str) -> Iterator[str]:
    """The passwords in an address or in libpq's words."""
    try:
        password = urlsplit(text).password
    except ValueError:
        password = None
    if password:
        yield password
        yield unquote(password)
    for match in _PASSWORD_WORD.finditer(text):
        yield match[1].strip("'")

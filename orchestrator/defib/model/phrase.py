"""Sentences that know what they are made of, so that they can be said anew in another language. Pure.

A :class:`Said` is its English sentence, and may stand wherever a text does: in logs, in the store, in comparisons. Who
tells people of it finds the message and the values that it was filled with, and says the message in their language, the
values as that language writes them::

    phrase = Phrases("defib_ldap")
    phrase("no answer within {limit}, {n} times in a row", limit=Lapse(3), n=2)

A message is looked up in the catalogue of its package; what nobody has translated stays English.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from defib.model.options import format_duration


@dataclass(frozen=True, slots=True)
class Lapse:
    """A length of time: ``3s`` in English sentences, as the language writes it in others."""

    seconds: float

    @classmethod
    def of(cls, span: timedelta) -> "Lapse":
        return cls(span.total_seconds())

    def __str__(self) -> str:
        return format_duration(timedelta(seconds=self.seconds))


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant; the English sentence has it by a clock of its own, people have it by theirs."""

    at: datetime  #: aware
    zone: str = "UTC"  #: IANA name, of the English sentence's clock

    def __str__(self) -> str:
        zone = UTC if self.zone == "UTC" else ZoneInfo(self.zone)
        return self.at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


@dataclass(frozen=True, slots=True)
class Size:
    """An amount of bytes: ``52.4 MB``, three significant digits, decimal units."""

    count: float

    def __str__(self) -> str:
        size, unit = self.scaled
        return f"{size:.3g} {unit}"

    @property
    def scaled(self) -> tuple[float, str]:
        """The same in its unit."""
        count = self.count
        for unit in ("B", "kB", "MB", "GB"):
            if count < 999.5:
                return count, unit
            count /= 1000
        return count, "TB"


@dataclass(frozen=True, slots=True)
class Several:
    """A list of words or of clauses."""

    items: tuple[str, ...]
    separator: str = ", "  #: or ``"; "`` between clauses

    def __str__(self) -> str:
        return self.separator.join(self.items)


Value = str | int | float | Lapse | Moment | Size | Several
"""What a message may be filled with. A text is a foreign word, told as it is, unless it is a :class:`Said` itself."""


class Said(str):
    """A sentence that was filled in. Immutable."""

    __slots__ = ("message", "package", "values")

    message: str  #: in English, with places as :meth:`str.format_map` knows them
    values: Mapping[str, Value]
    package: str  #: an importable package, in whose catalogue the message stands

    def __new__(cls, message: str, values: Mapping[str, Value], package: str) -> "Said":
        made = super().__new__(cls, message.format_map(values))
        made.message, made.values, made.package = message, values, package
        return made

    def __copy__(self) -> "Said":
        return self

    def __deepcopy__(self, memo: object) -> "Said":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Said, (self.message, dict(self.values), self.package)


class Phrases:
    """Makes the sentences of one package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __call__(self, message: str, /, **values: Value) -> str:
        """``message`` filled in, as a :class:`Said`. Its places may hold a format: ``{share:.1f} %``."""
        return Said(message, values, self._package)


phrase = Phrases("defib")
"""What the kernel itself says."""


# --- stored beside the English ----------------------------------------------------------------------------------------


def made_of(text: str) -> dict[str, Any] | None:
    """What ``text`` is made of, as JSON; None for a text that does not know it."""
    if not isinstance(text, Said):
        return None
    return {
        "message": text.message, "package": text.package,
        "values": {name: _stored(value) for name, value in text.values.items()},
    }  # fmt: skip


def made_again(text: str, parts: Mapping[str, Any] | None) -> str:
    """The sentence ``text``, made of ``parts``; ``text`` as it is where they do not make it."""
    if parts is None:
        return text
    try:
        again = _said(parts)
    except (
        KeyError,
        ValueError,
        TypeError,
        OSError,
    ):  # written by another version, or of a zone that is gone
        return text
    return again if again == text else text


def glossary(texts: Iterable[str]) -> dict[str, Any]:
    """What each of ``texts`` is made of that knows it, by its English."""
    return {str(text): made_of(text) for text in texts if isinstance(text, Said)}


def _said(parts: Mapping[str, Any]) -> Said:
    values = {name: _value(value) for name, value in parts["values"].items()}
    return Said(parts["message"], values, parts["package"])


def _stored(value: Value) -> Any:
    match value:
        case Said():
            return {"said": made_of(value)}
        case Lapse(seconds=seconds):
            return {"span": seconds}
        case Moment(at=at, zone=zone):
            return {"moment": at.isoformat(), "zone": zone}
        case Size(count=count):
            return {"size": count}
        case Several(items=items, separator=separator):
            return {"several": [_stored(item) for item in items], "separator": separator}
        case plain:
            return plain


def _value(stored: Any) -> Value:
    match stored:
        case {"said": parts}:
            return _said(parts)
        case {"span": seconds}:
            return Lapse(seconds)
        case {"moment": at, "zone": zone}:
            return Moment(datetime.fromisoformat(at), zone)
        case {"size": count}:
            return Size(count)
        case {"several": items, "separator": separator}:
            return Several(tuple(_text(item) for item in items), separator)
        case str() | int() | float():
            return stored
        case _:
            raise ValueError(f"no value of a sentence: {stored!r}")


def _text(stored: Any) -> str:
    value = _value(stored)
    if not isinstance(value, str):
        raise ValueError(f"no text: {stored!r}")
    return value

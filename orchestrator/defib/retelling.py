"""Sentences of any package in the readers' language, their figures and instants as these write them."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime

from defib.engine_words import spoken
from defib.languages import Catalogue, catalogue
from defib.model.phrase import Lapse, Moment, Said, Several, Size, Value

Clock = Callable[[datetime], str]
"""An instant as the readers' clock shows it."""


def retell(text: str, words: Catalogue, clock: Clock | None = None) -> str:
    """``text`` in the language of ``words``; as it is where it neither knows what it is made of nor is the engine's.

    :param clock: for the instants in it; by default the day and the time in UTC.
    """
    if not isinstance(text, Said):
        return spoken(text, words)
    return _Retelling(words, clock or (lambda at: words.instant(at.astimezone(UTC)))).text(text)


class _Retelling:
    def __init__(self, words: Catalogue, clock: Clock) -> None:
        self._words = words
        self._clock = clock

    def text(self, text: str) -> str:
        if not isinstance(text, Said):
            return str(text)
        message = self._catalogue(text.package).gettext(text.message)
        return message.format_map({name: self._value(value) for name, value in text.values.items()})

    def _catalogue(self, package: str) -> Catalogue:
        """The package's; nobody's where it is not installed any more. What the store names is not imported for that."""
        if not package.isidentifier() and package not in sys.modules:
            return self._words
        try:
            return catalogue(package, self._words.language)
        except ModuleNotFoundError:
            return self._words

    def _value(self, value: Value) -> object:
        match value:
            case str():
                return self.text(value)
            case Lapse(seconds=seconds):
                return self._words.span(seconds)
            case Moment(at=at):
                return self._clock(at)
            case Size() as size:
                count, unit = size.scaled
                return f"{_Figure(count, self._words):.3g} {unit}"
            case Several(items=items, separator=separator):
                told = map(self.text, items)
                return self._words.clauses(told) if separator.startswith(";") else self._words.listed(told)
            case float():
                return _Figure(value, self._words)
            case _:
                return value


class _Figure(float):
    """A number whose formats are those of a language."""

    def __new__(cls, value: float, words: Catalogue) -> "_Figure":
        made = super().__new__(cls, value)
        made._words = words
        return made

    _words: Catalogue

    def __format__(self, spec: str) -> str:
        english = format(float(self), spec)
        whole, _, decimals = english.partition(".")
        if not (whole.removeprefix("-") + decimals).isdecimal():
            return english
        return self._words.number(float(english), len(decimals))

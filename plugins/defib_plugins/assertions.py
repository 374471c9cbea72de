"""A small language of expectations, used on JSON answers, on query results and on text.

A *condition* is an operator and a value: ``== "ok"``, ``!= 0``, ``< 100``, ``<= 1.5``, ``> 0``, ``>= 3``,
``contains ready``. Without an operator it is equality. Values are JSON; what is not JSON is text as it stands.
``<`` and its like compare numbers only; ``contains`` looks for text in text, for an item in a list, for a
key in an object.

A *path* names one place of a JSON document: ``$`` is the document, ``.key`` or ``["any key"]`` goes into an
object, ``[0]`` into a list (negative from its end): ``$.checks[0]["db:latency"].status``.

A *text pattern* is part of the text, or ``/a regular expression/`` that must match somewhere in it.
"""

import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from defib_plugins.display import clip
from defib_plugins.phrases import phrase

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CONDITION = re.compile(r"\s*(==|!=|<=|>=|<|>|contains\b)?\s*(.*?)\s*", re.DOTALL)
_STEP = re.compile(r"""\.([\w-]+)|\[(-?\d+)\]|\["((?:[^"\\]|\\.)*)"\]|\['([^']*)'\]""")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Condition:
    """An operator and the value it compares with."""

    source: str  #: as written
    operator: str
    literal: Any  #: parsed as JSON where it is JSON
    text: str  #: the value as written

    def is_met_by(self, actual: object) -> bool:
        match self.operator:
            case "==":
                return self._equals(actual)
            case "!=":
                return not self._equals(actual)
            case "contains":
                return self._is_in(actual)
            case order:
                return _is_number(actual) and _ORDERS[order](actual, self.literal)

    def _equals(self, actual: object) -> bool:
        if isinstance(actual, bool) is not isinstance(self.literal, bool):  # 1 is not true here
            return actual == self.text
        return bool(actual == self.literal) or (isinstance(actual, str) and actual == self.text)

    def _is_in(self, actual: object) -> bool:
        match actual:
            case str():
                return (self.literal if isinstance(self.literal, str) else self.text) in actual
            case list():
                return any(self._equals(item) for item in actual)
            case dict():
                return self.literal in actual or self.text in actual
            case _:
                return False


def parse_condition(value: object) -> Condition:
    """A condition from what stands in the configuration; anything but text stands for equality with itself.

    :raises ValueError: with an example to follow.
    """
    if isinstance(value, Condition):
        return value
    if not isinstance(value, str):
        if value is None or isinstance(value, bool | int | float):
            return Condition(json.dumps(value), "==", value, json.dumps(value))
        raise ValueError(
            f"{value!r} is not a condition; write for example ok, 5, '< 100' or 'contains ready'"
        )
    found = _CONDITION.fullmatch(value)
    sign, text = (found[1] or "==", found[2]) if found else ("==", value)
    try:
        literal = json.loads(text)
    except ValueError:
        literal = text
    if sign in _ORDERS and not _is_number(literal):
        raise ValueError(f"{value!r} compares with no number; write for example '{sign} 100'")
    if found and found[1] and not text:
        raise ValueError(f"{value!r} compares with nothing; write for example '== ok'")
    return Condition(value, sign, literal, text)


@dataclass(frozen=True, slots=True)
class JsonPath:
    """The way to one place of a JSON document."""

    source: str
    steps: tuple[str | int, ...]

    def look_up(self, document: object) -> object:
        """What stands there.

        :raises LookupError: nothing does; the message names the first step that is missing.
        """
        current = document
        for step in self.steps:
            current = _step_into(current, step)
            if current is _MISSING:
                raise LookupError(
                    phrase("nothing at {path} ({step} is missing)", path=self.source, step=repr(step))
                )
        return current


def parse_path(text: str) -> JsonPath:
    """:raises ValueError: with an example to follow."""
    position = 1
    steps: list[str | int] = []
    while text.startswith("$") and position < len(text) and (step := _STEP.match(text, position)):
        key, index, quoted, single = step.groups()
        if index is not None:
            steps.append(int(index))
        elif quoted is not None:
            steps.append(json.loads(f'"{quoted}"'))
        else:
            steps.append(key if key is not None else single)
        position = step.end()
    if not text.startswith("$") or position != len(text):
        raise ValueError(
            f"{text!r} is not a path into a JSON document; write for example $.queue.depth or $.items[0].id"
        )
    return JsonPath(text, tuple(steps))


@dataclass(frozen=True, slots=True)
class JsonAssertion:
    """What must stand at one place of a JSON document."""

    path: JsonPath
    condition: Condition

    def complaint(self, document: object) -> str | None:
        """What is wrong, in one line; None when all is well."""
        try:
            actual = self.path.look_up(document)
        except LookupError as error:
            missing: str = error.args[0]
            return missing
        if self.condition.is_met_by(actual):
            return None
        return phrase(
            "{path} is {value}, expected {wanted}", path=self.path.source, value=shorten(actual),
            wanted=self.condition.source,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextPattern:
    """What a text must contain."""

    source: str
    expression: re.Pattern[str] | None  #: None: plain text

    def is_in(self, text: str) -> bool:
        return self.source in text if self.expression is None else self.expression.search(text) is not None


def parse_pattern(value: object) -> TextPattern:
    """:raises ValueError: the regular expression is wrong, or there is nothing to look for."""
    if isinstance(value, TextPattern):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError(
            "write text to look for, or a regular expression between slashes such as /ready|idle/"
        )
    if len(value) < 3 or not (value.startswith("/") and value.endswith("/")):
        return TextPattern(value, None)
    try:
        return TextPattern(value, re.compile(value[1:-1]))
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from error


def shorten(actual: object) -> str:
    """A JSON value for people, bounded."""
    return clip(json.dumps(actual, ensure_ascii=False, default=str), 80)


def _parse_assertions(value: object) -> tuple[JsonAssertion, ...]:
    if isinstance(value, tuple):
        return value
    if not isinstance(value, dict):
        raise ValueError("""write paths with their conditions, such as {"$.queue.depth": "< 100"}""")
    return tuple(
        JsonAssertion(parse_path(str(path)), parse_condition(condition)) for path, condition in value.items()
    )


def _step_into(value: object, step: str | int) -> object:
    match value, step:
        case dict(), str():
            return value.get(step, _MISSING)
        case list(), int() if -len(value) <= step < len(value):
            return value[step]
        case _:
            return _MISSING


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CONDITION_SCHEMA = {
    "type": ["string", "number", "boolean", "null"],
    "examples": ["ok", 5, "< 100", "contains ready"],
}

ConditionOption = Annotated[
    Condition,
    BeforeValidator(parse_condition),
    PlainSerializer(lambda condition: condition.source, return_type=str),
    WithJsonSchema(_CONDITION_SCHEMA),
]
"""A condition as users write it."""

PatternOption = Annotated[
    TextPattern,
    BeforeValidator(parse_pattern),
    PlainSerializer(lambda pattern: pattern.source, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["ready", "/ready|idle/"]}),
]
"""A text pattern as users write it."""

JsonAssertions = Annotated[
    tuple[JsonAssertion, ...],
    BeforeValidator(_parse_assertions),
    PlainSerializer(
        lambda parsed: {item.path.source: item.condition.source for item in parsed},
        return_type=dict[str, str],
    ),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": _CONDITION_SCHEMA,
            "examples": [{"$.queue.depth": "< 100"}],
        }
    ),
]
"""Paths with their conditions as users write them; all must hold."""

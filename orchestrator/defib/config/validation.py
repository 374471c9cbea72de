"""Pydantic's errors, translated into mistakes at their place in the file."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError

from defib.config.findings import Findings, nearest, remedy
from defib.config.nodes import ListNode, MapNode, Scalar, Spot, Trail, is_broken, plain

M = TypeVar("M", bound=BaseModel)

_WANTED = {
    # how a pydantic error type begins: what must be there instead, and how that is written
    "string": ("text", ""),
    "int": ("a whole number", ""),
    "float": ("a number", ""),
    "decimal": ("a number", ""),
    "bool": ("true or false", ""),
    "list": ("a list", "[first, second]"),
    "tuple": ("a list", "[first, second]"),
    "set": ("a list", "[first, second]"),
    "frozen_set": ("a list", "[first, second]"),
    "dict": ("a mapping", "lines of 'key: value' below it"),
    "model": ("a mapping", "lines of 'key: value' below it"),
    "mapping": ("a mapping", "lines of 'key: value' below it"),
}
_TYPE_ERROR = re.compile(
    rf"(?P<wanted>{'|'.join(_WANTED)})_(?:type|parsing|from_float|parsing_size|attributes_type|sub_type)"
)
_AIMED = re.compile(r"(?P<keys>[a-z]\w*(?:\.\w+)*): (?P<rest>.+)")
_CHOICE = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class _Problem:
    """One error of pydantic, found again in the tree."""

    spot: Spot  #: its path includes a missing key
    message: str
    wanted: str = ""  #: for errors of type: ``a whole number``
    in_branch: bool = False  #: one of several forms that a value may take was tried


def validate(
    model: type[M],
    spot: Spot,
    findings: Findings,
    *,
    beside: Collection[str] = (),
    elsewhere: Collection[str] = (),
) -> M | None:
    """``spot`` as a ``model``; None after mistakes. An empty spot is an empty mapping.

    :param beside: keys that are valid at the same level though not of this model, for suggestions.
    :param elsewhere: keys whose absence is reported by somebody who knows more.
    """
    value = {} if spot.is_empty else plain(spot.node)
    if not isinstance(value, dict) and not is_broken(spot.node):
        findings.mistake(spot, _must_be("a mapping", "lines of 'key: value' below it"))
    if not isinstance(value, dict):
        return None
    try:
        instance = model.model_validate(value)
    except ValidationError as error:
        _report(error, model, spot, findings, beside, elsewhere)
        return None
    except Exception as error:  # noqa: BLE001 - a plugin's validator may raise anything; its text may hold a secret
        findings.cause = error
        message = f"cannot be checked: the schema fails with {type(error).__name__}; --debug shows where"
        findings.mistake(spot, message)
        return None
    return None if findings.has_mistakes and is_broken(spot.node) else instance


def _report(
    error: ValidationError,
    model: type[BaseModel],
    spot: Spot,
    findings: Findings,
    beside: Collection[str],
    elsewhere: Collection[str],
) -> None:
    """Add a mistake for everything that ``error`` says about ``model`` at ``spot``."""
    problems = [
        problem
        for item in error.errors(include_url=False, include_input=False)
        if not (item["type"] == "missing" and item["loc"] in [(key,) for key in elsewhere])
        if (problem := _problem(item, model, spot, beside)) is not None
    ]
    for path in dict.fromkeys(problem.spot.path for problem in problems):
        at_path = [problem for problem in problems if problem.spot.path == path]
        if all(problem.in_branch for problem in at_path) and _goes_deeper(problems, path):
            continue  # another form of the value fits better, and has mistakes of its own
        findings.mistake(at_path[0].spot, _combined(at_path))


def _goes_deeper(problems: list[_Problem], path: Trail) -> bool:
    return any(
        len(other.spot.path) > len(path) and other.spot.path[: len(path)] == path for other in problems
    )


def _combined(problems: list[_Problem]) -> str:
    """One message of what the forms of one value each say."""
    if len(problems) == 1:
        return problems[0].message
    for problem in problems:
        if not problem.wanted:
            return problem.message
    return f"must be {' or '.join(dict.fromkeys(problem.wanted for problem in problems))}"


def _problem(
    item: Mapping[str, Any], model: type[BaseModel], spot: Spot, beside: Collection[str]
) -> _Problem | None:
    """Find the place of one pydantic error, and its words; None where a mistake was reported before."""
    kind: str = item["type"]
    loc: tuple[str | int, ...] = item["loc"]
    if kind == "missing":
        loc, missing = loc[:-1], str(loc[-1])
    here, in_branch = spot, False
    for part in loc:
        child = here.child(part)
        if child is None:
            in_branch = True  # pydantic names the branch of a union, or the index within a lone value
        else:
            here = child
    if kind == "missing":
        parent = here.path[len(spot.path) :]
        description = _properties(model, parent).get(missing, {}).get("description", "")
        message = f"is missing; {_lower(description)}" if description else "is missing"
        return _Problem(
            Spot(Scalar(None, here.place, ""), (*here.path, missing), here.place), message, "", in_branch
        )
    if kind == "extra_forbidden":
        inside = here.path[len(spot.path) : -1]
        known = [*_properties(model, inside), *(beside if not inside else ())]
        return _Problem(
            here, f"unknown key; {remedy(str(here.path[-1]), known, plural='keys')}", "", in_branch
        )
    if is_broken(here.node):
        return None
    if here.is_empty:
        return _Problem(here, "is empty; write a value, or remove the key", "", in_branch)
    if match := _TYPE_ERROR.fullmatch(kind):
        wanted, example = _WANTED[match["wanted"]]
        return _Problem(here, _wrong_type(here, wanted, example), wanted, in_branch)
    here, words = aimed(here, _words(item, here))
    return _Problem(here, words, "", in_branch)


def _wrong_type(spot: Spot, wanted: str, example: str) -> str:
    """The value itself is not shown: it may be a password that looks like a number."""
    node = spot.node
    if isinstance(node, MapNode | ListNode):
        given = "a list" if isinstance(node, ListNode) else "a mapping"
        return _must_be(f"{wanted}, not {given}" if given != wanted else wanted, example)
    if wanted == "text" and not isinstance(node.value, str):
        sort = "true or false" if isinstance(node.value, bool) else "a number"
        return f"must be text, but is read as {sort}; put it in quotes"
    return _must_be(wanted, example)


def _must_be(wanted: str, example: str) -> str:
    return f"must be {wanted}; write {example}" if example else f"must be {wanted}"


def _words(item: Mapping[str, Any], spot: Spot) -> str:
    context: Mapping[str, Any] = item.get("ctx", {})
    if isinstance(own := context.get("error"), Exception):
        return one_line(own)
    if item["type"] in ("literal_error", "enum"):
        choice = f"must be {context['expected']}"
        choices = _CHOICE.findall(str(context["expected"]))
        near = nearest(str(spot.node.value), choices) if isinstance(spot.node, Scalar) else None
        return f"{choice}; did you mean {near!r}?" if near else choice
    message: str = item["msg"].replace(" after validation", "")
    return re.sub(r"^(?:Input|Value|String|List|Set|Frozenset|Tuple|Dictionary) should ", "must ", message)


def aimed(spot: Spot, message: str) -> tuple[Spot, str]:
    """Where ``message`` points: one that begins with a key below ``spot`` (``every: must be …``) is about that key."""
    match = _AIMED.fullmatch(message)
    if match is None:
        return spot, message
    here = spot
    for part in match["keys"].split("."):
        child = here.child(part)
        if child is None:
            return spot, message
        here = child
    return here, match["rest"]


def one_line(error: Exception) -> str:
    """The text of an error, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _lower(description: str) -> str:
    """A description as the second half of a sentence: without its capital, unless that is an abbreviation."""
    is_abbreviation = description[:2].isupper() and description[1:2] != " "
    if not is_abbreviation:
        description = description[:1].lower() + description[1:]
    return description.rstrip(".")


@lru_cache(maxsize=256)
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    try:
        return model.model_json_schema()
    except PydanticUserError:  # a type of the plugin's own without a schema; suggestions do without
        return {}


def _properties(model: type[BaseModel], inside: Trail) -> dict[str, Any]:
    """The keys that ``model`` allows at the path ``inside``, with their schemas."""
    root = _schema(model)
    found = [root]
    for part in inside:
        found = [below for schema in found for form in _forms(schema, root) for below in _below(form, part)]
    properties: dict[str, Any] = {}
    for schema in found:
        for form in _forms(schema, root):
            properties.update(form.get("properties", {}))
    return properties


def _forms(schema: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    """``schema`` with its reference followed and its alternatives taken apart."""
    if "$ref" in schema:
        return _forms(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    alternatives = [form for key in ("anyOf", "oneOf", "allOf") for form in schema.get(key, ())]
    return [schema, *(form for alternative in alternatives for form in _forms(alternative, root))]


def _below(schema: dict[str, Any], part: str | int) -> list[dict[str, Any]]:
    if isinstance(part, int):
        candidates = [schema.get("items")]
    else:
        candidates = [schema.get("properties", {}).get(part) or schema.get("additionalProperties")]
    return [candidate for candidate in candidates if isinstance(candidate, dict)]

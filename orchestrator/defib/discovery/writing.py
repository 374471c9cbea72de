"""YAML as a person would write it: aligned, in one line where it fits, quoted where it must be."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping

from defib.discovery.finding import Value

WIDTH = 100
_PLAIN = re.compile(
    r"[A-Za-z/][A-Za-z0-9_./@%+=-]*(?: [A-Za-z0-9]+)*"  # words and paths
    r"|[a-z]+:///?[A-Za-z0-9_./@%+=:-]*[A-Za-z0-9_/-]"  # addresses
    r"|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9]+(?:ms|s|m|h|d|%)"  # 127.0.0.1, 5m, 90%
)
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def block(mapping: Mapping[str, Value], indent: int) -> Iterator[str]:
    """The lines of ``key: value``; a value that does not fit into its line gets lines of its own."""
    margin = " " * indent
    for key, value in mapping.items():
        line = f"{margin}{key}: {flow(value)}"
        if isinstance(value, str | int) or (len(line) <= WIDTH and key != "recovery"):
            yield line
        else:
            yield f"{margin}{key}:"
            yield from _below(value, indent + 2)


def flow(value: Value) -> str:
    """``value`` in one line."""
    if isinstance(value, str):
        return scalar(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(map(flow, value)) + "]"


def scalar(text: str) -> str:
    """Text plain or in double quotes, so that no reader of YAML takes it for anything but text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)


def comment(text: str, indent: int = 0) -> Iterator[str]:
    """Lines of a comment. Whatever ``text`` holds, it stays one: names from outside may be in it."""
    margin = " " * indent
    yield from textwrap.wrap(
        printable(text), WIDTH, initial_indent=f"{margin}# ", subsequent_indent=f"{margin}# ",
        break_on_hyphens=False,
    )  # fmt: skip


def printable(text: str) -> str:
    """``text`` in one line, with nothing in it that a terminal or a parser would take for an order."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _below(value: Value, indent: int) -> Iterator[str]:
    margin = " " * indent
    if isinstance(value, Mapping):
        yield from block(value, indent)
    elif not isinstance(value, str | int):
        for item in value:
            if isinstance(item, Mapping):
                first, *rest = block(item, indent + 2)
                yield f"{margin}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{margin}- {flow(item)}"

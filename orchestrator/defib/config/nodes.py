"""The tree of a configuration: plain values that know where they were written."""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

Value = str | int | float | bool | None
Trail = tuple[str | int, ...]
"""The way from the root to a node: ``("monitors", 3, "url")``."""


class Place(NamedTuple):
    """A position in a file, from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Mask(NamedTuple):
    """A text that must not be shown, and what is shown instead."""

    text: str
    shown: str  #: the reference it came from: ``${SMTP_PASSWORD}``


@dataclass(frozen=True, slots=True)
class Scalar:
    value: Value
    place: Place
    text: str  #: as written, without quotes
    is_quoted: bool = False
    masks: tuple[Mask, ...] = ()  #: parts of the value that came from outside the file
    is_broken: bool = False  #: a mistake about it was found already; say nothing more

    @property
    def size(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class ListNode:
    items: tuple["Node", ...]
    place: Place
    size: int  #: number of values in it, with aliases written out


class Entry(NamedTuple):
    """One key of a mapping."""

    place: Place  #: of the key
    node: "Node"


@dataclass(frozen=True, slots=True)
class MapNode:
    entries: dict[str, Entry]
    place: Place
    size: int


Node = Scalar | ListNode | MapNode


@dataclass(frozen=True, slots=True)
class Spot:
    """A node, the way to it, and the place where a mistake about it is shown (its key, if it has one)."""

    node: Node
    path: Trail
    place: Place

    @property
    def is_empty(self) -> bool:
        """Nothing was written behind the key."""
        return isinstance(self.node, Scalar) and self.node.value is None and not self.node.is_broken

    @property
    def text(self) -> str | None:
        """The value, if it is text."""
        value = self.node.value if isinstance(self.node, Scalar) else None
        return value if isinstance(value, str) else None

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, MapNode)

    def child(self, part: str | int) -> "Spot | None":
        """The spot one step further down, if it exists."""
        if isinstance(self.node, MapNode):
            entry = self.node.entries.get(str(part))
            return Spot(entry.node, (*self.path, str(part)), entry.place) if entry else None
        if isinstance(self.node, ListNode) and isinstance(part, int) and 0 <= part < len(self.node.items):
            item = self.node.items[part]
            return Spot(item, (*self.path, part), item.place)
        return None

    def get(self, key: str) -> "Spot | None":
        """As :meth:`child`, but a key with nothing behind it counts as absent."""
        child = self.child(key)
        return None if child is None or child.is_empty else child

    def children(self) -> "Iterator[Spot]":
        """The spots of a list or a mapping, in order."""
        if isinstance(self.node, MapNode):
            for key, entry in self.node.entries.items():
                yield Spot(entry.node, (*self.path, key), entry.place)
        elif isinstance(self.node, ListNode):
            for index, item in enumerate(self.node.items):
                yield Spot(item, (*self.path, index), item.place)

    def keys(self) -> Collection[str]:
        return self.node.entries.keys() if isinstance(self.node, MapNode) else ()

    def only(self, wanted: Callable[[str], bool]) -> "Spot":
        """The same mapping with the wanted keys alone; anything else stays as it is."""
        if not isinstance(self.node, MapNode):
            return self
        entries = {key: entry for key, entry in self.node.entries.items() if wanted(key)}
        return replace(self, node=replace(self.node, entries=entries))


def plain(node: Node) -> Any:
    """The bare value, without places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {key: plain(entry.node) for key, entry in node.entries.items()}


def scalars(node: Node) -> Iterator[Scalar]:
    """Every scalar below ``node``, itself included."""
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from scalars(item)
    else:
        for entry in node.entries.values():
            yield from scalars(entry.node)


def is_broken(node: Node) -> bool:
    """Something below ``node`` could not be read; what is made of it says nothing more."""
    return any(scalar.is_broken for scalar in scalars(node))


def format_path(path: Trail) -> str:
    """For people: ``monitors[3].recovery[0].systemd.unit``; unusual keys are quoted in brackets."""
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif part.replace("-", "_").isidentifier():
            parts.append(f".{part}" if parts else part)
        else:
            parts.append(f"[{json.dumps(part, ensure_ascii=False)}]")
    return "".join(parts)

"""One YAML text → one tree of nodes.

Built from the parser's events instead of PyYAML's constructors: nothing but plain values can come of it, each
with its place, and nesting and aliases are bounded before they cost anything.
"""

from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)  # fmt: skip

from defib.config import syntax
from defib.config.findings import Findings
from defib.config.nodes import Entry, ListNode, MapNode, Node, Place, Scalar, Trail
from defib.config.scalars import resolve

MAX_DEPTH = 50
MAX_SIZE = 1_000_000
"""Values in one file with all aliases written out: a few lines of nested aliases can stand for billions."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    f"{_TAG}int": (int,), f"{_TAG}float": (float, int), f"{_TAG}bool": (bool,), f"{_TAG}null": (type(None),),
}  # fmt: skip


class Unreadable(Exception):
    """The rest of the text cannot be read; a mistake says why."""

    def __init__(self, place: Place, path: Trail, message: str) -> None:
        self.place, self.path, self.message = place, path, message
        super().__init__(message)


def read(text: str, file: str, findings: Findings) -> Node | None:
    """Parse ``text``.

    :param file: its name in mistakes.
    :return: None after a mistake that leaves nothing to work with.
    """
    try:
        loader = _LOADER(text)
        try:
            return _Builder(loader, file, findings).document()
        finally:
            loader.dispose()
    except Unreadable as error:
        findings.mistake_at(error.place, error.path, error.message)
    except yaml.YAMLError as error:
        place, message = syntax.explain(error, text, file)
        findings.mistake_at(place, (), message)
    return None


class _Builder:
    """Turns events into nodes, recursively; one instance per text."""

    def __init__(self, loader: Any, file: str, findings: Findings) -> None:
        self._loader = loader
        self._file = file
        self._findings = findings
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node:
        self._loader.get_event()  # the stream's start
        if isinstance(self._loader.peek_event(), StreamEndEvent):
            return Scalar(None, Place(self._file, 1, 1), "")
        self._loader.get_event()  # the document's start
        root = self._node((), 0)
        self._loader.get_event()  # its end
        following = self._loader.get_event()
        if isinstance(following, DocumentStartEvent):
            raise Unreadable(
                self._place(following),
                (),
                "a second document begins here; use several files in a folder instead",
            )
        return root

    def _node(self, path: Trail, depth: int) -> Node:
        event = self._loader.get_event()
        place = self._place(event)
        if depth > MAX_DEPTH:
            raise Unreadable(place, path, f"is nested more than {MAX_DEPTH} levels deep")
        node: Node
        match event:
            case AliasEvent():
                if event.anchor not in self._anchors:
                    raise Unreadable(
                        place,
                        path,
                        f"alias *{event.anchor} has no anchor &{event.anchor} that ends before it",
                    )
                return self._anchors[event.anchor]
            case ScalarEvent():
                node = self._scalar(event, place, path)
            case SequenceStartEvent():
                node = self._list(event, place, path, depth)
            case _:
                node = self._map(event, place, path, depth)
        if node.size > MAX_SIZE:
            raise Unreadable(place, path, f"its aliases stand for more than {MAX_SIZE:,} values")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: ScalarEvent, place: Place, path: Trail) -> Scalar:
        text, tag = event.value, event.tag
        if event.implicit[0]:
            return Scalar(resolve(text), place, text)
        if tag in (None, "!", f"{_TAG}str"):
            return Scalar(text, place, text, is_quoted=True)
        if tag in _SCALAR_TAGS:
            value = resolve(text)
            if type(value) in _SCALAR_TAGS[tag]:
                return Scalar(value, place, text)
            self._findings.mistake_at(
                place, path, f"is no {tag.removeprefix(_TAG)}, as its tag says; remove the tag"
            )
        else:
            self._refuse_tag(tag, place, path)
        return Scalar(None, place, text, is_broken=True)

    def _list(self, event: SequenceStartEvent, place: Place, path: Trail, depth: int) -> ListNode:
        if event.tag not in (None, "!", f"{_TAG}seq"):
            self._refuse_tag(event.tag, place, path)
        items: list[Node] = []
        while not isinstance(self._loader.peek_event(), SequenceEndEvent):
            items.append(self._node((*path, len(items)), depth + 1))
        self._loader.get_event()
        return ListNode(tuple(items), place, 1 + sum(item.size for item in items))

    def _map(self, event: MappingStartEvent, place: Place, path: Trail, depth: int) -> MapNode:
        if event.tag not in (None, "!", f"{_TAG}map"):
            self._refuse_tag(event.tag, place, path)
        entries: dict[str, Entry] = {}
        merged: list[MapNode] = []
        while not isinstance(self._loader.peek_event(), MappingEndEvent):
            key_event = self._loader.get_event()
            key_place = self._place(key_event)
            if not isinstance(key_event, ScalarEvent):
                raise Unreadable(
                    key_place, path, "a key must be plain text; quote values that begin with { or [ or *"
                )
            key = key_event.value
            node = self._node((*path, key), depth + 1)
            if key == "<<" and key_event.implicit[0]:
                merged.extend(self._merge_sources(node, key_place, (*path, key)))
            elif key in entries:
                first = entries[key].place.line
                self._findings.mistake_at(
                    key_place, (*path, key), f"is given twice; the first is in line {first}"
                )
            else:
                entries[key] = Entry(key_place, node)
        self._loader.get_event()
        for source in merged:
            for key, entry in source.entries.items():
                entries.setdefault(key, entry)
        return MapNode(entries, place, 1 + sum(entry.node.size for entry in entries.values()))

    def _merge_sources(self, node: Node, place: Place, path: Trail) -> list[MapNode]:
        """The mappings that ``<<`` draws in; keys of the earlier ones win."""
        found = node.items if isinstance(node, ListNode) else (node,)
        sources = [source for source in found if isinstance(source, MapNode)]
        if len(sources) < len(found):
            self._findings.mistake_at(place, path, "must name a mapping, such as *anchor, or a list of them")
        return sources

    def _refuse_tag(self, tag: str, place: Place, path: Trail) -> None:
        shown = tag.replace(_TAG, "!!")
        self._findings.mistake_at(place, path, f"the tag {shown} means nothing here; remove it")

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

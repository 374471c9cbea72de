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
        self._path: list[str | int] = []  #: of the node being read

    def document(self) -> Node:
        self._loader.get_event()  # the stream's start
        if isinstance(self._loader.get_event(), StreamEndEvent):
            return Scalar(None, Place(self._file, 1, 1), "")
        root = self._node(self._loader.get_event())
        self._loader.get_event()  # the document's end
        following = self._loader.get_event()
        if isinstance(following, DocumentStartEvent):
            raise self._unreadable(
                following, "a second document begins here; use several files in a folder instead"
            )
        return root

    def _node(self, event: Any) -> Node:
        if len(self._path) > MAX_DEPTH:
            raise self._unreadable(event, f"is nested more than {MAX_DEPTH} levels deep")
        node: Node
        match event:
            case ScalarEvent():
                node = self._scalar(event)
            case AliasEvent():
                if event.anchor not in self._anchors:
                    raise self._unreadable(
                        event, f"alias *{event.anchor} has no anchor &{event.anchor} that ends before it"
                    )
                return self._anchors[event.anchor]
            case SequenceStartEvent():
                node = self._list(event)
            case _:
                node = self._map(event)
        if node.size > MAX_SIZE:
            raise self._unreadable(event, f"its aliases stand for more than {MAX_SIZE:,} values")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: ScalarEvent) -> Scalar:
        text, tag, place = event.value, event.tag, self._place(event)
        if event.implicit[0]:
            return Scalar(resolve(text), place, text)
        if tag in (None, "!", f"{_TAG}str"):
            return Scalar(text, place, text, is_quoted=True)
        if tag not in _SCALAR_TAGS:
            self._refuse_tag(event)
        elif type(value := resolve(text)) in _SCALAR_TAGS[tag]:
            return Scalar(value, place, text)
        else:
            self._mistake(event, f"is no {tag.removeprefix(_TAG)}, as its tag says; remove the tag")
        return Scalar(None, place, text, is_broken=True)

    def _list(self, event: SequenceStartEvent) -> ListNode:
        if event.tag not in (None, "!", f"{_TAG}seq"):
            self._refuse_tag(event)
        items: list[Node] = []
        size = 1
        while not isinstance(following := self._loader.get_event(), SequenceEndEvent):
            self._path.append(len(items))
            node = self._node(following)
            self._path.pop()
            items.append(node)
            size += node.size
        return ListNode(tuple(items), self._place(event), size)

    def _map(self, event: MappingStartEvent) -> MapNode:
        if event.tag not in (None, "!", f"{_TAG}map"):
            self._refuse_tag(event)
        entries: dict[str, Entry] = {}
        merged: list[MapNode] = []
        while not isinstance(key_event := self._loader.get_event(), MappingEndEvent):
            if not isinstance(key_event, ScalarEvent):
                raise self._unreadable(
                    key_event, "a key must be plain text; quote values that begin with { or [ or *"
                )
            key = key_event.value
            self._path.append(key)
            node = self._node(self._loader.get_event())
            if key == "<<" and key_event.implicit[0]:
                merged.extend(self._merge_sources(node, key_event))
            elif key in entries:
                self._mistake(key_event, f"is given twice; the first is in line {entries[key].place.line}")
            else:
                entries[key] = Entry(self._place(key_event), node)
            self._path.pop()
        for source in merged:
            for key, entry in source.entries.items():
                entries.setdefault(key, entry)
        size = 1
        for entry in entries.values():
            size += entry.node.size
        return MapNode(entries, self._place(event), size)

    def _merge_sources(self, node: Node, key_event: ScalarEvent) -> list[MapNode]:
        """The mappings that ``<<`` draws in; keys of the earlier ones win."""
        found = node.items if isinstance(node, ListNode) else (node,)
        sources = [source for source in found if isinstance(source, MapNode)]
        if len(sources) < len(found):
            self._mistake(key_event, "must name a mapping, such as *anchor, or a list of them")
        return sources

    def _refuse_tag(self, event: Any) -> None:
        self._mistake(event, f"the tag {event.tag.replace(_TAG, '!!')} means nothing here; remove it")

    def _mistake(self, event: Any, message: str) -> None:
        self._findings.mistake_at(self._place(event), tuple(self._path), message)

    def _unreadable(self, event: Any, message: str) -> Unreadable:
        return Unreadable(self._place(event), tuple(self._path), message)

    def _place(self, event: Any) -> Place:
        mark = event.start_mark
        return Place(self._file, mark.line + 1, mark.column + 1)

"""``${NAME}``, ``${NAME:-default}`` and ``${file:/run/secrets/x}`` inside text values.

They are resolved after the YAML was parsed, so that whatever stands in a variable or a file is text and never
structure. ``$$`` writes a dollar sign; a ``$`` before anything but ``{`` and ``$`` stands for itself.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from defib.config.findings import Findings
from defib.config.nodes import Entry, ListNode, MapNode, Mask, Node, Scalar, Spot

MAX_FILE_BYTES = 65_536
"""A secret is smaller; ``${file:/dev/zero}`` must not fill the memory."""

_REFERENCE = re.compile(r"\$\$|\$\{(?P<body>[^}]*)(?P<end>\}?)")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
_FORMS = "write ${NAME}, ${NAME:-default} or ${file:/path}, and $${ for a plain ${"


class _Unresolvable(Exception):
    """A reference stands for nothing; the message says why and what to do."""


def resolve(root: Spot, base: Path, environ: Mapping[str, str], findings: Findings) -> Spot:
    """The same tree with every reference replaced by what it stands for.

    :param base: where relative paths of ``${file:…}`` start.
    """
    return replace(root, node=_Resolver(base, environ, findings).node(root))


class _Resolver:
    def __init__(self, base: Path, environ: Mapping[str, str], findings: Findings) -> None:
        self._base = base
        self._environ = environ
        self._findings = findings
        self._done: dict[int, Node] = {}  # aliased nodes are the same object: each is resolved once

    def node(self, spot: Spot) -> Node:
        node = spot.node
        if isinstance(node, Scalar):
            return self._scalar(node, spot) if isinstance(node.value, str) and "$" in node.value else node
        if (known := self._done.get(id(node))) is not None:
            return known
        resolved: Node
        if isinstance(node, ListNode):
            items = tuple(self.node(child) for child in spot.children())
            resolved = node if all(map(_is_same, items, node.items)) else replace(node, items=items)
        else:
            children = [self.node(child) for child in spot.children()]
            olds = list(node.entries.items())
            if all(new is entry.node for new, (_, entry) in zip(children, olds, strict=True)):
                resolved = node
            else:
                entries = {
                    key: Entry(entry.place, new) for new, (key, entry) in zip(children, olds, strict=True)
                }
                resolved = MapNode(entries, node.place, node.size)
        self._done[id(node)] = resolved
        return resolved

    def _scalar(self, scalar: Scalar, spot: Spot) -> Scalar:
        """One text, with all of its references; each that fails is a mistake of its own."""
        assert isinstance(scalar.value, str)
        parts: list[str] = []
        masks: list[Mask] = []
        is_broken = False
        end = 0
        for match in _REFERENCE.finditer(scalar.value):
            parts.append(scalar.value[end : match.start()])
            end = match.end()
            try:
                text, is_outside = self._value(match)
            except _Unresolvable as error:
                self._findings.mistake(spot, str(error))
                is_broken = True
                continue
            parts.append(text)
            if is_outside:
                masks.append(Mask(text, match[0]))
        parts.append(scalar.value[end:])
        value = "".join(parts)
        if masks:
            masks.append(Mask(value, scalar.text))
            self._findings.note_masks(masks)
        return replace(
            scalar,
            value=None if is_broken else value,
            is_quoted=True,
            masks=tuple(masks),
            is_broken=is_broken,
        )

    def _value(self, match: re.Match[str]) -> tuple[str, bool]:
        """What one reference stands for, and whether that came from outside the file."""
        body = match["body"]
        if body is None:
            return "$", False
        if not match["end"]:
            raise _Unresolvable(f"a reference that begins with ${{ is not closed; {_FORMS}")
        if body.startswith("file:"):
            return self._file(body.removeprefix("file:").strip()), True
        variable = _VARIABLE.fullmatch(body)
        if variable is None:
            raise _Unresolvable(f"{match[0]} is no reference; {_FORMS}")
        name, default = variable["name"], variable["default"]
        value = self._environ.get(name)
        if default is not None:
            return (value, True) if value else (default, False)
        if value is None:
            raise _Unresolvable(
                f"the environment variable {name} is not set; set it, or write ${{{name}:-default}} to do without"
            )
        return value, True

    def _file(self, name: str) -> str:
        if not name:
            raise _Unresolvable(f"${{file:}} names no file; {_FORMS}")
        path = self._base / name
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise _Unresolvable(
                f"the file {path} of ${{file:{name}}} cannot be read: {error.strerror}; create it, or correct its mode"
            ) from error
        if len(content) > MAX_FILE_BYTES:
            raise _Unresolvable(
                f"the file {path} is larger than {MAX_FILE_BYTES:,} bytes; a secret is one short line"
            )
        try:
            return content.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise _Unresolvable(f"the file {path} is not text in UTF-8") from error


def _is_same(new: Node, old: Node) -> bool:
    return new is old

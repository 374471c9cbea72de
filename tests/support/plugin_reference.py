"""The tables of ``docs/reference/plugin-hooks.md``, made of the sources that plugins are written against.

A table stands between two comments, ``<!-- fields: MonitorType -->`` and ``<!-- end -->``. To write all of them
anew: ``python tests/support/plugin_reference.py docs/reference/plugin-hooks.md``.
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from defib import plugin

_BLOCK = re.compile(r"(<!-- fields: (?P<name>[A-Za-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_COMMENT = re.compile(r"#: ?(.*)$", re.MULTILINE)


class Field(NamedTuple):
    """One field or member, as its source says it."""

    name: str
    type: str
    default: str
    text: str


def fields(cls: type) -> Iterator[Field]:
    """Fields of a dataclass or members of an enumeration, with the words that stand beside or below each."""
    source = textwrap.dedent(inspect.getsource(cls))
    lines = source.splitlines()
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.ClassDef)
    for node, below in zip(tree.body, [*tree.body[1:], None], strict=True):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)):
                kind = ast.unparse(node.annotation).strip("'")
            case ast.Assign(targets=[ast.Name(id=name)]):
                kind = ""
            case _:
                continue
        comment = _COMMENT.search("\n".join(lines[node.lineno - 1 : node.end_lineno]))
        text = comment[1] if comment else ""
        match below:
            case ast.Expr(value=ast.Constant(value=str(docstring))) if not text:
                text = " ".join(docstring.split())
        default = "" if node.value is None else ast.unparse(node.value)
        yield Field(name, kind, "empty" if default.startswith("field(") else default, text)


def table(cls: type) -> str:
    """The table of a class, in Markdown."""
    lines = ["| value | in Python | |", "|---|---|---|"]
    if not issubclass(cls, Enum):
        lines = ["| field | type | default | |", "|---|---|---|---|"]
    for field in fields(cls):
        text = re.sub(r"``(.+?)``", r"`\1`", field.text)
        if issubclass(cls, Enum):
            cells = [_code(ast.literal_eval(field.default)), _code(f"{cls.__name__}.{field.name}"), text]
        else:
            default = field.default if field.default in ("", "empty") else _code(field.default)
            cells = [_code(field.name), _code(field.type), default, text]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def renew(page: str) -> str:
    """``page`` with every table as it must be."""
    return _BLOCK.sub(
        lambda match: f"{match[1]}\n{table(getattr(plugin, match['name']))}\n\n{match[3]}", page
    )


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(renew(path.read_text(encoding="utf-8")), encoding="utf-8")

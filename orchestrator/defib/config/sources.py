"""The files of a configuration, read and merged into one tree."""

from collections.abc import Sequence
from pathlib import Path

from defib.config.findings import Findings
from defib.config.nodes import Entry, ListNode, MapNode, Node, Place, Scalar, Spot, Trail
from defib.config.reader import read
from defib.errors import ConfigError, Mistake

SUFFIXES = (".yaml", ".yml")


def files_of(path: Path) -> tuple[Path, ...]:
    """The files to read: ``path`` itself, or those of a folder in name order (hidden ones are left out).

    :raises ConfigError: the folder cannot be read.
    """
    if not path.is_dir():
        return (path,)
    try:
        found = [file for file in path.iterdir() if file.suffix in SUFFIXES and not file.name.startswith(".")]
    except OSError as error:
        raise ConfigError([Mistake(message=f"cannot be read: {error.strerror}", file=str(path))]) from error
    return tuple(sorted(found, key=lambda file: file.name))


def gather(path: Path, files: Sequence[Path], findings: Findings) -> Spot:
    """Read ``files`` and merge them: lists are joined, mappings merged, a value given twice is a mistake.

    :param path: what the user named; takes the blame when there is nothing to read.
    :return: the root, always a mapping.
    :raises ConfigError: a file cannot be read or is not YAML: what is missing has no meaning to judge.
    """
    is_whole = bool(files)
    start = Place(str(path), 0, 0)
    merged = MapNode({}, start, 1)
    findings.note_file(str(path))
    if not files:
        findings.mistake_at(
            start, (), "the folder holds no *.yaml or *.yml file; write one with 'defib init'"
        )
    for file in files:
        findings.note_file(str(file))
        node = _read_file(file, findings)
        if isinstance(node, MapNode):
            merged = _merge(merged, node, (), findings)
        elif node is None:
            is_whole = False
        elif not (isinstance(node, Scalar) and node.value is None):
            findings.mistake_at(
                node.place, (), "a configuration is a mapping; it begins with a key, such as 'monitors:'"
            )
    if not is_whole:
        findings.raise_mistakes()
    return Spot(merged, (), merged.place)


def _read_file(file: Path, findings: Findings) -> Node | None:
    start = Place(str(file), 0, 0)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        findings.mistake_at(start, (), f"cannot be read: {error.strerror}")
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        findings.mistake_at(
            Place(str(file), line, 0), (), "is not UTF-8 text; save the file in that encoding"
        )
        return None
    return read(text, str(file), findings)


def _merge(first: MapNode, second: MapNode, path: Trail, findings: Findings) -> MapNode:
    """``second`` on top of ``first``, which comes from an earlier file."""
    entries = dict(first.entries)
    for key, entry in second.entries.items():
        old = entries.get(key)
        entries[key] = entry if old is None else _merge_entry(old, entry, (*path, key), findings)
    size = 1 + sum(entry.node.size for entry in entries.values())
    return MapNode(entries, first.place if first.entries else second.place, size)


def _merge_entry(old: Entry, new: Entry, path: Trail, findings: Findings) -> Entry:
    match old.node, new.node:
        case MapNode() as first, MapNode() as second:
            return Entry(old.place, _merge(first, second, path, findings))
        case ListNode() as first, ListNode() as second:
            items = first.items + second.items
            return Entry(old.place, ListNode(items, first.place, first.size + second.size))
        case _, Scalar(value=None):  # a section left empty adds nothing
            return old
        case Scalar(value=None), _:
            return new
        case _:
            findings.mistake_at(
                new.place,
                path,
                f"is given in two files; keep one of them (the other is {old.place})",
            )
            return old

"""A stream of JSON objects, as agents on this machine write it: pure, bounded, and nothing that comes in breaks it.

The senders' encoders put anything or nothing between two objects, and a packet ends wherever it ends: in the middle
of an object, or after several. What is no object is told once, and the stream is taken up again at the next line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

OBJECT_LIMIT_BYTES = 16_384  #: a beat has about 150
DEPTH_LIMIT = 20
_SEPARATORS = re.compile(rb"[ \t\r\n,\x1e\x00]*")  # also of JSON text sequences (RFC 7464), and padding
_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\\n\r]')
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something that is no JSON object, or none that is taken: too long, too deep."""

    why: str  #: for people; nothing of the bytes themselves, as they may hold anything


class ObjectStream:
    """Cuts the bytes of one connection into JSON objects, by their brackets; it does not read them.

    Holds at most :data:`OBJECT_LIMIT_BYTES` from one call to the next; its work is linear in what it is fed.
    """

    def __init__(self) -> None:
        self._kept = bytearray()  # of the object that has begun
        self._depth = 0
        self._in_string = False
        self._is_escaped = False  # the next byte, by a backslash
        self._is_skipping = False  # what follows garbage, to the end of its line

    def feed(self, data: bytes) -> Iterator[bytes | Garbage]:
        """Every object that ends in ``data``, and what was wrong between them, in order."""
        at = 0
        while at < len(data):
            if self._is_skipping:
                line_end = data.find(b"\n", at)
                self._is_skipping = line_end < 0
                at = len(data) if self._is_skipping else line_end + 1
            elif self._depth:
                end, why = self._scan(data, at)
                if len(self._kept) + end - at > OBJECT_LIMIT_BYTES:
                    why = f"an object of more than {OBJECT_LIMIT_BYTES} bytes"
                if why:
                    self._drop(until_line_end=data[end - 1 : end] not in (b"\n", b"\r"))
                    yield Garbage(why)
                else:
                    self._kept += data[at:end]
                    if not self._depth:
                        yield bytes(self._kept)
                        self._kept.clear()
                at = end
            else:
                at = _past_separators(data, at)
                if data[at : at + 1] == b"{":
                    self._depth = 1
                    self._kept += b"{"
                    at += 1
                elif at < len(data):
                    self._drop(until_line_end=True)
                    yield Garbage("something that is no JSON object")

    def _scan(self, data: bytes, at: int) -> tuple[int, str]:
        """Follow the object that has begun: where it ends, or ``data`` does, and why it is none."""
        while at < len(data):
            if self._is_escaped:
                self._is_escaped = False
                at += 1
                continue
            found = (_INSIDE if self._in_string else _OUTSIDE).search(data, at)
            if found is None:
                break
            at = found.end()
            match found.group():
                case b'"':
                    self._in_string = not self._in_string
                case b"\\":
                    self._is_escaped = True
                case b"{" | b"[":
                    self._depth += 1
                    if self._depth > DEPTH_LIMIT:
                        return at, f"an object nested more than {DEPTH_LIMIT} deep"
                case b"}" | b"]":
                    self._depth -= 1
                    if not self._depth:
                        return at, ""
                case _:
                    return at, "a line that ends within a string"
        return len(data), ""

    def _drop(self, *, until_line_end: bool) -> None:
        self._kept.clear()
        self._depth = 0
        self._in_string = self._is_escaped = False
        self._is_skipping = until_line_end


def _past_separators(data: bytes, at: int) -> int:
    found = _SEPARATORS.match(data, at)
    return found.end() if found else at


def parse_instant(text: object) -> datetime | None:
    """RFC 3339 with a zone, also with nanoseconds as Go writes it, which are cut to microseconds.

    :return: aware, UTC; None for anything else.
    """
    found = _INSTANT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    day, time, fraction, zone = found.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{time}.{(fraction or '0')[:6].ljust(6, '0')}{zone}").astimezone(
            UTC
        )
    except (ValueError, OverflowError):  # the 31st of February; the year 1 east of Greenwich
        return None

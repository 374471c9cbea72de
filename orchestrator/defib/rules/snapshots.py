"""Brings what witnesses tell into bounds: printable, without secrets, no longer than a store and a reader can take."""

import re
from collections.abc import Iterable, Mapping

from defib.model.snapshot import Snapshot
from defib.rules.masking import MASK, masked

MOST_BYTES = 64 * 1024  #: of one snapshot, in UTF-8, headings included
DIGEST_LINES = 10  #: most lines of :func:`digest`
_DIGEST_WIDTH = 160
_DIGEST_TAIL = 6  #: of them from the end of the target's own first part
_HEADING_WIDTH = 100
_MOST_PARTS = 40
_GAP = "\n[… {} bytes left out …]\n"

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,300}(?:\x07|\x1b\\)|[@-Z\\^_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def fitted(
    parts: Mapping[str, str], secrets: Iterable[str] = (), *, most_bytes: int = MOST_BYTES
) -> dict[str, str]:
    """``parts`` without terminal escapes and secrets, cut in their middles to ``most_bytes`` altogether.

    Short parts are kept whole, and what they leave over goes to the longer ones.
    """
    known = tuple(secrets)
    named = dict(list(parts.items())[:_MOST_PARTS])
    rough = _cut({heading: _without(text, known) for heading, text in named.items()}, 2 * most_bytes)
    clean = {
        masked(_plain(heading[: 2 * _HEADING_WIDTH]), known)[:_HEADING_WIDTH].strip(): masked(
            _plain(text), known
        )
        for heading, text in rough.items()
    }
    return _cut({heading: text.strip("\n") for heading, text in clean.items()}, most_bytes)


def _without(text: str, secrets: Iterable[str]) -> str:
    """So that no cut leaves half of a known secret; looking for unknown ones is for what is short already."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def _cut(parts: Mapping[str, str], most_bytes: int) -> dict[str, str]:
    left = most_bytes - sum(_size(heading) for heading in parts)
    share: dict[str, int] = {}
    for number, heading in enumerate(sorted(parts, key=lambda heading: _size(parts[heading]))):
        share[heading] = min(_size(parts[heading]), max(0, left) // (len(parts) - number))
        left -= share[heading]
    return {heading: shortened(text, share[heading]) for heading, text in parts.items()}


def shortened(text: str, most_bytes: int) -> str:
    """``text``, or its beginning and its end with a word on how much is missing between them."""
    encoded = text.encode(errors="replace")  # a surrogate cannot be written
    if len(encoded) <= most_bytes:
        return encoded.decode()
    gap = _GAP.format(len(encoded)).encode()  # at least as long as the real one
    keep = most_bytes - len(gap)
    if keep <= 0:
        return encoded[-most_bytes:].decode(errors="ignore") if most_bytes > 0 else ""
    head, tail = encoded[: keep // 2], encoded[len(encoded) - (keep - keep // 2) :]
    gap = _GAP.format(len(encoded) - keep).encode()
    return (head + gap + tail).decode(errors="ignore")


def digest(snapshot: Snapshot) -> tuple[str, ...]:
    """The snapshot in at most :data:`DIGEST_LINES` short lines, for a message: above all the end of the first part."""
    lines: list[str] = []
    for heading, text in snapshot.parts.items():
        found = [line for line in text.splitlines() if line.strip()]
        if found:
            lines = [f"{heading}:", *found[-_DIGEST_TAIL:]]
            break
    lines += [
        line for heading in ("load", "disks") for line in snapshot.parts.get(heading, "").splitlines()[:1]
    ]
    return tuple(
        line if len(line) <= _DIGEST_WIDTH else f"{line[: _DIGEST_WIDTH - 1]}…"
        for line in lines[:DIGEST_LINES]
    )


def _plain(text: str) -> str:
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\t", "    ")))


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))

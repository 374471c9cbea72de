"""Small pictures of rectangles as PNG, without a library: everything the report draws is made of them.

Pictures carry no letters: those stand beside them as text, in the reader's language, font and size,
and in colours that
fit a light and a dark page. The colours here are of middle brightness on nothing, so that they show on both.
"""

import struct
import zlib
from enum import IntEnum


class Ink(IntEnum):
    """Colours, by what they mean."""

    NONE = 0  #: transparent
    GOOD = 1
    FAIR = 2
    BAD = 3
    MUTE = 4
    FAINT = 5
    STRONG = 6  #: of a pair that has no meaning: the darker
    SOFT = 7  #: and the lighter


_COLOURS = {
    Ink.NONE: (0, 0, 0, 0),
    Ink.GOOD: (63, 163, 108, 255),
    Ink.FAIR: (215, 154, 30, 255),
    Ink.BAD: (216, 70, 54, 255),
    Ink.MUTE: (139, 148, 158, 255),
    Ink.FAINT: (139, 148, 158, 72),
    Ink.STRONG: (47, 114, 196, 255),
    Ink.SOFT: (124, 176, 232, 255),
}


class Raster:
    """A picture of ``width`` × ``height`` pixels, empty at first."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._rows = [bytearray(width) for _ in range(height)]

    def fill(self, ink: Ink, left: float, right: float, top: float = 0.0, bottom: float = 1.0) -> None:
        """Paint a rectangle, over what was there; at least one pixel.

        :param left: and the others: shares of the width or height, 0..1, from the top left corner.
        """
        x1, x2 = _pixels(left, right, self.width)
        y1, y2 = _pixels(top, bottom, self.height)
        line = bytes([ink]) * (x2 - x1)
        for row in self._rows[y1:y2]:
            row[x1:x2] = line

    def png(self) -> bytes:
        """The file. The same picture is always the same bytes."""
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 3, 0, 0, 0)
        colours = b"".join(bytes(_COLOURS[ink][:3]) for ink in Ink)
        opacity = bytes(_COLOURS[ink][3] for ink in Ink)
        pixels = b"".join(b"\0" + bytes(row) for row in self._rows)
        chunks = (
            (b"IHDR", header), (b"PLTE", colours), (b"tRNS", opacity), (b"IDAT", zlib.compress(pixels, 9)),
            (b"IEND", b""),
        )  # fmt: skip
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )


def _pixels(low: float, high: float, size: int) -> tuple[int, int]:
    first = min(size - 1, max(0, round(low * size)))
    return first, min(size, max(first + 1, round(high * size)))

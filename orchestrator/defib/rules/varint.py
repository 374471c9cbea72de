"""Whole numbers in as few bytes as they need: seven bits each, the lowest first, the eighth says that more follow."""


def put(into: bytearray, number: int) -> None:
    """Append ``number``, which is not negative."""
    while number >= 0x80:
        into.append(number & 0x7F | 0x80)
        number >>= 7
    into.append(number)


def take(encoded: bytes, place: int) -> tuple[int, int]:
    """The number at ``place``, and the place behind it.

    :raises ValueError: it ends within a number.
    """
    number = shift = 0
    while True:
        if place >= len(encoded):
            raise ValueError("the last number is not whole")
        byte = encoded[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
        shift += 7


def zigzag(number: int) -> int:
    """Small numbers of either sign as small ones: 0, -1, 1, -2 … become 0, 1, 2, 3 …"""
    return number << 1 if number >= 0 else ~(number << 1)


def unzigzag(number: int) -> int:
    """What :func:`zigzag` was given."""
    return number >> 1 ^ -(number & 1)

"""New identifiers: short, unique, and sorted by the time they were made."""

import secrets
from datetime import datetime

_DIGITS = 15
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter that looks like a digit


def new_id(prefix: str, at: datetime) -> str:
    """``prefix-`` and :data:`_DIGITS` characters: 9 of the time in milliseconds, 6 at random."""
    return f"{prefix}-{_base32(int(at.timestamp() * 1000), 9)}{_base32(secrets.randbits(30), 6)}"


def is_made_up(text: str) -> bool:
    """Whether it looks like one of ours: nobody would choose it."""
    prefix, _, rest = text.rpartition("-")
    return bool(prefix) and len(rest) == _DIGITS and set(rest) <= set(_ALPHABET)


def _base32(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))

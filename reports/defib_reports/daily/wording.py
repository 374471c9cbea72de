"""Numbers and foreign strings in the form people read them.

Parts that must not be torn apart are joined by no-break spaces; :func:`plain` makes them ordinary ones.
"""

import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal

NBSP = "\u00a0"
NONE = "–"
_JOINERS = "\u200c\u200d"  # needed by scripts and emoji, although not printable by themselves


def plain(text: str) -> str:
    """With ordinary spaces."""
    return text.replace(NBSP, " ")


def clean(text: str, limit: int = 120) -> str:
    """A foreign string as one harmless line: no control or direction-changing characters, bounded length."""
    kept = "".join(c if c.isprintable() or c in _JOINERS else " " if unicodedata.category(c)[0] in "ZC" else ""
                   for c in text[: 4 * limit])  # fmt: skip
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def number(value: int) -> str:
    """``43 120``."""
    return f"{value:,}".replace(",", NBSP)


def plural(count: int, noun: str) -> str:
    """``1 incident``, ``2 incidents``."""
    return f"{number(count)}{NBSP}{noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """``99.93 %``: cut off, never rounded up, with more digits where two would hide what is missing to 100."""
    return percents(share)[0]


def percents(*shares: float) -> tuple[str, ...]:
    """Each as :func:`percent`, with as many digits as the one that needs most, so that they can be compared."""
    digits = max(_digits(share) for share in shares)
    return tuple(_percent(share, digits) for share in shares)


def _digits(share: float) -> int:
    return 2 if share < 0.9999 or share == 1 else 3 if share < 0.99999 else 4 if share < 0.999999 else 5


def _percent(share: float, digits: int) -> str:
    exact = Decimal(str(share)) * 100
    if exact in (0, 100):
        return f"{exact:.0f}{NBSP}%"
    return f"{exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_DOWN)}{NBSP}%"


def change(ratio: float) -> str:
    """``12 % slower``; what is within the error of the sketches (2 % each) is no change."""
    if abs(ratio) < 0.05:
        return "unchanged"
    if ratio >= 1:
        return f"{ratio + 1:.1f}{NBSP}times as slow"
    return f"{abs(ratio) * 100:.0f}{NBSP}%{NBSP}{'slower' if ratio > 0 else 'faster'}"


def milliseconds(value: float) -> str:
    """``0.43 ms``, ``4.3 ms``, ``43 ms``, ``1.2 s``."""
    if value < 0.995:
        return f"{value:.2f}{NBSP}ms"
    if value < 9.95:
        return f"{value:.1f}{NBSP}ms"
    if value < 999.5:
        return f"{value:.0f}{NBSP}ms"
    return duration(timedelta(milliseconds=value))


def duration(span: timedelta) -> str:
    """``350 ms``, ``6.4 s``, ``58 s``, ``2 min 5 s``, ``1 h 12 min``, ``2 d 3 h``."""
    seconds = span.total_seconds()
    if not seconds:
        return f"0{NBSP}s"
    if seconds < 0.0005:
        return f"under{NBSP}1{NBSP}ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}{NBSP}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}{NBSP}s"
    if seconds < 59.5:
        return f"{seconds:.0f}{NBSP}s"
    if seconds < 3599.5:
        return _two(round(seconds), 60, "min", "s")
    if seconds < 86370:
        return _two(round(seconds / 60), 60, "h", "min")
    return _two(round(seconds / 3600), 24, "d", "h")


def _two(amount: int, size: int, large: str, small: str) -> str:
    whole, rest = divmod(amount, size)
    return f"{number(whole)}{NBSP}{large}" + (f"{NBSP}{rest}{NBSP}{small}" if rest else "")


def listed(items: Sequence[str], limit: int = 3) -> str:
    """``a``, ``a and b``, ``a, b and 4 more``."""
    shown = list(items[:limit])
    if left_out := len(items) - len(shown):
        shown.append(f"{number(left_out)}{NBSP}more")
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else ""

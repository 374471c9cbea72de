"""Names as parts of an address. Pure."""

import re
import unicodedata

LONGEST = 80


def as_slug(name: str) -> str:
    """``name`` in lower case with a ``-`` between its words; "" when nothing of it can stay."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9._]+", "-", plain.lower()).strip("-._")[:LONGEST].rstrip("-._")

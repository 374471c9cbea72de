"""Showing what comes from outside: addresses without their secrets, foreign text in one short line."""

from urllib.parse import parse_qsl, urlsplit

HIDDEN = "***"


def mask_url(url: str) -> str:
    """``url`` without user, password and fragment, with the values of its query hidden.

    Keys of the query stay, so that people recognise the address. An address that cannot be split is hidden whole.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return HIDDEN
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    place = f"{host}:{port}" if port is not None else host
    query = "&".join(f"{key}={HIDDEN}" for key, _ in parse_qsl(parts.query, keep_blank_values=True))
    return f"{parts.scheme}://{place}{parts.path}" + (f"?{query}" if query else "")


def first_line(text: str, limit: int = 200) -> str:
    """The first line of ``text`` that is not blank, at most ``limit`` characters, control characters dropped."""
    return clip(next((line for line in text.splitlines() if line.strip()), ""), limit)


def last_line(text: str, limit: int = 200) -> str:
    """The last line of ``text`` that is not blank, bounded like :func:`first_line`."""
    return clip(next((line for line in reversed(text.splitlines()) if line.strip()), ""), limit)


def clip(text: str, limit: int = 200) -> str:
    """``text`` on one line of at most ``limit`` characters, an ellipsis where something is missing.

    A phrase that fits stays one.
    """
    line = "".join(character if character.isprintable() else " " for character in text).strip()
    if line == text and len(line) <= limit:
        return text
    return line if len(line) <= limit else line[: limit - 1] + "…"

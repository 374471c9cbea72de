"""A look at a target for the server: does it answer from here?"""

import asyncio
import re
import ssl
import time
from contextlib import suppress
from urllib.parse import urlsplit

WITHIN_S = 5.0
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})")


async def look(kind: str, target: str) -> tuple[bool, str, float]:
    """Whether ``target`` answers, in words, and the seconds that took. Nothing of what it answers is passed on.

    :param kind: ``tcp`` (host:port) or ``http`` (an address; any status below 500 is an answer).
    """
    began = time.monotonic()
    try:
        host, port, is_tls, path = _place(kind, target)
        async with asyncio.timeout(WITHIN_S):
            said = await _ask(host, port, is_tls, path)
    except TimeoutError:
        return False, f"no answer within {WITHIN_S:g} s", time.monotonic() - began
    except (OSError, EOFError, ValueError) as error:
        why = getattr(error, "strerror", "") or str(error) or type(error).__name__
        return False, why[:200], time.monotonic() - began
    return not said.startswith("HTTP 5"), said, time.monotonic() - began


def _place(kind: str, target: str) -> tuple[str, int, bool, str | None]:
    """:raises ValueError: it is none that can be looked at."""
    if kind not in ("tcp", "http"):
        raise ValueError("there is no such kind of look")
    parts = urlsplit(target if kind == "http" else f"//{target.removeprefix('tcp://')}")
    if (
        not parts.hostname
        or (kind == "http") != (parts.scheme in ("http", "https"))
        or not target.isprintable()
    ):
        raise ValueError("the target is no address")
    if kind == "tcp":
        if not parts.port:
            raise ValueError("the target has no port")
        return parts.hostname, parts.port, False, None
    is_tls = parts.scheme == "https"
    return (
        parts.hostname,
        parts.port or (443 if is_tls else 80),
        is_tls,
        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


async def _ask(host: str, port: int, is_tls: bool, path: str | None) -> str:
    reader, writer = await asyncio.open_connection(
        host, port, ssl=ssl.create_default_context() if is_tls else None
    )
    try:
        if path is None:
            return "it takes connections"
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: defib-agent\r\nConnection: close\r\n\r\n"
        )
        writer.write(request.encode("ascii"))
        found = _STATUS.match(await reader.readuntil(b"\n"))
        if found is None:
            raise ValueError("what answers does not speak HTTP")
        return f"HTTP {found[1].decode()}"
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

"""Finds out what Defib itself stands on, so that no recovery action pulls it away."""

import os
import re
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from defib.model.settings import Settings
from defib.ports import OwnParts

_UNIT = re.compile(r"[^/]+\.(?:service|scope|socket|mount|slice)")
_CONTAINER = re.compile(r"(?:docker[/-]|/containers/)([0-9a-f]{64})")
_POSTGRES_PORT = 5432


def own_parts(settings: Settings, proc: Path = Path("/proc/self")) -> OwnParts:
    """What this process is, and where its store and its server are. Reads two small files.

    :param proc: of the process; for tests.
    """
    groups, mounts = _text(proc / "cgroup"), _text(proc / "mountinfo")
    paths = [line.split(":", 2)[-1] for line in groups.splitlines()]
    container = _CONTAINER.search(groups) or _CONTAINER.search(mounts)
    return OwnParts(
        pid=os.getpid(),
        units=frozenset(unit for path in paths for unit in _UNIT.findall(path)),
        container=container[1] if container else "",
        store=_server_of(settings.store),
        server=(settings.server.host, settings.server.port) if settings.server.port else None,
    )


def _server_of(store: str) -> tuple[str, int] | None:
    """Host, "" for the local socket, and port of a PostgreSQL URL; None for other stores."""
    try:
        url = make_url(store)
    except ArgumentError:
        return None
    if not url.drivername.startswith("postgresql"):
        return None
    host, port = url.host or url.query.get("host") or "", url.port or url.query.get("port") or _POSTGRES_PORT
    host = host if isinstance(host, str) else host[0]
    return ("" if host.startswith("/") else host), int(port if isinstance(port, str | int) else port[0])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no such thing on this system
        return ""

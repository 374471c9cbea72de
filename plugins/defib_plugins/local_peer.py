"""Who is at the other end of a Unix socket, as the operating system tells."""

import os
import pwd
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defib_plugins.display import clip

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid; unix(7)
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Peer:
    """A process of this machine."""

    pid: int  #: 0 where it cannot be seen from here: in another container
    uid: int | None  #: None where the system does not tell: then the socket's mode alone decides

    @property
    def is_trusted(self) -> bool:
        """Whether it runs as root, or as whom we run: it could read our store just as well."""
        return self.uid is None or self.uid in (0, os.geteuid())


def peer_of(connection: Any) -> Peer:
    """Whoever connected.

    :param connection: a socket, or what asyncio or uvloop give out as one.
    """
    if not hasattr(socket, "SO_PEERCRED"):  # not Linux
        return Peer(0, None)
    pid, uid, _ = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return Peer(pid, uid)


def user_of(peer: Peer) -> str:
    """The name of the user that it runs as; its number where it has none here."""
    try:
        return pwd.getpwuid(peer.uid or 0).pw_name
    except (KeyError, OverflowError):
        return str(peer.uid)


def is_alive(pid: int) -> bool:
    """Whether there is such a process; True where that cannot be told."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def program_of(pid: int) -> str:
    """What the program of a process is called; "" where that cannot be seen."""
    try:
        return clip((_PROC / str(pid) / "comm").read_text(errors="replace"), 64) if pid > 0 else ""
    except OSError:
        return ""

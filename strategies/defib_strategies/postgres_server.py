"""A PostgreSQL server as its clients see it: where it is, and whether it takes connections."""

import asyncio
import os
import struct
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from defib.plugin import ActionRefusedError, OwnParts, masked
from defib_strategies.own_store import is_same_server, is_this_machine, own_store_message

_DEFAULT_PORT = "5432"
_SOCKET_FOLDERS = ("/var/run/postgresql", "/tmp")  # noqa: S108 - where PostgreSQL as packaged, and as built, has it
_PROTOCOL_3 = 3 << 16
_CANNOT_CONNECT_NOW = "57P03"  #: SQLSTATE of a server that is starting up or shutting down
_MOST_OF_MESSAGE = 8192


class Readiness(Enum):
    """What ``pg_isready`` tells: its exit status, and its words."""

    ACCEPTING = (0, "accepting connections")
    REJECTING = (1, "rejecting connections: it is starting up, recovering or shutting down")
    SILENT = (2, "no response")
    FOREIGN = (3, "something that is not PostgreSQL answers there")

    @property
    def exit_status(self) -> int:
        return self.value[0]

    def __str__(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Server:
    """One server, by its connection string."""

    dsn: str = field(repr=False)

    def __str__(self) -> str:
        return masked(self.dsn)

    @property
    def _values(self) -> dict[str, str]:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        try:
            return {key: str(value) for key, value in conninfo_to_dict(self.dsn).items() if value is not None}
        except ProgrammingError:
            return {"password": self.dsn}  # libpq quotes what it cannot read, passwords included

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may hold."""
        return (self._values.get("password", ""),)

    @property
    def place(self) -> tuple[str, int]:
        """Host, "" for the local socket, and port.

        :raises ActionRefusedError: it names several.
        """
        values = self._values
        host = values.get("hostaddr") or values.get("host") or os.environ.get("PGHOST", "")
        port = values.get("port") or os.environ.get("PGPORT") or _DEFAULT_PORT
        if "," in host or not port.isdecimal():
            raise ActionRefusedError(
                f"the dsn names several servers ({host}); name one in the rung's own 'dsn'"
            )
        return ("" if host.startswith(("/", "@")) else host), int(port)

    async def aim(self, own: OwnParts) -> str:
        """Where it is, for people.

        :raises ActionRefusedError: it holds Defib's own store, or the dsn names several.
        """
        host, port = self.place
        if await asyncio.to_thread(is_same_server, host, port, own.store):
            raise ActionRefusedError(own_store_message(f"PostgreSQL at {host or 'the local socket'}:{port}"))
        return f"PostgreSQL at {host or 'the local socket'}:{port}"

    async def is_here(self) -> bool:
        """Whether it is on this machine."""
        return await asyncio.to_thread(is_this_machine, self.place[0])

    async def readiness(self, within: timedelta = timedelta(seconds=2)) -> Readiness:
        """What ``pg_isready`` would say, which needs no login: a server that gets as far as asking who we are works.

        By the wire protocol instead of libpq's ``PQping``, which would hold up everything else while it waits.
        Source: PostgreSQL's ``fe-connect.c``, ``internal_ping``; "Message Formats" of its documentation.
        """
        values = self._values
        user = values.get("user") or os.environ.get("PGUSER") or "defib"
        database = values.get("dbname") or user
        words = b"".join(word.encode() + b"\0" for word in ("user", user, "database", database, ""))
        try:
            async with asyncio.timeout(within.total_seconds()):
                reader, writer = await self._connect()
                try:
                    writer.write(struct.pack("!ii", len(words) + 8, _PROTOCOL_3) + words)
                    kind, length = struct.unpack("!ci", await reader.readexactly(5))
                    if kind == b"R":
                        return Readiness.ACCEPTING
                    if kind != b"E":
                        return Readiness.FOREIGN
                    message = await reader.readexactly(min(max(length - 4, 0), _MOST_OF_MESSAGE))
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return Readiness.SILENT
        is_busy = f"C{_CANNOT_CONNECT_NOW}".encode() in message.split(b"\0")
        return Readiness.REJECTING if is_busy else Readiness.ACCEPTING

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self.place
        if host:
            return await asyncio.open_connection(host, port)
        folder = self._values.get("host") or os.environ.get("PGHOST", "")
        folders = (folder,) if folder.startswith("/") else _SOCKET_FOLDERS
        paths = [f"{each}/.s.PGSQL.{port}" for each in folders]
        return await asyncio.open_unix_connection(next(filter(os.path.exists, paths), paths[0]))


def checked_dsn(dsn: str) -> str:
    """:raises ValueError: it is no connection string; the message repeats nothing of it."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(dsn)
    except ProgrammingError:  # its message may quote the password
        raise ValueError(
            "dsn is no connection string; write it as postgresql://user@host:5432/database"
        ) from None
    return dsn

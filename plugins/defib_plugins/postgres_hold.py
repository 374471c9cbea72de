"""A connection to a PostgreSQL server that is held for nothing but its end. Heavy to import: load on first use."""

import asyncio
from dataclasses import dataclass

import psycopg
from psycopg.errors import Diagnostic

from defib_plugins.postgres_session import Session

NAME = "defib-tripwire"  #: in pg_stat_activity
_CONNECT_WITHIN_S = 10.0
_STAY = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
"""Since PostgreSQL 14 a server may end idle sessions."""
_ORPHANED = "be-secure.c"
"""Where a server process speaks from when it finds its postmaster gone. It is told from an administrator's
command by nothing else that does not depend on the server's language: both are FATAL 57P01."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a held connection ended."""

    was_commanded: bool  #: the server said farewell, because somebody told it to
    said: str  #: SQLSTATE of its last word; empty for none


class Held:
    """One connection, open until :meth:`close`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ending = Ending(was_commanded=False, said="")
        session.add_notice_handler(self._note)

    @classmethod
    async def open(cls, dsn: str) -> "Held":
        """Connect; keepalives find a peer that vanished within 90 s.

        :raises psycopg.Error: it failed.
        :raises OSError: likewise; TimeoutError when nobody answers.
        """
        async with asyncio.timeout(_CONNECT_WITHIN_S):
            session = await Session.connect(
                dsn, autocommit=True, prepare_threshold=None, application_name=NAME,
                keepalives_idle=60, keepalives_interval=10, keepalives_count=3,
            )  # fmt: skip
            held = cls(session)  # before anything is said, lest a farewell be missed
            try:
                await session.execute(_STAY)
            except BaseException:
                await held.close()
                raise
        return held

    async def ended(self) -> Ending:
        """Return when the server ends the connection."""
        connection = self._session.pgconn
        try:
            while True:
                await _readable(connection.socket)
                connection.consume_input()
                while connection.notifies() is not None:  # also has the notices handled
                    pass
        except psycopg.OperationalError:
            pass
        return self._ending

    async def close(self) -> None:
        """Hang up."""
        await self._session.close()

    def _note(self, notice: Diagnostic) -> None:
        """Take down what may be the last word; it cannot be read any more once this returns."""
        is_farewell = notice.severity_nonlocalized == "FATAL" and notice.source_file != _ORPHANED
        self._ending = Ending(was_commanded=is_farewell, said=notice.sqlstate or "")


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)

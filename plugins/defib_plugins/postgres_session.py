"""One look at a PostgreSQL server by psycopg. Heavy to import: load on first use."""

import asyncio
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import waiting
from psycopg.abc import RV, PQGen

from defib.plugin import Clock
from defib_plugins.phrases import phrase

_STATISTICS = """
SELECT current_setting('server_version'),
       current_setting('max_connections')::float8,
       (SELECT count(*)::float8 FROM pg_stat_activity
         WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)),
       (SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0)::float8 FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'),
       pg_is_in_recovery(),
       (CASE WHEN NOT pg_is_in_recovery()
             THEN (SELECT extract(epoch FROM max(replay_lag)) FROM pg_stat_replication)
             WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
             ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())
        END)::float8
"""
"""Readable by every role; one without pg_monitor sees no transactions but its own.

A standby that has replayed all it received lags by nothing, however old its last transaction is
(PostgreSQL manual, 27.2.5 "Monitoring" and 9.27 "Recovery Information Functions").
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The server's own numbers. Times in seconds."""

    version: str
    max_connections: float
    connections: float
    transaction_age_s: float  #: of the longest open transaction
    is_standby: bool
    replication_lag_s: float | None  #: ours on a standby, the worst standby's on a primary; None without any


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look found. Times in milliseconds."""

    connect_ms: float
    query_ms: float
    value: object  #: first column of the first row; None when there is no row
    statistics: Statistics | None
    statistics_error: str = ""


class Session(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection that closes at once when its user is cancelled.

    psycopg's own tries to cancel the query at the server first, for up to ten seconds: too long for a probe
    whose server hangs. The query itself is bounded by ``statement_timeout``.
    """

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Consume ``gen``, as the base class does."""
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise


class Progress:
    """What the look is doing, for the words of a timeout."""

    phase = phrase("connecting")


async def look(dsn: str, query: str, *, timeout_s: float, clock: Clock, progress: Progress) -> Look:
    """Connect, ask ``query`` in a read-only transaction, read the statistics, and leave.

    :param timeout_s: bounds each statement at the server, so that a blocked query leaves no session behind.
    :raises psycopg.Error: no connection, or the query failed; statistics that cannot be read are no error.
    """
    began = clock.monotonic()
    session = await Session.connect(dsn, autocommit=True, prepare_threshold=None, application_name="defib")
    try:
        connected = clock.monotonic()
        progress.phase = phrase("running the query")
        await session.execute(
            f"BEGIN READ ONLY; SET LOCAL statement_timeout = {max(1, round(timeout_s * 1000))}"
        )
        asked = clock.monotonic()
        cursor = await session.execute(query.encode())
        row = await cursor.fetchone() if cursor.description is not None else None
        answered = clock.monotonic()
        progress.phase = phrase("reading the server's statistics")
        statistics, complaint = None, ""
        try:
            numbers = await (await session.execute(_STATISTICS)).fetchone()
        except psycopg.DatabaseError as error:
            if session.closed:
                raise
            complaint = str(error)
        else:
            statistics = _statistics(numbers) if numbers else None
    finally:
        await session.close()
    return Look(
        connect_ms=(connected - began) * 1000,
        query_ms=(answered - asked) * 1000,
        value=row[0] if row else None,
        statistics=statistics,
        statistics_error=complaint,
    )


def _statistics(numbers: tuple[Any, ...]) -> Statistics:
    version, most, used, age, is_standby, lag = numbers
    return Statistics(
        version=version, max_connections=most, connections=used, transaction_age_s=age, is_standby=is_standby,
        replication_lag_s=lag,
    )  # fmt: skip

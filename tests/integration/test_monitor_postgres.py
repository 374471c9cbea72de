"""The ``postgres`` monitor against a real server."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
import psycopg
import pytest
import uvloop

from defib.plugin import Evidence, Grade, Outcome, ProbeStatus
from defib_plugins import postgres as postgres_monitor
from defib_testkit.ports import free_port
from defib_testkit.postgres_cluster import PostgresCluster, PostgresDatabase
from defib_testkit.waiting import async_wait_until
from monitor_kit import build, frame, look, serving, silence


async def asked(dsn: str, *, timeout_s: float = 5.0, **options: Any) -> Evidence:
    return await look(postgres_monitor, dsn=dsn, timeout_s=timeout_s, **options)


@pytest.fixture
async def session(postgres: PostgresCluster) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Another client of the server."""
    async with await psycopg.AsyncConnection.connect(postgres.dsn) as connection:
        yield connection


@pytest.mark.parametrize("way", ["dsn", "socket_dsn"])
async def test_a_server_that_answers_is_ok(postgres: PostgresCluster, way: str) -> None:
    evidence = await asked(getattr(postgres, way))

    assert (evidence.grade, evidence.status) == (Grade.NONE, ProbeStatus.HEALTHY)
    assert evidence.summary.startswith("answered in ")
    assert evidence.latency is not None
    assert evidence.facts["standby"] is False
    assert str(evidence.facts["server_version"])[0].isdigit()
    assert evidence.metrics.keys() == {
        "connect_ms", "query_ms", "active_connections", "max_connections", "longest_transaction_s",
    }  # fmt: skip
    assert 1 <= evidence.metrics["active_connections"] <= evidence.metrics["max_connections"]


async def test_libpqs_words_are_taken_as_well(postgres: PostgresCluster) -> None:
    words = psycopg.conninfo.make_conninfo(postgres.dsn)

    assert (await asked(words)).is_ok


async def test_a_stopped_server_is_refused_over_tcp(postgres: PostgresCluster) -> None:
    postgres.stop()

    evidence = await asked(postgres.dsn)

    assert (evidence.outcome, evidence.cause, evidence.grade) == (Outcome.FAIL, "refused", Grade.STRONG)
    assert evidence.status is ProbeStatus.ERROR


async def test_a_stopped_server_leaves_no_socket(postgres: PostgresCluster) -> None:
    postgres.stop()

    evidence = await asked(postgres.socket_dsn)

    assert (evidence.cause, evidence.grade) == ("socket-missing", Grade.AUTHORITATIVE)


async def test_a_killed_server_refuses_on_the_socket_it_left_behind(
    private_postgres: PostgresCluster,
) -> None:
    private_postgres.kill()

    evidence = await asked(private_postgres.socket_dsn)

    assert (evidence.cause, evidence.grade) in {
        ("refused", Grade.STRONG),
        ("socket-missing", Grade.AUTHORITATIVE),
    }


async def test_a_frozen_server_times_out_at_once_and_leaves_nothing_behind(postgres: PostgresCluster) -> None:
    await asked(postgres.dsn)  # loads what it needs
    before = psutil.Process().num_fds()
    postgres.freeze()
    started = time.monotonic()
    try:
        evidence = await asked(postgres.dsn, timeout_s=0.3)
    finally:
        postgres.thaw()

    assert (evidence.cause, evidence.summary) == ("timeout", "no answer within 300ms, while connecting")
    assert time.monotonic() - started < 1
    assert psutil.Process().num_fds() <= before


async def test_a_server_that_freezes_during_the_query_times_out_at_once(
    postgres: PostgresCluster, postgres_database: PostgresDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = build(postgres_monitor, dsn=postgres_database.dsn, query="SELECT pg_sleep(20)")
    probing = asyncio.ensure_future(monitor.probe(frame(1.5)))

    def is_asking() -> bool:
        sql = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
        return bool(postgres.execute(sql))

    await async_wait_until(is_asking, 5, "the query to run")
    postgres.freeze()
    started = time.monotonic()
    try:
        evidence = await probing
    finally:
        postgres.thaw()
        await monitor.close()

    assert evidence.summary == "no answer within 1.5s, while running the query"
    assert time.monotonic() - started < 3
    assert caplog.text == ""


async def test_a_cancelled_probe_ends_at_once(postgres: PostgresCluster) -> None:
    monitor = build(postgres_monitor, dsn=postgres.dsn, query="SELECT pg_sleep(20)")
    probing = asyncio.ensure_future(monitor.probe(frame(20)))

    def is_asking() -> bool:
        return bool(postgres.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"))

    await async_wait_until(is_asking, 5, "the query to run")
    started = time.monotonic()
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    await monitor.close()

    assert time.monotonic() - started < 0.5


async def test_a_blocked_query_leaves_no_session_behind_at_the_server(
    postgres_database: PostgresDatabase, postgres: PostgresCluster
) -> None:
    async with await psycopg.AsyncConnection.connect(postgres_database.dsn) as other:
        await other.execute("CREATE TABLE jobs (id int)")
        await other.commit()
        await other.execute("LOCK TABLE jobs")

        evidence = await asked(postgres_database.dsn, query="SELECT count(*) FROM jobs", timeout_s=0.5)

        def is_alone() -> bool:
            sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT count(*) FROM jobs%'"
            return postgres.execute(sql) == [(0,)]

        await async_wait_until(is_alone, 2, "the monitor's session to end")

    assert (evidence.cause, evidence.summary) == (
        "timeout",
        "no answer within 500ms, while running the query",
    )


async def test_silence_instead_of_a_greeting_times_out() -> None:
    async with serving(silence) as port:
        evidence = await asked(f"postgresql://u:hunter2@127.0.0.1:{port}/app", timeout_s=0.2)

    assert evidence.cause == "timeout"


async def test_something_else_on_the_port_is_a_failure() -> None:
    async def greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serving(greeting) as port:
        evidence = await asked(f"postgresql://u:hunter2@127.0.0.1:{port}/app?sslmode=disable", timeout_s=2)

    assert evidence.outcome is Outcome.FAIL
    assert "hunter2" not in repr(evidence)


@pytest.mark.parametrize(
    ("user", "password"), [("postgres", "wrong"), ("nobody", "x")], ids=["wrong password", "unknown role"]
)
async def test_a_refused_login_is_no_case_for_a_restart(
    postgres: PostgresCluster, user: str, password: str
) -> None:
    evidence = await asked(postgres.dsn_of("postgres", user=user, password=password))

    assert (evidence.outcome, evidence.cause, evidence.grade) == (
        Outcome.FAIL,
        "auth-failed",
        Grade.SCHEDULED,
    )
    assert evidence.status is ProbeStatus.UNHEALTHY
    assert "wrong" not in repr(evidence)


async def test_a_missing_database_is_unknown(postgres: PostgresCluster) -> None:
    evidence = await asked(postgres.dsn_of("nonesuch"))

    assert (evidence.cause, evidence.status) == ("no-database", ProbeStatus.UNKNOWN)
    assert evidence.facts["error"] == 'FATAL:  database "nonesuch" does not exist'


async def test_a_server_without_a_connection_left_is_told_as_such(postgres: PostgresCluster) -> None:
    (row,) = postgres.execute("SELECT current_setting('max_connections')::int")
    clients: list[psycopg.AsyncConnection[Any]] = []
    try:
        with contextlib.suppress(psycopg.OperationalError):  # too many clients already
            for _ in range(int(str(row[0])) + 1):
                clients.append(await psycopg.AsyncConnection.connect(postgres.dsn))
        evidence = await asked(postgres.dsn)
    finally:
        for client in clients:
            await client.close()

    assert (evidence.cause, evidence.status) == ("too-many-connections", ProbeStatus.UNHEALTHY)


async def test_a_localhost_whose_addresses_all_refuse_is_refused() -> None:
    assert (await asked(f"postgresql://u@localhost:{free_port()}/app")).cause == "refused"


async def test_a_name_that_does_not_exist_is_told() -> None:
    evidence = await asked("postgresql://u@does-not-exist.invalid/app")

    assert evidence.cause in {"dns-not-found", "dns-unavailable", "timeout"}


# --- queries and limits ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expect", "is_ok"),
    [
        ("SELECT 1", 1, True),
        ("SELECT 1", 2, False),
        ("SELECT 7", "< 10", True),
        ("SELECT 12.5::numeric", "< 10", False),
        ("SELECT 'ready'", "ready", True),
        ("SELECT true", True, True),
        ("SELECT now() - interval '1 day'", "contains -", True),
        ("SELECT 1 WHERE false", None, True),
        ("SELECT 1 WHERE false", 1, False),
        ("SET TIME ZONE 'UTC'", None, True),
    ],
)
async def test_the_answer_must_be_as_expected(
    postgres: PostgresCluster, query: str, expect: Any, is_ok: bool
) -> None:
    evidence = await asked(postgres.dsn, query=query, **({} if expect is None else {"expect": expect}))

    assert evidence.is_ok is is_ok
    assert is_ok or (evidence.cause, evidence.status) == ("wrong-answer", ProbeStatus.UNHEALTHY)


async def test_a_wrong_answer_tells_both_sides(postgres: PostgresCluster) -> None:
    evidence = await asked(postgres.dsn, query="SELECT 300", expect="< 100")

    assert evidence.summary == "the query answers 300, expected < 100"
    assert evidence.metrics["query_ms"] > 0


async def test_a_query_that_cannot_run_is_no_case_for_a_restart(postgres: PostgresCluster) -> None:
    evidence = await asked(postgres.dsn, query="SELECT * FROM nonesuch")

    assert (evidence.cause, evidence.grade) == ("query-failed", Grade.SCHEDULED)
    assert evidence.summary == 'the query failed: relation "nonesuch" does not exist'
    assert evidence.facts["sqlstate"] == "42P01"


async def test_a_query_cannot_write(postgres_database: PostgresDatabase, postgres: PostgresCluster) -> None:
    evidence = await asked(postgres_database.dsn, query="CREATE TABLE mine (id int)")

    assert evidence.facts["sqlstate"] == "25006"


async def test_a_percent_sign_in_a_query_is_nothing_special(postgres: PostgresCluster) -> None:
    assert (await asked(postgres.dsn, query="SELECT 'a' LIKE 'a%'", expect=True)).is_ok


async def test_too_many_connections_used_degrade(
    postgres: PostgresCluster, session: psycopg.AsyncConnection[Any]
) -> None:
    evidence = await asked(postgres.dsn, limits={"connections": "1%"})

    assert (evidence.is_degraded, evidence.cause, evidence.grade) == (True, "connections", Grade.WEAK)
    assert "connections used (limit 1.0 %)" in evidence.summary


async def test_an_old_transaction_degrades(
    postgres: PostgresCluster, session: psycopg.AsyncConnection[Any]
) -> None:
    await session.execute("SELECT 1")
    await session.execute("SELECT pg_sleep(0.05)")

    evidence = await asked(postgres.dsn, limits={"transaction_age": "20ms"})
    well = await asked(
        postgres.dsn, limits={"transaction_age": "1h", "connections": 100, "replication_lag": "1s"}
    )

    assert (evidence.is_degraded, evidence.cause) == (True, "transaction-age")
    assert evidence.metrics["longest_transaction_s"] > 0.02
    assert well.grade is Grade.NONE


async def test_a_role_without_privileges_can_be_used(
    postgres_database: PostgresDatabase, postgres: PostgresCluster
) -> None:
    postgres.execute("CREATE ROLE watcher LOGIN PASSWORD 'secret'")
    try:
        dsn = postgres.dsn_of("postgres", user="watcher", password="secret")
        evidence = await asked(
            dsn, limits={"connections": 90, "replication_lag": "30s", "transaction_age": "15m"}
        )
    finally:
        postgres.execute("DROP ROLE watcher")

    assert evidence.grade is Grade.NONE
    assert evidence.metrics["active_connections"] >= 1


async def test_a_lost_session_is_told(postgres: PostgresCluster) -> None:
    evidence = await asked(postgres.dsn, query="SELECT pg_terminate_backend(pg_backend_pid())")

    assert (evidence.outcome, evidence.cause) == (Outcome.FAIL, "shutting-down")


def test_it_works_on_uvloop(postgres: PostgresCluster) -> None:
    async def looks() -> list[str]:
        return [
            (await asked(postgres.dsn)).cause,
            (await asked(postgres.dsn, query="SELECT pg_sleep(20)", timeout_s=0.3)).cause,
            (await asked(f"postgresql://u@127.0.0.1:{free_port()}/app")).cause,
        ]

    assert uvloop.run(looks()) == ["ok", "timeout", "refused"]

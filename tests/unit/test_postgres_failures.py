"""What PostgreSQL's refusals mean, with messages as libpq and psycopg give them."""

import pytest

from defib.plugin import Grade, Outcome, ProbeStatus
from defib_plugins.postgres_failures import connection_failure, query_failure

TCP = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '
SOCKET = 'connection failed: connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: '
HINT = "\n\tIs the server running locally and accepting connections on that socket?"


@pytest.mark.parametrize(
    ("message", "cause", "grade", "status"),
    [
        (
            SOCKET + "No such file or directory" + HINT,
            "socket-missing",
            Grade.AUTHORITATIVE,
            ProbeStatus.ERROR,
        ),
        (SOCKET + "Connection refused" + HINT, "refused", Grade.STRONG, ProbeStatus.ERROR),
        (TCP + "Connection refused\n\tIs the server running?", "refused", Grade.STRONG, ProbeStatus.ERROR),
        (TCP + "server closed the connection unexpectedly", "reset", Grade.STRONG, ProbeStatus.ERROR),
        (
            TCP + 'FATAL:  password authentication failed for user "defib"',
            "auth-failed",
            Grade.SCHEDULED,
            ProbeStatus.UNHEALTHY,
        ),
        (TCP + 'FATAL:  role "nobody" does not exist', "auth-failed", Grade.SCHEDULED, ProbeStatus.UNHEALTHY),
        (
            "connection failed: fe_sendauth: no password supplied",
            "auth-failed",
            Grade.SCHEDULED,
            ProbeStatus.UNHEALTHY,
        ),
        (
            TCP + 'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "a", database "b", no encryption',
            "auth-failed",
            Grade.SCHEDULED,
            ProbeStatus.UNHEALTHY,
        ),
        (TCP + 'FATAL:  database "nope" does not exist', "no-database", Grade.SCHEDULED, ProbeStatus.UNKNOWN),
        (
            TCP + "FATAL:  the database system is starting up",
            "starting-up",
            Grade.NORMAL,
            ProbeStatus.UNHEALTHY,
        ),
        (
            TCP + "FATAL:  the database system is shutting down",
            "shutting-down",
            Grade.NORMAL,
            ProbeStatus.UNHEALTHY,
        ),
        (
            TCP + "FATAL:  sorry, too many clients already",
            "too-many-connections",
            Grade.NORMAL,
            ProbeStatus.UNHEALTHY,
        ),
        (
            TCP + "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
            "too-many-connections",
            Grade.NORMAL,
            ProbeStatus.UNHEALTHY,
        ),
        (TCP + "No route to host", "unreachable", Grade.NORMAL, ProbeStatus.ERROR),
        (
            TCP + "server does not support SSL, but SSL was required",
            "tls-handshake",
            Grade.NORMAL,
            ProbeStatus.ERROR,
        ),
        (
            "failed to resolve host 'nope': [Errno -2] Name or service not known",
            "dns-not-found",
            Grade.STRONG,
            ProbeStatus.ERROR,
        ),
        (TCP + "FATAL:  quelque chose", "connect-failed", Grade.NORMAL, ProbeStatus.ERROR),
    ],
)
def test_a_refused_connection_says_why(message: str, cause: str, grade: Grade, status: ProbeStatus) -> None:
    evidence = connection_failure(message, "db:5432/app")

    assert (evidence.outcome, evidence.cause, evidence.grade, evidence.status) == (
        Outcome.FAIL,
        cause,
        grade,
        status,
    )
    assert "db:5432/app" in evidence.summary


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (TCP + "Too many open files", "no-descriptors"),
        (TCP + "Network is unreachable", "no-route"),
        (SOCKET + "Permission denied" + HINT, "not-permitted"),
        (
            "failed to resolve host 'db': [Errno -3] Temporary failure in name resolution",
            "dns-unavailable",
        ),
    ],
)
def test_our_own_trouble_is_inconclusive(message: str, cause: str) -> None:
    evidence = connection_failure(message, "db")

    assert (evidence.outcome, evidence.cause) == (Outcome.INCONCLUSIVE, cause)


def test_a_server_that_answers_on_one_address_is_more_telling_than_one_that_refuses_on_another() -> None:
    message = TCP + "Connection refused\nMultiple connection attempts failed. All failures were:\n- ...\n"
    message += TCP + "FATAL:  the database system is starting up"

    assert connection_failure(message, "db").cause == "starting-up"


def test_what_the_server_said_is_a_fact_without_libpqs_preamble() -> None:
    evidence = connection_failure(TCP + 'FATAL:  database "nope" does not exist', "db")

    assert evidence.facts["error"] == 'FATAL:  database "nope" does not exist'


@pytest.mark.parametrize(
    ("sqlstate", "cause", "grade"),
    [
        ("57P01", "shutting-down", Grade.NORMAL),
        ("57P03", "starting-up", Grade.NORMAL),
        ("53300", "too-many-connections", Grade.NORMAL),
        ("42P01", "query-failed", Grade.SCHEDULED),
        ("42501", "query-failed", Grade.SCHEDULED),
        ("XX001", "query-failed", Grade.NORMAL),
        ("53100", "query-failed", Grade.NORMAL),
    ],
)
def test_a_failed_query_is_unhealthy(sqlstate: str, cause: str, grade: Grade) -> None:
    evidence = query_failure(sqlstate, 'relation "jobs" does not exist\nLINE 1: …')

    assert (evidence.cause, evidence.grade, evidence.status) == (cause, grade, ProbeStatus.UNHEALTHY)
    assert evidence.facts == {"sqlstate": sqlstate, "error": 'relation "jobs" does not exist'}

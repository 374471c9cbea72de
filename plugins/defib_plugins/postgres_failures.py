"""What PostgreSQL's refusals mean.

libpq keeps no SQLSTATE of a connection that failed, only text: the server's own (English unless its
``lc_messages`` says otherwise) and the C library's. What no line below knows is told as it stands.
"""

import re
from typing import NamedTuple

from defib.plugin import N_, Evidence, Grade, ProbeStatus
from defib_plugins.display import clip, first_line
from defib_plugins.phrases import phrase


class _Known(NamedTuple):
    cause: str
    words: str
    grade: Grade
    status: ProbeStatus
    signs: tuple[str, ...]  #: parts of the message in lower case


# What the server says comes before what the network says: of several addresses, one that answers is telling.
# Credentials and missing databases are no case for a restart, hence their grade.
_KNOWN = (
    _Known(
        "auth-failed", N_("the server does not let us in"), Grade.SCHEDULED, ProbeStatus.UNHEALTHY,
        ("authentication failed", "no pg_hba.conf entry", "no password supplied", "pg_hba.conf rejects",
         "is not permitted to log in"),
    ),
    _Known(
        "starting-up", N_("the server is starting up or recovering"), Grade.NORMAL, ProbeStatus.UNHEALTHY,
        ("the database system is starting up", "the database system is in recovery mode",
         "not yet accepting connections", "not accepting connections"),
    ),
    _Known(
        "shutting-down", N_("the server is shutting down"), Grade.NORMAL, ProbeStatus.UNHEALTHY,
        ("the database system is shutting down",),
    ),
    _Known(
        "too-many-connections", N_("the server has no connection left"), Grade.NORMAL, ProbeStatus.UNHEALTHY,
        ("too many clients already", "too many connections for", "remaining connection slots"),
    ),
    _Known("refused", N_("connection refused"), Grade.STRONG, ProbeStatus.ERROR, ("connection refused",)),
    _Known(
        "reset", N_("the connection was cut"), Grade.STRONG, ProbeStatus.ERROR,
        ("connection reset", "closed the connection unexpectedly", "broken pipe"),
    ),
    _Known(
        "tls-handshake", N_("TLS with the server failed"), Grade.NORMAL, ProbeStatus.ERROR,
        ("ssl error", "certificate", "does not support ssl"),
    ),
    _Known("timeout", N_("no answer"), Grade.NORMAL, ProbeStatus.ERROR, ("timeout expired", "timed out")),
    _Known("unreachable", N_("no host answers there"), Grade.NORMAL, ProbeStatus.ERROR, ("no route to host",)),
    _Known(
        "dns-not-found", N_("its name does not exist"), Grade.STRONG, ProbeStatus.ERROR,
        ("name or service not known", "no address associated with hostname"),
    ),
    _Known(
        "socket-missing", N_("its socket does not exist"), Grade.AUTHORITATIVE, ProbeStatus.ERROR,
        ("no such file or directory",),
    ),
)  # fmt: skip

_OWN = (
    (
        "no-descriptors",
        N_("this process has no file descriptor left; raise its limit (ulimit -n)"),
        "too many open files",
    ),
    ("no-route", N_("this machine has no route there"), "network is unreachable"),
    ("dns-unavailable", N_("this machine's resolver gives no answer"), "failed to resolve host"),
    ("dns-unavailable", N_("this machine's resolver gives no answer"), "could not translate host name"),
    ("not-permitted", N_("this process may not use its socket"), "permission denied"),
)

_PREAMBLE = re.compile(r"^connection failed: (connection to server .*? failed: )?")

_BY_SQLSTATE = {
    "28000": "auth-failed",
    "28P01": "auth-failed",
    "53300": "too-many-connections",
    "57P01": "shutting-down",
    "57P02": "shutting-down",
    "57P03": "starting-up",
}


def connection_failure(message: str, address: str) -> Evidence:
    """The evidence of a connection that failed with libpq's ``message``."""
    text = message.lower()
    if 'role "' in text and '" does not exist' in text:
        return _evidence(_known("auth-failed"), address, _said(message))
    if 'database "' in text and '" does not exist' in text:
        words = phrase("the database of {address} does not exist", address=address)
        return Evidence.fail(
            "no-database",
            words,
            grade=Grade.SCHEDULED,
            status=ProbeStatus.UNKNOWN,
            facts={"error": _said(message)},
        )
    for known in _KNOWN:
        if any(sign in text for sign in known.signs):
            return _evidence(known, address, _said(message))
    for cause, words, sign in _OWN:
        if sign in text:
            return Evidence.inconclusive(
                cause, phrase("cannot look at {address}: {why}", address=address, why=phrase(words))
            )
    said = _said(message)
    words = phrase("cannot connect to {address}: {error}", address=address, error=said)
    return Evidence.fail("connect-failed", words, facts={"error": said})


def query_failure(sqlstate: str, message: str) -> Evidence:
    """The evidence of a query that the server refused.

    :param sqlstate: class 42 is a fault of the query or its permissions, which no restart cures
        (PostgreSQL manual, appendix A).
    """
    said = first_line(message)
    if sqlstate in _BY_SQLSTATE:
        known = _known(_BY_SQLSTATE[sqlstate])
        return Evidence.fail(
            known.cause,
            phrase(known.words),
            grade=known.grade,
            status=known.status,
            facts={"sqlstate": sqlstate, "error": said},
        )
    grade = Grade.SCHEDULED if sqlstate.startswith("42") else Grade.NORMAL
    return Evidence.fail(
        "query-failed",
        phrase("the query failed: {error}", error=said),
        grade=grade,
        status=ProbeStatus.UNHEALTHY,
        facts={"sqlstate": sqlstate, "error": said},
    )


def _known(cause: str) -> _Known:
    return next(known for known in _KNOWN if known.cause == cause)


def _evidence(known: _Known, address: str, said: str) -> Evidence:
    words = phrase("{address}: {what}", address=address, what=phrase(known.words))
    return Evidence.fail(known.cause, words, grade=known.grade, status=known.status, facts={"error": said})


def _said(message: str) -> str:
    """What the server or the system said, without libpq's preamble."""
    return clip(_PREAMBLE.sub("", first_line(message, 400)))

"""What the exceptions of a network look say."""

import errno
import os
import socket
import ssl

import pytest

from defib.plugin import Evidence, Grade, Outcome, ProbeStatus
from defib_plugins.failures import network_failure


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "cause", "grade", "summary"),
    [
        (system(errno.ECONNREFUSED), "refused", Grade.STRONG, "connection refused by db:5432"),
        (system(errno.ECONNRESET), "reset", Grade.STRONG, "connection reset by db:5432"),
        (system(errno.EPIPE), "reset", Grade.STRONG, "connection reset by db:5432"),
        (system(errno.ETIMEDOUT), "timeout", Grade.NORMAL, "no answer from db:5432"),
        (system(errno.EHOSTUNREACH), "unreachable", Grade.NORMAL, "no host answers at db:5432"),
        (system(errno.ENOENT), "socket-missing", Grade.AUTHORITATIVE, "no socket at db:5432"),
        (system(errno.EPROTO), "connect-failed", Grade.NORMAL, "cannot talk to db:5432: Protocol error"),
        (
            socket.gaierror(socket.EAI_NONAME, "?"),
            "dns-not-found",
            Grade.STRONG,
            "the name in db:5432 does not exist",
        ),
        (RuntimeError("secret"), "connect-failed", Grade.NORMAL, "cannot talk to db:5432 (RuntimeError)"),
    ],
)
def test_an_error_of_the_target_is_a_failure(
    error: Exception, cause: str, grade: Grade, summary: str
) -> None:
    evidence = network_failure(error, "db:5432")

    assert (evidence.outcome, evidence.cause, evidence.grade) == (Outcome.FAIL, cause, grade)
    assert (evidence.status, evidence.summary) == (ProbeStatus.ERROR, summary)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (system(errno.EMFILE), "no-descriptors"),
        (system(errno.ENFILE), "no-descriptors"),
        (system(errno.ENETUNREACH), "no-route"),
        (system(errno.ENETDOWN), "no-route"),
        (system(errno.EADDRNOTAVAIL), "no-port"),
        (system(errno.ENOBUFS), "no-memory"),
        (system(errno.EACCES), "not-permitted"),
        (socket.gaierror(socket.EAI_AGAIN, "?"), "dns-unavailable"),
        (socket.gaierror(socket.EAI_FAIL, "?"), "dns-unavailable"),
    ],
)
def test_our_own_trouble_is_inconclusive(error: Exception, cause: str) -> None:
    evidence = network_failure(error, "db:5432")

    assert (evidence.outcome, evidence.grade, evidence.cause) == (Outcome.INCONCLUSIVE, Grade.OWN, cause)


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "no good"
    return error


@pytest.mark.parametrize(
    ("code", "cause", "grade"),
    [
        (9, "tls-not-yet-valid", Grade.SCHEDULED),
        (10, "tls-expired", Grade.SCHEDULED),
        (18, "tls-self-signed", Grade.NORMAL),
        (20, "tls-untrusted", Grade.NORMAL),
        (62, "tls-wrong-name", Grade.NORMAL),
        (64, "tls-wrong-name", Grade.NORMAL),
        (7, "tls-invalid-certificate", Grade.NORMAL),
    ],
)
def test_a_refused_certificate_says_why(code: int, cause: str, grade: Grade) -> None:
    evidence = network_failure(certificate_error(code), "web")

    assert (evidence.outcome, evidence.cause, evidence.grade) == (Outcome.FAIL, cause, grade)
    assert evidence.summary == "certificate of web refused: no good"


def test_a_failed_handshake_is_told_in_words() -> None:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    error.reason = "WRONG_VERSION_NUMBER"

    assert network_failure(error, "web") == Evidence.fail(
        "tls-handshake", "TLS with web failed: wrong version number", facts={"error": "tls-handshake"}
    )


def test_of_several_addresses_the_most_telling_failure_decides() -> None:
    group = ExceptionGroup("none", [system(errno.ENETUNREACH), TimeoutError(), system(errno.ECONNREFUSED)])

    assert network_failure(group, "db").cause == "refused"
    assert (
        network_failure(ExceptionGroup("none", [system(errno.ENETUNREACH), TimeoutError()]), "db").cause
        == "timeout"
    )
    assert network_failure(ExceptionGroup("none", [system(errno.ENETUNREACH)]), "db").cause == "no-route"


def test_an_error_is_found_behind_others() -> None:
    try:
        try:
            raise system(errno.ECONNREFUSED)
        except OSError as error:
            raise OSError("All connection attempts failed") from error
    except OSError as error:
        caused = error

    assert network_failure(caused, "db").cause == "refused"
    assert network_failure(RuntimeError("aborted", system(errno.ENOENT)), "db").cause == "socket-missing"


def test_errors_that_refer_to_one_another_come_to_an_end() -> None:
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__context__, second.__context__ = second, first

    assert network_failure(first, "db").cause == "connect-failed"

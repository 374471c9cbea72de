"""What the exceptions of a network look say about the target, and which of them are our own trouble.

The classes are those of the detection design, section 2.5: refused, reset and "no such name" are strong,
timeouts and handshakes normal; descriptors, routes and resolvers of this machine say nothing about the target.
"""

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta

from defib.plugin import N_, Evidence, Fact, Grade, Lapse
from defib_plugins.phrases import phrase

_REFUSED, _RESET, _TLS, _TIMEOUT, _UNREACHABLE, _NAME, _OTHER, _OWN = range(8)
"""How telling a failure is when several addresses of one name failed differently: the least number is told."""

_OWN_ERRORS = {
    errno.EMFILE: (
        "no-descriptors",
        N_("this process has no file descriptor left; raise its limit (ulimit -n)"),
    ),
    errno.ENFILE: ("no-descriptors", N_("this machine has no file descriptor left")),
    errno.ENETUNREACH: ("no-route", N_("this machine has no route there")),
    errno.ENETDOWN: ("no-route", N_("this machine's network is down")),
    errno.EADDRNOTAVAIL: ("no-port", N_("this machine has no free local port or address")),
    errno.ENOBUFS: ("no-memory", N_("this machine has no network buffer left")),
    errno.ENOMEM: ("no-memory", N_("this machine has no memory left")),
    errno.EACCES: ("not-permitted", N_("this process may not connect there (firewall or permission)")),
    errno.EPERM: ("not-permitted", N_("this process may not connect there (firewall or permission)")),
}

_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}

_CERTIFICATE_CAUSES = {
    9: "tls-not-yet-valid",
    10: "tls-expired",
    18: "tls-self-signed",
    19: "tls-self-signed",
    20: "tls-untrusted",
    21: "tls-untrusted",
    23: "tls-revoked",
    62: "tls-wrong-name",
    64: "tls-wrong-name",
}
"""By OpenSSL's X509_V_ERR_* numbers (openssl-verification-options)."""


def network_failure(error: BaseException, address: str) -> Evidence:
    """The evidence of an exception met while connecting to ``address`` or talking with it.

    :param error: looked through with its causes and groups; the most telling of the errors found decides.
    :param address: shown; without credentials.
    """
    found = sorted((_classify(leaf, address) for leaf in _leaves(error)), key=lambda ranked: ranked[0])
    if found:
        return found[0][1]
    words = phrase("cannot talk to {address} ({error})", address=address, error=type(error).__name__)
    return Evidence.fail("connect-failed", words)


def timed_out(timeout: timedelta, phase: str, *, facts: dict[str, Fact] | None = None) -> Evidence:
    """The evidence of an answer that did not come in time.

    :param phase: what was waited for, a phrase as it reads after "while": ``connecting``.
    """
    summary = phrase("no answer within {limit}, while {phase}", limit=Lapse.of(timeout), phase=phase)
    return Evidence.fail("timeout", summary, facts={"error": "timeout", "phase": phase, **(facts or {})})


def _leaves(error: BaseException) -> Iterator[OSError]:
    """Every telling :class:`OSError` in ``error``: itself, its causes, members of groups, and its arguments.

    (urllib3 keeps the operating system's error only as an argument.)
    """
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, ssl.SSLError | TimeoutError) or (
            isinstance(current, OSError) and current.errno
        ):
            yield current
            continue
        if isinstance(current, BaseExceptionGroup):
            waiting.extend(current.exceptions)
        waiting.extend(argument for argument in current.args if isinstance(argument, BaseException))
        waiting.extend(link for link in (current.__cause__, current.__context__) if link is not None)


def _classify(error: OSError, address: str) -> tuple[int, Evidence]:
    if isinstance(error, ssl.SSLError):
        return _TLS, _tls_failure(error, address)
    if isinstance(error, socket.gaierror):
        return _name_failure(error, address)
    if isinstance(error, ConnectionRefusedError):
        return _REFUSED, _fail(
            "refused", phrase("connection refused by {address}", address=address), Grade.STRONG
        )
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return _RESET, _fail("reset", phrase("connection reset by {address}", address=address), Grade.STRONG)
    if isinstance(error, TimeoutError):
        return _TIMEOUT, _fail("timeout", phrase("no answer from {address}", address=address), Grade.NORMAL)
    if error.errno in _OWN_ERRORS:
        return _OWN, _own_trouble(error.errno, address)
    if error.errno in (errno.EHOSTUNREACH, errno.EHOSTDOWN):
        return _UNREACHABLE, _fail(
            "unreachable", phrase("no host answers at {address}", address=address), Grade.NORMAL
        )
    if error.errno == errno.ENOENT:
        return _REFUSED, _fail(
            "socket-missing", phrase("no socket at {address}", address=address), Grade.AUTHORITATIVE
        )
    if _descriptors_are_spent():  # libraries report it in strange ways
        return _OWN, _own_trouble(errno.EMFILE, address)
    words = phrase("cannot talk to {address}: {error}", address=address, error=os.strerror(error.errno or 0))
    return _OTHER, _fail("connect-failed", words, Grade.NORMAL)


def _name_failure(error: socket.gaierror, address: str) -> tuple[int, Evidence]:
    if _descriptors_are_spent():
        return _OWN, _own_trouble(errno.EMFILE, address)
    if error.errno in _NO_SUCH_NAME:
        return _NAME, _fail(
            "dns-not-found", phrase("the name in {address} does not exist", address=address), Grade.STRONG
        )
    words = phrase(
        "cannot look up the name in {address}: this machine's resolver gives no answer", address=address
    )
    return _OWN, Evidence.inconclusive("dns-unavailable", words)


def _own_trouble(number: int, address: str) -> Evidence:
    cause, words = _OWN_ERRORS[number]
    return Evidence.inconclusive(
        cause, phrase("cannot look at {address}: {why}", address=address, why=phrase(words))
    )


def _descriptors_are_spent() -> bool:
    """Whether no file can be opened any more: then even /etc/hosts cannot be read, and every name is unknown."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False


def _tls_failure(error: ssl.SSLError, address: str) -> Evidence:
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = _CERTIFICATE_CAUSES.get(error.verify_code, "tls-invalid-certificate")
        # A restart never helps against a date: the grade keeps recovery away.
        grade = Grade.SCHEDULED if cause in ("tls-expired", "tls-not-yet-valid") else Grade.NORMAL
        words = phrase("certificate of {address} refused: {why}", address=address, why=error.verify_message)
        return _fail(cause, words, grade)
    reason = error.reason.replace("_", " ").lower() if error.reason else phrase("the connection ended")
    return _fail(
        "tls-handshake", phrase("TLS with {address} failed: {why}", address=address, why=reason), Grade.NORMAL
    )


def _fail(cause: str, summary: str, grade: Grade) -> Evidence:
    return Evidence.fail(cause, summary, grade=grade, facts={"error": cause})

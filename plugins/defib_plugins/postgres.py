"""Monitor ``postgres``: a server that lets us in, answers a query, and is within its limits."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field

from defib.plugin import (
    N_,
    BuildContext,
    DefaultRung,
    Duration,
    Evidence,
    Fact,
    Family,
    Grade,
    Lapse,
    MonitorType,
    Options,
    Outcome,
    Percent,
    ProbeContext,
    ProbeStatus,
    Secret,
    hookimpl,
)
from defib_plugins.assertions import ConditionOption, shorten
from defib_plugins.display import clip
from defib_plugins.elsewhere import of_port
from defib_plugins.failures import network_failure, timed_out
from defib_plugins.phrases import phrase
from defib_plugins.postgres_failures import connection_failure, query_failure
from defib_plugins.thresholds import Limits, Reading, present

if TYPE_CHECKING:
    from defib_plugins.postgres_session import Look, Statistics

_WORD = re.compile(r"\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|[^'\s]\S*|(?=\s|$))")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PLACE = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:@\[\]]*)(?::\d*)?")
_EXAMPLE = "write for example postgresql://monitor@db.example.com:5432/app"


def address_of(dsn: str) -> tuple[str, str]:
    """Host and the address to show, without user and password.

    :param dsn: a ``postgresql://`` address or libpq's ``host=… dbname=…`` words.
    :raises ValueError: it is neither. The message repeats nothing of it.
    """
    place, database = _place_in_url(dsn) if _SCHEME.match(dsn) else _place_in_words(dsn)
    host = "" if place.startswith(("/", "@")) else place.rpartition(":")[0] or place
    return host.strip("[]"), f"{place or 'local socket'}/{database}".rstrip("/")


def _place_in_url(dsn: str) -> tuple[str, str]:
    try:
        parts = urlsplit(dsn)
        query = dict(item.split("=", 1) for item in parts.query.split("&") if parts.query)
    except ValueError:
        raise ValueError(f"not an address; {_EXAMPLE}") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError(f"not a PostgreSQL address; {_EXAMPLE}")
    place = parts.netloc.rpartition("@")[2]
    if "@" in parts.path or parts.fragment or not all(map(_PLACE.fullmatch, place.split(","))):
        raise ValueError("not an address; write / ? # and @ in a password as %2F %3F %23 and %40")
    return unquote(place) or unquote(query.get("host", "")), unquote(parts.path.lstrip("/"))


def _place_in_words(dsn: str) -> tuple[str, str]:
    words: dict[str, str] = {}
    position = 0
    while position < len(dsn.rstrip()):
        if (word := _WORD.match(dsn, position)) is None:
            raise ValueError(f"neither an address nor libpq's key=value words; {_EXAMPLE}")
        words[word[1]] = word[2].strip("'")
        position = word.end()
    if not words:
        raise ValueError(f"empty; {_EXAMPLE}")
    place = words.get("host", "")
    return f"{place}:{words['port']}" if "port" in words else place, words.get("dbname", "")


def _checked(dsn: Secret) -> Secret:
    address_of(dsn.get_secret_value())
    return dsn


class PostgresLimits(Options):
    """Numbers beyond which the server is degraded."""

    connections: Percent | None = Field(default=None, description="Client connections, of max_connections.")
    replication_lag: Duration | None = Field(default=None, description="How far a standby may lag behind.")
    transaction_age: Duration | None = Field(default=None, description="Age of the longest open transaction.")


class PostgresOptions(Options):
    """Options of the ``postgres`` monitor."""

    dsn: Annotated[Secret, AfterValidator(_checked)] = Field(
        description="postgresql://user:password@host:port/database, or libpq's key=value words; never shown."
    )
    query: str = Field(
        default="SELECT 1", min_length=1, description="Query to answer; runs in a read-only transaction."
    )
    expect: ConditionOption | None = Field(
        default=None, description="What the first column of the first row must be, such as 1 or '< 100'."
    )
    limits: PostgresLimits = Field(
        default_factory=PostgresLimits, description="Beyond them the server is degraded."
    )
    tripwire: bool = Field(
        default=True,
        description="Whether the daemon holds one idle connection, whose end shows at once that the server is gone.",
    )


def ladder(options: PostgresOptions) -> Sequence[DefaultRung]:
    """Nothing that could do harm: a diagnosis, and a start where the process is gone.

    :raises ValueError: the server may be on another machine.
    """
    host, address = address_of(options.dsn.get_secret_value())
    if host not in ("", "localhost", "::1") and not host.startswith("127."):
        raise ValueError(
            f"PostgreSQL at {address} may be on another machine, so what could start it is not known; write the rungs "
            "of a ladder, for example '- postgres: {action: start, unit: postgresql@15-main}'"
        )
    diagnose = DefaultRung(
        action="postgres", options={"action": "diagnose"}, timeout=timedelta(seconds=5), max_uses=1
    )
    return (diagnose, DefaultRung(action="postgres", options={"action": "start"}))


class PostgresMonitor:
    """Connects anew for each probe, as the server's clients do."""

    def __init__(self, options: PostgresOptions, context: BuildContext) -> None:
        self.host, self.target = address_of(options.dsn.get_secret_value())
        port = self.target.partition("/")[0].rpartition(":")[2]
        is_one = "," not in self.target
        self.elsewhere = of_port(self.host, int(port) if port.isdecimal() else 5432) if is_one else None
        self._options = options
        self._limits = Limits()

    async def probe(self, context: ProbeContext) -> Evidence:
        """One connection, one query. A timeout says which phase it hit."""
        import psycopg

        from defib_plugins.postgres_session import Progress, look

        timeout_s = context.timeout.total_seconds()
        started = context.clock.monotonic()
        progress = Progress()
        try:
            async with asyncio.timeout(timeout_s):
                found = await look(
                    self._options.dsn.get_secret_value(),
                    self._options.query,
                    timeout_s=timeout_s * 0.9,
                    clock=context.clock,
                    progress=progress,
                )
        except TimeoutError:
            return timed_out(context.timeout, progress.phase)
        except psycopg.errors.QueryCanceled:
            return timed_out(context.timeout, progress.phase)
        except psycopg.Error as error:
            if error.sqlstate is None:
                return connection_failure(str(error), self.target)
            return query_failure(error.sqlstate, error.diag.message_primary or str(error))
        except OSError as error:
            return network_failure(error, self.target)
        took = timedelta(seconds=context.clock.monotonic() - started)
        return self._judge(found, took, context.clock.monotonic())

    async def close(self) -> None:
        """Nothing is held between probes."""

    def _judge(self, found: "Look", took: timedelta, now: float) -> Evidence:
        statistics = found.statistics
        metrics = {"connect_ms": found.connect_ms, "query_ms": found.query_ms}
        facts: dict[str, Fact] = {}
        if statistics is not None:
            facts = {"server_version": statistics.version, "standby": statistics.is_standby}
            metrics |= present(
                active_connections=statistics.connections,
                max_connections=statistics.max_connections,
                longest_transaction_s=statistics.transaction_age_s,
                replication_lag_s=statistics.replication_lag_s,
            )
        expected = self._options.expect
        if expected is not None and not expected.is_met_by(_plain(found.value)):
            words = phrase(
                "the query answers {value}, expected {wanted}",
                value=shorten(found.value),
                wanted=expected.source,
            )
            return Evidence.fail(
                "wrong-answer",
                words,
                status=ProbeStatus.UNHEALTHY,
                latency=took,
                metrics=metrics,
                facts={**facts, "error": words},
            )
        if statistics is None and self._options.limits != PostgresLimits():
            said = clip(found.statistics_error) or phrase("no answer")
            words = phrase("the server's statistics cannot be read: {error}", error=said)
            return Evidence.degraded("no-statistics", words, latency=took, metrics=metrics, facts=facts)
        summary = phrase("answered in {took:.0f} ms", took=took.total_seconds() * 1000)
        readings = _readings(statistics, self._options.limits) if statistics else ()
        return self._limits.judge(readings, now, summary=summary, metrics=metrics, facts=facts, latency=took)


_GONE = ("refused", "reset", "socket-missing", "shutting-down")
"""By these causes the server has ended, or is about to."""


class WiredPostgresMonitor(PostgresMonitor):
    """Holds one idle connection besides.

    A server that cuts it without a farewell and then lets nobody in has crashed: no more evidence is needed.
    One that shuts down is let go of, for a smart shutdown waits for its clients.
    """

    def __init__(self, options: PostgresOptions, context: BuildContext) -> None:
        super().__init__(options, context)
        self._is_well = asyncio.Event()
        self._is_leaving = asyncio.Event()
        self._was_cut = False

    async def probe(self, context: ProbeContext) -> Evidence:
        """See the base class."""
        evidence = await super().probe(context)
        if evidence.is_ok:
            self._was_cut = False
            self._is_leaving.clear()
            self._is_well.set()
        elif evidence.outcome is Outcome.FAIL:
            self._is_well.clear()
            if evidence.cause == "shutting-down":
                self._is_leaving.set()
            if self._was_cut and evidence.cause in _GONE:
                words = phrase("{trouble}, and it cut the connection that was held", trouble=evidence.summary)
                return replace(evidence, grade=Grade.AUTHORITATIVE, summary=words)
        return evidence

    async def trips(self) -> AsyncGenerator[str, None]:
        """When the server ends the held connection; then returns. Connects only after a good look."""
        await self._is_well.wait()
        import psycopg

        from defib_plugins.postgres_hold import Held

        try:
            held = await Held.open(self._options.dsn.get_secret_value())
        except (psycopg.Error, OSError):
            return
        ending = asyncio.ensure_future(held.ended())
        leaving = asyncio.ensure_future(self._is_leaving.wait())
        try:
            await asyncio.wait((ending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                return
            how = ending.result()
            self._is_well.clear()
            self._was_cut = not how.was_commanded
        finally:
            for task in (ending, leaving):
                task.cancel()
            await asyncio.gather(ending, leaving, return_exceptions=True)
            await held.close()
        yield f"the server ended the held connection{f' ({how.said})' if how.said else ''}"


def _create(options: PostgresOptions, context: BuildContext) -> PostgresMonitor:
    return (WiredPostgresMonitor if options.tripwire else PostgresMonitor)(options, context)


def _readings(statistics: "Statistics", limits: PostgresLimits) -> Iterable[Reading]:
    used = 100 * statistics.connections / statistics.max_connections
    yield Reading(
        name="connections",
        value=used,
        limit=limits.connections,
        text=phrase(
            "{used:.0f} of {most:.0f} connections used",
            used=statistics.connections,
            most=statistics.max_connections,
        ),
        limit_text="" if limits.connections is None else phrase("{share} %", share=limits.connections),
    )
    for name, seconds, limit, words in (
        (
            "replication-lag",
            statistics.replication_lag_s,
            limits.replication_lag,
            N_("a standby lags by {lag}"),
        ),
        (
            "transaction-age",
            statistics.transaction_age_s,
            limits.transaction_age,
            N_("a transaction is open for {lag}"),
        ),
    ):
        if seconds is not None and limit is not None:
            yield Reading(
                name=name,
                value=seconds,
                limit=limit.total_seconds(),
                text=phrase(words, lag=Lapse(round(seconds, 1))),
                limit_text=phrase("{limit}", limit=Lapse.of(limit)),
            )


def _plain(value: object) -> object:
    """A value as conditions compare it: numbers of any type as float, everything foreign as text."""
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    try:
        return float(str(value))
    except ValueError:
        return str(value)


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="postgres",
            summary="PostgreSQL: connects, answers a query, connections, replication lag, long transactions",
            family=Family.DATABASE,
            options=PostgresOptions,
            create=_create,
            ladder=ladder,
        )
    ]

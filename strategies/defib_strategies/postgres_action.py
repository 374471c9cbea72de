"""Recovery of PostgreSQL: it reads its configuration again. Never anything destructive.

From outside by ``SELECT pg_reload_conf()``. Inside a container by SIGHUP to its main process: that is the
postmaster in the official image (its entrypoint ends in ``exec postgres``), needs no login, no shell and no
knowledge of where the data are, and works while no connection is to be had. ``pg_ctl reload`` inside the
container would need the server's user and ``PGDATA``, which images name differently.
"""

import asyncio
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    ActionResult,
    ActionType,
    BuildContext,
    MonitorSpec,
    Options,
    Secret,
    hookimpl,
)
from defib_strategies.display import masked
from defib_strategies.docker_action import CONTAINER_NAME, DockerAddress, docker_line
from defib_strategies.docker_engine import Conversation, DockerError, converse
from defib_strategies.inherited import inherited
from defib_strategies.results import failed, timed_out

if TYPE_CHECKING:
    from docker.models.containers import Container

_RELOAD = "SELECT pg_reload_conf()"
_MAIN_PROGRAMS = ("postgres", "docker-init", "tini", "dumb-init")
"""Main processes that take a SIGHUP rightly: the postmaster, and inits that hand it on."""


class PostgresOptions(Options):
    """``postgres: {action: reload}``."""

    action: Literal["reload"] = Field(
        default="reload", description="reload: the server reads its configuration files again."
    )
    dsn: Secret | None = Field(
        default=None, description="Connection URL or string; the monitor's own when left out."
    )
    container: str | None = Field(
        default=None,
        pattern=CONTAINER_NAME,
        description="Reload the server that is this container's main process, by a signal instead of a connection.",
    )
    docker_host: DockerAddress | None = Field(
        default=None, description="Address of the container's Docker; the monitor's own, else DOCKER_HOST."
    )


class ReloadByQuery:
    """``pg_reload_conf()``, for which the user needs the right (a superuser has it)."""

    changes_identity = False

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.description = f"{_RELOAD} at {masked(dsn)}"

    def check(self) -> None:
        """Nothing that could be seen without connecting."""

    async def identity(self) -> str | None:
        """A reload keeps the process."""
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        import psycopg

        seconds = context.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                row = await self._query(max(2, math.ceil(seconds)))  # libpq waits at least 2 s
        except TimeoutError:
            return timed_out("PostgreSQL did not answer in time")
        except psycopg.Error as error:
            return failed(f"PostgreSQL did not reload: {error}", (_password(self._dsn),))
        if row != (True,):
            return failed("PostgreSQL could not signal its main process; look into its log")
        return ActionResult(output="PostgreSQL reads its configuration again")

    async def _query(self, connect_timeout_s: int) -> tuple[Any, ...] | None:
        from psycopg import AsyncConnection

        connection = await AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=connect_timeout_s, application_name="defib"
        )
        async with connection:
            return await (await connection.execute(_RELOAD)).fetchone()


class ReloadBySignal:
    """SIGHUP to the main process of a container, after a look at what that is."""

    changes_identity = False

    def __init__(self, container: str, host: str | None) -> None:
        self._container = container
        self._host = host
        self.description = docker_line(host, "kill", "--signal", "HUP", container)

    def check(self) -> None:
        """Nothing that could be seen without asking Docker; :meth:`run` asks before it acts."""

    async def identity(self) -> str | None:
        """A reload keeps the process."""
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        try:
            return ActionResult(output=await converse(self._host, context.timeout, self._signal))
        except TimeoutError:
            return timed_out("Docker did not answer in time; it may still send the signal")
        except DockerError as error:
            return failed(str(error))

    def _signal(self, docker: Conversation) -> str:
        container = docker.container(self._container)
        if container.status != "running":
            raise ActionRefusedError(
                f"container {self._container} is {container.status} and has nothing to reload; use a docker rung"
            )
        program = _main_program(docker.act_on(container))
        if program not in _MAIN_PROGRAMS:
            raise ActionRefusedError(
                f"the main process of container {self._container} is {program}, not postgres, and may take a "
                "SIGHUP amiss; leave 'container' out to reload through a connection"
            )
        docker.act_on(container).kill(signal="HUP")
        return f"{container.name}: SIGHUP sent to {program}"


def _main_program(container: "Container") -> str:
    """The name of the container's main process, as ``docker top`` shows it."""
    top = container.top(ps_args="-o pid,comm")
    pid = str(container.attrs["State"]["Pid"])
    return next((row[1] for row in top["Processes"] if row[0] == pid), "unknown")


def _password(dsn: str) -> str:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        return str(conninfo_to_dict(dsn).get("password") or "")
    except ProgrammingError:
        return dsn  # libpq quotes what it cannot read, passwords included


def _checked_dsn(dsn: str) -> str:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(dsn)
    except ProgrammingError:  # its message may quote the password
        raise ValueError(
            "dsn is no connection string; write it as postgresql://user@host:5432/database"
        ) from None
    return dsn


def _create(options: PostgresOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    if options.container is not None:
        if options.dsn is not None:
            raise ValueError("'container' and 'dsn' exclude each other; remove one")
        return ReloadBySignal(options.container, options.docker_host or inherited(monitor, "docker_host"))
    if options.docker_host is not None:
        raise ValueError("'docker_host' is for 'container'; write 'container: NAME' too, or remove it")
    if options.dsn is not None:
        return ReloadByQuery(_checked_dsn(options.dsn.get_secret_value()))
    dsn = inherited(monitor, "dsn")
    if dsn is None:
        raise ValueError(f"monitor {monitor.id} has no dsn of its own; write 'dsn' or 'container' here")
    return ReloadByQuery(dsn)


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    """The action."""
    return (
        ActionType(
            kind="postgres",
            summary="makes PostgreSQL read its configuration again, through a connection or inside its container",
            options=PostgresOptions,
            create=_create,
        ),
    )

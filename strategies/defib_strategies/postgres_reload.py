"""PostgreSQL reads its configuration again.

From outside by ``SELECT pg_reload_conf()``. Inside a container by SIGHUP to its main process: that is the
postmaster in the official image (its entrypoint ends in ``exec postgres``), needs no login, no shell and no
knowledge of where the data are, and works while no connection is to be had. ``pg_ctl reload`` inside the
container would need the server's user and ``PGDATA``, which images name differently.
"""

import asyncio
import math
from typing import TYPE_CHECKING, Any

from defib.plugin import ActionContext, ActionRefusedError, ActionResult, OwnParts
from defib_strategies.docker_action import docker_line
from defib_strategies.docker_engine import Conversation, DockerError, converse
from defib_strategies.docker_target import DockerContainer
from defib_strategies.postgres_server import Server
from defib_strategies.results import failed, timed_out

if TYPE_CHECKING:
    from docker.models.containers import Container

_RELOAD = "SELECT pg_reload_conf()"
_MAIN_PROGRAMS = ("postgres", "docker-init", "tini", "dumb-init")
"""Main processes that take a SIGHUP rightly: the postmaster, and inits that hand it on."""


class ReloadByQuery:
    """``pg_reload_conf()``, for which the user needs the right (a superuser has it)."""

    changes_identity = False

    def __init__(self, server: Server, own: OwnParts) -> None:
        self._server = server
        self._own = own
        self.description = f"{_RELOAD} at {server}"

    def check(self) -> None:
        """Nothing that could be seen without connecting."""

    async def aim(self) -> str:
        """See :class:`defib.plugin.Aimed`."""
        return await self._server.aim(self._own)

    async def identity(self) -> str | None:
        """A reload keeps the process."""
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        import psycopg

        seconds = context.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                await self.aim()
                row = await self._query(max(2, math.ceil(seconds)))  # libpq waits at least 2 s
        except TimeoutError:
            return timed_out("PostgreSQL did not answer in time")
        except psycopg.Error as error:
            return failed(f"PostgreSQL did not reload: {error}", self._server.secrets)
        if row != (True,):
            return failed("PostgreSQL could not signal its main process; look into its log")
        return ActionResult(output="PostgreSQL reads its configuration again")

    async def _query(self, connect_timeout_s: int) -> tuple[Any, ...] | None:
        from psycopg import AsyncConnection

        connection = await AsyncConnection.connect(
            self._server.dsn, autocommit=True, connect_timeout=connect_timeout_s, application_name="defib"
        )
        async with connection:
            return await (await connection.execute(_RELOAD)).fetchone()


class ReloadBySignal:
    """SIGHUP to the main process of a container, after a look at what that is."""

    changes_identity = False

    def __init__(self, container: DockerContainer) -> None:
        self._container = container
        self.description = docker_line(container.host, "kill", "--signal", "HUP", container.name)

    def check(self) -> None:
        """Nothing that could be seen without asking Docker; :meth:`aim` and :meth:`run` ask."""

    async def aim(self) -> str:
        """See :class:`defib.plugin.Aimed`."""
        return await self._container.aim()

    async def identity(self) -> str | None:
        """A reload keeps the process."""
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        try:
            return ActionResult(output=await converse(self._container.host, context.timeout, self._signal))
        except TimeoutError:
            return timed_out("Docker did not answer in time; it may still send the signal")
        except DockerError as error:
            return failed(str(error))

    def _signal(self, docker: Conversation) -> str:
        container = self._container.taken(docker)
        if container.status != "running":
            raise ActionRefusedError(
                f"container {container.name} is {container.status} and has nothing to reload; use a docker rung"
            )
        program = _main_program(docker.act_on(container))
        if program not in _MAIN_PROGRAMS:
            raise ActionRefusedError(
                f"the main process of container {container.name} is {program}, not postgres, and may take a "
                "SIGHUP amiss; leave 'container' out to reload through a connection"
            )
        docker.act_on(container).kill(signal="HUP")
        return f"{container.name}: SIGHUP sent to {program}"


def _main_program(container: "Container") -> str:
    """The name of the container's main process, as ``docker top`` shows it."""
    top = container.top(ps_args="-o pid,comm")
    pid = str(container.attrs["State"]["Pid"])
    return next((row[1] for row in top["Processes"] if row[0] == pid), "unknown")

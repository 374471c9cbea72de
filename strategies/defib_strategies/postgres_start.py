"""Finds out what a PostgreSQL server lacks, and starts one whose process is gone. Never stops or kills one."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from defib.plugin import (
    ActionContext,
    ActionHeldBackError,
    ActionRefusedError,
    ActionResult,
    OwnParts,
    SnapshotContext,
)
from defib_strategies.own_store import listeners
from defib_strategies.postgres_keepers import Keeper, find_keeper
from defib_strategies.postgres_server import Readiness, Server
from defib_strategies.results import bounded, timed_out


class Diagnose:
    """Asks like ``pg_isready``, and changes nothing. Its exit status is that of ``pg_isready``."""

    changes_identity = False

    def __init__(self, server: Server) -> None:
        self._server = server
        self.description = f"pg_isready at {server}"

    def check(self) -> None:
        """Nothing that could be seen without connecting."""

    async def identity(self) -> str | None:
        """It keeps the process."""
        return None

    async def snapshot(self, context: SnapshotContext) -> Mapping[str, str]:
        """See :class:`defib.plugin.Witness`."""
        return {"pg_isready": bounded(await _told(self._server), self._server.secrets)}

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        try:
            async with asyncio.timeout(context.timeout.total_seconds()):
                readiness = await self._server.readiness()
                told = await _told(self._server, readiness)
        except TimeoutError:
            return timed_out("the server did not answer in time")
        return ActionResult(exit_status=readiness.exit_status, output=bounded(told, self._server.secrets))


class StartServer:
    """Starts the server by what keeps it, once it is sure that its process is gone."""

    changes_identity = True

    def __init__(self, server: Server, keeper: Keeper | None, own: OwnParts) -> None:
        """:param keeper: None to find it by the server's port."""
        self._server = server
        self._keeper = keeper
        self._own = own
        how = (
            keeper.description if keeper else f"start the server at {server} by what keeps it on this machine"
        )
        self.description = f"{how}; only if its process is gone"

    def check(self) -> None:
        """Nothing that could be seen without asking; :meth:`aim` and :meth:`run` ask."""

    async def aim(self) -> str:
        """See :class:`defib.plugin.Aimed`."""
        await self._server.aim(self._own)
        return await (await self._found()).aim()

    async def identity(self) -> str | None:
        """What its keeper tells."""
        return await (await self._found()).identity()

    async def acted_at(self) -> datetime | None:
        """See :class:`defib.plugin.Dated`."""
        return await (await self._found()).acted_at()

    async def snapshot(self, context: SnapshotContext) -> Mapping[str, str]:
        """See :class:`defib.plugin.Witness`."""
        return await Diagnose(self._server).snapshot(context)

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        await self.aim()
        keeper = await self._found()
        match await self._server.readiness():
            case Readiness.ACCEPTING:
                raise ActionHeldBackError("the server accepts connections, so there is nothing to start")
            case Readiness.REJECTING as readiness:
                raise ActionHeldBackError(f"the server is there and is {readiness}")
            case Readiness.FOREIGN as readiness:
                raise ActionRefusedError(f"whether the server is there is not known: {readiness}")
        if present := await keeper.presence(context):
            raise ActionRefusedError(
                f"the server's process is there but does not answer ({await keeper.aim()} is {present}); Defib never "
                "stops a database: a person has to look"
            )
        if await self._is_listened():
            _, port = self._server.place
            raise ActionRefusedError(
                f"another process listens on port {port}, though {await keeper.aim()} does not run; find out which"
            )
        return await keeper.start(context)

    async def _found(self) -> Keeper:
        return self._keeper or await find_keeper(self._server, self._own)

    async def _is_listened(self) -> bool:
        return bool(await asyncio.to_thread(listeners, OwnParts(store=self._server.place)))


async def _told(server: Server, readiness: Readiness | None = None) -> str:
    """What ``pg_isready`` says, and who listens there where that is this machine."""
    host, port = server.place
    lines = [f"{host or 'local socket'}:{port} - {readiness or await server.readiness()}"]
    if await server.is_here():
        pids = await asyncio.to_thread(listeners, OwnParts(store=(host, port)))
        known = ", ".join(f"process {pid}" for pid in sorted(pid for pid in pids if pid is not None))
        unseen = "a process of another user" if None in pids else ""
        lines.append(f"listening on port {port}: {known or unseen or 'nobody'}")
    return "\n".join(lines)

"""Who can start a PostgreSQL server: its systemd unit, its Debian cluster, its container."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

from defib.plugin import ActionContext, ActionRefusedError, ActionResult, OwnParts, command_line
from defib_strategies.docker_action import docker_line
from defib_strategies.docker_engine import Conversation, DockerError, converse
from defib_strategies.docker_target import ANSWER_TIMEOUT, DockerContainer, published_ports
from defib_strategies.postgres_server import Server
from defib_strategies.programs import find_program
from defib_strategies.results import failed, result_of, timed_out
from defib_strategies.systemd_action import check_systemctl, run_in_turn
from defib_strategies.systemd_manager import SystemdUnit

CLUSTER = r"^[0-9]{1,2}(\.[0-9])?/[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$"
"""A cluster as Debian names it: ``15/main``."""
CLUSTER_FOLDER = Path("/etc/postgresql")  #: where Debian keeps the settings of clusters
SYSTEMD_FOLDER = Path("/run/systemd/system")  #: exists where systemd runs the machine (sd_booted(3))

_PORT = re.compile(r"^\s*port\s*=\s*'?(\d+)", re.MULTILINE)


class Keeper(Protocol):
    """What keeps a server running, and can start it."""

    description: str  #: what is executed, for people

    async def aim(self) -> str:
        """See :class:`defib.plugin.Aimed`."""

    async def presence(self, context: ActionContext) -> str:
        """The words in which it says that its server is there; "" when its process is gone."""

    async def start(self, context: ActionContext) -> ActionResult:
        """Start the server, whose process is gone."""

    async def identity(self) -> str | None:
        """See :class:`defib.plugin.Action`."""

    async def acted_at(self) -> datetime | None:
        """See :class:`defib.plugin.Dated`."""


class UnitKeeper:
    """A systemd unit."""

    def __init__(self, unit: SystemdUnit) -> None:
        self._unit = unit
        self.description = command_line(*unit.command("start"))
        self.aim = unit.aim
        self.identity = unit.identity
        self.acted_at = unit.acted_at

    async def presence(self, context: ActionContext) -> str:
        """See :class:`Keeper`."""
        check_systemctl()
        found = await self._unit.show("ActiveState", "SubState")
        if not found:
            raise ActionRefusedError(f"systemd does not tell whether {self._unit.name} runs")
        state = found.get("ActiveState", "")
        return "" if state in ("inactive", "failed") else f"{state} ({found.get('SubState')})"

    async def start(self, context: ActionContext) -> ActionResult:
        """See :class:`Keeper`. A start limit that was hit is lifted first."""
        commands = (self._unit.command("reset-failed"), self._unit.command("start"))
        return await run_in_turn(self._unit, commands, context)


class ClusterKeeper:
    """A cluster of Debian's ``postgresql-common``, without systemd."""

    def __init__(self, cluster: str) -> None:
        """:param cluster: matches :data:`CLUSTER`."""
        self._cluster = cluster
        self._words = tuple(cluster.split("/"))
        self.description = command_line("pg_ctlcluster", *self._words, "start")

    def _argv(self, verb: str) -> tuple[str, ...]:
        try:
            program = find_program("pg_ctlcluster")
        except ValueError as error:
            raise ActionRefusedError(str(error)) from error
        return (str(program), *self._words, verb)

    async def aim(self) -> str:
        """See :class:`Keeper`."""
        return f"cluster {self._cluster}"

    async def presence(self, context: ActionContext) -> str:
        """See :class:`Keeper`."""
        told = await context.execute(self._argv("status"), timeout=context.timeout, env=context.env)
        match told.exit_status:
            case 3:  # pg_ctlcluster(1): not running
                return ""
            case 0:
                return "running"
            case _:
                raise ActionRefusedError(
                    f"pg_ctlcluster does not know whether it runs: {told.output.strip()}"
                )

    async def start(self, context: ActionContext) -> ActionResult:
        """See :class:`Keeper`."""
        return result_of(await context.execute(self._argv("start"), timeout=context.timeout, env=context.env))

    async def identity(self) -> str | None:
        """Unknown."""
        return None

    async def acted_at(self) -> datetime | None:
        """Unknown."""
        return None


class ContainerKeeper:
    """A Docker container."""

    def __init__(self, container: DockerContainer) -> None:
        self._container = container
        self.description = docker_line(container.host, "start", container.name)
        self.aim = container.aim
        self.identity = container.identity
        self.acted_at = container.acted_at

    async def presence(self, context: ActionContext) -> str:
        """See :class:`Keeper`."""
        try:
            status = await converse(
                self._container.host, ANSWER_TIMEOUT, lambda docker: self._container.taken(docker).status
            )
        except (TimeoutError, DockerError) as error:
            raise ActionRefusedError(
                f"Docker does not tell whether {self._container.name} runs: {error}"
            ) from error
        return "" if status in ("exited", "created") else status

    async def start(self, context: ActionContext) -> ActionResult:
        """See :class:`Keeper`."""
        try:
            return ActionResult(output=await converse(self._container.host, context.timeout, self._start))
        except TimeoutError:
            return timed_out("Docker did not answer in time; it may still start the container")
        except DockerError as error:
            return failed(str(error))

    def _start(self, docker: Conversation) -> str:
        container = self._container.taken(docker)
        docker.act_on(container).start()
        return f"{container.name}: start done"


async def find_keeper(server: Server, own: OwnParts) -> Keeper:
    """The one on this machine whose settings say that its server listens where ``server`` is.

    :raises ActionRefusedError: it is none, or several, or the server is elsewhere.
    """
    remedy = "write 'unit: NAME', 'cluster: 15/main' or 'container: NAME' at the postgres rung"
    _, port = server.place
    if not await server.is_here():
        raise ActionRefusedError(
            f"{server} is not on this machine, so what could start it is not known; {remedy}"
        )
    found = [*await asyncio.to_thread(lambda: list(_clusters(port, own))), *await _containers(port, own)]
    if len(found) != 1:
        names = (
            ", ".join(sorted(keeper.description for keeper in found)) or "neither a cluster nor a container"
        )
        raise ActionRefusedError(
            f"what starts the server on port {port} is not clear ({names} is set to it); {remedy}"
        )
    return found[0]


def _clusters(port: int, own: OwnParts) -> Iterator[Keeper]:
    for file in sorted(CLUSTER_FOLDER.glob("*/*/postgresql.conf")):
        text = ""
        with suppress(OSError):
            text = file.read_text(encoding="utf-8", errors="replace")
        version, name = file.parent.parent.name, file.parent.name
        if not re.match(CLUSTER, f"{version}/{name}") or str(port) not in _PORT.findall(text)[-1:]:
            continue
        if SYSTEMD_FOLDER.is_dir():
            unit = f"postgresql@{version}-{name}.service"
            yield UnitKeeper(SystemdUnit(unit, False, own))
        else:
            yield ClusterKeeper(f"{version}/{name}")


async def _containers(port: int, own: OwnParts) -> list[Keeper]:
    """Containers of this machine's Docker that publish ``port``; none where there is no Docker."""

    def publishing(docker: Conversation) -> list[str]:
        return [
            str(container.name)
            for container in (docker.others() if docker.is_local else ())
            if str(port) in {assigned for _, assigned in published_ports(container.attrs)}
        ]

    try:
        names = await converse(None, ANSWER_TIMEOUT, publishing)
    except (TimeoutError, DockerError):
        return []
    return [ContainerKeeper(DockerContainer(name, None, own)) for name in names]

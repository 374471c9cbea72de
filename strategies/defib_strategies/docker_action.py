"""Recovery of Docker containers."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, assert_never

from pydantic import AfterValidator, Field

from defib.plugin import (
    Action,
    ActionContext,
    ActionResult,
    ActionType,
    BuildContext,
    MonitorSpec,
    Options,
    SnapshotContext,
    command_line,
    hookimpl,
)
from defib_strategies.docker_engine import Conversation, DockerError, checked_address, converse
from defib_strategies.docker_recreate import STOP_TIMEOUT, recreate, tidy_up
from defib_strategies.docker_target import DockerContainer
from defib_strategies.inherited import inherited
from defib_strategies.results import failed, timed_out

CONTAINER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$"
"""What Docker takes as the name or id of a container."""

DockerAddress = Annotated[str, AfterValidator(checked_address)]
"""Where a Docker daemon listens."""


class DockerStep(StrEnum):
    """What is done to the container."""

    RESTART = "restart"
    START = "start"
    KILL_START = "kill-start"
    RECREATE = "recreate"


class DockerOptions(Options):
    """``docker: {action: restart}``."""

    container: str | None = Field(
        default=None,
        pattern=CONTAINER_NAME,
        description="The container's exact name or id; the monitor's own where it has one.",
    )
    action: DockerStep = Field(
        default=DockerStep.RESTART,
        description="restart stops it within 10 s, else kills it, and starts it; start only starts it; kill-start "
        "does not wait for it to stop; recreate puts a new container of the same configuration in its place, and what "
        "was written inside it outside of volumes is lost.",
    )
    docker_host: DockerAddress | None = Field(
        default=None,
        description="Address of Docker, such as unix:///var/run/docker.sock; the monitor's own where it has one, "
        "else DOCKER_HOST, else this machine's Docker.",
    )


class DockerAction:
    """Restarts, starts or replaces one container."""

    changes_identity = True

    def __init__(self, step: DockerStep, container: DockerContainer) -> None:
        self._step = step
        self._container = container
        name, host = container.name, container.host
        self.description = "; ".join(docker_line(host, *words, name) for words in _WORDS[step])

    def check(self) -> None:
        """Nothing that could be seen without asking Docker; :meth:`aim` and :meth:`run` ask."""

    async def aim(self) -> str:
        """See :class:`defib.plugin.Aimed`."""
        return await self._container.aim()

    async def identity(self) -> str | None:
        """Id and start of the container, as Docker tells them."""
        return await self._container.identity()

    async def acted_at(self) -> datetime | None:
        """See :class:`defib.plugin.Dated`."""
        return await self._container.acted_at()

    async def stopped_on_purpose(self) -> str:
        """See :class:`defib.plugin.Attended`."""
        return await self._container.stopped_on_purpose()

    async def snapshot(self, context: SnapshotContext) -> Mapping[str, str]:
        """See :class:`defib.plugin.Witness`."""
        return await self._container.snapshot(context)

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        try:
            return ActionResult(output=await converse(self._container.host, context.timeout, self._act))
        except TimeoutError:
            return timed_out("Docker did not answer in time; it may still carry the action out")
        except DockerError as error:
            return failed(str(error))

    def _act(self, docker: Conversation) -> str:
        if self._step is DockerStep.RECREATE:
            tidy_up(self._container.name, docker)
        container = self._container.taken(docker)
        match self._step:
            case DockerStep.RESTART:
                seconds = int(STOP_TIMEOUT.total_seconds())
                docker.act_on(container, engine_takes=STOP_TIMEOUT).restart(timeout=seconds)
            case DockerStep.START:
                docker.act_on(container).start()
            case DockerStep.KILL_START:
                if container.status == "running":
                    docker.act_on(container).kill()
                docker.act_on(container).start()
            case DockerStep.RECREATE:
                return f"{container.name}: replaced by {recreate(container, self._container.name, docker)}"
            case _:
                assert_never(self._step)
        return f"{container.name}: {self._step} done"


_STOP_S = str(int(STOP_TIMEOUT.total_seconds()))
_WORDS: dict[DockerStep, tuple[tuple[str, ...], ...]] = {
    DockerStep.RESTART: (("restart", "-t", _STOP_S),),
    DockerStep.START: (("start",),),
    DockerStep.KILL_START: (("kill",), ("start",)),
    DockerStep.RECREATE: (("stop", "-t", _STOP_S), ("rm",), ("run", "--name")),
}


def docker_line(host: str | None, *words: str) -> str:
    """The command line that does the same, for people."""
    address = ("--host", host) if host else ()
    return command_line("docker", *address, *words)


def _create(options: DockerOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    container = options.container or inherited(monitor, "container")
    if container is None:
        raise ValueError(f"monitor {monitor.id} has no container of its own; write 'container: NAME' here")
    host = options.docker_host or inherited(monitor, "docker_host")
    return DockerAction(options.action, DockerContainer(container, host, context.own))


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    """The action."""
    return (
        ActionType(
            kind="docker",
            summary="restarts, starts, kills and starts, or recreates a Docker container",
            options=DockerOptions,
            create=_create,
        ),
    )

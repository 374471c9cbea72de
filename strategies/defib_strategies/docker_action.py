"""Recovery of Docker containers."""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, assert_never

from pydantic import AfterValidator, Field

from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    ActionResult,
    ActionType,
    BuildContext,
    MonitorSpec,
    Options,
    hookimpl,
)
from defib_strategies.display import command_line
from defib_strategies.docker_engine import Conversation, DockerError, checked_address, converse
from defib_strategies.inherited import inherited
from defib_strategies.results import failed, timed_out

CONTAINER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$"
"""What Docker takes as the name or id of a container."""

_STOP_TIMEOUT = timedelta(seconds=10)
"""How long a restart lets a container stop by itself before Docker kills it: Docker's own default."""
_IDENTITY_TIMEOUT = timedelta(seconds=4)


DockerAddress = Annotated[str, AfterValidator(checked_address)]
"""Where a Docker daemon listens."""


class DockerStep(StrEnum):
    """What is done to the container."""

    RESTART = "restart"
    START = "start"
    KILL_START = "kill-start"


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
        "does not wait for it to stop.",
    )
    docker_host: DockerAddress | None = Field(
        default=None,
        description="Address of Docker, such as unix:///var/run/docker.sock; the monitor's own where it has one, "
        "else DOCKER_HOST, else this machine's Docker.",
    )


class DockerAction:
    """Restarts or starts one container."""

    changes_identity = True

    def __init__(self, step: DockerStep, container: str, host: str | None) -> None:
        self._step = step
        self._container = container
        self._host = host
        self.description = "; ".join(docker_line(host, *words, container) for words in _WORDS[step])

    def check(self) -> None:
        """Nothing that could be seen without asking Docker; :meth:`run` asks before it acts."""

    async def identity(self) -> str | None:
        """Id and start of the container, as Docker tells them."""
        try:
            return await converse(self._host, _IDENTITY_TIMEOUT, self._identify)
        except (TimeoutError, DockerError, ActionRefusedError):
            return None

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        try:
            return ActionResult(output=await converse(self._host, context.timeout, self._act))
        except TimeoutError:
            return timed_out("Docker did not answer in time; it may still carry the action out")
        except DockerError as error:
            return failed(str(error))

    def _identify(self, docker: Conversation) -> str:
        container = docker.container(self._container)
        return f"{container.id} {container.attrs['State']['StartedAt']}"

    def _act(self, docker: Conversation) -> str:
        container = docker.container(self._container)
        if container.status == "paused":
            raise ActionRefusedError(
                f"container {self._container} is paused on purpose; to go on: docker unpause {self._container}"
            )
        match self._step:
            case DockerStep.RESTART:
                seconds = int(_STOP_TIMEOUT.total_seconds())
                docker.act_on(container, engine_takes=_STOP_TIMEOUT).restart(timeout=seconds)
            case DockerStep.START:
                docker.act_on(container).start()
            case DockerStep.KILL_START:
                if container.status == "running":
                    docker.act_on(container).kill()
                docker.act_on(container).start()
            case _:
                assert_never(self._step)
        return f"{container.name}: {self._step} done"


_WORDS: dict[DockerStep, tuple[tuple[str, ...], ...]] = {
    DockerStep.RESTART: (("restart", "-t", str(int(_STOP_TIMEOUT.total_seconds()))),),
    DockerStep.START: (("start",),),
    DockerStep.KILL_START: (("kill",), ("start",)),
}


def docker_line(host: str | None, *words: str) -> str:
    """The command line that does the same, for people."""
    address = ("--host", host) if host else ()
    return command_line("docker", *address, *words)


def _create(options: DockerOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    container = options.container or inherited(monitor, "container")
    if container is None:
        raise ValueError(f"monitor {monitor.id} has no container of its own; write 'container: NAME' here")
    return DockerAction(options.action, container, options.docker_host or inherited(monitor, "docker_host"))


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    """The action."""
    return (
        ActionType(
            kind="docker",
            summary="restarts, starts, or kills and starts a Docker container",
            options=DockerOptions,
            create=_create,
        ),
    )

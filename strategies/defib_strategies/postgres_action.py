"""Recovery of PostgreSQL: a diagnosis, a reload, and a start where its process is gone. Never anything destructive."""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import Field

from defib.plugin import Action, ActionType, BuildContext, MonitorSpec, Options, Secret, hookimpl
from defib_strategies.docker_action import CONTAINER_NAME, DockerAddress
from defib_strategies.docker_target import DockerContainer
from defib_strategies.inherited import inherited
from defib_strategies.postgres_keepers import CLUSTER, ClusterKeeper, ContainerKeeper, Keeper, UnitKeeper
from defib_strategies.postgres_reload import ReloadByQuery, ReloadBySignal
from defib_strategies.postgres_server import Server, checked_dsn
from defib_strategies.postgres_start import Diagnose, StartServer
from defib_strategies.systemd_action import Unit
from defib_strategies.systemd_manager import SystemdUnit


class PostgresStep(StrEnum):
    """What is done about the server."""

    RELOAD = "reload"
    DIAGNOSE = "diagnose"
    START = "start"


class PostgresOptions(Options):
    """``postgres: {action: reload}``."""

    action: PostgresStep = Field(
        default=PostgresStep.RELOAD,
        description="reload: the server reads its configuration files again; diagnose: asks like pg_isready and "
        "changes nothing; start: starts it, only if its process is gone.",
    )
    dsn: Secret | None = Field(
        default=None, description="Connection URL or string; the monitor's own when left out."
    )
    container: str | None = Field(
        default=None,
        pattern=CONTAINER_NAME,
        description="The container the server is in. A reload is then a signal to its main process instead of a "
        "connection.",
    )
    unit: Unit | None = Field(default=None, description="The systemd unit that starts the server.")
    cluster: str | None = Field(
        default=None, pattern=CLUSTER, description="Debian's cluster to start, such as 15/main."
    )
    docker_host: DockerAddress | None = Field(
        default=None, description="Address of the container's Docker; the monitor's own, else DOCKER_HOST."
    )


def _create(options: PostgresOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    keepers = [name for name in ("container", "unit", "cluster") if getattr(options, name) is not None]
    if options.docker_host is not None and options.container is None:
        raise ValueError("'docker_host' is for 'container'; write 'container: NAME' too, or remove it")
    if len(keepers) > 1:
        raise ValueError(f"'{keepers[0]}' and '{keepers[1]}' exclude each other; remove one")
    if options.action is not PostgresStep.START and options.container is None and keepers:
        raise ValueError(f"'{keepers[0]}' is for 'action: start'; remove it")
    container = None
    if options.container is not None:
        host = options.docker_host or inherited(monitor, "docker_host")
        container = DockerContainer(options.container, host, context.own)
    match options.action:
        case PostgresStep.RELOAD if container is not None:
            if options.dsn is not None:
                raise ValueError("'container' and 'dsn' exclude each other; remove one")
            return ReloadBySignal(container)
        case PostgresStep.RELOAD:
            return ReloadByQuery(_server(options, monitor), context.own)
        case PostgresStep.DIAGNOSE:
            return Diagnose(_server(options, monitor))
        case PostgresStep.START:
            return StartServer(_server(options, monitor), _keeper(options, container, context), context.own)


def _server(options: PostgresOptions, monitor: MonitorSpec) -> Server:
    if options.dsn is not None:
        return Server(checked_dsn(options.dsn.get_secret_value()))
    dsn = inherited(monitor, "dsn")
    if dsn is None:
        other = "" if options.action is not PostgresStep.RELOAD else " or 'container'"
        raise ValueError(f"monitor {monitor.id} has no dsn of its own; write 'dsn'{other} here")
    return Server(dsn)


def _keeper(
    options: PostgresOptions, container: DockerContainer | None, context: BuildContext
) -> Keeper | None:
    if container is not None:
        return ContainerKeeper(container)
    if options.unit is not None:
        return UnitKeeper(SystemdUnit(options.unit, False, context.own))
    return None if options.cluster is None else ClusterKeeper(options.cluster)


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    """The action."""
    return (
        ActionType(
            kind="postgres",
            summary="diagnoses PostgreSQL, makes it read its configuration again, or starts it if its process is gone",
            options=PostgresOptions,
            create=_create,
        ),
    )

"""Looks at everything at once."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from defib.discovery import docker_containers, health_urls, listening, systemd_units
from defib.discovery.owners import container_of, known_server
from defib.discovery.seen import Answer, Container, Listener, Seen, Unit
from defib.discovery.servers import AGENTS

T = TypeVar("T")
Asking: TypeAlias = Callable[[], Coroutine[Any, Any, T]]

_SOCKET_FOLDERS = (Path("/var/run/postgresql"), Path("/tmp"))  # noqa: S108 where PostgreSQL puts them
_MAX_ASKED = 100  #: ports; a machine with more has other tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The ways to look; each tells nothing rather than failing."""

    listeners: Callable[[], list[Listener]]  #: may take a while and runs in a thread
    answers: Callable[[Iterable[Listener]], Awaitable[Mapping[int, Answer]]]
    postgres_sockets: Callable[[], tuple[Path, ...]]
    containers: Asking[tuple[list[Container], str]]  #: and a note, "" for none
    units: Asking[list[Unit]]
    docker_host: str = ""
    is_root: bool = True


def this_machine(environ: Mapping[str, str]) -> Machine:
    """The ways to look at the machine we run on."""
    socket = docker_containers.socket_of(environ)

    async def containers() -> tuple[list[Container], str]:
        return await docker_containers.running(socket) if socket is not None else ([], "")

    async def units() -> list[Unit]:
        return systemd_units.read(await systemd_units.listed(environ), systemd_units.local_names())

    return Machine(
        listeners=listening.listening,
        answers=health_urls.ask,
        postgres_sockets=postgres_sockets,
        containers=containers,
        units=units,
        docker_host="" if socket in (None, docker_containers.DEFAULT_SOCKET) else f"unix://{socket}",
        is_root=os.geteuid() == 0,
    )


def postgres_sockets(folders: Iterable[Path] = _SOCKET_FOLDERS) -> tuple[Path, ...]:
    """The Unix sockets of PostgreSQL servers."""
    return tuple(
        sorted(
            path
            for path in chain.from_iterable(folder.glob(".s.PGSQL.*") for folder in folders)
            if path.suffix[1:].isdecimal() and path.is_socket()
        )
    )


async def look(machine: Machine) -> Seen:
    """Everything, as far as possible at once; 5 s at most."""
    async with asyncio.TaskGroup() as group:
        containers_task = group.create_task(machine.containers())
        units_task = group.create_task(machine.units())
        listeners = await asyncio.to_thread(machine.listeners)
    containers, note = containers_task.result()
    asked = [item for item in listeners if _is_asked(item, container_of(item, containers))]
    answers = await machine.answers(asked[:_MAX_ASKED])
    notes = [note] if note else []
    if not machine.is_root and any(not listener.process for listener in listeners):
        notes.append("Only root sees which programs of other users listen; 'sudo defib init' may find more.")
    return Seen(
        listeners=tuple(listeners),
        answers=answers,
        postgres_sockets=machine.postgres_sockets(),
        containers=tuple(containers),
        docker_host=machine.docker_host,
        units=tuple(units_task.result()),
        notes=tuple(notes),
    )


def _is_asked(listener: Listener, container: Container | None) -> bool:
    """Whether HTTP is tried: on no port of a server that is known to speak something else."""
    return listener.port in AGENTS or known_server(listener, container) is None

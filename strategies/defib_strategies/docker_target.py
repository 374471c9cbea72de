"""Which container an action hits, whether it may, and what there is to see of it."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from defib.plugin import ActionHeldBackError, ActionRefusedError, OwnParts, SnapshotContext
from defib_strategies.docker_engine import Conversation, DockerError, converse
from defib_strategies.own_store import (
    addresses_of,
    control_groups,
    is_published,
    listeners,
    own_store_message,
)

if TYPE_CHECKING:
    from docker.models.containers import Container

ANSWER_TIMEOUT = timedelta(seconds=4)  #: how long Docker may take to answer a question
LOG_LINES = 50
_SNAPSHOT_SHARE = 0.9  # of its time, so that the thread is done before it is given up

_FRACTION = re.compile(r"\.(\d{1,6})\d*")
_NEVER = "0001-01-01"
_CLEAN_EXITS = (0, 143)  #: 143: ended by the SIGTERM of a ``docker stop``


class DockerContainer:
    """One container, by its exact name or id."""

    def __init__(self, name: str, host: str | None, own: OwnParts) -> None:
        """
        :param host: address of the daemon; None for ``DOCKER_HOST``, else the local one.
        :param own: what is to be left alone.
        """
        self.name = name
        self.host = host
        self._own = own

    async def aim(self) -> str:
        """See :class:`defib.plugin.Aimed`."""
        try:
            return await converse(self.host, ANSWER_TIMEOUT, lambda docker: str(self.taken(docker).name))
        except (TimeoutError, DockerError):
            return self.name

    def taken(self, docker: Conversation) -> "Container":
        """The container, once it is sure that an action may touch it.

        :raises ActionRefusedError: there is none, somebody paused or removes it, or Defib stands on it.
        :raises ActionHeldBackError: Docker's restart policy is at work on it.
        """
        container = docker.container(self.name)
        if container.id == self._own.container:
            raise ActionRefusedError(
                f"container {self.name} is the one that Defib itself runs in; name another one"
            )
        if self._own.store is not None and _holds_store(container, docker, self._own):
            raise ActionRefusedError(own_store_message(f"container {self.name}"))
        match container.status:
            case "paused":
                raise ActionRefusedError(
                    f"container {self.name} is paused on purpose; to go on: docker unpause {self.name}"
                )
            case "removing" | "dead":
                raise ActionRefusedError(
                    f"container {self.name} is {container.status}, which nothing can start; remove and create it anew"
                )
            case "restarting":
                raise ActionHeldBackError(
                    f"Docker's own restart policy is at work on container {self.name} "
                    f"({container.attrs.get('RestartCount', 0)} restarts)"
                )
        return container

    async def identity(self) -> str | None:
        """Id and start of the container, as Docker tells them."""
        container = await self._looked_at()
        return None if container is None else f"{container.id} {container.attrs['State']['StartedAt']}"

    async def acted_at(self) -> datetime | None:
        """When the container was last started, by whomever."""
        container = await self._looked_at()
        return None if container is None else parse_instant(container.attrs["State"]["StartedAt"])

    async def stopped_on_purpose(self) -> str:
        """Docker's words for a clean stop; "" for everything else."""
        container = await self._looked_at()
        if container is None or container.status != "exited":
            return ""
        code = int(container.attrs["State"].get("ExitCode") or 0)
        return f"container {self.name} exited with {code}" if code in _CLEAN_EXITS else ""

    async def _looked_at(self) -> "Container | None":
        try:
            return await converse(self.host, ANSWER_TIMEOUT, lambda docker: docker.container(self.name))
        except (TimeoutError, DockerError, ActionRefusedError):
            return None

    async def snapshot(self, context: SnapshotContext) -> Mapping[str, str]:
        """What ``docker inspect`` tells, without values of the environment, and the end of its log."""
        return await converse(self.host, context.timeout * _SNAPSHOT_SHARE, self._seen)

    def _seen(self, docker: Conversation) -> Mapping[str, str]:
        container = docker.container(self.name)
        log: bytes = docker.api().logs(str(container.id), tail=LOG_LINES, timestamps=True)
        return {
            f"docker logs {self.name}": log.decode("utf-8", "replace"),
            f"docker inspect {self.name}": json.dumps(
                _essence(container.attrs), indent=1, ensure_ascii=False
            ),
        }


def parse_instant(text: str) -> datetime | None:
    """An instant as Docker writes it, with nanoseconds; None for one that never was."""
    if text.startswith(_NEVER):
        return None
    return datetime.fromisoformat(_FRACTION.sub(r".\1", text))


def _holds_store(container: "Container", docker: Conversation, own: OwnParts) -> bool:
    """Whether the server of Defib's own store is in there: by a published port, an address, a name, or its process."""
    assert own.store is not None
    attrs: Mapping[str, Any] = container.attrs
    if docker.is_local and any(is_published(ip, port, own) for ip, port in published_ports(attrs)):
        return True
    networks: Mapping[str, Mapping[str, Any]] = attrs["NetworkSettings"].get("Networks") or {}
    addresses = {
        str(network.get(key)) for network in networks.values() for key in ("IPAddress", "GlobalIPv6Address")
    }
    if not addresses.isdisjoint(addresses_of(own.store[0])):
        return True
    names = {
        container.name,
        *(alias for network in networks.values() for alias in network.get("Aliases") or ()),
    }
    if own.container and own.store[0] in names:
        return True
    return docker.is_local and any(
        pid is not None and any(str(container.id) in part for part in control_groups(pid))
        for pid in listeners(own)
    )


def published_ports(attrs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Address and port on the host of each published port, as configured and as assigned."""
    configured = attrs["HostConfig"].get("PortBindings") or {}
    assigned = attrs["NetworkSettings"].get("Ports") or {}
    for bindings in (*configured.values(), *assigned.values()):
        for binding in bindings or ():
            yield binding.get("HostIp") or "", str(binding.get("HostPort") or "")


def _essence(attrs: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of ``docker inspect`` helps to understand a fault. Of the environment only the names."""
    config: Mapping[str, Any] = attrs["Config"]
    host: Mapping[str, Any] = attrs["HostConfig"]
    limits = ("Memory", "NanoCpus", "CpuQuota", "PidsLimit", "NetworkMode", "RestartPolicy")
    return {
        "Id": attrs["Id"],
        "Image": config.get("Image"),
        "Created": attrs.get("Created"),
        "RestartCount": attrs.get("RestartCount"),
        "State": attrs["State"],
        "Cmd": config.get("Cmd"),
        "Entrypoint": config.get("Entrypoint"),
        "Env, names only": [item.partition("=")[0] for item in config.get("Env") or ()],
        "Labels": config.get("Labels"),
        "HostConfig": {key: host.get(key) for key in limits},
        "Mounts": [
            {key: mount.get(key) for key in ("Type", "Source", "Destination", "RW")}
            for mount in attrs.get("Mounts") or ()
        ],
        "Ports": attrs["NetworkSettings"].get("Ports"),
        "Networks": sorted(attrs["NetworkSettings"].get("Networks") or ()),
    }

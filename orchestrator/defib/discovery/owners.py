"""Whose port it is: the container or the unit behind a listener, and so what to restart."""

from collections.abc import Iterable, Mapping

from defib.discovery.finding import Rung
from defib.discovery.seen import Container, Listener, Seen
from defib.discovery.servers import Server, known

_HOSTS_OF_OTHERS = {
    "containerd.service": ("containerd",),
    "cron.service": (),
    "crond.service": (),
    "docker.service": ("dockerd",),
    "ssh.service": ("sshd",),
    "sshd.service": ("sshd",),
}
"""Units whose cgroup holds what they start for others, and the programs that are really theirs.

Restarting cron for what a job of it left running would help nobody.
"""


def container_of(listener: Listener, containers: Iterable[Container]) -> Container | None:
    """The container that listens there, by itself or through a published port."""
    for container in containers:
        if listener.port in container.ports or (container.id and listener.container == container.id):
            return container
    return None


def known_server(listener: Listener, container: Container | None) -> Server | None:
    """The known server behind a port; what a container publishes goes by the port inside."""
    if container is not None and listener.port in container.ports:
        return known(container.ports[listener.port], "")
    return known(listener.port, listener.process)


class Owners:
    """What containers and units are called as monitors."""

    def __init__(self, seen: Seen, containers: Mapping[str, str], units: Mapping[str, str]) -> None:
        """
        :param containers: name of the container → id of its monitor, where it has one.
        :param units: the same by name of the unit.
        """
        self._seen = seen
        self._containers = containers
        self._units = units

    def container(self, listener: Listener) -> Container | None:
        """The container that listens there."""
        return container_of(listener, self._seen.containers)

    def of(self, listener: Listener) -> tuple[tuple[str, ...], tuple[Rung, ...]]:
        """Ids of what it needs first, so that one fault is told once, and the ladder that restarts it."""
        if (container := self.container(listener)) is not None:
            if (monitor := self._containers.get(container.name)) is None:
                return (), ()
            return (monitor,), ({"docker": self.restart(container.name)},)
        unit = listener.unit
        if unit in _HOSTS_OF_OTHERS and listener.process not in _HOSTS_OF_OTHERS[unit]:
            return (), ()
        if (monitor := self._units.get(unit)) is None:
            return (), ()
        return (monitor,), ({"systemd": {"unit": unit.removesuffix(".service"), "action": "restart"}},)

    def restart(self, container: str) -> dict[str, str]:
        """The options of the action that restarts ``container``."""
        address = {"docker_host": self._seen.docker_host} if self._seen.docker_host else {}
        return {"container": container, "action": "restart", **address}

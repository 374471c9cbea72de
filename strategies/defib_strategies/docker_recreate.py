"""Replaces a container by a new one of the same configuration: name, image, mounts, networks, ports and all.

For one that restarting does not cure because its writable layer is what is broken. What is in that layer is
lost; volumes, named and anonymous, go over. In numbered steps, each safe to be cut off anywhere:

1. Tidy up what an earlier, interrupted replacement left: a new container that never ran is removed, and an old
   one that lost its name gets it back.
2. Create the new container as ``NAME.defib-new``. Until here nothing has changed.
3. Stop the old one, rename it to ``NAME.defib-old``, give the new one its name, and start it.
4. Where that fails, remove the new one, and give the old one its name and its state back.
5. Remove the old one, but none of its volumes.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from defib.plugin import ActionRefusedError
from defib_strategies.docker_engine import Conversation

if TYPE_CHECKING:
    from docker.models.containers import Container

STOP_TIMEOUT = timedelta(seconds=10)
_SHORT_ID_LENGTH = 12
_KEPT_OF_ENDPOINT = ("IPAMConfig", "Links", "Aliases", "DriverOpts")
_SWARM_TASK = "com.docker.swarm.task.id"


def tidy_up(name: str, docker: Conversation) -> None:
    """Step 1."""
    by_name = {str(container.name): container for container in docker.others()}
    new, old = by_name.get(_new(name)), by_name.get(_old(name))
    with docker.putting_back():
        if new is not None and new.status == "created":
            docker.act_on(new).remove()
        if old is not None and name not in by_name:
            docker.act_on(old).rename(name)


def recreate(old: "Container", name: str, docker: Conversation) -> str:
    """Steps 2 to 5.

    :param name: what the container was asked for by.
    :return: the new container's short id.
    :raises ActionRefusedError: it cannot be replaced by one that is equal; nothing was changed.
    """
    if name != old.name:
        raise ActionRefusedError(
            f"{name} is the id of container {old.name}, and the new one will have another; write its name"
        )
    _refuse_unequal(old, docker)
    wanted = configuration(old.attrs) | {"Image": _same_image(old.attrs, docker)}
    created = docker.api().create_container_from_config(wanted, name=_new(name))  # type: ignore[no-untyped-call]
    was_running = old.status == "running"
    try:
        new = docker.container(_new(name))
        for network, endpoint in further_endpoints(old.attrs).items():
            docker.api().connect_container_to_network(str(new.id), network, **endpoint)
        if was_running:
            seconds = int(STOP_TIMEOUT.total_seconds())
            docker.act_on(old, engine_takes=STOP_TIMEOUT).stop(timeout=seconds)
        docker.act_on(old).rename(_old(name))
        docker.act_on(new).rename(name)
        docker.act_on(new).start()
    except BaseException:
        _put_back(old, str(created["Id"]), name, docker, was_running=was_running)
        raise
    with docker.putting_back():
        docker.act_on(old).remove(v=False)
    return str(created["Id"])[:_SHORT_ID_LENGTH]


def configuration(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """What to create, in the words of the API, from what ``docker inspect`` tells."""
    short_id = str(attrs["Id"])[:_SHORT_ID_LENGTH]
    config = dict(attrs["Config"])
    if config.get("Hostname") == short_id:  # Docker's own choice
        del config["Hostname"]
    host = dict(attrs["HostConfig"])
    mode = str(host.get("NetworkMode") or "")
    if mode == "host" or mode.startswith("container:"):
        config.pop("Hostname", None)
        config.pop("ExposedPorts", None)
    host["Binds"] = [*(host.get("Binds") or ()), *_anonymous_volumes(attrs)]
    host["Mounts"] = [
        mount for mount in host.get("Mounts") or () if mount.get("Source") or mount["Type"] != "volume"
    ]
    endpoints = {
        network: {key: endpoint[key] for key in _KEPT_OF_ENDPOINT if endpoint.get(key)}
        for network, endpoint in _endpoints(attrs).items()
        if network == mode
    }
    return {**config, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": endpoints}}


def further_endpoints(attrs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The networks beside the main one (before API 1.44 only one can be named at creation), as the SDK takes them."""
    found = {}
    for network, endpoint in _endpoints(attrs).items():
        if network == attrs["HostConfig"].get("NetworkMode"):
            continue
        addresses: Mapping[str, Any] = endpoint.get("IPAMConfig") or {}
        found[network] = {
            "aliases": endpoint.get("Aliases"),
            "links": [tuple(link.split(":", 1)) for link in endpoint.get("Links") or ()] or None,
            "ipv4_address": addresses.get("IPv4Address"),
            "ipv6_address": addresses.get("IPv6Address"),
            "link_local_ips": addresses.get("LinkLocalIPs"),
            "driver_opt": endpoint.get("DriverOpts"),
        }
    return found


def _endpoints(attrs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The container's ends in networks that were made by people, without the name that Docker adds."""
    short_id = str(attrs["Id"])[:_SHORT_ID_LENGTH]
    networks: Mapping[str, Mapping[str, Any]] = attrs["NetworkSettings"].get("Networks") or {}
    return {
        network: {
            **endpoint,
            "Aliases": [alias for alias in endpoint.get("Aliases") or () if alias != short_id],
        }
        for network, endpoint in networks.items()
        if network not in ("bridge", "default", "host", "none")
    }


def _same_image(attrs: Mapping[str, Any], docker: Conversation) -> str:
    """The image's name while that means the version the container has, else its id: a recovery is no upgrade."""
    from docker.errors import ImageNotFound

    name, wanted = str(attrs["Config"]["Image"]), str(attrs["Image"])
    try:
        return name if docker.api().inspect_image(name)["Id"] == wanted else wanted  # type: ignore[no-untyped-call]
    except ImageNotFound:
        return wanted


def _anonymous_volumes(attrs: Mapping[str, Any]) -> list[str]:
    """Volumes that Docker made for this container alone: named by no bind, so they have to be named now."""
    host: Mapping[str, Any] = attrs["HostConfig"]
    named = {bind.split(":")[1] for bind in host.get("Binds") or () if ":" in bind}
    named |= {str(mount["Target"]) for mount in host.get("Mounts") or () if mount.get("Source")}
    return [
        f"{mount['Name']}:{mount['Destination']}" + ("" if mount.get("RW", True) else ":ro")
        for mount in attrs.get("Mounts") or ()
        if mount.get("Type") == "volume" and mount["Destination"] not in named
    ]


def _refuse_unequal(old: "Container", docker: Conversation) -> None:
    attrs: Mapping[str, Any] = old.attrs
    name = str(old.name)
    if attrs["HostConfig"].get("AutoRemove"):
        raise ActionRefusedError(
            f"container {name} was started with --rm and is gone once it stops; recreate it by hand"
        )
    if _SWARM_TASK in (attrs["Config"].get("Labels") or {}):
        raise ActionRefusedError(
            f"container {name} belongs to a swarm, which recreates it itself; use restart"
        )
    leaning = sorted(
        str(other.name)
        for other in docker.others()
        if other.attrs["HostConfig"].get("NetworkMode") == f"container:{old.id}"
    )
    if leaning:
        raise ActionRefusedError(
            f"container {leaning[0]} uses the network of {name} and would lose it; use restart"
        )


def _put_back(old: "Container", new_id: str, name: str, docker: Conversation, *, was_running: bool) -> None:
    from docker.errors import NotFound

    with docker.putting_back():
        with suppress(NotFound):
            docker.api().remove_container(new_id, force=True)
        docker.act_on(old).reload()
        if old.name != name:
            docker.act_on(old).rename(name)
        if was_running and old.status != "running":
            docker.act_on(old).start()


def _new(name: str) -> str:
    return f"{name}.defib-new"


def _old(name: str) -> str:
    return f"{name}.defib-old"

"""From what was seen to monitors: one finder for each kind of thing. Pure."""

from collections.abc import Iterator

from defib.discovery.finding import Finding, Found, Group, Ids, Rung
from defib.discovery.owners import Owners, known_server
from defib.discovery.ports import agent, server, web
from defib.discovery.postgres import by_port, by_socket
from defib.discovery.seen import Container, Listener, Seen, Unit
from defib.discovery.servers import AGENTS, POSTGRES

MAX_CONTAINERS = 50
MAX_UNITS = 40


def find(seen: Seen) -> Found:
    """Every monitor that makes sense, in the order of the file, each thing watched once.

    Ids are given in a fixed order, the names that people know first: a container called ``main`` beside the
    agent ``main`` becomes ``main-container``, and never the other way round.
    """
    ids = Ids()
    host = ids.claim("this-host", "machine")
    agents = {
        listener.port: ids.claim(AGENTS[listener.port].id, "agent")
        for listener in seen.listeners
        if listener.port in AGENTS
    }
    databases = _postgres_ids(seen, ids)
    containers = {item.name: ids.claim(item.name, "container") for item in seen.containers[:MAX_CONTAINERS]}
    chosen_units = sorted(seen.units, key=lambda unit: (not unit.is_local, unit.name))[:MAX_UNITS]
    units = {item.name: ids.claim(stem_of(item), "service") for item in sorted(chosen_units, key=_name)}
    owners = Owners(seen, containers, units)

    findings = [this_host(host)]
    for listener in seen.listeners:
        if listener.port in agents:
            findings.append(agent(agents[listener.port], listener, seen.answers.get(listener.port), owners))
        elif (f":{listener.port}") in databases:
            findings.append(by_port(databases[f":{listener.port}"], listener, owners))
        else:
            findings += _other(listener, seen, owners, ids)
    findings += [
        by_socket(databases[str(path)], path) for path in seen.postgres_sockets if str(path) in databases
    ]
    docker_unit = units.get("docker.service") if not seen.docker_host else None
    findings += [
        container(containers[item.name], item, seen.docker_host, docker_unit)
        for item in seen.containers
        if item.name in containers
    ]
    findings += [unit(units[item.name], item) for item in seen.units if item.name in units]
    groups = list(Group)
    findings.sort(key=lambda finding: groups.index(finding.group))
    return Found(findings=tuple(findings), notes=(*seen.notes, *_left_out(seen)))


def this_host(monitor: str = "this-host") -> Finding:
    """This machine itself, which is always there."""
    return Finding(
        id=monitor,
        kind="host",
        group=Group.HOST,
        target="processor, memory, disks",
        comment="Beyond these shares, in percent, for this long, it counts as degraded.",
        fields={"limits": {"cpu": 90, "memory": 90, "disk": 85, "for": "5m"}},
    )


def container(monitor: str, item: Container, docker_host: str, docker_unit: str | None) -> Finding:
    """A container, restarted by Docker."""
    address = {"docker_host": docker_host} if docker_host else {}
    return Finding(
        id=monitor,
        kind="docker",
        group=Group.CONTAINERS,
        target=f"container {item.name}",
        comment=f"Image {item.image}." if item.image else "",
        fields={"container": item.name, **address},
        requires=(docker_unit,) if docker_unit else (),
        recovery=({"docker": {"action": "restart"}},),
    )


def unit(monitor: str, item: Unit) -> Finding:
    """A service of systemd, restarted by it."""
    stem = stem_of(item)
    where = "Yours, in /etc/systemd/system" if item.is_local else "Installed"
    restart: Rung = {"systemd": {"unit": stem, "action": "restart"}}
    return Finding(
        id=monitor,
        kind="systemd",
        group=Group.UNITS,
        target=f"unit {item.name}",
        comment=f"{where}; had failed when Defib looked." if item.is_failed else f"{where}, running.",
        fields={"unit": stem},
        recovery=(restart,),
    )


def stem_of(item: Unit) -> str:
    """The unit's name as people write it: without ``.service``, unless what is left looks like another type."""
    stem = item.name.removesuffix(".service")
    return item.name if "." in stem else stem


def _other(listener: Listener, seen: Seen, owners: Owners, ids: Ids) -> Iterator[Finding]:
    known = known_server(listener, owners.container(listener))
    if known is not None:
        if known.is_watched and known is not POSTGRES:
            yield server(ids.claim(f"{known.slug}-{listener.port}", "port"), listener, known, owners)
    elif (answer := seen.answers.get(listener.port)) is not None:
        owner = owners.container(listener)
        name = owner.name if owner is not None else "http"
        yield web(ids.claim(f"{name}-{listener.port}", "port"), listener, answer, owners)


def _postgres_ids(seen: Seen, ids: Ids) -> dict[str, str]:
    """Ids by ``:port`` of servers that listen, and by path of sockets whose server does not; 5432 first."""
    places: dict[str, int] = {}
    for listener in seen.listeners:
        owner = Owners(seen, {}, {}).container(listener)
        if listener.port not in AGENTS and known_server(listener, owner) is POSTGRES:
            places[f":{listener.port}"] = listener.port
    for path in seen.postgres_sockets:
        port = int(path.suffix[1:])
        if port not in places.values():
            places[str(path)] = port
    return {
        place: ids.claim("postgres" if port == 5432 else f"postgres-{port}", "socket")
        for place, port in sorted(places.items(), key=lambda item: item[1])
    }


def _left_out(seen: Seen) -> Iterator[str]:
    for noun, number, limit in (
        ("containers", len(seen.containers), MAX_CONTAINERS),
        ("services", len(seen.units), MAX_UNITS),
    ):
        if number > limit:
            yield f"Only the first {limit} of {number} {noun} are in the file; add others the same way."


def _name(item: Unit) -> str:
    return item.name

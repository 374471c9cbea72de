"""Monitors of listening ports: agents, web endpoints, other servers."""

from defib.discovery.finding import Finding, Group, Rung, Value
from defib.discovery.owners import Owners
from defib.discovery.seen import Answer, Listener
from defib.discovery.servers import AGENTS, HEALTH_PATHS, Server

_EXPECT: dict[str, Value] = {"status": 200, "within": "2s"}


def agent(monitor: str, listener: Listener, answer: Answer | None, owners: Owners) -> Finding:
    """An agent of a standard installation: its port says which, its health URL is known."""
    requires, recovery = owners.of(listener)
    known = AGENTS[listener.port]
    if answer is None:
        said = "but did not answer"
    elif answer.status == 200:
        said = "and answered"
    else:
        said = f"but answered {answer.status}"
    url = f"{listener.url}/health"
    guess: Rung = {"systemd": {"unit": f"openclaw-{known.id}", "action": "restart"}}
    return Finding(
        id=monitor,
        kind="http",
        group=Group.AGENTS,
        target=url,
        comment=f"Listens on port {listener.port}{_by(listener, owners)} {said} when Defib looked.",
        fields={"name": known.name, "url": url, "expect": _EXPECT, "tags": ["agents"]},
        requires=requires,
        recovery=recovery,
        hint=() if recovery else (guess,),
    )


def web(monitor: str, listener: Listener, answer: Answer, owners: Owners) -> Finding:
    """A port that speaks HTTP; without an address that answers 200 only the port is watched."""
    requires, recovery = owners.of(listener)
    where = f"Port {listener.port}{_by(listener, owners)}"
    if answer.path:
        url = listener.url + answer.path
        what = "the start page" if answer.path == "/" else answer.path
        return Finding(
            id=monitor,
            kind="http",
            group=Group.WEB,
            target=url,
            comment=f"{where} answered 200 on {what}.",
            fields={"url": url, "expect": _EXPECT},
            requires=requires,
            recovery=recovery,
        )
    tried = ", ".join(HEALTH_PATHS[:-1])
    return Finding(
        id=monitor,
        kind="tcp",
        group=Group.WEB,
        target=f"{listener.host}:{listener.port}",
        comment=f"{where} speaks HTTP, but none of {tried} and / answered 200. Where it has another health "
        "URL, give it 'type: http' and a 'url'.",
        fields={"host": listener.host, "port": listener.port},
        requires=requires,
        recovery=recovery,
    )


def server(monitor: str, listener: Listener, known: Server, owners: Owners) -> Finding:
    """A server that is known by its port or program."""
    requires, recovery = owners.of(listener)
    return Finding(
        id=monitor,
        kind="tcp",
        group=Group.PORTS,
        target=f"{known.title} on {listener.host}:{listener.port}",
        comment=f"{known.title[:1].upper()}{known.title[1:]}{_by(listener, owners)}.",
        fields={"host": listener.host, "port": listener.port, **known.conversation},
        requires=requires,
        recovery=recovery,
    )


def _by(listener: Listener, owners: Owners) -> str:
    container = owners.container(listener)
    who = f"container {container.name}" if container is not None else listener.process
    return f" ({who})" if who else ""

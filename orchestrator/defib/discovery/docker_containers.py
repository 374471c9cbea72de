"""Which containers run, asked from Docker over its socket."""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from defib.discovery.seen import Container

DEFAULT_SOCKET = "/var/run/docker.sock"
TIMEOUT_S = 1.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_SWARM = "com.docker.swarm.task.id"


def socket_of(environ: Mapping[str, str]) -> str | None:
    """The path of Docker's socket; None where there is none, or Docker is on another machine."""
    if address := environ.get("DOCKER_HOST"):
        return address.removeprefix("unix://") if address.startswith("unix:///") else None
    users_own = f"{environ.get('XDG_RUNTIME_DIR', '/nonexistent')}/docker.sock"
    return next((path for path in (DEFAULT_SOCKET, users_own) if os.path.exists(path)), None)


async def running(socket: str) -> tuple[list[Container], str]:
    """The containers that run, and why they cannot be told when they cannot ("" when they can)."""
    if not os.access(socket, os.F_OK):
        return [], f"Docker was not looked at: {socket} does not exist."
    if not os.access(socket, os.R_OK | os.W_OK):
        advice = "Add the user to the group that owns it, or run 'defib init' as root."
        return [], f"Docker was not looked at: this user may not open {socket}. {advice}"
    transport = httpx.AsyncHTTPTransport(uds=socket)
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            httpx.AsyncClient(transport=transport, timeout=TIMEOUT_S) as client,
        ):
            response = await client.get("http://docker/containers/json")
            response.raise_for_status()
            return read(response.json())
    except (httpx.HTTPError, OSError, ValueError):  # TimeoutError is an OSError
        return [], f"Docker was not looked at: it does not answer on {socket}."


def read(document: object) -> tuple[list[Container], str]:
    """The containers of an answer to ``GET /containers/json`` by name, and a note about those left out.

    Those that Kubernetes or Swarm make are left out: their names change, and they have a keeper already.
    """
    items = [item for item in document if isinstance(item, dict)] if isinstance(document, list) else []
    found: list[Container] = []
    kept = 0
    for item in items:
        name = _name(item.get("Names") or ())
        if name.startswith("k8s_") or _SWARM in (item.get("Labels") or {}):
            kept += 1
        elif _NAME.fullmatch(name):
            found.append(
                Container(
                    id=str(item.get("Id", "")),
                    name=name,
                    image=str(item.get("Image", "")),
                    ports=_ports(item.get("Ports") or ()),
                )
            )
    noun = "container" if kept == 1 else "containers"
    note = f"Left out: {kept} {noun} of Kubernetes or Swarm, which look after their own." if kept else ""
    return sorted(found, key=lambda container: container.name), note


def _name(names: Sequence[str]) -> str:
    """Its own name: those with a second slash are what other containers call it by."""
    return next((name[1:] for name in names if name.startswith("/") and "/" not in name[1:]), "")


def _ports(items: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    return {
        item["PublicPort"]: item["PrivatePort"]
        for item in items
        if item.get("Type") == "tcp" and item.get("PublicPort")
    }

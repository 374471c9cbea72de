"""What looking at the machine brings to light: plain values for the finders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A TCP port of this machine that can be reached over loopback."""

    port: int
    host: str = "127.0.0.1"  #: the loopback address to reach it by
    process: str = ""  #: name of the program; "" when its owner is another user
    unit: str = ""  #: the system's service it runs in, with ``.service``; "" for none
    container: str = ""  #: id of the container it runs in (host network); "" for none

    @property
    def url(self) -> str:
        """Its root as an HTTP address, without a slash at the end."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a port answered HTTP."""

    status: int  #: of the first request, to ``/health``
    path: str = ""  #: the first one that answered 200; "" for none


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A running container."""

    id: str
    name: str
    image: str = ""
    ports: Mapping[int, int] = field(default_factory=dict)  #: TCP port of this machine → of the container


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A service of systemd that runs or has failed."""

    name: str  #: with ``.service``
    is_failed: bool = False
    is_local: bool = False  #: written by this machine's administrator


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All of it."""

    listeners: tuple[Listener, ...] = ()  #: one for each port, in their order
    answers: Mapping[int, Answer] = field(default_factory=dict)  #: of the ports that speak HTTP
    postgres_sockets: tuple[Path, ...] = ()  #: ``…/.s.PGSQL.5432``
    containers: tuple[Container, ...] = ()
    docker_host: str = ""  #: where Docker is, unless it is where everybody looks for it
    units: tuple[Unit, ...] = ()
    notes: tuple[str, ...] = ()

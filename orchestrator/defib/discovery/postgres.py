"""Monitors of PostgreSQL servers."""

from pathlib import Path

from defib.discovery.finding import Finding, Group
from defib.discovery.owners import Owners
from defib.discovery.seen import Listener

_USER = "${DEFIB_PG_USER:-postgres}"
_ADVICE = (
    "User and password come from DEFIB_PG_USER and DEFIB_PG_PASSWORD in the environment (percent-encoded "
    "where they have characters like @ or /); without the latter, from ~/.pgpass. A role of Defib's own that "
    "is a member of pg_monitor is enough."
)
_SOCKET_ADVICE = (
    "The role comes from DEFIB_PG_USER in the environment; with peer authentication it has to be called like "
    "the user that Defib runs as."
)


def by_port(monitor: str, listener: Listener, owners: Owners) -> Finding:
    """A server that listens on a port."""
    requires, recovery = owners.of(listener)
    host = f"[{listener.host}]" if ":" in listener.host else listener.host
    return Finding(
        id=monitor,
        kind="postgres",
        group=Group.DATABASES,
        target=f"{host}:{listener.port}",
        comment=f"Listens on port {listener.port}. {_ADVICE}",
        fields={
            "dsn": f"postgresql://{_USER}:${{DEFIB_PG_PASSWORD:-}}@{host}:{listener.port}/postgres",
            "limits": {"connections": "90%"},
        },
        requires=requires,
        recovery=recovery,
    )


def by_socket(monitor: str, path: Path) -> Finding:
    """A server that only its socket speaks of."""
    place = f"host={path.parent} port={path.suffix[1:]} dbname=postgres"
    return Finding(
        id=monitor,
        kind="postgres",
        group=Group.DATABASES,
        target=str(path),
        comment=f"Its socket is {path}; it listens on no port. {_SOCKET_ADVICE}",
        fields={"dsn": f"{place} user={_USER}", "limits": {"connections": "90%"}},
    )

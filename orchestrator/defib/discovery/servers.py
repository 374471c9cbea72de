"""Programs that are known by their port or name, and how to see that they are well.

HTTP is not tried on these: it would fill their logs, and some (Redis) take it for an attack.
"""

from dataclasses import dataclass, field
from types import MappingProxyType

DEFIB_PORT = 8420
HEALTH_PATHS = ("/health", "/healthz", "/api/health", "/livez", "/actuator/health", "/status", "/")
"""Where health is told, the likeliest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent of a standard installation, with ``/health`` on a port of its own."""

    id: str
    name: str


AGENTS = MappingProxyType(
    {
        8000: Agent(id="main", name="Main Agent"),
        8001: Agent(id="chat", name="Chat Agent"),
        8002: Agent(id="coding", name="Coding Agent"),
        8003: Agent(id="system-admin", name="System Admin Agent"),
        8004: Agent(id="weather", name="Weather Agent"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that does not speak HTTP, or not to us."""

    slug: str
    title: str
    ports: tuple[int, ...] = ()
    processes: tuple[str, ...] = ()
    conversation: dict[str, str] = field(default_factory=dict)
    """``send`` and ``expect`` of the ``tcp`` monitor."""
    is_watched: bool = True  #: False: a helper of something else


POSTGRES = Server(slug="postgres", title="PostgreSQL", ports=(5432,), processes=("postgres", "postmaster"))

SERVERS = (
    POSTGRES,
    Server(
        slug="redis", title="Redis", ports=(6379,), processes=("redis-server", "valkey-server"),
        conversation={"send": "PING\r\n", "expect": "/PONG|NOAUTH/"},
    ),
    Server(slug="mysql", title="MySQL", ports=(3306,), processes=("mysqld", "mariadbd")),
    Server(slug="mongodb", title="MongoDB", ports=(27017,), processes=("mongod", "mongos")),
    Server(slug="memcached", title="Memcached", ports=(11211,), processes=("memcached",)),
    Server(slug="rabbitmq", title="RabbitMQ", ports=(5671, 5672)),
    Server(slug="nats", title="NATS", ports=(4222,)),
    Server(slug="kafka", title="Kafka", ports=(9092,)),
    Server(slug="zookeeper", title="ZooKeeper", ports=(2181,)),
    Server(slug="cassandra", title="Cassandra", ports=(9042,)),
    Server(slug="mqtt", title="MQTT broker", ports=(1883, 8883), processes=("mosquitto",)),
    Server(slug="ldap", title="LDAP", ports=(389, 636), processes=("slapd",)),
    Server(slug="ssh", title="SSH", ports=(22,), processes=("sshd",), conversation={"expect": "SSH-"}),
    Server(slug="smtp", title="mail server", ports=(25, 587), conversation={"expect": "220"}),
    Server(slug="smtps", title="mail server with TLS", ports=(465,)),
    Server(slug="imap", title="mailbox server", ports=(110, 143, 993, 995), processes=("dovecot",)),
    Server(slug="ftp", title="FTP", ports=(21,), processes=("vsftpd", "proftpd")),
    Server(slug="dns", title="DNS", ports=(53,), processes=("named", "unbound", "dnsmasq", "systemd-resolve")),
    Server(slug="https", title="web server with TLS", ports=(443, 8443)),
    Server(slug="rpcbind", title="port mapper", ports=(111,), processes=("rpcbind",), is_watched=False),
    Server(slug="epmd", title="Erlang's port mapper", ports=(4369,), processes=("epmd",), is_watched=False),
    Server(
        slug="docker", title="Docker's own ports", ports=(2375, 2376), processes=("containerd", "dockerd"),
        is_watched=False,
    ),
    Server(slug="x11", title="X11", ports=tuple(range(6000, 6064)), processes=("Xorg",), is_watched=False),
    Server(slug="defib", title="Defib", ports=(DEFIB_PORT,), processes=("defib",), is_watched=False),
)  # fmt: skip

_BY_PROCESS = MappingProxyType({name: server for server in SERVERS for name in server.processes})
_BY_PORT = MappingProxyType({port: server for server in SERVERS for port in server.ports})


def known(port: int, process: str) -> Server | None:
    """The server that ``process`` is, or that usually has ``port``; None for any other."""
    return _BY_PROCESS.get(process) or _BY_PORT.get(port)

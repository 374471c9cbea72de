"""The pages of agents and pools."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from defib.engine.agents.agent_views import STATUS_WORDS, pools_json
from defib.engine.engine import Engine
from defib.model.agent import AgentStatus
from defib.rules.spans import span
from defib.web.access import Access, Page
from defib.web.agents import Agents
from defib.web.problems import Problem
from defib.web.rendering import Pages
from defib.web.words import load, rate, size

STATES = {
    AgentStatus.ONLINE: "up", AgentStatus.WARNING: "suspect", AgentStatus.OFFLINE: "fault",
    AgentStatus.STOPPED: "stopped", AgentStatus.UNKNOWN: "new", AgentStatus.ERROR: "unreachable",
    AgentStatus.DEGRADED: "degraded",
}  # fmt: skip
"""The state of a monitor whose picture and colour each status has."""

_TONES = {
    AgentStatus.OFFLINE: "bad", AgentStatus.ERROR: "bad", AgentStatus.WARNING: "warn", AgentStatus.DEGRADED: "warn",
    AgentStatus.ONLINE: "ok",
}  # fmt: skip
_TROUBLES = {
    AgentStatus.OFFLINE: "offline", AgentStatus.ERROR: "reporting an error", AgentStatus.WARNING: "late",
    AgentStatus.DEGRADED: "degraded",
}  # fmt: skip
"""What is wrong, in the order in which it is told."""


class AgentPages:
    """``/agents``, ``/agents/{id}`` and ``/pools/{pool}``."""

    def __init__(self, engine: Engine, access: Access, pages: Pages, agents: Agents) -> None:
        self._engine = engine
        self._access = access
        self._pages = pages
        self._agents = agents

    def routes(self) -> list[Route]:
        """All of them; each needs someone who may read. An agent's id, and so a pool's name, may hold slashes."""
        pages: dict[str, Page] = {
            "/agents": self.all,
            "/agents/{id:path}": self.one,
            "/pools/{pool:path}": self.pool,
        }
        return [Route(path, self._access.for_readers(page), methods=["GET"]) for path, page in pages.items()]

    async def all(self, request: Request) -> Response:
        return self._list(request, None)

    async def pool(self, request: Request) -> Response:
        return self._list(request, request.path_params["pool"])

    def _list(self, request: Request, pool: str | None) -> Response:
        found = _with_twins(self._agents.views(pool))
        counts = Counter(AgentStatus(item["status"]) for item in found)
        worst = next((status for status in STATUS_WORDS if counts[status]), AgentStatus.UNKNOWN)
        return self._pages.page(
            request, "agents.html", agents=found, pool=pool, pools=pools_json(self._engine.fleet.agents()),
            counts=[{"status": str(status), "word": word, "count": counts[status]}
                    for status, word in STATUS_WORDS.items()],
            headline=headline(counts), tone=_TONES.get(worst, "idle"), worst=STATES[worst], states=STATES,
            base=self._base(request), blank=_BLANK, hour_since=next((item["hour_since"] for item in found), None),
        )  # fmt: skip

    def _base(self, request: Request) -> str:
        """Where agents reach this server."""
        public = self._engine.roster.settings.server.public_url
        return (public or str(request.base_url)).rstrip("/")

    async def one(self, request: Request) -> Response:
        name = request.path_params["id"]
        try:
            found = self._agents.view(self._agents.find(name))
        except Problem as error:
            detail = f"There is no agent “{name}”. It may have been removed."
            raise Problem(HTTPStatus.NOT_FOUND, detail) from error
        return self._pages.page(
            request, "agent.html", agent=found, states=STATES, figures=list(_shown(found["metrics"], _FIGURES)),
            facts=[*_identity(found), *_shown(found["facts"], _FACTS)],
        )  # fmt: skip


def _with_twins(agents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each with whether another one here has its name and its host name, too."""
    counts = Counter((agent["name"], agent["hostname"]) for agent in agents)
    return [{**agent, "has_twin": counts[agent["name"], agent["hostname"]] > 1} for agent in agents]


def headline(counts: Mapping[AgentStatus, int]) -> str:
    """How the agents are, in a few words: what is wrong, else that all is well."""
    total = sum(counts.values())
    if not total:
        return "No agents yet"
    for status, word in _TROUBLES.items():
        if count := counts.get(status, 0):
            return f"{count} of {_agents(total)} {word}"
    online = counts.get(AgentStatus.ONLINE, 0)
    if online == total:
        return f"{_agents(total)} online"
    return f"{online} of {_agents(total)} online"


def _agents(count: int) -> str:
    return f"{count} {'agent' if count == 1 else 'agents'}"


Say = Callable[[Any], str]


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _celsius(value: Any) -> str:
    return f"{value:g} °C"


_FIGURES: Sequence[tuple[str, str, Say]] = (
    ("memory_used_bytes", "Memory used", size), ("memory_total_bytes", "Memory", size),
    ("swap_used_bytes", "Swap used", size), ("disk_used_bytes", "Disk used", size),
    ("disk_total_bytes", "Disk", size), ("net_in_bytes_per_s", "Received", rate),
    ("net_out_bytes_per_s", "Sent", rate), ("net_in_total_bytes", "Received in all", size),
    ("net_out_total_bytes", "Sent in all", size), ("load1", "Load, 1 min", _number),
    ("load5", "Load, 5 min", _number), ("load15", "Load, 15 min", _number),
    ("temperature_c", "Temperature", _celsius), ("processes", "Processes", _number),
    ("connections_tcp", "TCP connections", _number), ("connections_udp", "UDP sockets", _number),
    ("process_cpu_percent", "CPU of the agent", load), ("process_memory_bytes", "Memory of the agent", size),
    ("uptime_s", "Up for", span),
)  # fmt: skip
_FACTS: Sequence[tuple[str, str, Say]] = (
    ("cpu_name", "Processor", str), ("cpu_cores", "Cores", _number), ("arch", "Architecture", str),
    ("kernel", "Kernel", str), ("virtualization", "Virtualization", str), ("gpu_name", "GPU", str),
    ("mem_total_bytes", "Memory", size), ("swap_total_bytes", "Swap", size), ("disk_total_bytes", "Disk", size),
    ("ipv4", "IPv4", str), ("ipv6", "IPv6", str),
)  # fmt: skip


def _shown(values: Mapping[str, Any], known: Iterable[tuple[str, str, Say]]) -> Iterable[tuple[str, str]]:
    """Those of ``known`` that were sent, in their order."""
    for name, label, say in known:
        if (value := values.get(name)) not in (None, ""):
            yield label, say(value) if isinstance(value, int | float) else str(value)


def _identity(agent: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Who it is, as far as it said."""
    labels = (
        ("hostname", "Host name"), ("address", "Address"), ("os", "System"), ("version", "Agent version"),
        ("protocol", "Protocol"),
    )  # fmt: skip
    yield "Id", agent["id"]
    yield from ((label, agent[name]) for name, label in labels if agent[name])
    if agent["aliases"]:
        yield "Also beats as", ", ".join(agent["aliases"])
    if agent["every_s"] is not None:
        yield "Beats every", span(agent["every_s"])


_BLANK: dict[str, Any] = {
    "id": "", "name": "", "monitor": "", "pool": "", "tags": [], "hostname": "", "os": "", "status": "unknown",
    "word": "", "says": "", "connected": False, "last_seen": None, "metrics": {}, "disk_percent": None, "tasks": [],
    "cpu_hour": [], "has_twin": False, "kept_out_at": None, "aside": "",
}  # fmt: skip
"""A row without an agent: the browser fills copies of it."""

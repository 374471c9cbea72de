"""Agents and tokens as JSON-ready data, for pages, the API and the command line."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from defib.engine.agents.agent_history import AgentHistory
from defib.model.agent import Agent, AgentReport, AgentStatus, AgentView, Task, Token

Json = dict[str, Any]

STATUS_WORDS = {
    AgentStatus.OFFLINE: "Offline",
    AgentStatus.ERROR: "Reports an error",
    AgentStatus.WARNING: "Late",
    AgentStatus.DEGRADED: "Degraded",
    AgentStatus.ONLINE: "Online",
    AgentStatus.STOPPED: "Stopped",
    AgentStatus.UNKNOWN: "Not heard yet",
}
"""Each status as people read it, those that need attention first."""


def agent_json(view: AgentView, history: AgentHistory, now: datetime) -> Json:
    """An agent, how it stands, what it reported last and how its last hour went."""
    agent, live = view.agent, view.live
    report = live.report if live is not None else AgentReport()
    disks, hour_since = dict(report.disks), history.since(now)
    return {
        **identity_json(agent),
        "status": str(view.status),
        "word": STATUS_WORDS[view.status],
        "says": report.status,
        "connected": view.is_connected,
        "aside": view.aside,
        "last_seen": None if view.last_seen is None else view.last_seen.isoformat(),
        "reported_at": None if live is None else live.at.isoformat(),
        "metrics": dict(report.metrics),
        "disks": disks,
        "disk_percent": max(disks.values()) if disks else report.metrics.get("disk_percent"),
        "tasks": [_task(task) for task in report.tasks],
        "hour_since": None if hour_since is None else hour_since.isoformat(),
        "cpu_hour": history.means(agent.id, "cpu_percent", now),
        "memory_hour": history.means(agent.id, "memory_percent", now),
    }


def identity_json(agent: Agent) -> Json:
    """What is stored of an agent."""
    return {
        "id": agent.id, "monitor": agent.monitor, "name": agent.name, "pool": agent.pool, "tags": list(agent.tags),
        "hostname": agent.hostname, "address": agent.address, "os": agent.os, "version": agent.version,
        "protocol": agent.protocol, "facts": dict(agent.facts), "aliases": list(agent.aliases),
        "every_s": None if agent.every is None else agent.every.total_seconds(),
        "registered_at": agent.registered_at.isoformat(),
        "kept_out_at": None if agent.kept_out_at is None else agent.kept_out_at.isoformat(),
    }  # fmt: skip


def _task(task: Task) -> Json:
    return {"id": task.id, "kind": task.kind, "workspace": task.workspace, "started_at": task.started_at}


def in_order(views: Iterable[AgentView]) -> list[AgentView]:
    """Those that need attention first, then by name."""
    order = list(STATUS_WORDS)
    return sorted(
        views, key=lambda view: (order.index(view.status), view.agent.name.casefold(), view.agent.id)
    )


def pools_json(views: Iterable[AgentView]) -> list[Json]:
    """Every pool with how many of its agents have which status, by name."""
    pools: dict[str, Counter[str]] = {}
    for view in views:
        if view.agent.pool:
            pools.setdefault(view.agent.pool, Counter())[str(view.status)] += 1
    return [
        {"name": name, "agents": counts.total(), "counts": dict(counts)}
        for name, counts in sorted(pools.items())
    ]


def token_json(token: Token, now: datetime) -> Json:
    """A token without its secret; its hash is nobody's business either."""
    return {
        "id": token.id, "root": token.root, "name": token.name, "scope": str(token.scope), "agent": token.agent,
        "good": token.is_good(now), "created_at": token.created_at.isoformat(),
        "expires_at": None if token.expires_at is None else token.expires_at.isoformat(),
        "revoked_at": None if token.revoked_at is None else token.revoked_at.isoformat(),
    }  # fmt: skip

"""The configuration of the demo: five agents, quick eyes, a ladder for each, and one channel."""

import sys
from collections.abc import Mapping
from typing import Any

import yaml

from defib.demo.control import ALERTS
from defib.demo.tiny_http import HOST

AGENTS = {
    "main": "Main Agent",
    "chat": "Chat Agent",
    "coding": "Coding Agent",
    "system-admin": "System Admin Agent",
    "weather": "Weather Agent",
}
"""The agents of the founding plan: ids and names."""

QUICK = {
    "base": "aggressive", "summary": "for impatient spectators", "interval": "2s", "timeout": "1s",
    "confirm": ["300ms", "500ms"], "recover_confirm": "300ms",
}  # fmt: skip
RECOVERY = {"mode": "auto", "hold": "1s", "cooldown": "2s", "start_timeout": "15s"}


def written(ports: Mapping[str, int], control: int, port: int) -> str:
    """The file.

    :param ports: of the agents.
    :param control: port of the demo's own server.
    :param port: for the dashboard; 0 takes one that is free.
    """
    return yaml.safe_dump(
        {
            "server": {"listen": f"{HOST}:{port}"},
            "strategies": {"quick": QUICK},
            "defaults": {"strategy": "quick", "recovery": RECOVERY},
            "monitors": [
                *(_agent(name, title, ports[name], control) for name, title in AGENTS.items()),
                {"id": "this-host", "name": "This machine", "type": "host", "interval": "5s", "timeout": "3s"},
            ],
            "channels": {"terminal": {"type": "webhook", "url": f"http://{HOST}:{control}{ALERTS}"}},
        },
        sort_keys=False, allow_unicode=True,
    )  # fmt: skip


def _agent(name: str, title: str, port: int, control: int) -> dict[str, Any]:
    restart = [sys.executable, "-m", "defib.demo.restart", name, "--world", str(control)]
    return {
        "id": name, "name": title, "type": "http", "url": f"http://{HOST}:{port}/health",
        "expect": {"status": 200, "within": "500ms"}, "tags": ["agents"],
        "recovery": [{"command": {"argv": restart, "timeout": "15s"}}],
    }  # fmt: skip

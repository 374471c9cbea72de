"""Defib's agent: tells a Defib server, every few seconds, that this machine or program is alive and how it does.

In a program of one's own::

    import defib_agent

    with defib_agent.beating(server_url="https://defib.example.com", api_token=token, agent_id="importer"):
        with defib_agent.task("import"):
            ...

It imports nothing of Defib itself and can be installed alone.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from defib_agent.agent import Agent, Status
    from defib_agent.background import Beats, beating
    from defib_agent.errors import AgentError, SendError, SettingsError
    from defib_agent.settings import Settings, load
    from defib_agent.tasks import task

_HOMES = {
    "Agent": "agent", "Status": "agent", "Beats": "background", "beating": "background", "AgentError": "errors",
    "SendError": "errors", "SettingsError": "errors", "Settings": "settings", "load": "settings", "task": "tasks",
}  # fmt: skip
__all__ = [
    "Agent", "AgentError", "Beats", "SendError", "Settings", "SettingsError", "Status", "beating", "load", "task",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load what is asked for, and no more: a program that only wraps its tasks needs no WebSocket."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

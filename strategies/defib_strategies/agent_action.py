"""Recovery on another host, by the Defib agent there: it runs what its own settings have under a name.

Nothing but the name travels. The agent allows nothing until its settings do, and writes down what it ran.
"""

from collections.abc import Iterable

from pydantic import Field

from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    ActionResult,
    ActionType,
    AgentId,
    BuildContext,
    MonitorSpec,
    Options,
    hookimpl,
)
from defib_strategies.results import bounded

_AGENT_KIND = "agent"


class AgentActionOptions(Options):
    """``agent: {agent_id: web-1, action: restart-web}``."""

    action: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="Name of the action in the agent's settings, below 'actions'.",
    )
    agent_id: str | None = Field(
        default=None, min_length=1, max_length=200,
        description="Which agent runs it; that of the monitor itself by default, where it watches one.",
    )  # fmt: skip


class AgentAction:
    """Asks one agent to run one action."""

    changes_identity = False  # what it does on that host cannot be seen from here

    def __init__(self, action: str, agent: str) -> None:
        self._action = action
        self._agent = agent
        self.description = f"{action} on agent {agent}"

    def check(self) -> None:
        """Nothing that could be seen without asking."""

    async def identity(self) -> str | None:
        """Unknown."""
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        if context.agents is None:
            raise ActionRefusedError(
                "agents hold their connections to 'defib serve'; a pass can ask none of them"
            )
        result = await context.agents.run(
            AgentId(self._agent), self._action, key=context.key, timeout=context.timeout
        )
        return ActionResult(
            exit_status=result.exit_status, output=bounded(result.output), timed_out=result.timed_out
        )


def _create(options: AgentActionOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    agent = options.agent_id
    if agent is None and monitor.kind == _AGENT_KIND:
        agent = getattr(monitor.options, "agent_id", None) or monitor.id
    if agent is None:
        raise ValueError("agent_id: which agent runs it? This monitor watches none itself")
    return AgentAction(options.action, agent)


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    """The action."""
    return (
        ActionType(
            kind="agent",
            summary="runs an action that the Defib agent on another host allows, by its name",
            options=AgentActionOptions,
            create=_create,
        ),
    )

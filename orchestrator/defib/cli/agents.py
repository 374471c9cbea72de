"""``defib agents``: who reports by itself; keeping one out, letting it in again, removing it."""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from defib.cli import daemon, words
from defib.cli.context import state_of
from defib.cli.tokens import on_store
from defib.errors import UsageError
from defib.model.ids import AgentId, MonitorId

if TYPE_CHECKING:
    from defib.engine.agents.fleet import Fleet

_MOST = 1000  #: that are asked for at a time

agents_app = typer.Typer(help="List agents, keep them out, let them in, remove them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(agents_app, name="agents")


@agents_app.command("list")
def list_(
    context: typer.Context,
    pool: Annotated[str | None, typer.Option("--pool", metavar="NAME", help="Only of this pool.")] = None,
) -> None:
    """The agents, those that need attention first."""
    from defib import assembly

    state = state_of(context)
    running = daemon.find(state.settings)
    if running is not None:
        found = _ask(running, pool)
    elif assembly.has_store(state.settings):

        async def read(fleet: "Fleet") -> list[Any]:
            from defib.engine.agents.agent_views import agent_json, in_order
            from defib.engine.clock import SystemClock

            now = SystemClock().now()
            return [agent_json(view, fleet.board.history, now) for view in in_order(fleet.agents(pool))]

        found = on_store(state, "'defib agents list'", read)
    else:
        found = []
    if state.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        words.print_agents(found)


def _ask(running: daemon.Daemon, pool: str | None) -> list[Any]:
    """All of them, however many there are."""
    found: list[Any] = []
    query = {} if pool is None else {"pool": pool}
    while True:
        page = running.get("/api/v1/agents", **query, limit=_MOST, offset=len(found))
        found += page["items"]
        if len(found) >= page["total"] or not page["items"]:
            return found


AgentArgument = Annotated[str, typer.Argument(metavar="ID", help="As 'list' shows it, or its monitor's.")]


@agents_app.command("remove")
def remove(context: typer.Context, agent: AgentArgument) -> None:
    """Forget an agent, its monitor, the token that was made for it, and that it is kept out; its history stays."""
    gone = _act(context, agent, "remove", lambda fleet, known: fleet.remove(known, daemon.actor()))
    print(f"agent {gone} is removed")


@agents_app.command("keep-out")
def keep_out(context: typer.Context, agent: AgentArgument) -> None:
    """Take nothing of an agent any more, and do not let it register, until it is let in again."""
    out = _act(context, agent, "keep-out", lambda fleet, known: fleet.access.keep_out(known, daemon.actor()))
    print(f"agent {out} is kept out")


@agents_app.command("let-in")
def let_in(context: typer.Context, agent: AgentArgument) -> None:
    """Let an agent in again that was kept out: with a token that is good, or else by the registration key."""
    known = _act(context, agent, "let-in", lambda fleet, known: fleet.access.let_in(known, daemon.actor()))
    print(f"agent {known} is let in again")


def _act(
    context: typer.Context, agent: str, verb: str, do: "Callable[[Fleet, AgentId], Awaitable[object]]"
) -> str:
    """Have the daemon do it, or do it on the store; the agent's id."""
    state = state_of(context)
    running = daemon.find(state.settings)
    if running is not None:
        path = f"/api/v1/agents/{daemon.quoted(agent)}"
        answer = running.delete(path) if verb == "remove" else running.post(f"{path}/{verb}", {})
        return str(answer["id"])

    async def work(fleet: "Fleet") -> str:
        known = fleet.find(agent) or fleet.find(fleet.watched_by(MonitorId(agent)) or "")
        if known is None:
            raise UsageError(f"there is no agent {agent!r}; 'defib agents list' shows them")
        await do(fleet, known.agent.id)
        return str(known.agent.id)

    return str(on_store(state, f"'defib agents {verb}'", work))

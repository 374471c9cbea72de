"""``defib agents``: who reports by itself, and removing one."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from defib.cli import daemon, words
from defib.cli.context import state_of
from defib.cli.tokens import on_store
from defib.errors import UsageError
from defib.model.ids import MonitorId

if TYPE_CHECKING:
    from defib.engine.agents.fleet import Fleet

_MOST = 1000  #: that are asked for at a time

agents_app = typer.Typer(help="List and remove agents.", no_args_is_help=True)


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


@agents_app.command("remove")
def remove(
    context: typer.Context, agent: Annotated[str, typer.Argument(metavar="ID", help="As 'list' shows it.")]
) -> None:
    """Forget an agent, its monitor and the token that was made for it; its history stays."""
    state = state_of(context)
    running = daemon.find(state.settings)
    if running is not None:
        gone = running.delete(f"/api/v1/agents/{daemon.quoted(agent)}")["id"]
    else:

        async def forget(fleet: "Fleet") -> str:
            known = fleet.find(agent) or fleet.find(fleet.watched_by(MonitorId(agent)) or "")
            if known is None:
                raise UsageError(f"there is no agent {agent!r}; 'defib agents list' shows them")
            await fleet.remove(known.agent.id, daemon.actor())
            return known.agent.id

        gone = on_store(state, "'defib agents remove'", forget)
    print(f"agent {gone} is removed")

"""``defib deliveries``: what channels have not taken, and sending dead letters once more.

A running daemon is asked; when none runs, this process reads the store, and sends.
"""

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from defib.cli import daemon, words
from defib.cli.beginning import Beginning
from defib.cli.context import State, state_of
from defib.errors import UsageError
from defib.model.alert import DeliveryState
from defib.model.ids import DeliveryId

if TYPE_CHECKING:
    from defib.engine.engine import Engine

PATH = "/api/v1/deliveries"
_TRIES_TAKE_S = 12.0  #: that a command waits for them
_MOST = 1000  #: dead letters that one command sends again

deliveries_app = typer.Typer(
    cls=Beginning, help="See what channels have not taken, and send dead letters once more.",
    invoke_without_command=True,
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(deliveries_app, name="deliveries")


@deliveries_app.command("list")
def listed(
    context: typer.Context,
    dead: Annotated[bool, typer.Option("--dead", help="Only dead letters: those refused for good.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Also those that were delivered.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=_MOST, help="At most so many of each sort.")
    ] = 20,
) -> None:
    """What waits and what was given up, newest first, and why. 'list' may be left out."""
    state = state_of(context)
    if dead and every:
        raise UsageError("say --dead or --all, not both")
    states = [DeliveryState.DEAD] if dead else [DeliveryState.PENDING, DeliveryState.DEAD]
    found = (
        [item for one in states for item in _read(state, one, limit)]
        if not every
        else _read(state, None, limit)
    )
    if state.json:
        print(json.dumps({"deliveries": found}, indent=2, ensure_ascii=False))
    else:
        words.print_deliveries(found, state.settings.timezone, are_all=every)


@deliveries_app.command("retry")
def retry(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="As 'list' shows them.")] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="NAME", help="All dead letters of this channel.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All dead letters there are.")] = False,
) -> None:
    """Send dead letters once more; how it goes, 'defib deliveries' shows."""
    state = state_of(context)
    if bool(ids) + (channel is not None) + every != 1:
        raise UsageError(
            "say which: the ids of dead letters, --channel NAME, or --all; 'defib deliveries' lists them"
        )
    wanted = list(dict.fromkeys(ids or ()))
    if not wanted:
        dead = _read(state, DeliveryState.DEAD, _MOST)
        wanted = [item["id"] for item in reversed(dead) if channel in (None, item["channel"])]
    if not wanted:
        print("there are no dead letters" + (f" of the channel {channel}" if channel else ""))
        return
    _retry(state, wanted)
    print(
        f"{words.count(len(wanted), 'dead letter')}: on the way again; 'defib deliveries' shows what becomes of it"
    )


def _read(state: State, wanted: DeliveryState | None, limit: int) -> list[Any]:
    from defib import assembly

    running = daemon.find(state.settings)
    if running is not None:
        query: dict[str, str | int] = {"limit": limit} | ({} if wanted is None else {"state": wanted.value})
        return list(running.get(PATH, **query)["items"])
    if not assembly.has_store(state.settings):
        return []
    with assembly.stored_views(state.registry, state.settings) as (views, _, _):
        return list(views.delivery_log(limit, 0, wanted))


def _retry(state: State, wanted: list[str]) -> None:
    from defib import assembly, logs

    logs.configure(level="debug" if state.debug else "error")
    running = daemon.find(state.settings)
    if running is not None:
        for delivery in wanted:
            running.post(f"{PATH}/{daemon.quoted(delivery)}/retry")
        return

    async def alone(engine: "Engine") -> None:
        engine.courier.start()
        try:
            for delivery in wanted:
                await engine.desk.retry(DeliveryId(delivery), daemon.actor())
            with suppress(TimeoutError):
                await asyncio.wait_for(engine.courier.wait_tried(), _TRIES_TAKE_S)
        finally:
            await engine.wind_down()

    with assembly.engine(state.registry, state.settings, role="'defib deliveries retry'") as engine:
        asyncio.run(alone(engine))

"""``defib demo``: a little world of agents that break, to look at."""

import asyncio
import time
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    seed: Annotated[int, typer.Option("--seed", help="Of the story; the same one tells it again.")] = 1,
    lasts: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="End by itself, such as after 5m.")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Of the dashboard; when it is in use, any other.")
    ] = 8420,
) -> None:
    """Five agents that break now and then, watched and healed by Defib; Ctrl-C ends it and leaves nothing behind."""
    from defib.demo import show
    from defib.model.options import parse_duration

    try:
        limit = None if lasts is None else parse_duration(lasts)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    asyncio.run(show.run(_say, seed=seed, port=port, lasts=limit))


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}" if line else "", flush=True)

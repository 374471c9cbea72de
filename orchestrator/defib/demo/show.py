"""The whole show, from the first agent's start until nothing is left of it."""

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

from defib.demo import configuration, script, tiny_http
from defib.demo.configuration import AGENTS
from defib.demo.control import Control
from defib.demo.daemon import Daemon, free_or_any
from defib.demo.script import NOTICE_S
from defib.demo.world import World

Say = Callable[[str], None]

OPENING = "chat"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def run(say: Say, *, seed: int, port: int, lasts: timedelta | None) -> None:
    """Run until a signal comes, or ``lasts`` is over; then leave nothing behind.

    :param say: shows one line to people.
    :param port: for the dashboard; another one is taken when it is in use.
    :raises DefibError: something does not start, or Defib ended by itself.
    """
    seconds = None if lasts is None else lasts.total_seconds()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    show = asyncio.create_task(_perform(say, seed, port), name="defib-demo")
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({show, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if show.done():
            show.result()
    finally:
        for task in (show, stopping):
            task.cancel()
        await asyncio.gather(show, stopping, return_exceptions=True)
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _perform(say: Say, seed: int, port: int) -> None:
    async with _stage(say, port) as (world, daemon):
        for line in (*daemon.greeting, "", *_programme(seed)):
            say(line)
        playing = asyncio.create_task(_play(world, say, seed))
        ending = asyncio.create_task(daemon.wait_ended())
        try:
            await asyncio.wait({playing, ending}, return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                playing.result()
            raise daemon.failure()
        finally:
            playing.cancel()
            ending.cancel()
            await asyncio.gather(playing, ending, return_exceptions=True)


@contextlib.asynccontextmanager
async def _stage(say: Say, port: int) -> AsyncIterator[tuple[World, Daemon]]:
    """The agents, the demo's server and Defib, in a folder that is removed at the end."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="defib-demo-")))
        world = World(AGENTS)
        stack.push_async_callback(world.close)
        await world.start()
        server = await tiny_http.serve(Control(world, say).answer, 0)
        stack.callback(server.close)
        config = folder / "defib.yaml"
        dashboard = free_or_any(tiny_http.HOST, port)
        config.write_text(
            configuration.written(world.ports, tiny_http.port_of(server), dashboard), encoding="utf-8"
        )
        daemon = await Daemon.start(config)
        stack.push_async_callback(daemon.stop)
        yield world, daemon


def _programme(seed: int) -> list[str]:
    return [
        f"Five agents live here: {', '.join(AGENTS)}. Now and then one of them breaks (seed {seed});",
        "Defib finds out, restarts it, makes sure that it is well again, and tells you in this terminal.",
        "Ctrl-C ends it all and leaves nothing behind.",
        "",
    ]


async def _play(world: World, say: Say, seed: int) -> None:
    """Break one agent after another; what Defib has given up is restarted by hand before the next one's turn."""
    for breakage in script.story(tuple(AGENTS), OPENING, seed):
        await asyncio.sleep(breakage.pause_s)
        for name in await world.mend():
            say(f"somebody restarts {name} by hand")
        say(f"in {NOTICE_S:g} s {breakage.agent} will {breakage.trouble.sentence}")
        await asyncio.sleep(NOTICE_S)
        say(f"{breakage.agent} breaks")
        await world.upset(breakage.agent, breakage.trouble)

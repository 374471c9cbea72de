"""``defib serve``: the daemon."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from typing import TYPE_CHECKING

import typer

from defib.cli.context import State, state_of

if TYPE_CHECKING:
    from defib.engine.engine import Engine
    from defib.web.server import Server


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(context: typer.Context) -> None:
    """Watch, recover, alert and show, until told to stop. SIGTERM drains, SIGHUP reloads the configuration."""
    import uvloop

    from defib import assembly, logs

    state = state_of(context)
    logs.configure(level="debug" if state.debug else "info")
    registry, settings = state.loaded
    with assembly.engine(registry, settings, role="the daemon 'defib serve'", is_daemon=True) as engine:
        for fault in registry.faults:
            print(f"defib: plugin {fault.origin} does not load: {fault.message}", file=sys.stderr)
        for warning in settings.warnings:
            print(f"defib: {warning}", file=sys.stderr)
        uvloop.run(_serve(state, engine))


async def _serve(state: State, engine: "Engine") -> None:
    from defib import assembly
    from defib.cli.daemon import announced, collect_seldom
    from defib.cli.words import count
    from defib.web.app import Services, create_app, listening_receivers
    from defib.web.server import Server

    settings = engine.roster.settings
    services = Services(
        engine=engine,
        views=assembly.live_views(engine),
        reload=lambda: _reload(state, engine),
        token=secrets.token_urlsafe(32),
    )
    server = Server(create_app(services), settings.server)
    await server.start()
    try:
        with announced(settings, server.url, services.token):
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, engine.stop)
            reloads: set[asyncio.Task[list[str]]] = set()

            def on_hangup() -> None:
                task = loop.create_task(_reload(state, engine))
                reloads.add(task)
                task.add_done_callback(reloads.discard)

            loop.add_signal_handler(signal.SIGHUP, on_hangup)
            print(f"Defib serves {server.url}", flush=True)
            print(f"Log in once with {services.login_url(server.url)}", flush=True)
            watched = count(len(engine.roster.monitors), "monitor")
            notify("READY=1", f"STATUS=watching {watched}")
            watchdog = asyncio.create_task(_feed_watchdog())
            failing = asyncio.create_task(_stop_with(server, engine))
            collect_seldom()
            try:
                async with listening_receivers(services):
                    await engine.serve()
            finally:
                notify("STOPPING=1")
                for task in (watchdog, failing):
                    task.cancel()
                await asyncio.gather(watchdog, failing, return_exceptions=True)
    finally:
        await server.stop()


async def _stop_with(server: "Server", engine: "Engine") -> None:
    """A daemon whose server has died ends, so that its supervisor starts it afresh."""
    await server.wait_ended()
    engine.stop()


async def _reload(state: State, engine: "Engine") -> list[str]:
    """Load the configuration again; the old one stays in force when the new one has mistakes, which are returned."""
    import structlog

    from defib import assembly
    from defib.errors import ConfigError, DefibError

    log = structlog.get_logger("defib.reload")
    notify("RELOADING=1")
    try:
        _, settings = await asyncio.to_thread(assembly.load_settings, state.path, engine.roster.registry)
        if settings.store != engine.roster.settings.store or settings.server != engine.roster.settings.server:
            log.warning("'store' and 'server' take effect at the next start only")
        roster = await asyncio.to_thread(
            assembly.build_roster, engine.roster.registry, settings, engine.reader
        )
        await engine.reload(roster)
    except ConfigError as error:
        mistakes = [str(mistake) for mistake in error.mistakes]
        log.error("the new configuration is wrong; the old one stays in force", mistakes=mistakes)
        return mistakes
    except DefibError as error:
        log.error("reload failed; the old configuration stays in force", error=str(error))
        return [str(error)]
    finally:
        notify("READY=1")
    return []


async def _feed_watchdog() -> None:
    """Tell systemd that the loop turns, at half the interval it asks for."""
    interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
    while interval:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval)


def notify(*lines: str) -> None:
    """sd_notify: say something to the service manager, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto("\n".join(lines).encode(), address)
    except OSError as error:
        print(f"defib: cannot notify the service manager: {error}", file=sys.stderr)

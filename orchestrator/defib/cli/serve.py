"""``defib serve``: the daemon."""

import asyncio
import faulthandler
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from defib.cli.context import State, state_of
from defib.cli.words import count

if TYPE_CHECKING:
    from defib.engine.engine import Engine
    from defib.model.settings import Settings
    from defib.web.server import Server

_STDERR = 2


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
    from defib.web.app import Services, create_app, listening_receivers
    from defib.web.server import Server

    settings = engine.roster.settings
    services = Services(
        engine=engine,
        views=assembly.live_views(engine),
        reload=lambda: _reload(state, engine, settings),
        token=secrets.token_urlsafe(32),
    )
    server = Server(create_app(services), settings.server)
    await server.start()
    try:
        with announced(settings, server.url, services.token):
            loop = asyncio.get_running_loop()

            def stop() -> None:
                notify("STOPPING=1")
                engine.stop()

            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop)
            reloads: set[asyncio.Task[list[str]]] = set()

            def on_hangup() -> None:
                task = loop.create_task(_reload(state, engine, settings))
                reloads.add(task)
                task.add_done_callback(reloads.discard)

            loop.add_signal_handler(signal.SIGHUP, on_hangup)
            print(f"Defib serves {server.url}", flush=True)
            print(f"Log in once with {services.login_url(server.url)}", flush=True)
            notify("READY=1", _watching(engine))
            watchdog = asyncio.create_task(_feed_watchdog(engine))
            failing = asyncio.create_task(_stop_with(server, stop))
            collect_seldom()
            try:
                async with listening_receivers(services):
                    await engine.serve()
            finally:
                for task in (watchdog, failing):
                    task.cancel()
                await asyncio.gather(watchdog, failing, return_exceptions=True)
    finally:
        await server.stop()


async def _stop_with(server: "Server", stop: Callable[[], None]) -> None:
    """A daemon whose server has died ends, so that its supervisor starts it afresh."""
    await server.wait_ended()
    stop()


async def _reload(state: State, engine: "Engine", started: "Settings") -> list[str]:
    """Load the configuration again; the old one stays in force when the new one has mistakes, which are returned.

    :param started: what the process was started with.
    """
    from defib import assembly, config
    from defib.errors import ConfigError, DefibError
    from defib.logs import get_logger
    from defib.model.settings import waiting_for_a_start

    log = get_logger("defib.reload")
    notify("RELOADING=1")
    try:
        settings = await asyncio.to_thread(config.load, state.path, engine.roster.registry, os.environ)
        if waiting := waiting_for_a_start(started, settings):
            keys = " and ".join(f"'{key}'" for key in waiting)
            warning = f"{keys} changed, which takes effect at the next start only: restart Defib"
            log.warning(warning)
            settings = replace(settings, warnings=(*settings.warnings, warning))
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
        notify("READY=1", _watching(engine))
    return []


def _watching(engine: "Engine") -> str:
    """For ``systemctl status``."""
    return f"STATUS=watching {count(len(engine.roster.monitors), 'monitor')}"


async def _feed_watchdog(engine: "Engine") -> None:
    """Tell systemd that the loop turns, at half the interval it asks for.

    What hangs is ended by SIGABRT, which then logs where. At the end, an action that runs is waited for as long as it
    may take, and systemd waits too as long as the loop turns (``EXTEND_TIMEOUT_USEC`` of sd_notify(3)).
    """
    limit_us = int(os.environ.get("WATCHDOG_USEC", "0"))
    if limit_us:
        faulthandler.enable(_STDERR)
    while limit_us:
        notify("WATCHDOG=1", *((f"EXTEND_TIMEOUT_USEC={limit_us}",) if engine.is_stopping else ()))
        await asyncio.sleep(limit_us / 2_000_000)


def notify(*lines: str) -> None:
    """sd_notify: say something to the service manager, if there is one; never wait for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            channel.sendto("\n".join(lines).encode(), address)
    except OSError as error:
        print(f"defib: cannot notify the service manager: {error}", file=sys.stderr)

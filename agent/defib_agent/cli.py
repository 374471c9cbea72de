"""``defib-agent``, also as ``defib agent``."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from defib_agent import __version__
from defib_agent.agent import Agent
from defib_agent.errors import AgentError, SettingsError
from defib_agent.settings import PREFIX, TRANSPORTS, Settings, load

OK, FAILED, WRONG_SETTINGS = 0, 1, 2  #: exit statuses


def parser(program: str = "defib-agent") -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog=program, allow_abbrev=False,
        description="Tells a Defib server, every few seconds, that this machine is alive and how it does.",
        epilog=f"Every setting can also stand in a file (--config) or the environment ({PREFIX}SERVER_URL).",
    )  # fmt: skip
    made.add_argument("--config", metavar="FILE", type=Path, help="settings, as YAML or JSON")
    made.add_argument("--server-url", metavar="URL", help="address of Defib")
    made.add_argument("--token", metavar="TOKEN", dest="api_token",
                      help="ingest token or registration key; better in the environment or a file")  # fmt: skip
    made.add_argument(
        "--agent-id", metavar="ID", help="how the server knows this agent; it chooses one by default"
    )
    made.add_argument("--agent-name", metavar="NAME", help="for people; the host name by default")
    made.add_argument("--tags", metavar="A,B", help="tags of the agent's monitor")
    made.add_argument("--pool", metavar="POOL", help="the pool it belongs to")
    made.add_argument("--interval", metavar="TIME", help="between two beats; 30s by default")
    made.add_argument("--protocol", choices=sorted(TRANSPORTS), help="agent by default")
    made.add_argument("--transport", choices=("http", "websocket", "both", "unix"), help="http by default")
    made.add_argument(
        "--socket-path", metavar="PATH", help="socket of Defib on this machine, for --transport unix"
    )
    made.add_argument("--state-folder", metavar="FOLDER", help="where the token that it is given is kept")
    made.add_argument(
        "--register", action="store_true", help="register, even if it has been registered before"
    )
    made.add_argument("--once", action="store_true", help="send one beat and end: for cron")
    made.add_argument("--gui", action="store_true", help="show a small window")
    made.add_argument("--debug", action="store_true", help="log more")
    made.add_argument("--version", action="version", version=f"defib-agent {__version__}")
    return made


def main(argv: Sequence[str] | None = None, program: str = "defib-agent") -> int:
    """Run a command line and return its exit status: 0 well, 1 not delivered, 2 wrong settings."""
    wanted = parser(program).parse_args(argv)
    logging.basicConfig(
        level=logging.DEBUG if wanted.debug else logging.INFO, stream=sys.stderr,
        format="%(message)s" if "JOURNAL_STREAM" in os.environ else "%(asctime)s %(levelname)s %(message)s",
    )  # fmt: skip
    for name in ("asyncio", "websockets"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        settings = _settings(wanted)
        if wanted.gui:
            from defib_agent.window import show

            return show(settings, must_register=wanted.register)
        agent = Agent(settings, must_register=wanted.register)
        asyncio.run(agent.once() if wanted.once else _serve(agent))
    except AgentError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return WRONG_SETTINGS if isinstance(error, SettingsError) else FAILED
    except KeyboardInterrupt:
        return 130
    return OK


def _settings(wanted: argparse.Namespace) -> Settings:
    path = wanted.config or (Path(named) if (named := os.environ.get(f"{PREFIX}CONFIG")) else None)
    given = {
        name: getattr(wanted, name)
        for name in (
            "server_url", "api_token", "agent_id", "agent_name", "tags", "pool", "interval", "protocol", "transport",
            "socket_path", "state_folder",
        )
    }  # fmt: skip
    return load(path, **given)


async def _serve(agent: Agent) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, agent.stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(agent.stop))
    await agent.run()

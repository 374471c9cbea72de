"""``defib serve`` on the demo's configuration, in a process of its own."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from defib.errors import DefibError, ListenError
from defib.web.server import listen

START_WITHIN_S = 30.0
STOP_WITHIN_S = 20.0
_LAST_LINES = 5


class Daemon:
    """One run of ``defib serve``.

    :ivar greeting: what it printed when it started: where it serves, and how to log in.
    """

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._log = log
        self.greeting: list[str] = []

    @classmethod
    async def start(cls, config: Path) -> "Daemon":
        """Start it; it serves when this returns.

        :raises DefibError: it ended instead; with its last words.
        """
        log = config.with_suffix(".log")
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "defib.cli.main", "-c", str(config), "serve",
                stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=stderr, start_new_session=True,
            )  # fmt: skip
        daemon = cls(process, log)
        try:
            await asyncio.wait_for(daemon._read_greeting(), START_WITHIN_S)
        except TimeoutError as error:
            await daemon.stop()
            raise DefibError(
                f"the demo's 'defib serve' does not start within {START_WITHIN_S:g} s"
            ) from error
        except BaseException:
            await daemon.stop()
            raise
        return daemon

    async def _read_greeting(self) -> None:
        assert self._process.stdout is not None
        while len(self.greeting) < 2:
            line = await self._process.stdout.readline()
            if not line:
                raise self.failure()
            self.greeting.append(line.decode().rstrip())

    async def wait_ended(self) -> None:
        """Return when it has ended, for whatever reason."""
        await self._process.wait()

    def failure(self) -> DefibError:
        """Why it ended by itself."""
        words = self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return DefibError("\n".join(["the demo's 'defib serve' has ended:", *words]))

    async def stop(self) -> None:
        """End it; harmless when it has ended."""
        for number, limit in ((signal.SIGTERM, STOP_WITHIN_S), (signal.SIGKILL, None)):
            if self._process.returncode is None:
                self._process.send_signal(number)
            try:
                await asyncio.wait_for(self._process.communicate(), limit)
            except TimeoutError:
                continue
            return


def free_or_any(host: str, port: int) -> int:
    """``port`` when nobody has it, else 0, which takes any."""
    try:
        sockets = listen(host, port)
    except ListenError:
        return 0
    for item in sockets:
        item.close()
    return port

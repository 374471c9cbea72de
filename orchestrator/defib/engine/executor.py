"""Runs recovery commands: the only place where Defib starts a process to act.

No shell, no terminal, a process group of its own that is killed as a whole, bounded output, and an
environment of a few allowed names.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from defib.errors import ActionRefusedError
from defib.ports import Execution

OUTPUT_LIMIT = 64 * 1024  #: bytes of output that are kept: the newest
KILL_GRACE = timedelta(seconds=5)  #: between SIGTERM and SIGKILL
PIPE_GRACE = timedelta(seconds=1)  #: for a daemon that was started and holds the output open
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "DOCKER_HOST", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")  # fmt: skip
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

OnStart = Callable[[int], Awaitable[None]]


class ProcessExecutor:
    """Executes argument lists."""

    def __init__(self, on_start: OnStart | None = None) -> None:
        """:param on_start: awaited with the process id as soon as the command runs."""
        self._on_start = on_start

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        timeout: timedelta,
        env: Mapping[str, str],
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Execution:
        """See :class:`defib.ports.Executor`."""
        started = time.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=_environment(env),
                cwd=cwd or "/",
                start_new_session=True,
                pass_fds=tuple(pass_fds),
                umask=0o077,
            )
        except OSError as error:
            raise ActionRefusedError(f"cannot run {argv[0]}: {error.strerror or error}") from error
        tail = bytearray()
        reading = asyncio.ensure_future(_read_tail(process.stdout, tail))
        timed_out = False
        try:
            if self._on_start is not None:
                await self._on_start(process.pid)
            left = timeout.total_seconds() - (time.monotonic() - started)
            try:
                await asyncio.wait_for(process.wait(), max(0.01, left))
            except TimeoutError:
                timed_out = True
                await _kill_group(process)
            await asyncio.wait({reading}, timeout=PIPE_GRACE.total_seconds())
        finally:
            if process.returncode is None:  # cancelled: nothing may go on unseen
                _signal_group(process.pid, signal.SIGKILL)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            _close_pipe(process)
        return Execution(
            exit_status=None if timed_out else process.returncode,
            output=tail.decode("utf-8", "replace"),
            duration=timedelta(seconds=time.monotonic() - started),
            timed_out=timed_out,
        )


def _environment(facts: Mapping[str, str]) -> dict[str, str]:
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    env.setdefault("PATH", _DEFAULT_PATH)
    return env | dict(facts)


async def _read_tail(stream: asyncio.StreamReader | None, tail: bytearray) -> None:
    assert stream is not None
    while chunk := await stream.read(65536):
        tail += chunk
        del tail[:-OUTPUT_LIMIT]


async def _kill_group(process: asyncio.subprocess.Process) -> None:
    """SIGTERM to the whole group, then SIGKILL to what is left of it."""
    _signal_group(process.pid, signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), KILL_GRACE.total_seconds())
    except TimeoutError:
        pass
    _signal_group(process.pid, signal.SIGKILL)  # also the children that outlived their parent
    await process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _close_pipe(process: asyncio.subprocess.Process) -> None:
    transport = getattr(
        process, "_transport", None
    )  # asyncio has no public way to close a pipe held by others
    if transport is not None:
        transport.close()

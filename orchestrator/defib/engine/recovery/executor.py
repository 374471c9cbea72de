"""Runs recovery commands: the only place where Defib starts a process to act.

No shell, no terminal, a process group of its own that is killed as a whole, bounded output, and an
environment of a few allowed names.
"""

import asyncio
import os
import resource
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from defib.errors import ActionRefusedError
from defib.ports import Execution

OUTPUT_LIMIT = 64 * 1024  #: bytes of output that are kept: the newest
KILL_GRACE = timedelta(seconds=5)  #: between SIGTERM and SIGKILL
PIPE_GRACE = timedelta(seconds=1)  #: for a daemon that was started and holds the output open
_PASSED_ON = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "DOCKER_HOST", "DOCKER_CONTEXT", "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS", "PGHOST", "PGPORT", "DEFIB_AGENT_UNIT_PREFIX",
)  # fmt: skip
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

OnStart = Callable[[int], Awaitable[None]]
OnKill = Callable[[], Awaitable[None]]


class ProcessExecutor:
    """Executes argument lists."""

    def __init__(self, on_start: OnStart | None = None, on_kill: OnKill | None = None) -> None:
        """
        :param on_start: awaited with the process id as soon as the command runs.
        :param on_kill: awaited when it has taken too long, before its group is ended.
        """
        self._on_start = on_start
        self._on_kill = on_kill

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
        output = _Output()
        try:
            process = await _start(
                argv, output.write_end, env=_environment(env), cwd=cwd or Path("/"), pass_fds=pass_fds
            )
        except OSError as error:
            output.close()
            raise ActionRefusedError(f"cannot run {argv[0]}: {error.strerror or error}") from error
        output.start()
        timed_out = False
        try:
            if self._on_start is not None:
                await self._on_start(process.pid)
            left = timeout.total_seconds() - (time.monotonic() - started)
            try:
                async with asyncio.timeout(max(0.01, left)):
                    await _ended(process)
            except TimeoutError:
                timed_out = True
                await self._kill(process)
            await output.wait_ended(PIPE_GRACE)
        finally:
            if process.poll() is None:  # cancelled: nothing may go on unseen
                _signal_group(process.pid, signal.SIGKILL)
                process.wait()
            output.close()
        return Execution(
            exit_status=None if timed_out else process.returncode,
            output=output.text,
            duration=timedelta(seconds=time.monotonic() - started),
            timed_out=timed_out,
        )

    async def _kill(self, process: "subprocess.Popen[bytes]") -> None:
        """End the group, whatever becomes of telling so."""
        try:
            if self._on_kill is not None:
                await self._on_kill()
        finally:
            await _kill_group(process)


async def _start(
    argv: Sequence[str], output: int, *, env: Mapping[str, str], cwd: Path, pass_fds: Sequence[int]
) -> "subprocess.Popen[bytes]":
    """Start a process; one that is being started when the task is cancelled is killed at once.

    Not by the event loop's own subprocesses: uvloop's know no umask, and asyncio's wait for grandchildren.
    """
    _forbid_core_dumps()
    starting = asyncio.ensure_future(
        asyncio.to_thread(
            subprocess.Popen, list(argv), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(env),
            cwd=cwd, start_new_session=True, pass_fds=tuple(pass_fds), umask=0o077,
        )
    )  # fmt: skip
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _forbid_core_dumps() -> None:
    """No core dumps from here on, neither of Defib nor of what it runs: they hold secrets, and fill disks.

    Only the soft limit, and no other one: what a command starts inherits them, and a service that is brought back
    must not be crippled by limits that are meant for the script that starts it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if soft != 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


class _Output:
    """A pipe of our own for what a command prints, of which the end is kept.

    With the event loop's own pipes the end of a command would only be seen when everything that
    inherited them has ended too: a daemon that was started would hold its starter up.
    """

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.write_end, True)  # the command's end is an ordinary one
        self._tail = bytearray()
        self._ended = asyncio.Event()
        self._reading = False

    def start(self) -> None:
        """The command holds the writing end now: let go of ours, and read."""
        os.close(self.write_end)
        self.write_end = -1
        asyncio.get_running_loop().add_reader(self._read_end, self._read)
        self._reading = True

    def _read(self) -> None:
        try:
            chunk = os.read(self._read_end, 65536)
        except BlockingIOError:
            return
        if not chunk:
            self._stop()
            self._ended.set()
            return
        self._tail += chunk
        del self._tail[:-OUTPUT_LIMIT]

    async def wait_ended(self, limit: timedelta) -> None:
        """Return when nobody holds the writing end any more, or after ``limit``."""
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await self._ended.wait()
        except TimeoutError:
            pass

    def _stop(self) -> None:
        if self._reading:
            asyncio.get_running_loop().remove_reader(self._read_end)
            self._reading = False

    def close(self) -> None:
        self._stop()
        for end in (self._read_end, self.write_end):
            if end != -1:
                os.close(end)
        self._read_end = self.write_end = -1

    @property
    def text(self) -> str:
        return self._tail.decode("utf-8", "replace")


def _environment(facts: Mapping[str, str]) -> dict[str, str]:
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    env.setdefault("PATH", _DEFAULT_PATH)
    return env | dict(facts)


async def _ended(process: "subprocess.Popen[bytes]") -> None:
    """Return when the process itself has ended, whatever its children do."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:  # no pidfd on this system
        while process.poll() is None:  # noqa: ASYNC110 - nothing tells of its end here
            await asyncio.sleep(0.05)
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    process.wait()


async def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM to the whole group, then SIGKILL to what is left of it."""
    _signal_group(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(KILL_GRACE.total_seconds()):
            await _ended(process)
    except TimeoutError:
        pass  # it ignores SIGTERM
    _signal_group(process.pid, signal.SIGKILL)  # also the children that outlived their parent
    await _ended(process)


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass

"""Running a program to look at something: bounded in time and output, killed with all its children."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OUTPUT_LIMIT_BYTES = 64 * 1024
_KEPT_VARIABLES = ("HOME", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LAST_WORDS_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a program ended."""

    exit_status: int  #: negative: the number of the signal that killed it
    stdout: str  #: its beginning, at most OUTPUT_LIMIT_BYTES
    stderr: str  #: likewise


def environment(*keep: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables a child gets: a few of ours, the C locale so that output can be read, and ``extra``.

    :param keep: names of further variables to hand on where they are set.
    """
    kept = {name: os.environ[name] for name in (*_KEPT_VARIABLES, *keep) if name in os.environ}
    return {"PATH": _DEFAULT_PATH, **kept, "LC_ALL": "C", **(extra or {})}


async def run(
    argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str], cwd: Path | None = None
) -> Finished:
    """Run ``argv`` without a shell, in a process group of its own, with nothing on its standard input.

    The whole group is killed at the timeout, when the caller is cancelled, and when the program ends but
    leaves children that keep its output open.

    :raises TimeoutError: it had to be killed.
    :raises OSError: it cannot be started.
    """
    loop = asyncio.get_running_loop()
    transport, child = await loop.subprocess_exec(
        _Child,
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        env=env,
        cwd=str(cwd) if cwd else None,
        start_new_session=True,
    )
    group = transport.get_pid()
    try:
        async with asyncio.timeout(timeout_s):
            await child.ended.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await child.closed.wait()
    finally:
        if not child.closed.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):  # a process in an uninterruptible sleep is not waited for
                async with asyncio.timeout(_LAST_WORDS_S):
                    await child.ended.wait()
        transport.close()
    return Finished(exit_status=transport.get_returncode() or 0, stdout=child.text(1), stderr=child.text(2))


class _Child(asyncio.SubprocessProtocol):
    """Collects what a child prints; keeps draining beyond the limit so that the child is not blocked by us."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()  #: the program itself has ended
        self.closed = asyncio.Event()  #: and nobody holds its output any more
        self._output = {1: bytearray(), 2: bytearray()}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        kept = self._output[fd]
        kept += data[: OUTPUT_LIMIT_BYTES - len(kept)]

    def process_exited(self) -> None:
        self.ended.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set()

    def text(self, fd: int) -> str:
        return self._output[fd].decode("utf-8", "replace")

"""Start, break, stop and repair a :mod:`defib_testkit.victim` process."""

import contextlib
import http.client
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from defib_testkit import processes, victim
from defib_testkit.ports import free_port
from defib_testkit.waiting import wait_until


class Victim:
    """One agent on a port of its own; at most one process at a time, whoever started it.

    Not running when made. ``url`` is its health endpoint.
    """

    def __init__(
        self, folder: Path, *, boot_delay: float = 0.0, host: str = "127.0.0.1", launcher: Sequence[str] = ()
    ) -> None:
        """
        :param folder: for its pid file and log; exists.
        :param boot_delay: seconds that it takes to listen, at every start.
        :param host: its address; on Linux, all of 127.0.0.0/8 are this machine's.
        :param launcher: before its command line: ``ip netns exec …``; not of restarts, which inherit where they run.
        """
        self.host = host
        self.port = free_port()
        self.url = f"http://{host}:{self.port}/health"
        self.pidfile = folder / f"victim-{self.port}.pid"
        self.log = folder / f"victim-{self.port}.log"
        self._restarts = folder / f"victim-{self.port}.restarts"
        # Isolated and without site-packages: it boots four times as fast.
        self._argv = [sys.executable, "-I", "-S", victim.__file__, "--host", host, "--port", str(self.port)]
        self._argv += ["--boot-delay", str(boot_delay), "--pidfile", str(self.pidfile)]
        self._launcher = tuple(launcher)
        self._boot_timeout = boot_delay + 10.0
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *, wait: bool = True) -> None:
        """Start the process; with ``wait``, return when it answers."""
        if self.pid is not None:
            raise RuntimeError(f"the victim is running already, as process {self.pid}")
        with self.log.open("ab") as log:
            self._started.append(
                subprocess.Popen(
                    [*self._launcher, *self._argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True,
                )
            )  # fmt: skip
        if wait:
            self.wait_until_up()

    @property
    def pid(self) -> int | None:
        """Process id of the running agent, however it was started; None when there is none."""
        running = [pid for pid in processes.with_argument(str(self.pidfile)) if processes.is_running(pid)]
        return min(running, default=None)

    @property
    def restarts(self) -> int:
        """How often the restart script ran."""
        return len(self._restarts.read_text().splitlines()) if self._restarts.exists() else 0

    @property
    def notes(self) -> list[tuple[float, str]]:
        """What it says of itself: instants of CLOCK_MONOTONIC, with ``listening`` or ``mode hang``."""
        lines = (
            [line.split(" ", 1) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        )
        return [(float(words[0]), words[1]) for words in lines if words[0].replace(".", "", 1).isdecimal()]

    def wait_until_up(self) -> None:
        """Return when the agent listens.

        :raises TimeoutError: with the end of its log.
        """
        what = f"the victim to listen on port {self.port}"
        try:
            wait_until(lambda: self._ask("/"), self._boot_timeout, what)
        except TimeoutError as error:
            if self.log.exists():
                error.add_note(self.log.read_text(errors="replace")[-2000:])
            raise

    def set_mode(self, mode: str) -> None:
        """Change how it answers: ``ok``, ``error500``, ``slow:0.3``… as :mod:`defib_testkit.victim` lists them."""
        try:
            status = self._ask(f"/control?mode={mode}")
        except ConnectionRefusedError:
            processes.send(self._running_pid(), signal.SIGURG)
            self.wait_until_up()
            status = self._ask(f"/control?mode={mode}")
        if status != 200:
            raise ValueError(f"the victim knows no mode {mode!r}: it has {', '.join(victim.MODES)}")

    def kill(self) -> None:
        """SIGKILL, and gone when this returns; nothing if it is not running."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM, and gone when this returns; nothing if it is not running."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: the kernel goes on taking connections, and nobody answers."""
        processes.freeze(self._running_pid())

    def thaw(self) -> None:
        """SIGCONT: everything that has queued up is answered."""
        processes.thaw(self._running_pid())

    def restart_script(self, folder: Path, name: str = "restart-victim.sh") -> Path:
        """Write a script, mode 0755, owned by who runs the tests: it kills the agent and starts it detached.

        It returns at once, without waiting for the agent to listen, and starts what :meth:`start` starts.
        """
        pidfile, log = shlex.quote(str(self.pidfile)), shlex.quote(str(self.log))
        script = folder / name
        script.write_text(
            f"""#!/bin/sh
# Kill the agent, if that is what runs under the recorded process id, and start it detached.
set -eu
echo run >> {shlex.quote(str(self._restarts))}
if [ -s {pidfile} ]; then
    pid=$(cat {pidfile})
    case $(tr '\\0' ' ' 2>/dev/null < "/proc/$pid/cmdline") in
        *{pidfile}*) kill -KILL "$pid" || true ;;
    esac
fi
setsid nohup {shlex.join(self._argv)} < /dev/null >> {log} 2>&1 &
echo $! > {pidfile}
"""
        )
        script.chmod(0o755)
        return script

    def close(self) -> None:
        """End every process that was started for this victim, here or by the script."""
        close_all([self])

    def forget(self) -> None:
        """Take the exit status of processes that have been ended."""
        for process in self._started:
            process.wait(timeout=5)

    def _ask(self, target: str) -> int:
        """HTTP status of a GET; an OSError when nobody listens."""
        with contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=2)) as connection:
            connection.request("GET", target)
            return connection.getresponse().status

    def _running_pid(self) -> int:
        pid = self.pid
        if pid is None:
            raise RuntimeError("the victim is not running")
        return pid

    def _end(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            processes.end(pid, number=number)


def close_all(victims: Iterable[Victim]) -> None:
    """Close many, in the time that one takes."""
    listed = list(victims)
    for pid in processes.with_argument(*(str(each.pidfile) for each in listed)):
        processes.end(pid)
    for each in listed:
        each.forget()

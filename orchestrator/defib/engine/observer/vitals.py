"""What the observer can measure of itself: loop lag, pressure on the machine, three clocks."""

import asyncio
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from defib.engine.observer.canaries import read_interfaces
from defib.engine.observer.senses import Pressure
from defib.logs import get_logger
from defib.rules.correlation import Interface
from defib.rules.gaps import Clocks

SAMPLE_EVERY = 0.05  #: seconds
WATCH_EVERY = (
    0.25  #: seconds between looks of the watchdog, which has only to tell; each costs a switch of threads
)
NOTEWORTHY = 0.02  #: seconds of lag from which a sample is kept
TELL_BLOCKED = 1.0  #: seconds that the loop is held up before the watchdog says where
_KEPT = 4096  #: samples, newest: three minutes of a loop that is always late, much longer otherwise
_SAME_INSTANT = 0.002  #: seconds between readings of the clocks that count as one
_PRESSURE = Path("/proc/pressure")

log = get_logger("defib.vitals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The event loop is being held up."""

    seconds: float  #: so far
    place: str  #: what it is executing, innermost call last


def _warn(blocked: Blocked) -> None:
    log.warning("event loop held up", seconds=round(blocked.seconds, 2), place=blocked.place)


class LagSampler:
    """Measures how late the event loop runs, from within by a timer and from outside by a thread.

    The timer gives the lag afterwards; the watchdog thread sees a loop that is held up while it still is, and
    where. A process that was stopped as a whole (SIGSTOP, freezer) shows as lag as well.
    """

    def __init__(self, on_blocked: Callable[[Blocked], None] = _warn) -> None:
        """:param on_blocked: called on the watchdog's thread, once for each time the loop is held up for a second."""
        self._on_blocked = on_blocked
        self._samples: deque[tuple[float, float]] = deque(maxlen=_KEPT)  # (due, run), both monotonic seconds
        self._due = 0.0  # of the next timer; read by the watchdog, written by the loop
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._ended = threading.Event()
        self._watchdog: threading.Thread | None = None

    def start(self) -> None:
        """Begin to sample the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._ended.clear()
        self._arm()
        self._watchdog = threading.Thread(target=self._watch, name="defib-watchdog", daemon=True)
        self._watchdog.start()

    def close(self) -> None:
        """End sampling; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watchdog is not None:
            self._ended.set()
            self._watchdog.join()
            self._watchdog = None

    # --- questions ---------------------------------------------------------------------------------

    def max_lag(self, since: float) -> float:
        """The longest that the loop was held up from ``since`` until now, in seconds; from any thread.

        :param since: monotonic seconds. Of what began before, only the part after it counts.
        """
        longest = min(self.blocked_for(), max(0.0, time.monotonic() - since))
        for due, run in reversed(self._samples.copy()):
            if run <= since:
                break
            longest = max(longest, run - max(due, since))
        return longest

    def blocked_for(self) -> float:
        """How long the loop has been held up now, in seconds; from any thread."""
        return max(0.0, time.monotonic() - self._due) if self._timer is not None else 0.0

    # --- within the loop ---------------------------------------------------------------------------

    def _arm(self) -> None:
        assert self._loop is not None
        self._due = time.monotonic() + SAMPLE_EVERY
        self._timer = self._loop.call_later(SAMPLE_EVERY, self._sample)

    def _sample(self) -> None:
        now = time.monotonic()
        if now - self._due >= NOTEWORTHY:
            self._samples.append((self._due, now))
        self._arm()

    # --- outside -----------------------------------------------------------------------------------

    def _watch(self) -> None:
        told, stamp = 0.0, time.monotonic()
        while not self._ended.wait(WATCH_EVERY):
            now, before = time.monotonic(), stamp
            stamp = now
            due, seconds = self._due, self.blocked_for()
            if seconds < TELL_BLOCKED or due == told or now - before > TELL_BLOCKED:
                continue  # in the last case this thread did not run either: the process stood still, not the loop
            told = due
            self._on_blocked(Blocked(seconds=seconds, place=self._place()))

    def _place(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)
        if frame is None:
            return "unknown"
        calls = traceback.extract_stack(frame)[-3:]
        return " > ".join(f"{Path(call.filename).name}:{call.lineno} {call.name}" for call in calls)


def read_pressure(folder: Path = _PRESSURE) -> Pressure:
    """The machine's pressure; zero where the kernel does not tell (before 4.20, ``psi=0``, not Linux)."""
    return Pressure(
        cpu_some_avg10=_avg10(folder / "cpu", "some"), memory_full_avg10=_avg10(folder / "memory", "full")
    )


def _avg10(file: Path, line: str) -> float:
    try:
        text = file.read_text()
    except OSError:  # absent, or EOPNOTSUPP when switched off at boot
        return 0.0
    for words in map(str.split, text.splitlines()):
        if words and words[0] == line:
            return float(words[1].removeprefix("avg10="))
    return 0.0


def read_clocks() -> Clocks:
    """The three clocks, read so closely together that being preempted in between does not look like a gap."""
    for _ in range(10):
        clocks = Clocks(mono=time.monotonic(), boot=_boot_time(), wall=time.time())
        if time.monotonic() - clocks.mono < _SAME_INSTANT:
            break
    return clocks


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SystemSenses(LagSampler):
    """:class:`~defib.engine.observer.senses.Senses` of this process and machine."""

    def clocks(self) -> Clocks:
        return read_clocks()

    async def pressure(self) -> Pressure:
        return await asyncio.to_thread(read_pressure)

    def interfaces(self) -> tuple[Interface, ...]:
        return read_interfaces()

"""Takes the evidence that an action would wipe out: everybody who knows something is asked at once, for two seconds."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import TypeVar

from defib.engine.recovery import machine
from defib.engine.recovery.executor import ProcessExecutor
from defib.engine.recovery.known_secrets import secrets_of
from defib.engine.roster import Watched
from defib.logs import get_logger
from defib.model.ids import IncidentId, MonitorId
from defib.model.settings import Settings
from defib.model.snapshot import Snapshot
from defib.ports import Clock, SnapshotContext, Witness
from defib.rules.snapshots import fitted
from defib.store import Reader

log = get_logger("defib.snapshots")

# Together, and with what shortening takes, two seconds: a recovery waits no longer for its evidence.
_ASKING_S = 1.7  #: for the answers
_STOPPING_S = 0.2  #: for those that have to be stopped
_RESULTS = 20
_RESULTS_OF = timedelta(hours=6)

T = TypeVar("T")
Parts = Mapping[str, str]


class Snapshots:
    """Asks the monitor, its actions and this machine."""

    def __init__(self, clock: Clock, reader: Reader, settings: Callable[[], Settings]) -> None:
        """:param settings: those in force: what is secret in them appears in no snapshot."""
        self._clock = clock
        self._reader = reader
        self._settings = settings

    async def take(self, watched: Watched, incident: IncidentId) -> Snapshot:
        """A snapshot of whatever could be had in time. Never raises, changes nothing."""
        began, taken_at = self._clock.monotonic(), self._clock.now()
        asked = {name: asyncio.ensure_future(asking) for name, asking in self._witnesses(watched)}
        done, late = await asyncio.wait(asked.values(), timeout=_ASKING_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_STOPPING_S)
        parts: dict[str, str] = {}
        missing: dict[str, str] = {}
        for name, task in asked.items():
            if task not in done:
                missing[name] = f"not there within {_ASKING_S:g} s"
            elif task.cancelled():
                missing[name] = "given up"
            elif (error := task.exception()) is not None:
                log.debug("no evidence", monitor=watched.spec.id, witness=name, exc_info=error)
                missing[name] = type(error).__name__
            else:
                parts |= {str(key): str(text) for key, text in task.result().items() if key not in parts}
        secrets = secrets_of(self._settings())
        return Snapshot(
            incident=incident,
            monitor=watched.spec.id,
            taken_at=taken_at,
            took=timedelta(seconds=self._clock.monotonic() - began),
            parts=await asyncio.to_thread(fitted, parts, secrets),
            missing=missing,
        )

    def _witnesses(self, watched: Watched) -> Iterator[tuple[str, Awaitable[Parts]]]:
        """Who is asked, the target's own first."""
        context = SnapshotContext(
            timeout=timedelta(seconds=_ASKING_S), execute=ProcessExecutor(), clock=self._clock
        )
        for number, action in enumerate(watched.actions, start=1):
            if isinstance(action, Witness):
                yield f"rung {number}", _asked(action, context)
        if isinstance(watched.plugin, Witness):
            yield "monitor", _asked(watched.plugin, context)
        yield "results", _in_thread(lambda: {"results": self._results(watched.spec.id)})
        yield "load", _in_thread(lambda: {"load": machine.load()})
        yield "disks", _in_thread(lambda: {"disks": machine.disks()})
        yield "sockets", machine.sockets(context.timeout)

    def _results(self, monitor: MonitorId) -> str:
        """The newest looks, oldest first."""
        now = self._clock.now()
        rows = self._reader.samples(monitor=monitor, since=now - _RESULTS_OF, until=now)[-_RESULTS:]
        return "\n".join(
            f"{row['at']:%H:%M:%S}Z  {row['status']}  {row['cause'] or 'ok'}"
            + ("" if row["latency_us"] is None else f"  {row['latency_us'] / 1000:.1f} ms")
            for row in rows
        )


async def _asked(witness: Witness, context: SnapshotContext) -> Parts:
    """Its answer; whatever it raises while it is called becomes the task's."""
    return await witness.snapshot(context)


async def _in_thread(work: Callable[[], T]) -> T:
    """As ``asyncio.to_thread``, in a thread of its own that keeps nobody: a disk that hangs would for ever."""
    loop, future = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:  # noqa: BLE001 - it is the caller's
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            pass  # the loop has ended meanwhile

    threading.Thread(target=run, name="defib-snapshot", daemon=True).start()
    return await future  # type: ignore[no-any-return]

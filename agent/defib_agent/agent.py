"""The agent: looks at the machine on time, and hands what it sees to the courier."""

import asyncio
import logging
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from defib_agent import __version__
from defib_agent.beat import BUSY, ERROR, RUNNING, STOPPING, Beat, Buffer
from defib_agent.commands import Commands
from defib_agent.courier import Courier
from defib_agent.dialects import Dialect, Identity, dialect_for
from defib_agent.errors import SendError, SettingsError
from defib_agent.http_client import HttpClient
from defib_agent.notify import feed_watchdog, notify
from defib_agent.patience import next_try_s
from defib_agent.sampling import Host, Sample, Sampler, describe_host
from defib_agent.settings import UNIX, WEBSOCKET, Settings
from defib_agent.stream import Stream
from defib_agent.tasks import TASKS
from defib_agent.ways import Both, LocalSocket, Requests, Way

log = logging.getLogger("defib_agent")

LOOK_WITHIN_S = 5.0  #: then the beat goes without numbers: a disk that hangs makes nobody dead
GOODBYE_WITHIN_S = 5.0  #: for the last beat
_RATES_AFTER_S = 1.0
_TRIES = 3
_USER_AGENT = f"defib-agent/{__version__}"


@dataclass(slots=True)
class Status:
    """How the agent itself does. Written by its loop only; reading it from another thread is safe."""

    agent_id: str = ""
    is_well: bool | None = None  #: whether the newest try was taken; None before the first
    error: str = ""  #: of the newest try
    delivered: int = 0
    delivered_at: datetime | None = None
    waiting: int = 0
    lost: int = 0
    sample: Sample = field(default_factory=Sample)


class Agent:
    """One agent. Runs in one event loop, once.

    :param on_success: called in the loop after each delivery.
    :param on_failure: called in the loop after each try that failed.
    :param must_register: even if a token was given to us before.
    :raises SettingsError: the certificates to trust cannot be read.
    """

    def __init__(
        self, settings: Settings, *, on_success: Callable[[Beat], None] | None = None,
        on_failure: Callable[[Beat, SendError], None] | None = None, must_register: bool = False,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.status = Status(agent_id=settings.agent_id)
        self._on_success = on_success
        self._on_failure = on_failure
        self._must_register = must_register
        self._tls = _trust(settings)
        self._sampler = Sampler()
        self._looking: asyncio.Future[Sample] | None = None
        self._buffer = Buffer(settings.buffer_size)
        self._seq = 0
        self._error = ""
        self._stopping = asyncio.Event()
        self._commands = Commands(settings)

    def stop(self, error: str = "") -> None:
        """Say goodbye and end. From the loop's own thread.

        :param error: what went wrong, if it is not on purpose.
        """
        self._error = error
        self._stopping.set()

    @property
    def acting(self) -> str:
        """The name of the action that runs for the server; "" for none."""
        return self._commands.acting

    async def run(self) -> None:
        """Beat until :meth:`stop`.

        :raises UnauthorizedError: see :meth:`defib_agent.courier.Courier.run`.
        """
        buffer = self._buffer
        way, courier = await self._connection(secrets.token_hex(8))
        beating = asyncio.create_task(self._beat(buffer))
        delivering = asyncio.create_task(courier.run(buffer))
        work: tuple[asyncio.Task[None], ...] = (
            beating,
            delivering,
            asyncio.create_task(way.run()),
            asyncio.create_task(feed_watchdog()),
        )
        ending: asyncio.Task[Any] = asyncio.create_task(self._stopping.wait())
        notify("READY=1")
        try:
            everything: tuple[asyncio.Task[Any], ...] = (ending, *work)
            done, _ = await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
            notify("STOPPING=1")
            for task in (beating, delivering):  # whatever is being sent: the last word takes its place
                task.cancel()
            await asyncio.wait((beating, delivering))
            for task in done:
                task.result()
            await self._say_goodbye(courier, buffer)
        finally:
            for task in (ending, *work):
                task.cancel()
            await asyncio.gather(ending, *work, return_exceptions=True)
            await self._commands.close()
            await way.close()
            courier.close()

    async def once(self) -> None:
        """Send one beat.

        :raises SendError: it was not taken, after three tries.
        """
        await self._look()
        way, courier = await self._connection(None)
        await asyncio.sleep(_RATES_AFTER_S)
        beat = self._made(await self._look())
        keeping = asyncio.create_task(way.run())
        try:
            failures = 0
            while True:
                try:
                    return await courier.deliver(beat)
                except SendError as error:
                    self._failed(beat, error)
                    failures += 1
                    if failures == _TRIES:
                        raise
                await asyncio.sleep(next_try_s(failures, self.settings.interval, 0.0))
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await way.close()
            courier.close()

    # --- parts -------------------------------------------------------------------------------------

    async def _connection(self, epoch: str | None) -> tuple[Way, Courier]:
        settings = self.settings
        host = await asyncio.to_thread(_describe, settings)
        dialect = dialect_for(settings, epoch)
        client = HttpClient(
            settings.server_url, timeout_s=settings.timeout, agent=_USER_AGENT, tls=self._tls
        )  # fmt: skip
        way = self._way(dialect, client)
        courier = Courier(
            settings, host, dialect, way, client, delivered=self._delivered, failed=self._failed,
            must_register=self._must_register,
        )  # fmt: skip
        return way, courier

    def _way(self, dialect: Dialect, client: HttpClient) -> Way:
        settings = self.settings
        if settings.transport == UNIX:
            return LocalSocket(settings.socket_path, dialect, timeout_s=settings.timeout)
        requests = Requests(client, dialect)
        if not settings.has_stream:
            return requests
        stream = Stream(
            settings.server_url, dialect, timeout_s=settings.timeout, agent=_USER_AGENT, tls=self._tls,
            hear=self._commands.hear,
        )  # fmt: skip
        return stream if settings.transport == WEBSOCKET else Both(requests, stream)

    # --- beating -----------------------------------------------------------------------------------

    async def _beat(self, buffer: Buffer) -> None:
        """A beat at once and then each interval, to the clock and not to what the last one took."""
        due = time.monotonic()
        while True:
            sample = await self._look()
            buffer.put(self._made(sample, lost=buffer.lost))
            self.status.waiting, self.status.lost = len(buffer), buffer.lost
            due += self.settings.interval
            if (late_s := time.monotonic() - due) > 0:  # the machine slept: what it missed, it missed
                due += late_s
            await asyncio.sleep(due - time.monotonic())

    def _made(self, sample: Sample, *, status: str = "", lost: int = 0, error: str = "") -> Beat:
        tasks = TASKS.running()
        self._seq += 1
        return Beat(
            seq=self._seq, made_at=time.monotonic(), at=datetime.now(UTC), sample=sample, tasks=tasks, lost=lost,
            status=status or (BUSY if tasks else RUNNING), error=error,
        )  # fmt: skip

    async def _look(self) -> Sample:
        """A sample, or an empty one while a disk hangs; in a thread that nobody waits for at the end."""
        if self._looking is None or self._looking.done():
            loop = asyncio.get_running_loop()
            self._looking = looking = loop.create_future()

            def look() -> None:
                sample = self._sampler.take()
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(_finish, looking, sample)

            threading.Thread(target=look, name="defib-agent-look", daemon=True).start()
        done, _ = await asyncio.wait({self._looking}, timeout=LOOK_WITHIN_S)
        if not done:
            log.warning("a look at this machine takes longer than %g s; does a disk hang?", LOOK_WITHIN_S)
            return Sample()
        self.status.sample = self._looking.result()
        return self.status.sample

    async def _say_goodbye(self, courier: Courier, buffer: Buffer) -> None:
        """The last beat, ahead of all that wait."""
        beat = self._made(
            self.status.sample, status=ERROR if self._error else STOPPING, lost=buffer.lost, error=self._error
        )  # fmt: skip
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_WITHIN_S):
                for _ in range(2):  # the connection may be one that the server has closed
                    try:
                        return await courier.deliver(beat)
                    except SendError as error:
                        self._failed(beat, error)

    def _delivered(self, beat: Beat, identity: Identity) -> None:
        if not self.status.is_well:
            log.info("beats are delivered to %s", self.settings.socket_path or self.settings.server_url)
            notify("STATUS=beats are delivered")
        self.status.is_well, self.status.error = True, ""
        self.status.agent_id = identity.agent_id
        self.status.waiting = max(0, len(self._buffer) - 1)  # this one is taken out next
        self.status.delivered += 1
        self.status.delivered_at = datetime.now(UTC)
        if self._on_success is not None:
            self._on_success(beat)

    def _failed(self, beat: Beat, error: SendError) -> None:
        if str(error) != self.status.error:  # once for each reason
            log.warning("beat not delivered: %s", error)
            notify(f"STATUS=beats are not delivered: {error}")
        self.status.is_well, self.status.error = False, str(error)
        if self._on_failure is not None:
            self._on_failure(beat, error)


def _finish(looking: asyncio.Future[Sample], sample: Sample) -> None:
    if not looking.done():
        looking.set_result(sample)


def _describe(settings: Settings) -> Host:
    """May take a while: it asks how the server's name resolves."""
    parts = urlsplit(settings.server_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return describe_host((parts.hostname or "", port))


def _trust(settings: Settings) -> ssl.SSLContext | None:
    if not settings.ca_file:
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # SSLError is one
        raise SettingsError(
            f"ca_file: {settings.ca_file} cannot be used: {error.strerror or error}"
        ) from None

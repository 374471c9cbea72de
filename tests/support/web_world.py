"""For tests of the server: a real engine over a SQLite store, whose targets do as a file on disk says.

The module is a plugin itself: monitors of type ``staged`` read what they are to see from a file, the action
``mend`` makes the file well again, channels of type ``shelf`` put what they are given on a shelf.
"""

import asyncio
import importlib.metadata
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from defib import assembly, registry
from defib.engine.engine import Engine
from defib.model.health import Health
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec, RecoveryMode, RecoveryPolicy, Rung
from defib.model.route import Route
from defib.model.settings import ChannelSpec, RecoveryLimits, ReportSpec, ServerSettings, Settings
from defib.model.strategy import Strategy
from defib.plugin import (
    Action,
    ActionContext,
    ActionResult,
    ActionType,
    Alert,
    BuildContext,
    Channel,
    ChannelType,
    DeliveryError,
    Evidence,
    Monitor,
    MonitorType,
    Options,
    ProbeContext,
    Receipt,
    ReportDocument,
    SendContext,
    hookimpl,
)  # fmt: skip
from defib.registry import Registry
from defib.store import open_database
from defib.web.app import Services, create_app, listening_receivers
from defib.web.server import Server
from defib_testkit.waiting import async_wait_until

TOKEN = "the-token-of-this-run"
_NO_TLS = False  #: a client that may need authorities loads them all: 20 ms
REAL_PARTS = {
    "presets": "defib_strategies.presets",
    "consecutive": "defib_strategies.consecutive",
    "cusum": "defib_strategies.cusum",
    "alert-texts": "defib_alerts.texts",
    "daily-report": "defib_reports.daily",
    "heartbeat": "defib_plugins.heartbeat",
    "ping": "defib_plugins.ping_receiver",
}
QUICK = Strategy(
    name="quick", summary="for tests", interval=timedelta(seconds=1), timeout=timedelta(seconds=2),
    confirm=(timedelta(milliseconds=50), timedelta(milliseconds=50)), recover_confirm=timedelta(milliseconds=50),
    fail_threshold=3, detector="consecutive",
)  # fmt: skip


# --- the plugin ----------------------------------------------------------------------------------------


class StagedOptions(Options):
    stage: Path
    target: str = "http://staged.test/health"


class StagedMonitor:
    """Sees what its file says: ``{"ok": bool, "degraded": bool, "says": str, …}``; all is well without one."""

    host = ""

    def __init__(self, options: StagedOptions, context: BuildContext) -> None:
        self.target = options.target
        self.elsewhere: tuple[str, str] | None = ("http", options.target)
        self._stage = options.stage

    async def probe(self, context: ProbeContext) -> Evidence:
        try:
            scene = json.loads(self._stage.read_text())
        except FileNotFoundError:
            scene = {}
        latency = timedelta(milliseconds=scene.get("latency_ms", 12))
        says = scene.get("says", "HTTP 200 in 12 ms")
        metrics = {name: float(value) for name, value in scene.get("metrics", {}).items()}
        if "crash" in scene:
            raise RuntimeError(scene["crash"])
        if scene.get("degraded"):
            return Evidence.degraded("slow", says, latency=latency, metrics=metrics)
        if scene.get("ok", True):
            return Evidence.ok(says, latency=latency, metrics=metrics)
        return Evidence.fail(scene.get("cause", "http-500"), says, latency=latency, metrics=metrics)

    async def close(self) -> None: ...


class MendAction:
    """Makes the monitor's file say that all is well; ``mend: false`` only pretends to."""

    changes_identity = False

    def __init__(self, options: "MendOptions", monitor: MonitorSpec, context: BuildContext) -> None:
        self.description = f"mend {monitor.id}"
        self._works = options.works
        assert isinstance(monitor.options, StagedOptions)
        self._stage = monitor.options.stage

    def check(self) -> None: ...

    async def identity(self) -> str | None:
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        if self._works:
            self._stage.unlink(missing_ok=True)
        return ActionResult(output="mending …\ndone")


class MendOptions(Options):
    works: bool = True


class ShelfOptions(Options):
    shelf: Path
    broken: bool = False


class ShelfChannel:
    """Appends the title of each notice to a file; a broken one takes nothing."""

    def __init__(self, name: str, options: ShelfOptions, context: BuildContext) -> None:
        self.target = str(options.shelf.name)
        self._options = options

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        if self._options.broken:
            raise DeliveryError("the shelf is full")
        title = notice.title if isinstance(notice, Alert) else notice.subject
        with self._options.shelf.open("a") as shelf:
            shelf.write(f"{title}\n")
        return Receipt(id=context.key)

    async def close(self) -> None: ...


def _monitor(options: StagedOptions, context: BuildContext) -> Monitor:
    return StagedMonitor(options, context)


def _action(options: MendOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    return MendAction(options, monitor, context)


def _channel(name: str, options: ShelfOptions, context: BuildContext) -> Channel:
    return ShelfChannel(name, options, context)


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(kind="staged", summary="sees what a file says", family=Family.AGENT, options=StagedOptions,
                    create=_monitor)
    ]  # fmt: skip


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    return [ActionType(kind="mend", summary="makes a file well", options=MendOptions, create=_action)]


@hookimpl
def defib_channels() -> Iterable[ChannelType]:
    return [
        ChannelType(kind="shelf", summary="keeps titles in a file", options=ShelfOptions, create=_channel)
    ]


def load_plugins() -> Registry:
    """This plugin and the real parts that every engine needs."""
    parts = {"world": __name__, **REAL_PARTS}
    return registry.load(
        [importlib.metadata.EntryPoint(name, module, registry.PROJECT) for name, module in parts.items()]
    )


@cache
def empty_store() -> bytes:
    """The file of a store in which nothing is yet: to migrate one for each test takes 35 ms."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "defib.db")
        open_database(f"sqlite:///{file}").close()
        return file.read_bytes()


# --- the world -----------------------------------------------------------------------------------------


async def _nothing_to_reload() -> list[str]:
    return []


@dataclass
class World:
    """What is watched. Change it before it runs; what a target does may be changed at any time."""

    folder: Path
    monitors: list[MonitorSpec] = field(default_factory=list)
    channels: list[ChannelSpec] = field(default_factory=list)
    server: ServerSettings = field(default_factory=lambda: ServerSettings(port=0))
    reload: Callable[[], Awaitable[list[str]]] = _nothing_to_reload
    plugins: Registry = field(default_factory=load_plugins)
    warnings: tuple[str, ...] = ()
    limits: RecoveryLimits = field(default_factory=lambda: RecoveryLimits(startup_grace=timedelta(0)))
    watches: bool = (
        True  #: otherwise the schedule stands still, and the application is called without a socket
    )

    def stage(self, monitor: str) -> Path:
        return self.folder / f"{monitor}.json"

    def play(self, monitor: str, **scene: Any) -> None:
        """From its next look on, ``monitor`` is seen so."""
        temporary = self.folder / f".{monitor}.new"
        temporary.write_text(json.dumps(scene))
        temporary.replace(self.stage(monitor))

    def watch(
        self, monitor: str, *, name: str = "", tags: Sequence[str] = (), requires: Sequence[str] = (),
        mode: RecoveryMode | None = None, works: bool = True, strategy: str = "quick", target: str | None = None,
        second_opinion: bool = False,
    ) -> None:  # fmt: skip
        """Add a staged monitor; with a ``mode`` it has a ladder that mends it, if it ``works``."""
        options = StagedOptions(stage=self.stage(monitor), target=target or f"http://{monitor}.test/health")
        ladder = (Rung(kind="mend", options=MendOptions(works=works), timeout=timedelta(seconds=5)),)
        policy = RecoveryPolicy(
            mode=mode or RecoveryMode.OFF, ladder=ladder if mode else (), hold=timedelta(0),
            cooldown=timedelta(milliseconds=200), start_timeout=timedelta(seconds=10),
        )  # fmt: skip
        self.monitors.append(
            MonitorSpec(
                id=MonitorId(monitor), name=name or monitor, kind="staged", family=Family.AGENT, options=options,
                strategy=strategy, tags=frozenset(tags), requires=tuple(map(MonitorId, requires)), recovery=policy,
                second_opinion=second_opinion,
            )
        )  # fmt: skip

    def expect_beats(self, monitor: str, every: str = "30s") -> None:
        """Add a monitor that is told by pings."""
        options = self.plugins.monitors["heartbeat"].options.model_validate({"every": every})
        self.monitors.append(
            MonitorSpec(
                id=MonitorId(monitor), name=monitor, kind="heartbeat", family=Family.JOB, options=options
            )
        )

    def tell(self, channel: str, *, broken: bool = False) -> Path:
        """Add a channel; answers the file with the titles it took."""
        shelf = self.folder / f"{channel}.txt"
        options = ShelfOptions(shelf=shelf, broken=broken)
        self.channels.append(ChannelSpec(name=channel, kind="shelf", options=options))
        return shelf

    def settings(self) -> Settings:
        presets = dict(self.plugins.strategies.items)
        return Settings(
            base=self.folder, files=(), store=f"sqlite:///{self.folder / 'defib.db'}", server=self.server,
            strategy="normal", strategies={**presets, "quick": QUICK}, recovery_mode=RecoveryMode.AUTO,
            recovery_limits=self.limits,
            monitors=tuple(self.monitors), channels=tuple(self.channels),
            routes=(Route(channels=tuple(channel.name for channel in self.channels)),),
            reports=(ReportSpec(name="daily", kind="daily", cron="0 8 * * *", timezone="UTC",
                                channels=tuple(channel.name for channel in self.channels)),),
            warnings=self.warnings,
        )  # fmt: skip

    @asynccontextmanager
    async def running(
        self, *, seed: Callable[[Engine], Awaitable[None]] | None = None
    ) -> AsyncIterator["Site"]:
        """An engine that watches, and a server on a free port.

        :param seed: writes history before the engine starts.
        """
        settings = self.settings()
        if not (store := self.folder / "defib.db").exists():
            store.write_bytes(empty_store())
        if seed is not None:
            with assembly.engine(self.plugins, settings, role="a test's seed") as engine:
                await seed(engine)
                await engine.roster.close()
        with assembly.engine(self.plugins, settings, role="a test") as engine:
            services = Services(
                engine=engine, views=assembly.live_views(engine), reload=self.reload, token=TOKEN,
            )  # fmt: skip
            app = create_app(services)
            server = Server(app, settings.server)
            if not self.watches:
                async with httpx.AsyncClient(
                    transport=httpx.ASGITransport(app), base_url=server.url, verify=_NO_TLS
                ) as client:
                    yield Site(self, engine, services, server, client)
                await engine.wind_down()
                return
            await server.start()
            serving = asyncio.create_task(engine.serve())
            try:
                async with (
                    listening_receivers(services),
                    httpx.AsyncClient(base_url=server.url, trust_env=False, verify=_NO_TLS) as client,
                ):
                    yield Site(self, engine, services, server, client)
            finally:
                engine.stop()
                await serving
                await server.stop()


@dataclass
class Site:
    """A running world."""

    world: World
    engine: Engine
    services: Services
    server: Server
    client: httpx.AsyncClient

    @property
    def url(self) -> str:
        return self.server.url

    def operator(self) -> httpx.AsyncClient:
        """A client with the token; the caller closes it."""
        return httpx.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=20,
            verify=_NO_TLS,
        )  # fmt: skip

    def health(self, monitor: str) -> Health:
        return self.engine.table[MonitorId(monitor)]

    async def look(self, monitor: str, times: int = 1) -> None:
        """Look at a monitor so many times at once, and have what was seen in the store."""
        for _ in range(times):
            await self.engine.look(MonitorId(monitor))
        await self.engine.housekeeping.flush()

    async def wait_for(self, monitor: str, state: str, timeout: float = 10.0) -> None:
        """Wait until a monitor is in a state."""
        await async_wait_until(
            lambda: self.health(monitor).state == state, timeout, f"{monitor} to be {state}"
        )

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON at a path of the API."""
        response = await self.client.get(f"/api/v1{path}", params=query)
        assert response.status_code == 200, response.text
        return response.json()

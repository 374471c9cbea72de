"""``/metrics`` for Prometheus, computed from the engine's state at each scrape."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from defib import __version__
from defib.engine.engine import Engine
from defib.model.evidence import Outcome
from defib.model.health import State
from defib.model.recovery import CaseState

QUANTILES = (0.5, 0.9, 0.99, 1.0)

_UP = {
    State.UP: 1, State.WATCH: 1, State.SUSPECT: 1, State.DEGRADED: 1, State.FAULT: 0, State.UNREACHABLE: 0,
}  # fmt: skip
_ACTIVE_CASES = [state for state in CaseState if not state.is_terminal]


class MetricsRoute:
    """``/metrics``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._process = (ProcessCollector(registry=None), PlatformCollector(registry=None))

    async def __call__(self, request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        registry = CollectorRegistry(auto_describe=False)
        for collector in (EngineCollector(self._engine), *self._process):
            registry.register(collector)
        body = await asyncio.to_thread(encode, registry)
        return Response(body, headers={"Content-Type": content_type})


class EngineCollector(Collector):
    """One scrape. Made in the event loop, since it copies what the loop changes; collected in a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lateness_s = sorted(engine.scheduler.lateness)
        self._decisions_s = sorted(engine.judge.decision_latency_s)

    def collect(self) -> Iterable[Metric]:
        engine = self._engine
        yield InfoMetricFamily("defib", "This Defib.", {"version": __version__})
        yield from self._monitors()
        yield _summary(
            "defib_scheduler_lateness_seconds", "How late the newest looks began.", self._lateness_s
        )
        yield _summary(
            "defib_decision_latency_seconds",
            "From an observation that changed something to its decision on disk, of the newest decisions.",
            self._decisions_s,
        )
        probes = CounterMetricFamily("defib_probes", "Looks since the start, by outcome.", labels=["outcome"])
        for outcome in Outcome:
            probes.add_metric([outcome], engine.prober.outcomes[outcome])
        yield probes
        yield CounterMetricFamily("defib_beats", "Beats taken since the start.", engine.beats.taken)
        yield CounterMetricFamily(
            "defib_scheduler_overruns",
            "Looks skipped because the one before still ran.",
            engine.scheduler.overruns,
        )
        yield GaugeMetricFamily("defib_looks_in_flight", "Looks under way.", engine.scheduler.in_flight)
        yield GaugeMetricFamily(
            "defib_deliveries_pending", "Notices that wait in the outbox.", engine.courier.pending
        )
        yield from self._channels()
        yield GaugeMetricFamily(
            "defib_store_error", "1 while the store cannot be written.", bool(engine.housekeeping.store_error)
        )
        yield GaugeMetricFamily(
            "defib_plugin_faults", "Plugins that do not load.", len(engine.roster.registry.faults)
        )

    def _channels(self) -> Iterator[Metric]:
        """Families with one sample for each channel."""
        dead = GaugeMetricFamily(
            "defib_dead_letters", "Notices that a channel refused for good.", labels=["channel"]
        )
        failing = GaugeMetricFamily(
            "defib_channel_failing",
            "1 while a channel accepts nothing of what it is given.",
            labels=["channel"],
        )
        for channel in self._engine.courier.health():
            dead.add_metric([channel.name], channel.dead)
            failing.add_metric([channel.name], channel.failing_since is not None)
        yield from (dead, failing)

    def _monitors(self) -> Iterator[Metric]:
        """Families with one sample or more for each monitor."""
        engine = self._engine
        states = GaugeMetricFamily(
            "defib_monitor_state", "1 for the state that a monitor is in, 0 for the others.",
            labels=["monitor", "type", "state"],
        )  # fmt: skip
        up = GaugeMetricFamily(
            "defib_monitor_up", "1 while a monitor is not at fault; absent while that is not known.",
            labels=["monitor", "type"],
        )  # fmt: skip
        latency = GaugeMetricFamily(
            "defib_probe_latency_seconds", "Response time at the newest look.", labels=["monitor", "type"]
        )
        incidents = 0
        cases: Counter[CaseState] = Counter(dict.fromkeys(_ACTIVE_CASES, 0))
        for monitor, watched in engine.roster.monitors.items():
            health = engine.table.get(monitor)
            if health is None:
                continue
            labels = [monitor, watched.spec.kind]
            for state in State:
                states.add_metric([*labels, state], health.state is state)
            if health.state in _UP:
                up.add_metric(labels, _UP[health.state])
            if health.last is not None and health.last.evidence.latency is not None:
                latency.add_metric(labels, health.last.evidence.latency / timedelta(seconds=1))
            incidents += health.incident is not None
            if (case := engine.recovery.case(monitor)) is not None and not case.state.is_terminal:
                cases[case.state] += 1
        yield from (states, up, latency)
        yield GaugeMetricFamily("defib_incidents_open", "Incidents that are not over.", incidents)
        recovery = GaugeMetricFamily("defib_recovery_cases", "Recovery cases at work.", labels=["state"])
        for case_state in _ACTIVE_CASES:
            recovery.add_metric([case_state], cases[case_state])
        yield recovery


def _summary(name: str, text: str, ascending: Sequence[float]) -> Metric:
    """Quantiles of the newest values; there is no sum and count, since older values are forgotten."""
    family = Metric(name, text, "summary")
    for quantile in QUANTILES if ascending else ():
        value = ascending[int(quantile * (len(ascending) - 1))]
        family.add_sample(name, {"quantile": str(quantile)}, value)
    return family

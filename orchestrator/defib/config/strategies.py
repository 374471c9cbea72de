"""``strategies:`` – the built-in ones, the user's, and the user's versions of the built-in ones."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from defib.config.findings import Findings, remedy
from defib.config.nodes import Spot
from defib.config.schema import NamedStrategyKeys, given
from defib.config.validation import validate
from defib.config.values import check_name
from defib.model.options import format_duration
from defib.model.strategy import Strategy
from defib.registry import Registry

DEFAULT_BASE = "normal"


def read(spot: Spot | None, registry: Registry, findings: Findings) -> Mapping[str, Strategy]:
    """All strategies by name, the built-in ones first. One with a mistake is as good as its base."""
    reader = _Reader(registry, findings)
    for child in spot.children() if spot is not None else ():
        name = str(child.path[-1])
        try:
            check_name(name)
        except ValueError as error:
            findings.mistake(child, str(error))
        reader.take(name, child)
    return reader.resolved()


def check_detector(spot: Spot, name: object, registry: Registry, findings: Findings) -> None:
    """``name`` must be a detector's, if it is given at all."""
    if name is not None and name not in registry.detectors:
        where = spot.child("detector") or spot
        advice = remedy(str(name), registry.detectors.names(), plural="detectors")
        findings.mistake(where, f"unknown detector {name!r}; {advice}")


def check_timing(spot: Spot, strategy: Strategy, findings: Findings) -> None:
    """Probes of one monitor never overlap: with a timeout beyond the interval, some are skipped."""
    if strategy.timeout > strategy.interval:
        timeout, interval = format_duration(strategy.timeout), format_duration(strategy.interval)
        findings.warning(
            spot.child("timeout") or spot.child("interval") or spot,
            f"a probe may take longer (timeout {timeout}) than the time to the next one (interval {interval}); "
            "probes will be skipped",
        )


class _Reader:
    def __init__(self, registry: Registry, findings: Findings) -> None:
        self._registry = registry
        self._findings = findings
        self._spots: dict[str, Spot] = {}
        self._keys: dict[str, NamedStrategyKeys] = {}
        self._done: dict[str, Strategy] = {}

    def take(self, name: str, spot: Spot) -> None:
        """Read one definition, without looking at its base."""
        self._spots[name] = spot
        keys = validate(NamedStrategyKeys, spot, self._findings)
        self._keys[name] = keys or NamedStrategyKeys()
        check_detector(spot, self._keys[name].detector, self._registry, self._findings)

    def resolved(self) -> Mapping[str, Strategy]:
        for name in self._spots:
            self._resolve(name, ())
        return {**self._registry.strategies.items, **self._done}

    def _resolve(self, name: str, asking: tuple[str, ...]) -> Strategy:
        """The strategy ``name``, after those it starts from."""
        built_in = self._registry.strategies.items
        if name in self._done:
            return self._done[name]
        if name not in self._spots:
            return built_in[name]
        spot, keys = self._spots[name], self._keys[name]
        start = keys.base or (name if name in built_in else DEFAULT_BASE)
        base = self._start(name, start, asking)
        changes: dict[str, Any] = {"summary": "", **given(keys)}
        changes.pop("base", None)
        strategy = replace(base, name=name, **changes)
        check_timing(spot, strategy, self._findings)
        self._done[name] = strategy
        return strategy

    def _start(self, name: str, start: str, asking: tuple[str, ...]) -> Strategy:
        built_in = self._registry.strategies.items
        spot = self._spots[name].child("base") or self._spots[name]
        if start == name and name in built_in:
            return built_in[name]
        if start in (chain := (*asking, name)):
            cycle = " → ".join((*chain[chain.index(start) :], start))
            self._findings.mistake(spot, f"the strategies start from one another: {cycle}; remove one 'base'")
        elif start in self._spots or start in built_in:
            return self._resolve(start, chain)
        else:
            advice = remedy(start, [*built_in, *self._spots], plural="strategies")
            self._findings.mistake(spot, f"unknown strategy {start!r}; {advice}")
        return Strategy(name=name, interval=timedelta(seconds=30), timeout=timedelta(seconds=5))

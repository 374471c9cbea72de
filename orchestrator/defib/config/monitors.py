"""``monitors:`` – what is watched."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from defib.config import default_ladders, recovery, requirements, strategies
from defib.config.building import known_kind, try_to_build
from defib.config.findings import Findings, remedy
from defib.config.nodes import ListNode, Scalar, Spot
from defib.config.schema import MonitorKeys, StrategyKeys, field_names, given
from defib.config.validation import validate
from defib.model.ids import MonitorId
from defib.model.monitor import MonitorSpec, RecoveryPolicy
from defib.model.strategy import Strategy
from defib.ports import BuildContext
from defib.registry import Registry

_OWN_KEYS = {**field_names(MonitorKeys), "recovery": None}
_STRATEGY_KEYS = field_names(StrategyKeys)
TAKEN_KEYS = {**_OWN_KEYS, **_STRATEGY_KEYS}
"""Keys of every monitor: they never reach the options of its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a monitor's definition leans on."""

    registry: Registry
    strategies: Mapping[str, Strategy]
    strategy: str  #: the global one
    recovery: RecoveryPolicy  #: of ``defaults``
    context: BuildContext | None  #: None: not known for a mistake elsewhere, so nothing is built


def read(spot: Spot | None, around: Surroundings, findings: Findings) -> tuple[MonitorSpec, ...]:
    """All monitors without a mistake of their own."""
    if spot is None:
        return ()
    if not isinstance(spot.node, ListNode):
        findings.mistake(spot, "must be a list; write each monitor as '- id: …' with its keys below")
        return ()
    specs = tuple(
        spec for child in spot.children() if (spec := read_one(child, around, findings)) is not None
    )
    requirements.check(spot, findings)
    return specs


def read_one(spot: Spot, around: Surroundings, findings: Findings) -> MonitorSpec | None:
    """One monitor. Where a part has a mistake, something stands in for it, so that the rest is checked too."""
    registry = around.registry
    own = spot.only(lambda key: key in _OWN_KEYS and key != "recovery")
    keys = validate(MonitorKeys, own, findings, elsewhere=("type",)) or MonitorKeys(id="unnamed", type="")
    overrides = validate(StrategyKeys, _part(spot, _STRATEGY_KEYS), findings) or StrategyKeys()
    strategies.check_detector(spot, overrides.detector, registry, findings)
    _check_strategy(spot, given(overrides), around, findings)
    policy, rungs = recovery.read(spot.get("recovery"), around.recovery, registry, findings)
    kind = known_kind(spot, registry.monitors, registry, findings)
    if kind is None:
        return None
    monitor_type = registry.monitors[kind]
    rest = spot.only(lambda key: key not in TAKEN_KEYS)
    options = validate(monitor_type.options, rest, findings, beside=TAKEN_KEYS.keys())
    if options is None:
        return None
    recovery_spot = spot.get("recovery")
    if recovery_spot is not None and default_ladders.is_left_open(recovery_spot):
        policy, rungs = default_ladders.add(policy, recovery_spot, monitor_type, options, registry, findings)
    spec = MonitorSpec(
        id=MonitorId(keys.id),
        name=keys.name or keys.id,
        kind=kind,
        family=monitor_type.family,
        options=options,
        strategy=keys.strategy,
        overrides=given(overrides),
        tags=frozenset(keys.tags),
        requires=tuple(MonitorId(required) for required in keys.requires),
        requires_any=tuple(MonitorId(required) for required in keys.requires_any),
        group=keys.group,
        recovery=policy,
        enabled=keys.enabled,
        second_opinion=keys.second_opinion,
        slo=keys.slo,
    )
    if around.context is not None:
        create = partial(monitor_type.create, options, around.context)
        try_to_build(spot, registry.monitors, kind, create, findings)
        _build_actions(spec, rungs, registry, around.context, findings)
    return spec


def _part(spot: Spot, keys: Mapping[str, None]) -> Spot:
    """Those keys of a monitor; nothing of what is no mapping, since the rest of the reading says so."""
    if isinstance(spot.node, Scalar | ListNode):
        return replace(spot, node=Scalar(None, spot.place, ""))
    return spot.only(keys.__contains__)


def _check_strategy(spot: Spot, overrides: dict[str, Any], around: Surroundings, findings: Findings) -> None:
    place = spot.get("strategy")
    name = place.text if place is not None else around.strategy
    if name is None:
        return
    if name in around.strategies:
        if "interval" in overrides or "timeout" in overrides:
            strategies.check_timing(spot, replace(around.strategies[name], **overrides), findings)
    elif place is not None:
        advice = remedy(name, around.strategies, plural="strategies")
        findings.mistake(place, f"unknown strategy {name!r}; {advice}")


def _build_actions(
    spec: MonitorSpec, spots: tuple[Spot, ...], registry: Registry, context: BuildContext, findings: Findings
) -> None:
    for rung, spot in zip(spec.recovery.ladder, spots, strict=True):
        create = partial(registry.actions[rung.kind].create, rung.options, spec, context)
        try_to_build(spot, registry.actions, rung.kind, create, findings)

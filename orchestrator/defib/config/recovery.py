"""``recovery:`` – a ladder, a policy with a ladder, or just a mode."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from defib.config import default_ladders
from defib.config.building import is_known
from defib.config.findings import Findings
from defib.config.nodes import Entry, ListNode, MapNode, Node, Scalar, Spot
from defib.config.schema import RecoveryKeys, RungKeys, field_names, given
from defib.config.validation import validate
from defib.model.monitor import RecoveryMode, RecoveryPolicy, Rung
from defib.registry import Registry

_RUNG_KEYS = field_names(RungKeys)
_EXAMPLE = "write for example '- systemd: {unit: main}'"


def read_defaults(spot: Spot | None, findings: Findings) -> RecoveryPolicy:
    """``defaults.recovery``: the policy of monitors that set none of their own."""
    if spot is None:
        return RecoveryPolicy()
    return _policy(_with_mode(spot), RecoveryPolicy(), findings)


def read(
    spot: Spot | None, defaults: RecoveryPolicy, registry: Registry, findings: Findings
) -> tuple[RecoveryPolicy, tuple[Spot, ...]]:
    """One monitor's policy, and the spots of the rungs in its ladder.

    What has a mistake is left out; the mistake keeps the result from being used.
    """
    if spot is None:
        return defaults, ()
    if isinstance(spot.node, ListNode):
        policy, ladder = defaults, spot
    else:
        spot = _with_mode(spot)
        policy = _policy(spot.only(lambda key: key != "ladder"), defaults, findings, beside=("ladder",))
        if (below := spot.get("ladder")) is None:
            ladder = replace(spot, node=ListNode((), spot.place, 1))
        else:
            ladder = below
    if not isinstance(ladder.node, ListNode):
        findings.mistake(ladder, f"must be a list of rungs; {_EXAMPLE}")
        return policy, ()
    rungs: list[Rung] = []
    spots: list[Spot] = []
    for rung, place in _rungs(ladder, registry, findings):
        rungs.append(rung)
        spots.append(place)
    if policy.mode is RecoveryMode.AUTO and not rungs and not default_ladders.is_left_open(spot):
        findings.warning(spot, "mode is auto but the ladder is empty: nothing will be repaired; add a rung")
    return replace(policy, ladder=tuple(rungs)), tuple(spots)


def _with_mode(spot: Spot) -> Spot:
    """``recovery: auto`` written out as ``recovery: {mode: auto}``; anything else as it is."""
    if isinstance(spot.node, Scalar):
        return replace(spot, node=MapNode({"mode": Entry(spot.place, spot.node)}, spot.place, 2))
    return spot


def _policy(
    spot: Spot, defaults: RecoveryPolicy, findings: Findings, *, beside: tuple[str, ...] = ()
) -> RecoveryPolicy:
    keys = validate(RecoveryKeys, spot, findings, beside=beside)
    changes: dict[str, Any] = given(keys) if keys is not None else {}
    return replace(defaults, **changes)


def _rungs(ladder: Spot, registry: Registry, findings: Findings) -> Iterator[tuple[Rung, Spot]]:
    for step in ladder.children():
        kinds = list(step.children())
        if not isinstance(step.node, MapNode) or not kinds:
            findings.mistake(step, f"a rung is an action with its options; {_EXAMPLE}")
            continue
        if len(kinds) > 1:
            names = [str(kind.path[-1]) for kind in kinds]
            if any(name in registry.actions for name in names) and any(name in _RUNG_KEYS for name in names):
                advice = "timeout, idempotent and max_uses stand inside the action's own braces"
            else:
                advice = "begin each with a '-' of its own"
            findings.mistake(step, f"a rung is one action, but this has {', '.join(names)}; {advice}")
            continue
        if (rung := _rung(kinds[0], registry, findings)) is not None:
            yield rung, kinds[0]


def _rung(spot: Spot, registry: Registry, findings: Findings) -> Rung | None:
    kind = str(spot.path[-1])
    if not is_known(spot, kind, registry.actions, registry, findings):
        return None
    action = registry.actions[kind]
    common = validate(RungKeys, _mapping(spot).only(_RUNG_KEYS.__contains__), findings)
    options = validate(
        action.options, spot.only(lambda key: key not in _RUNG_KEYS), findings, beside=_RUNG_KEYS.keys()
    )
    if common is None or options is None:
        return None
    changes: dict[str, Any] = given(common)
    return Rung(kind=kind, options=options, **changes)


def _mapping(spot: Spot) -> Spot:
    """``spot``, or an empty mapping in its place: what is wrong with it is said once, by the other half."""
    empty: Node = MapNode({}, spot.place, 1)
    return spot if isinstance(spot.node, MapNode) else replace(spot, node=empty)

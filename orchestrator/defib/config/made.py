"""A monitor that comes as plain JSON, read by the same rules as one of the configuration."""

from collections.abc import Mapping
from typing import Any

from defib.config import monitors
from defib.config.findings import Findings
from defib.config.nodes import Entry, ListNode, MapNode, Node, Place, Scalar, Spot
from defib.config.schema import MonitorKeys, StrategyKeys, field_names
from defib.model.monitor import MonitorSpec, RecoveryMode, RecoveryPolicy
from defib.model.settings import Settings
from defib.ports import BuildContext
from defib.registry import Registry

DEEPEST = 12  #: lists and mappings in one another
_NOT_HERE = {
    "recovery": "what acts is written in the configuration only",
    "enabled": "pause it instead",
}
COMMON_KEYS = tuple(
    name for name in field_names(MonitorKeys, StrategyKeys) if name not in ("id", "type", "name", "enabled")
)
"""Keys of every monitor that one which is made may have besides its name and its type's own."""
_NOWHERE = Place("", 0, 0)


def read_made(
    entry: Mapping[str, Any], settings: Settings, registry: Registry, context: BuildContext
) -> MonitorSpec:
    """A monitor as a configuration would have it. References such as ``${NAME}`` are plain text here.

    :raises ConfigError: with every mistake.
    """
    findings = Findings()
    findings.note_file("")
    spot = Spot(_node(entry), (), _NOWHERE)
    for key, why in _NOT_HERE.items():
        if (place := spot.child(key)) is not None:
            findings.mistake(place, f"cannot be set through the API: {why}")
    around = monitors.Surroundings(
        registry=registry, strategies=settings.strategies, strategy=settings.strategy,
        recovery=RecoveryPolicy(mode=RecoveryMode.OFF), context=context,
    )  # fmt: skip
    spec = monitors.read_one(spot.only(lambda key: key not in _NOT_HERE), around, findings)
    kind = spot.get("type")
    if spec is not None and kind is not None and registry.monitors[spec.kind].configured_only:
        findings.mistake(kind, f"monitors of type {spec.kind} are written in the configuration only")
    findings.raise_mistakes()
    assert spec is not None, "a monitor that could not be read has a mistake"
    return spec


def _node(value: Any, depth: int = 0) -> Node:
    """Plain values as a tree; what is nested too deeply is text, which fits nowhere."""
    if isinstance(value, Mapping) and depth < DEEPEST:
        entries = {key: Entry(_NOWHERE, _node(below, depth + 1)) for key, below in value.items()}
        return MapNode(entries, _NOWHERE, len(entries))
    if isinstance(value, list | tuple) and depth < DEEPEST:
        return ListNode(tuple(_node(below, depth + 1) for below in value), _NOWHERE, len(value))
    if isinstance(value, str | int | float) or value is None:
        return Scalar(value, _NOWHERE, str(value), is_quoted=isinstance(value, str))
    return Scalar("(nested too deeply)", _NOWHERE, "(nested too deeply)", is_quoted=True)

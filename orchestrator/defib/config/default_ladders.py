"""The ladder that a monitor type brings along, for ``recovery: auto`` without one written out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from defib.config.findings import Findings
from defib.config.nodes import ListNode, Spot
from defib.config.validation import one_line
from defib.hookspecs import DefaultRung, MonitorType
from defib.model.monitor import RecoveryMode, RecoveryPolicy, Rung
from defib.registry import Registry

_EXAMPLE = "write the rungs, for example 'recovery: {mode: auto, ladder: [systemd: {unit: main}]}'"


def is_left_open(spot: Spot | None) -> bool:
    """Whether ``recovery:`` is written without saying what to do."""
    return spot is not None and not isinstance(spot.node, ListNode) and spot.child("ladder") is None


def add(
    policy: RecoveryPolicy,
    spot: Spot,
    kind: MonitorType,
    options: BaseModel,
    registry: Registry,
    findings: Findings,
) -> tuple[RecoveryPolicy, tuple[Spot, ...]]:
    """``policy`` with the ladder of its monitor's type, and the spot that stands for each of its rungs.

    That there is none is a mistake where ``auto`` is written at the monitor, and a warning where it comes from the
    defaults.
    """
    if policy.mode is RecoveryMode.OFF:
        return policy, ()
    try:
        rungs = tuple(_rungs(_ladder(kind, options), kind, registry))
    except ValueError as error:
        if policy.mode is RecoveryMode.AUTO:
            is_asked_for = not spot.is_mapping or spot.get("mode") is not None
            (findings.mistake if is_asked_for else findings.warning)(spot, one_line(error))
        return policy, ()
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything; its text may hold a secret
        findings.cause = error
        origin = registry.monitors.origins[kind.kind]
        findings.mistake(
            spot,
            f"plugin {origin} fails to make the default ladder with {type(error).__name__}; "
            "this is a fault of the plugin, and --debug shows where",
        )
        return policy, ()
    return replace(policy, ladder=rungs), (spot,) * len(rungs)


def _ladder(kind: MonitorType, options: BaseModel) -> Sequence[DefaultRung]:
    ladder = kind.ladder(options) if kind.ladder is not None else ()
    if not ladder:
        raise ValueError(
            f"what would repair a monitor of type {kind.kind} is not known by itself; {_EXAMPLE}"
        )
    return ladder


def _rungs(ladder: Sequence[DefaultRung], kind: MonitorType, registry: Registry) -> Iterator[Rung]:
    for rung in ladder:
        if rung.action not in registry.actions:
            raise ValueError(
                f"the default ladder of {kind.kind} needs the recovery action {rung.action!r}, which no plugin offers; "
                f"{_EXAMPLE}"
            )
        try:
            options = registry.actions[rung.action].options.model_validate(dict(rung.options))
        except ValidationError as error:
            raise ValueError(
                f"the default ladder of {kind.kind} does not fit the recovery action {rung.action!r} "
                f"({error.errors(include_url=False, include_input=False)[0]['msg']}); {_EXAMPLE}"
            ) from error
        given: dict[str, Any] = {"timeout": rung.timeout, "max_uses": rung.max_uses}
        changes = {name: value for name, value in given.items() if value is not None}
        yield Rung(kind=rung.action, options=options, **changes)

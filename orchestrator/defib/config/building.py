"""What plugins are asked while a configuration is read: whether they know a kind, and can build a thing."""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from defib.config.findings import Findings, nearest
from defib.config.nodes import Scalar, Spot
from defib.config.validation import aimed, one_line
from defib.errors import DefibError
from defib.registry import Kinds, Registry


def known_kind(spot: Spot, kinds: Kinds[Any], registry: Registry, findings: Findings) -> str | None:
    """The kind that the key ``type`` of ``spot`` names; None after a mistake."""
    if not spot.is_mapping:
        return None  # a mistake of its own, which whoever reads the other keys reports
    place = spot.get("type")
    if place is None:
        missing = Spot(Scalar(None, spot.place, ""), (*spot.path, "type"), spot.place)
        findings.mistake(missing, f"is missing; write one of {', '.join(kinds.names())}")
        return None
    if place.text is None or not is_known(place, place.text, kinds, registry, findings):
        return None
    return place.text


def is_known(spot: Spot, kind: str, kinds: Kinds[Any], registry: Registry, findings: Findings) -> bool:
    """Whether a plugin offers ``kind``; adds a mistake that lists what there is, and what did not load."""
    if kind in kinds:
        return True
    near = nearest(kind, kinds.names())
    findings.mistake(
        spot,
        f"unknown {kinds.noun} {kind!r}; "
        + (f"did you mean {near!r}? " if near else "")
        + (f"known are {', '.join(kinds.names())}" if kinds.names() else "no plugin offers any")
        + "".join(f"; plugin {fault.origin} did not load: {fault.message}" for fault in registry.faults),
    )
    return False


def try_to_build(
    spot: Spot, kinds: Kinds[Any], kind: str, create: Callable[[], object], findings: Findings
) -> None:
    """Call a factory for the mistakes that only it can see. Factories do no I/O; the object is dropped."""
    try:
        create()
    except ValidationError as error:
        findings.mistake(
            spot, "; ".join(item["msg"] for item in error.errors(include_url=False, include_input=False))
        )
    except (ValueError, DefibError) as error:
        findings.mistake(*aimed(spot, one_line(error)))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything; its text may hold a secret
        findings.cause = error
        findings.mistake(
            spot,
            f"plugin {kinds.origins[kind]} fails to build it with {type(error).__name__}; "
            "this is a fault of the plugin, and --debug shows where",
        )

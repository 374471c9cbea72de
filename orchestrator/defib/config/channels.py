"""``channels:`` – what carries messages."""

from collections.abc import Collection, Sequence

from defib.config.building import known_kind, try_to_build
from defib.config.findings import Findings, nearest, remedy
from defib.config.nodes import ListNode, Spot
from defib.config.schema import ChannelKeys, field_names
from defib.config.validation import validate
from defib.config.values import check_name
from defib.model.settings import ChannelSpec
from defib.ports import BuildContext
from defib.registry import Registry

TAKEN_KEYS = field_names(ChannelKeys)
"""Keys of every channel: they never reach the options of its type."""
NO_FALLBACK = "none"


def read_channels(
    spot: Spot | None, registry: Registry, context: BuildContext, findings: Findings
) -> tuple[ChannelSpec, ...]:
    """All channels without a mistake."""
    if spot is None:
        return ()
    if not spot.is_mapping:
        findings.mistake(spot, "must be a mapping; write each channel as 'name: {type: …}'")
    names = list(spot.keys())
    found = (_channel(child, names, registry, context, findings) for child in spot.children())
    return tuple(channel for channel in found if channel is not None)


def _channel(
    spot: Spot, names: Collection[str], registry: Registry, context: BuildContext, findings: Findings
) -> ChannelSpec | None:
    name = str(spot.path[-1])
    try:
        check_name(name)
    except ValueError as error:
        findings.mistake(spot, str(error))
    if not spot.is_mapping:
        findings.mistake(spot, f"must be a mapping; write '{name}: {{type: …}}' with the keys of that type")
        return None
    own = spot.only(TAKEN_KEYS.__contains__)
    keys = validate(ChannelKeys, own, findings, elsewhere=("type",)) or ChannelKeys(type="")
    _check_fallback(spot.get("fallback"), name, names, findings)
    kind = known_kind(spot, registry.channels, registry, findings)
    if kind is None:
        return None
    channel_type = registry.channels[kind]
    rest = spot.only(lambda key: key not in TAKEN_KEYS)
    options = validate(channel_type.options, rest, findings, beside=TAKEN_KEYS.keys())
    if options is None:
        return None
    try_to_build(spot, registry.channels, kind, lambda: channel_type.create(name, options, context), findings)
    return ChannelSpec(
        name=name, kind=kind, options=options, language=keys.language, timezone=keys.timezone or "",
        fallback="" if keys.fallback == NO_FALLBACK else keys.fallback, rate=keys.rate or channel_type.rate,
        self_test=keys.self_test or "",
    )  # fmt: skip


def _check_fallback(spot: Spot | None, name: str, names: Collection[str], findings: Findings) -> None:
    if spot is None or spot.text in (None, NO_FALLBACK):
        return
    if spot.text == name:
        findings.mistake(spot, f"a channel cannot stand in for itself; write another one, or {NO_FALLBACK!r}")
    else:
        check_channels(spot, tuple(names), findings)


def check_channels(spot: Spot | None, channels: Sequence[str], findings: Findings) -> None:
    for place, name in words_at(spot):
        if name not in channels:
            findings.mistake(place, f"unknown channel {name!r}; {remedy(name, channels, plural='channels')}")


def check_monitors(spot: Spot | None, monitors: Collection[str], findings: Findings) -> None:
    """Each of the names at ``spot`` must be one of ``monitors``."""
    for place, name in words_at(spot):
        if name not in monitors:
            findings.mistake(place, f"unknown monitor {name!r}; {remedy(name, monitors, plural='ids')}")


def warn_of_tags(spot: Spot | None, tags: Collection[str], findings: Findings) -> None:
    """Each of the names at ``spot`` should be one of ``tags``: monitors made at run time may bring others."""
    for place, tag in words_at(spot):
        if tag not in tags:
            near = nearest(tag, tags)
            findings.warning(
                place, f"no monitor has the tag {tag!r}" + (f"; did you mean {near!r}?" if near else "")
            )


def words_at(spot: Spot | None) -> list[tuple[Spot, str]]:
    """A text, or those of a list, each with its place."""
    if spot is None:
        return []
    places = spot.children() if isinstance(spot.node, ListNode) else (spot,)
    return [(place, place.text) for place in places if place.text is not None]

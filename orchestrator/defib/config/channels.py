"""``channels:``, ``routes:`` and ``reports:`` – who is told what."""

from collections.abc import Collection, Sequence

from defib.config.building import is_known, known_kind, try_to_build
from defib.config.findings import Findings, nearest, remedy
from defib.config.nodes import ListNode, Spot
from defib.config.schema import MatchKeys, ReportKeys, RouteKeys
from defib.config.validation import validate
from defib.config.values import check_name
from defib.model.ids import MonitorId
from defib.model.settings import ChannelSpec, ReportSpec, Route, RouteMatch
from defib.ports import BuildContext
from defib.registry import Registry


def read_channels(
    spot: Spot | None, registry: Registry, context: BuildContext, findings: Findings
) -> tuple[ChannelSpec, ...]:
    """All channels without a mistake."""
    if spot is None:
        return ()
    if not spot.is_mapping:
        findings.mistake(spot, "must be a mapping; write each channel as 'name: {type: …}'")
    found = (_channel(child, registry, context, findings) for child in spot.children())
    return tuple(channel for channel in found if channel is not None)


def _channel(spot: Spot, registry: Registry, context: BuildContext, findings: Findings) -> ChannelSpec | None:
    name = str(spot.path[-1])
    try:
        check_name(name)
    except ValueError as error:
        findings.mistake(spot, str(error))
    if not spot.is_mapping:
        findings.mistake(spot, f"must be a mapping; write '{name}: {{type: …}}' with the keys of that type")
    kind = known_kind(spot, registry.channels, registry, findings)
    if kind is None:
        return None
    channel_type = registry.channels[kind]
    options = validate(channel_type.options, spot.only(lambda key: key != "type"), findings, beside=("type",))
    if options is None:
        return None
    try_to_build(spot, registry.channels, kind, lambda: channel_type.create(name, options, context), findings)
    return ChannelSpec(name=name, kind=kind, options=options)


def read_routes(
    spot: Spot | None,
    channels: Sequence[str],
    monitors: Collection[str],
    tags: Collection[str],
    findings: Findings,
) -> tuple[Route, ...]:
    """The routes in order; without a key ``routes``, one that carries everything to every channel.

    :param channels: the names in the file, also of those with mistakes; likewise the ids of ``monitors``.
    :param tags: those of the monitors.
    """
    if spot is None:
        return (Route(channels=tuple(channels)),) if channels else ()
    if not isinstance(spot.node, ListNode):
        findings.mistake(spot, "must be a list; write each route as '- {match: {…}, channels: […]}'")
        return ()
    if channels and not spot.node.items:
        findings.warning(
            spot, "the list is empty, so no alert is sent; remove 'routes' to send all to every channel"
        )
    routes: list[Route] = []
    is_closed = False  # an earlier route takes every alert
    for child in spot.children():
        keys = validate(RouteKeys, child, findings)
        _check_channels(child.get("channels"), channels, findings)
        if (match := child.get("match")) is not None:
            _check_monitors(match.get("monitors"), monitors, findings)
            _warn_of_tags(match.get("tags"), tags, findings)
        if is_closed:
            findings.warning(
                child, "no alert comes this far: a route above it takes all; give that 'continue: true'"
            )
        if keys is not None:
            routes.append(Route(match=_match(keys.match), channels=keys.channels, resume=keys.resume))
            is_closed = is_closed or (routes[-1].match == RouteMatch() and not keys.resume)
    return tuple(routes)


def read_reports(
    spot: Spot | None, timezone: str, channels: Sequence[str], registry: Registry, findings: Findings
) -> tuple[ReportSpec, ...]:
    """All reports without a mistake."""
    if spot is None:
        return ()
    if not spot.is_mapping:
        findings.mistake(spot, "must be a mapping; write each report as 'daily: {cron: …, channels: […]}'")
    reports: list[ReportSpec] = []
    for child in spot.children():
        kind = str(child.path[-1])
        is_offered = is_known(child, kind, registry.reports, registry, findings)
        keys = validate(ReportKeys, child, findings)
        _check_channels(child.get("channels"), channels, findings)
        if keys is None or not is_offered:
            continue
        if not keys.channels:
            findings.warning(child, "the report is sent nowhere; add 'channels'")
        reports.append(
            ReportSpec(kind=kind, cron=keys.cron, timezone=keys.timezone or timezone, channels=keys.channels)
        )
    return tuple(reports)


def _match(keys: MatchKeys) -> RouteMatch:
    return RouteMatch(
        severity=frozenset(keys.severity),
        kind=frozenset(keys.kind),
        tags=frozenset(keys.tags),
        monitors=frozenset(MonitorId(monitor) for monitor in keys.monitors),
    )


def _check_channels(spot: Spot | None, channels: Sequence[str], findings: Findings) -> None:
    for place, name in _words(spot):
        if name not in channels:
            findings.mistake(place, f"unknown channel {name!r}; {remedy(name, channels, plural='channels')}")


def _check_monitors(spot: Spot | None, monitors: Collection[str], findings: Findings) -> None:
    for place, name in _words(spot):
        if name not in monitors:
            findings.mistake(place, f"unknown monitor {name!r}; {remedy(name, monitors, plural='ids')}")


def _warn_of_tags(spot: Spot | None, tags: Collection[str], findings: Findings) -> None:
    for place, tag in _words(spot):
        if tag not in tags:
            near = nearest(tag, tags)
            findings.warning(
                place, f"no monitor has the tag {tag!r}" + (f"; did you mean {near!r}?" if near else "")
            )


def _words(spot: Spot | None) -> list[tuple[Spot, str]]:
    """A text, or those of a list, each with its place."""
    if spot is None:
        return []
    places = spot.children() if isinstance(spot.node, ListNode) else (spot,)
    return [(place, place.text) for place in places if place.text is not None]

"""``routes:`` and ``inhibit:`` – who is told what, and when."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from defib.config.channels import check_channels, check_monitors, warn_of_tags, words_at
from defib.config.findings import Findings, nearest
from defib.config.nodes import ListNode, Spot
from defib.config.route_keys import ALERT_KINDS, HoursKeys, InhibitKeys, MatchKeys, RouteKeys, TellingKeys
from defib.config.validation import validate
from defib.model.ids import MonitorId
from defib.model.route import EscalationStep, Hours, InhibitRule, QuietHours, Route, RouteMatch

LABELS = ("monitor", "host", "group", "family")  #: what `equal` may name besides the first half of tags
_NO_DEFAULTS = TellingKeys()


def read_routes(
    spot: Spot | None,
    channels: Sequence[str],
    monitors: Collection[str],
    tags: Collection[str],
    findings: Findings,
    timezone: str = "UTC",
    defaults: TellingKeys = _NO_DEFAULTS,
) -> tuple[Route, ...]:
    """The routes in order; without a key ``routes``, one that carries everything to every channel.

    :param channels: the names in the file, also of those with mistakes; likewise the ids of ``monitors``.
    :param tags: those of the monitors.
    :param timezone: of hours that name none.
    """
    if spot is None:
        every = Route(channels=tuple(channels), calm=defaults.calm, repeat=span(defaults.repeat))
        return (every,) if channels else ()
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
        check_channels(child.get("channels"), channels, findings)
        _check_steps(child.get("escalate"), channels, findings)
        _check_match(child.get("match"), monitors, tags, findings)
        if is_closed:
            findings.warning(
                child, "no alert comes this far: a route above it takes all; give that 'continue: true'"
            )
        if keys is not None:
            _check_quiet(child.get("quiet_hours"), keys, findings)
            routes.append(_route(keys, timezone, defaults))
            is_closed = is_closed or _takes_all(routes[-1])
    return tuple(routes)


def read_inhibit(
    spot: Spot | None, monitors: Collection[str], tags: Collection[str], findings: Findings
) -> tuple[InhibitRule, ...]:
    """The rules by which one alert holds back another."""
    if spot is None:
        return ()
    if not isinstance(spot.node, ListNode):
        findings.mistake(
            spot, "must be a list; write each rule as '- {source: {…}, target: {…}, equal: […]}'"
        )
        return ()
    rules = []
    for child in spot.children():
        keys = validate(InhibitKeys, child, findings)
        for name in ("source", "target"):
            _check_match(child.get(name), monitors, tags, findings)
        _check_equal(child.get("equal"), tags, findings)
        if keys is not None:
            if keys.source == MatchKeys():
                remedy = "name what explains the other, such as {tags: switch} or {monitors: [router]}"
                findings.mistake(child.get("source") or child, f"takes every alert; {remedy}")
            rules.append(
                InhibitRule(source=_match(keys.source), target=_match(keys.target), equal=keys.equal)
            )
    return tuple(rules)


def span(value: timedelta | str) -> timedelta | None:
    """A duration; None for ``never``."""
    return value if isinstance(value, timedelta) else None


def _route(keys: RouteKeys, timezone: str, defaults: TellingKeys) -> Route:
    quiet = keys.quiet_hours
    steps = (EscalationStep(after=step.after, channels=step.channels) for step in keys.escalate)
    return Route(
        match=_match(keys.match), channels=keys.channels, resume=keys.resume,
        active=tuple(_hours(hours, timezone) for hours in keys.active),
        calm=defaults.calm if keys.calm is None else keys.calm,
        quiet=None if quiet is None else QuietHours(hours=_hours(quiet, timezone), severity_below=quiet.severity_below),
        escalate=tuple(sorted(steps, key=lambda step: step.after)),
        repeat=span(defaults.repeat if keys.repeat is None else keys.repeat),
    )  # fmt: skip


def _hours(keys: HoursKeys, timezone: str) -> Hours:
    return Hours(
        begins=keys.begins, ends=keys.ends, days=frozenset(keys.days), timezone=keys.timezone or timezone
    )


def _takes_all(route: Route) -> bool:
    return route.match == RouteMatch() and not route.resume and not route.active


def _match(keys: MatchKeys) -> RouteMatch:
    return RouteMatch(
        severity=frozenset(keys.severity),
        kind=frozenset(keys.kind),
        tags=frozenset(keys.tags),
        monitors=frozenset(MonitorId(monitor) for monitor in keys.monitors),
    )


def _check_match(
    match: Spot | None, monitors: Collection[str], tags: Collection[str], findings: Findings
) -> None:
    if match is not None:
        check_monitors(match.get("monitors"), monitors, findings)
        warn_of_tags(match.get("tags"), tags, findings)
        _warn_of_kinds(match.get("kind"), findings)


def _warn_of_kinds(spot: Spot | None, findings: Findings) -> None:
    """Each of the names at ``spot`` should be a kind that the shipped texts give; others may give more."""
    for place, kind in words_at(spot):
        if kind not in ALERT_KINDS:
            near = nearest(kind, ALERT_KINDS)
            hint = (
                f"did you mean {near!r}?"
                if near
                else "there are for example agent_down, job_missed and observer_sick"
            )
            findings.warning(place, f"no alert is of the kind {kind!r}; {hint}")


def _check_equal(spot: Spot | None, tags: Collection[str], findings: Findings) -> None:
    """What neither has in common is empty in both, and so alike in both."""
    halves = {tag.partition(":")[0] for tag in tags}
    for place, name in words_at(spot):
        if name not in LABELS and name not in halves:
            near = nearest(name, (*LABELS, *halves))
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(LABELS)}, and such tags"
            findings.warning(
                place, f"no tag is {name!r} or begins with '{name}:', so all are alike in it; {hint}"
            )


def _check_quiet(spot: Spot | None, keys: RouteKeys, findings: Findings) -> None:
    quiet = keys.quiet_hours
    if spot is not None and quiet is not None and quiet.begins == quiet.ends and not quiet.days:
        findings.warning(
            spot,
            f"they never end: what is below {quiet.severity_below} waits for ever; write another 'from' or 'to'",
        )


def _check_steps(spot: Spot | None, channels: Sequence[str], findings: Findings) -> None:
    if spot is not None and isinstance(spot.node, ListNode):
        for step in spot.children():
            if step.is_mapping:
                named = step.child("channels")
                if named is not None and isinstance(named.node, ListNode) and not named.node.items:
                    findings.mistake(named, "calls nobody; name a channel, or remove the step")
                check_channels(named, channels, findings)

"""Which channels hear of an alert."""

from collections.abc import Iterable
from datetime import datetime

from defib.model.route import Route, RouteMatch
from defib.rules.alerting.hours import span_at
from defib.rules.alerting.notice import Notice


def routes_for(notice: Notice, routes: Iterable[Route], now: datetime) -> list[tuple[int, Route]]:
    """The first route that takes it, and further ones after a route that says to continue; with their number, from 1.

    Outside of its active hours a route takes nothing: the next one that matches does.
    """
    taken: list[tuple[int, Route]] = []
    for number, route in enumerate(routes, 1):
        if takes(route.match, notice) and is_active(route, now):
            taken.append((number, route))
            if not route.resume:
                break
    return taken


def channels_of(routes: Iterable[tuple[int, Route]]) -> tuple[str, ...]:
    """In the order of the configuration, each once."""
    return tuple(dict.fromkeys(channel for _, route in routes for channel in route.channels))


def is_active(route: Route, now: datetime) -> bool:
    return not route.active or any(span_at(hours, now) is not None for hours in route.active)


def takes(match: RouteMatch, notice: Notice) -> bool:
    """Whether every field of ``match`` that is set takes the alert."""
    return (
        (not match.severity or notice.severity in match.severity)
        and (not match.kind or notice.kind in match.kind)
        and (not match.monitors or notice.monitor in match.monitors)
        and (not match.tags or not match.tags.isdisjoint(notice.tags))
    )

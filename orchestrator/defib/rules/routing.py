"""Which channels hear of an alert."""

from collections.abc import Iterable

from defib.model.alert import Alert
from defib.model.settings import Route, RouteMatch


def channels_for(alert: Alert, routes: Iterable[Route]) -> tuple[str, ...]:
    """Channels of the first route that matches, and of further ones after a route that says to continue.

    In the order of the configuration, each once.
    """
    channels: dict[str, None] = {}
    for route in routes:
        if matches(alert, route.match):
            channels.update(dict.fromkeys(route.channels))
            if not route.resume:
                break
    return tuple(channels)


def matches(alert: Alert, match: RouteMatch) -> bool:
    """Whether every field of ``match`` that is set takes the alert."""
    return (
        (not match.severity or alert.severity in match.severity)
        and (not match.kind or alert.kind in match.kind)
        and (not match.monitors or alert.monitor in match.monitors)
        and (not match.tags or not match.tags.isdisjoint(alert.facts.tags))
    )

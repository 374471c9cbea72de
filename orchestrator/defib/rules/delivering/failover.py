"""Who carries an alert when its channel does not, and when people hear that a channel does not work."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from defib.model.alert import Alert
from defib.model.route import Route
from defib.model.settings import ChannelSpec
from defib.rules.alerting.notice import Notice
from defib.rules.alerting.route import takes

FAILOVER = timedelta(seconds=10)  #: without acceptance; then another channel carries it too
BROKEN = timedelta(minutes=5)  #: without any acceptance; then people hear that the channel does not work


def stand_in(channel: ChannelSpec, route: Route | None, carrying: Collection[str]) -> str | None:
    """The channel that carries an alert in place of ``channel``.

    :param route: that the alert took; its first channel for escalation is the usual stand-in.
    :param carrying: channels that carry the alert already.
    :return: None when there is none, or it carries the alert anyway.
    """
    name = channel.fallback
    if name is None:
        steps = route.escalate if route is not None else ()
        name = next((other for step in steps for other in step.channels if other != channel.name), "")
    return name if name and name not in carrying else None


def route_through(alert: Alert, channel: str, routes: Iterable[Route]) -> Route | None:
    """The route that brings ``alert`` to ``channel``, at once or by escalation."""
    notice = Notice(
        event=alert.facts.event, kind=alert.kind, severity=alert.severity, monitor=alert.monitor,
        tags=frozenset(alert.facts.tags),
    )  # fmt: skip
    through = (
        route
        for route in routes
        if channel in route.channels or any(channel in step.channels for step in route.escalate)
    )
    return next((route for route in through if takes(route.match, notice)), None)


def failover_at(ready_at: datetime, failing_since: datetime) -> datetime:
    """When the stand-in gets an alert that could go at ``ready_at``.

    A channel that has not worked for that long already is not waited for.
    """
    return max(ready_at, failing_since + FAILOVER)

"""What the front desk shows: windows with whom they are about, and the log of deliveries."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from defib.engine.roster import Roster, Watched
from defib.engine.views import row_views
from defib.model.alert import DeliveryState
from defib.model.ids import AlertId, DeliveryId
from defib.model.window import Window, WindowKind
from defib.rules.windows import covers
from defib.store import Reader

Json = dict[str, Any]


def windows(
    found: Iterable[Window], kinds: Collection[WindowKind], roster: Roster, now: datetime
) -> list[Json]:
    """Windows of these kinds, in the order in which they come."""
    return [
        row_views.window(
            window, now, [name for name, watched in roster.monitors.items() if _is_about(window, watched)]
        )
        for window in found
        if window.kind in kinds
    ]


def of_monitor(found: Iterable[Window], watched: Watched, roster: Roster, now: datetime) -> list[Json]:
    """Those that are about one monitor."""
    about = [window for window in found if _is_about(window, watched)]
    return windows(about, tuple(WindowKind), roster, now)


def _is_about(window: Window, watched: Watched) -> bool:
    """Whatever the incident: a window for some is about the monitors that they are of, which it does not name."""
    spec = watched.spec
    return not window.matcher.incidents and covers(window, spec.id, spec.tags)


def with_tries(reader: Reader, alerts: list[Json]) -> list[Json]:
    """Alerts whose deliveries come with each of their tries."""
    log = _tries(reader, [DeliveryId(item["id"]) for alert in alerts for item in alert["deliveries"]])
    return [
        alert | {"deliveries": [item | {"log": log.get(item["id"], [])} for item in alert["deliveries"]]}
        for alert in alerts
    ]


def _tries(reader: Reader, deliveries: list[DeliveryId]) -> dict[str, list[Json]]:
    tries: dict[str, list[Json]] = {}
    for item in reader.delivery_tries(deliveries):
        tries.setdefault(item.delivery, []).append(row_views.delivery_try(item))
    return tries


def delivery_log(reader: Reader, newest: int, skip: int, state: DeliveryState | None = None) -> list[Json]:
    """The newest deliveries, of all or in one state, with each try and what they carry."""
    found = reader.deliveries(newest=newest, skip=skip, state=state)
    tries = _tries(reader, [delivery.id for delivery in found])
    alerts = {item.id: item for item in reader.alerts_of([AlertId(item.notice) for item in found])}
    log = []
    for delivery in found:
        alert = alerts.get(AlertId(delivery.notice))
        log.append(
            row_views.delivery(delivery)
            | {
                "title": alert.title if alert else "",
                "kind": alert.kind if alert else delivery.notice_type,
                "severity": str(alert.severity) if alert else "info",
                "monitor": alert.monitor if alert else None,
                "incident": alert.incident if alert else None,
                "log": tries.get(delivery.id, []),
            }
        )
    return log

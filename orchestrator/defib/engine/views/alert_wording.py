"""Why an alert did or did not reach people, in plain words."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from defib.model.alert import Ruling

Json = Mapping[str, Any]


def telling(alert: Json, zone: ZoneInfo, *, is_over: bool = False) -> str:
    """What is to be said about an alert with its verdicts and deliveries, as ``row_views`` makes them.

    :param is_over: what it is about has ended.
    """
    ways = [_way(item, zone) for item in alert["deliveries"]]
    held = [verdict for verdict in alert["verdicts"] if verdict["ruling"] == Ruling.HELD]
    if ways:
        return f"“{alert['title']}” went to {', '.join(ways)}{''.join(_kept_from(held, zone))}"
    if not alert["verdicts"]:
        return f"“{alert['title']}” went to no channel: no route takes it"
    last = alert["verdicts"][-1]
    if last["ruling"] == Ruling.HELD:
        then = "" if is_over else ". It is told afterwards if a fresh look finds it so"
        return f"“{alert['title']}” was held back{_until(last, zone)}: {last['reason']}{then}"
    if last["ruling"] == Ruling.DROPPED:
        return f"“{alert['title']}” was not told: {last['reason']}"
    return f"“{alert['title']}” had been on its way already: {last['reason']}"


def _kept_from(held: list[Json], zone: ZoneInfo) -> Iterator[str]:
    for verdict in held:
        if verdict["channels"]:
            yield f"; held back from {', '.join(verdict['channels'])}{_until(verdict, zone)}: {verdict['reason']}"


def _until(verdict: Json, zone: ZoneInfo) -> str:
    return f" until {local(verdict['until'], zone)}" if verdict["until"] else ""


def _way(delivery: Json, zone: ZoneInfo) -> str:
    """``mail (delivered)``; with what is worth knowing about the rest."""
    state = delivery["state"]
    if state == "pending" and not delivery["tries"]:
        state = f"leaves at {local(delivery['due_at'], zone)}, with all that falls together with it"
    elif delivery["sent_with"]:
        state += ", in one message with others"
    elif state == "pending":
        state = f"not accepted after {delivery['tries']} tr{'y' if delivery['tries'] == 1 else 'ies'}, tried again"
    return f"{delivery['channel']} ({state})"


def local(instant: str, zone: ZoneInfo) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(zone):%Y-%m-%d %H:%M:%S}"

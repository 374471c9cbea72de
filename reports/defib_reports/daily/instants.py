"""All instants of a period in UTC.

Python subtracts and compares two datetimes of the same zone by their wall clocks, which is an hour off
across a change of clocks. In UTC that cannot happen.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import overload

from defib.plugin import Period


def in_utc(period: Period) -> Period:
    """The same period; what is in it keeps its order."""
    return replace(
        period,
        start=_utc(period.start),
        end=_utc(period.end),
        generated_at=_utc(period.generated_at),
        incidents=tuple(
            replace(
                incident,
                opened_at=_utc(incident.opened_at),
                fault_lo=_utc(incident.fault_lo),
                fault_hi=_utc(incident.fault_hi),
                closed_at=_utc(incident.closed_at),
            )
            for incident in period.incidents
        ),
        attempts=tuple(
            replace(
                attempt,
                intent_at=_utc(attempt.intent_at),
                started_at=_utc(attempt.started_at),
                ended_at=_utc(attempt.ended_at),
                verified_at=_utc(attempt.verified_at),
            )
            for attempt in period.attempts
        ),
        alerts=tuple(replace(alert, at=_utc(alert.at)) for alert in period.alerts),
    )


@overload
def _utc(instant: datetime) -> datetime: ...
@overload
def _utc(instant: datetime | None) -> datetime | None: ...
def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(UTC)

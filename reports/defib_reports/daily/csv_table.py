"""One row per component, for spreadsheets."""

import csv
import io
from datetime import timedelta

from defib.plugin import ProbeStatus
from defib_reports.daily.figures import Component, Digest
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.wording import clean

COLUMNS = (
    "report", "date", "id", "name", "kind", "family", "state", "tags",
    "availability", "availability_lo", "availability_hi", "up_s", "down_s", "down_lo_s", "down_hi_s",
    "healthy", "unhealthy", "error", "unknown",
    "mean_ms", "p50_ms", "p95_ms", "p99_ms", "previous_p95_ms", "p95_change", "incidents", "open_incidents",
    "falls", "availability_before", "availability_week_before", "p95_week_before_ms", "slo", "budget_spent_share",
    "burn_rate",
)  # fmt: skip
"""Stable: new columns are added at the end."""

_FORMULA = ("=", "+", "-", "@")


def write_csv(figures: Digest, local: LocalTime) -> str:
    """RFC 4180, with a header; worst component first. Numbers as in the JSON; empty where nothing is known."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    writer.writerows(_row(component, figures, local) for component in figures.components)
    return table.getvalue()


def _row(component: Component, figures: Digest, local: LocalTime) -> tuple[str | int | float | None, ...]:
    row = component.of
    available, budget = component.availability, row.budget
    return (
        _text(figures.period.report),
        str(local.first_day),
        _text(row.monitor),
        _text(row.name),
        _text(row.kind),
        _text(row.family),
        _text(row.state),
        _text(" ".join(sorted(row.tags))),
        *((available.value, available.lo, available.hi) if available else (None, None, None)),
        *map(timedelta.total_seconds, (row.up, row.down, row.down_lo, row.down_hi)),
        *(component.count(status) for status in ProbeStatus),
        row.latency_mean_ms,
        *(row.latencies_ms or (None, None, None)),
        row.previous_p95_ms,
        component.p95_change,
        row.incidents,
        component.open_incidents,
        row.falls,
        row.before.availability,
        row.week_before.availability,
        (row.week_before.latencies_ms or (None, None, None))[1],
        *((budget.objective, budget.spent_share, budget.burn) if budget else (None, None, None)),
    )


def _text(value: str) -> str:
    """One line that no spreadsheet takes for a formula: names may have come in from outside."""
    line = clean(value, 500)
    return f"'{line}" if line.startswith(_FORMULA) else line

"""What each cause of a fault means and what helps against it: one table, a module for each topic."""

from fnmatch import fnmatchcase
from functools import lru_cache

from defib_alerts.causes import (
    certificates,
    connection,
    containers,
    database,
    http_answers,
    reporting,
    resources,
    services,
)
from defib_alerts.causes.row import CauseAdvice, Trouble

CAUSES: tuple[CauseAdvice, ...] = (
    *connection.ROWS,
    *certificates.ROWS,
    *http_answers.ROWS,
    *database.ROWS,
    *containers.ROWS,
    *services.ROWS,
    *resources.ROWS,
    *reporting.ROWS,
)
"""The first that fits counts, so that what is special stands before what is general."""


@lru_cache(maxsize=256)
def advice_for(cause: str, family: str) -> CauseAdvice | None:
    """The first row for ``cause`` and ``family``; None where only the table by sort of component applies."""
    for row in CAUSES:
        if (not row.families or family in row.families) and any(
            fnmatchcase(cause, code) for code in row.causes
        ):
            return row
    return None


__all__ = ["CAUSES", "CauseAdvice", "Trouble", "advice_for"]

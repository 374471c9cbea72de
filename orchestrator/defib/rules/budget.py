"""Error budgets of service level objectives.

An objective of 99.9 % allows 0.1 % of the observed time as downtime: that is the budget. Burn is how much faster
than that a period spent it: at 1 the budget of the window is spent exactly at its end.

Source: B. Beyer et al., "The Site Reliability Workbook", chapters 2 and 5.
"""

from datetime import timedelta

from defib.model.report import Budget
from defib.rules.availability import Uptime

WINDOW = timedelta(days=30)  #: that a budget is for, up to the end of the period


def budget(objective: float, window: Uptime, period: Uptime, length: timedelta = WINDOW) -> Budget:
    """The budget of ``objective``, 0..1, with what ``window`` spent of it and how fast ``period`` burnt it."""
    allowed_share = 1.0 - objective
    availability = period.availability
    return Budget(
        objective=objective,
        window=length,
        allowed=(window.up + window.down) * allowed_share,
        spent=window.down,
        burn=None if availability is None else (1.0 - availability) / allowed_share,
    )

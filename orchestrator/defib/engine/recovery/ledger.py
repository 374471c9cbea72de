"""The attempts of the last day, as they are stored: what budgets are counted from."""

from datetime import datetime

from defib.model.ids import AttemptId, CaseId, MonitorId
from defib.model.recovery import Attempt
from defib.rules.recovery.budgets import DAY, RATE_WINDOW, costs
from defib.store import Reader


class Ledger:
    """Read once at the start; from then on told of every attempt that was committed."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._attempts: dict[AttemptId, Attempt] = {}  # oldest first

    def load(self, now: datetime) -> None:
        """Take up what earlier runs have done."""
        self._attempts = {item.id: item for item in self._reader.attempts(since=now - DAY)}

    def note(self, attempt: Attempt) -> None:
        """Take note of an attempt, or of what became of it."""
        self._attempts[attempt.id] = attempt
        for item in tuple(self._attempts.values()):
            if attempt.intent_at - item.intent_at <= DAY:
                break
            del self._attempts[item.id]

    def of(self, monitor: MonitorId) -> list[Attempt]:
        """One monitor's attempts, oldest first."""
        return [item for item in self._attempts.values() if item.monitor == monitor]

    def of_case(self, case: CaseId) -> list[Attempt]:
        return [item for item in self._attempts.values() if item.case == case]

    def intents(self, now: datetime) -> list[datetime]:
        """When attempts were begun of late, over all monitors."""
        since = now - RATE_WINDOW
        return [item.intent_at for item in self._attempts.values() if item.intent_at >= since and costs(item)]

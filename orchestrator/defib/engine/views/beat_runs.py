"""Runs of a job out of its kept beats: when each ended, and how long it took."""

from collections.abc import Iterable
from typing import Any

from defib.model.beat import Beat, Signal


def runs(beats: Iterable[Beat]) -> list[dict[str, Any]]:
    """Each run whose start and end were reported, by its end.

    An end is that of the run of its ``rid``; without one, of the run that began last.

    :param beats: the oldest first.
    """
    begun: dict[str, Beat] = {}
    found = []
    for beat in beats:
        run_id = str(beat.facts.get("rid", ""))
        match beat.signal:
            case Signal.START:
                begun.pop(run_id, None)
                begun[run_id] = beat
            case Signal.ALIVE | Signal.FAIL:
                start = begun.pop(run_id if run_id or not begun else next(reversed(begun)), None)
                if start is not None:
                    is_well = beat.signal is Signal.ALIVE and not beat.exit_status
                    took_s = max(0.0, (beat.received_at - start.received_at).total_seconds())
                    found.append({"at": beat.received_at.isoformat(), "took_s": took_s, "is_well": is_well})
            case Signal.STOPPING:
                begun.clear()
    return found

"""Runs of a job: what lasts, how long it may, and what was learned of it. Pure."""

from defib.plugin import made_of, rhythm
from defib_plugins.beat_memory import Remembered, Run

_OPEN = 20  #: runs at a time that are followed; of more the oldest are forgotten: they will never end
_DURATIONS = 100


def begin(known: Remembered, run_id: str, at: float, odd: str = "", words: str = "") -> Remembered:
    """A run began; one of the same id that had not ended is forgotten: it never will."""
    others = {name: run for name, run in known.runs.items() if name != run_id}
    newest = list(others.items())[-(_OPEN - 1) :]
    return known.model_copy(
        update={
            "runs": {**dict(newest), run_id: Run(started=at, odd=odd, words=words, made=made_of(words))},
            "has_failed": False,
        }
    )


def end(known: Remembered, run_id: str, at: float, *, is_well: bool) -> tuple[Remembered, Run | None]:
    """The run of that id ended; with the run, or None when its start was never reported.

    An end without an id, where only runs with one last, is that of the newest; how long it took is not learned.
    """
    is_named = run_id in known.runs
    if not is_named and not run_id:
        run_id = max(known.runs, key=lambda name: known.runs[name].started, default="")
    run = known.runs.get(run_id)
    if run is None:
        return known, None
    durations = known.durations
    if is_well and is_named and at >= run.started:
        durations = (*durations, round(at - run.started, 3))[-_DURATIONS:]
    others = {name: other for name, other in known.runs.items() if name != run_id}
    return known.model_copy(update={"runs": others, "durations": durations}), run


def oldest(known: Remembered) -> tuple[str, Run] | None:
    """The run that has lasted longest among those whose length has not been told of."""
    lasting = [(name, run) for name, run in known.runs.items() if not run.is_long]
    return min(lasting, key=lambda item: item[1].started, default=None)


def mark_long(known: Remembered, run_id: str) -> Remembered:
    """It has been told that this run takes too long."""
    run = known.runs[run_id].model_copy(update={"is_long": True})
    return known.model_copy(update={"runs": {**known.runs, run_id: run}})


def limit_s(known: Remembered, unlearned_s: float | None) -> float | None:
    """How long a run may take; None while there is nothing to go by.

    :param unlearned_s: what holds as long as too few runs have ended.
    """
    learned = rhythm.learn_run_limit(known.durations)
    if learned is not None:
        return learned
    return None if unlearned_s is None else max(rhythm.RUN_LIMIT_MIN_S, unlearned_s)

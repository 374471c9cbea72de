"""What the heartbeat monitor remembers of its beats, and its form in the store. Instants are seconds since 1970."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from defib.plugin import BeatMemory, rhythm


class Run(BaseModel):
    """A run that began and has not ended yet."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    started: float
    odd: str = ""  #: what is unusual about when it began: a cause of evidence, and
    words: str = ""  #: the same for people …
    made: dict[str, Any] | None = None  #: … and what it is made of
    is_long: bool = False  #: it has been told of


class Remembered(BaseModel):
    """Everything between two beats."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    heard: float | None = None  #: when the newest beat was received
    told: Literal["", "late", "missed"] = ""  #: what has been said of the present silence
    is_stopped: bool = False  #: it said that it stops
    is_paused: bool = False  #: somebody paused it, and it has not been heard since
    has_failed: bool = False  #: the newest run failed: the next one tries again
    replayed: float | None = None  #: when the newest beat was received, if it had waited at its sender
    anchor: float | None = None  #: the schedule has been kept up to here
    pulse: rhythm.Rhythm | None = None
    intervals: tuple[float, ...] = ()  #: between beats, of a sender that has not said how often it beats
    runs: dict[str, Run] = {}  #: by run id; "" for runs without one
    durations: tuple[float, ...] = ()  #: of runs that ended well, in seconds


def read(memory: BeatMemory) -> Remembered:
    """What was written; nothing where it is not ours or of another version."""
    try:
        return Remembered.model_validate(memory)
    except ValidationError:
        return Remembered()


def write(remembered: Remembered) -> BeatMemory:
    """As a JSON object, without what is not set."""
    return remembered.model_dump(mode="json", exclude_defaults=True)

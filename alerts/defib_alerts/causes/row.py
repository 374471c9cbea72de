"""What one row of the table by cause says."""

from dataclasses import dataclass
from enum import StrEnum

from defib_alerts.advice import Line


class Trouble(StrEnum):
    """How something is at fault, for the sentence that says since when."""

    FAILING = "failing"
    SILENT = "silent"
    OVERDUE = "overdue"
    RUNNING = "running"  #: for too long


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseAdvice:
    """What some causes mean, and what helps. Texts are messages of the catalogue."""

    causes: tuple[str, ...]  #: codes of evidence; ``*`` stands for anything, ``?`` for one character
    meaning: str  #: one or two sentences for the description
    brief: str = ""
    """The cause in a few words, for a subject on a lock screen; ``{code}`` is what follows the code's first hyphen.
    Without it, the evidence speaks for itself."""
    title: str = ""  #: instead of ``{name} is down``
    trouble: Trouble = Trouble.FAILING
    families: tuple[str, ...] = ()  #: only for these; empty: for all
    lines: tuple[Line, ...] = ()  #: best first
    is_complete: bool = False  #: the lines by sort of component (look, restart) would add nothing

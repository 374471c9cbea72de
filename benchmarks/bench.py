"""What every group of measurements gets."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.targets import Targets
from benchmarks.yardsticks import Yardsticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One run of the benchmarks."""

    folder: Path  #: scratch, empty
    targets: Targets
    yardsticks: Yardsticks
    is_quick: bool

    @property
    def runs(self) -> int:
        """How often a figure is taken."""
        return 2 if self.is_quick else 5

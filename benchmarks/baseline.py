"""The ratios of an earlier run, kept in git: what tells a regression from a slower machine."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure

TOLERANCE = 0.2  #: a ratio may be so much larger than the kept one


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A figure that has become dearer in comparison with its yardstick."""

    figure: str
    before: float
    now: float

    def __str__(self) -> str:
        percent = (self.now / self.before - 1) * 100
        return f"{self.figure}: {self.now:.2f} × its yardstick, {percent:.0f} % more than {self.before:.2f}"


def regressions(figures: Iterable[Figure], file: Path) -> list[Regression]:
    """Ratios beyond the tolerance. Absolute figures never are; nor is a figure that the baseline does not know."""
    known = _read(file)
    return [
        Regression(figure=figure.id, before=known[figure.id], now=figure.ratio)
        for figure in figures
        if figure.ratio is not None and figure.id in known
        if figure.ratio > known[figure.id] * (1 + TOLERANCE)
    ]


def update(figures: Iterable[Figure], file: Path) -> None:
    """Keep the ratios of this run; those that it did not measure stay."""
    measured = {figure.id: round(figure.ratio, 3) for figure in figures if figure.ratio is not None}
    merged = dict(sorted((_read(file) | measured).items()))
    file.write_text(json.dumps(merged, indent=2) + "\n", encoding="utf-8")


def _read(file: Path) -> dict[str, float]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

"""One measured figure, and all of them as a table and as JSON."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Values of one measure from one run of the benchmarks, in the order in which they were taken."""

    id: str  #: stable; what the baseline knows it by: ``P6/1000``
    name: str
    unit: str
    values: tuple[float, ...]  #: at least one
    goal: float | None = None  #: at most, in the same unit
    by_worst: bool = False  #: a promise: the largest value must meet the goal, not the median
    yardstick: str = ""  #: what the ratio compares with
    yardstick_values: tuple[float, ...] = ()  #: in the same unit, from the same run
    ratio_goal: float | None = None  #: at most
    note: str = ""

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def ratio(self) -> float | None:
        """The best over the yardstick's best, as what else runs on a machine only adds; None without a yardstick."""
        return min(self.values) / min(self.yardstick_values) if self.yardstick_values else None

    @property
    def meets_goal(self) -> bool | None:
        """None without a goal."""
        if self.goal is None and self.ratio_goal is None:
            return None
        value = max(self.values) if self.by_worst else self.median
        is_small = self.goal is None or value <= self.goal
        return is_small and (self.ratio_goal is None or (self.ratio or 0.0) <= self.ratio_goal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where and when the figures were taken."""

    at: str
    cores: int
    python: str
    system: str
    load: float  #: of the machine, averaged over the last minute, before the first measurement
    is_quick: bool

    @classmethod
    def now(cls, *, is_quick: bool) -> "Setting":
        return cls(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            cores=os.cpu_count() or 1,
            python=platform.python_version(),
            system=f"{platform.system()} {platform.machine()}",
            load=round(os.getloadavg()[0], 2),
            is_quick=is_quick,
        )


def print_table(figures: Sequence[Figure], setting: Setting, console: Console) -> None:
    """Everything on one screen: goals missed in red."""
    table = Table(title="Defib's figures", title_justify="left", header_style="bold", row_styles=["", "dim"])
    for heading in ("figure", "median", "min … max", "n", "unit", "goal", "", "× yardstick"):
        numeric = heading in ("median", "min … max", "n", "goal")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=numeric)
    for figure in figures:
        table.add_row(
            figure.name,
            _number(figure.median),
            f"{_number(min(figure.values))} … {_number(max(figure.values))}",
            str(len(figure.values)),
            figure.unit,
            "" if figure.goal is None else f"≤ {figure.goal:g}",
            {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[figure.meets_goal],
            _ratio_cell(figure),
        )
    console.print(table)
    for figure in figures:
        if figure.note:
            console.print(f"  {figure.id}: {figure.note}", style="dim", highlight=False)
    console.print(
        f"{setting.cores} cores, Python {setting.python}, {setting.system}; load before: {setting.load:g}"
        + (" (busy: times are noisy)" if setting.load > 0.5 * setting.cores else ""),
        highlight=False,
    )


def write_json(figures: Iterable[Figure], setting: Setting, file: Path) -> None:
    """The same, with every single value."""
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {"setting": asdict(setting), "figures": [_json(figure) for figure in figures]}
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _json(figure: Figure) -> Mapping[str, Any]:
    derived = {"median": figure.median, "ratio": figure.ratio, "meets_goal": figure.meets_goal}
    return asdict(figure) | derived


def _ratio_cell(figure: Figure) -> str:
    if figure.ratio is None:
        return ""
    goal = "" if figure.ratio_goal is None else f" (≤ {figure.ratio_goal:g})"
    return f"{figure.ratio:.2f}{goal} of {figure.yardstick}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

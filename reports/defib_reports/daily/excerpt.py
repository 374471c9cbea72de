"""What fits into a page that is read by people: the worst, and how much was left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from defib.plugin import Alert, Attempt, AttemptOutcome
from defib_reports.daily.figures import Component
from defib_reports.daily.outages import Bout

T = TypeVar("T")
U = TypeVar("U")

_COMPONENTS_WHEN_WELL = 8  #: shown at least, even when nothing is wrong with any


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many of each are shown at most."""

    components: int = 40
    outages: int = 25
    attempts: int = 20
    alerts: int = 30
    concerns: int = 12
    channels: int = 20
    prospects: int = 12
    budgets: int = 12
    noisiest: int = 5

    @property
    def tighter(self) -> "Limits":
        """About two thirds of each, at least one."""
        return Limits(**{item.name: max(1, getattr(self, item.name) * 2 // 3) for item in fields(self)})


@dataclass(frozen=True, slots=True)
class Excerpt(Generic[T]):
    """Some of the items, in the order of all of them."""

    shown: tuple[T, ...]
    left_out: int

    def mapped(self, described: Callable[[T], U]) -> "Excerpt[U]":
        """The same, each item described."""
        return Excerpt(tuple(map(described, self.shown)), self.left_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentExcerpt:
    """The components worth showing, and the sum of the rest."""

    shown: tuple[Component, ...]
    troubled: int  #: left out although something was wrong with them
    well: int  #: left out because nothing was
    heartbeats: int  #: of all that were left out


def excerpt(items: Sequence[T], limit: int, importance: Callable[[T], Any] = lambda item: 0) -> Excerpt[T]:
    """The ``limit`` most important items; of equals the earlier ones."""
    if len(items) <= limit:
        return Excerpt(tuple(items), 0)
    kept = sorted(range(len(items)), key=lambda index: importance(items[index]), reverse=True)[:limit]
    return Excerpt(tuple(items[index] for index in sorted(kept)), len(items) - limit)


def excerpt_components(components: Sequence[Component], limit: int) -> ComponentExcerpt:
    """All when they are few; otherwise those with trouble. Expects the worst first."""
    shown = len(components)
    if shown > limit:
        troubled = sum(not component.is_well for component in components)
        shown = min(limit, max(troubled, _COMPONENTS_WHEN_WELL))
    rest = components[shown:]
    return ComponentExcerpt(
        shown=tuple(components[:shown]),
        troubled=sum(not component.is_well for component in rest),
        well=sum(component.is_well for component in rest),
        heartbeats=sum(component.heartbeats for component in rest),
    )


def excerpt_bouts(bouts: Sequence[Bout], limit: int) -> Excerpt[Bout]:
    return excerpt(bouts, limit, lambda bout: (bout.first.is_open, bout.duration))


def excerpt_attempts(attempts: Sequence[Attempt], limit: int) -> Excerpt[Attempt]:
    return excerpt(attempts, limit, lambda attempt: attempt.outcome is not AttemptOutcome.VERIFIED)


def excerpt_alerts(alerts: Sequence[Alert], limit: int) -> Excerpt[Alert]:
    return excerpt(alerts, limit, lambda alert: alert.severity.rank)

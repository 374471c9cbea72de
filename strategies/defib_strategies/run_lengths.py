"""How often a score raises a false alarm: a Markov chain instead of a rule of thumb.

The score climbs by ``weight`` with each failure and sinks by 1 with each good look, and ``failures * weight``
is a fault (:mod:`.climb`). A rule that only counts failures in a row misses the climbs with good looks in
between, which are most of them at 5 % loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_SWEEPS = 200
_EXACT = 1e-6  #: relative change of a sweep that ends the iteration


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the score."""

    failures: int  #: in a row that make a fault
    weight: int  #: good looks that take one failure back

    @property
    def limit(self) -> int:
        """The score that is a fault."""
        return self.failures * self.weight


RULES = tuple(Rule(failures=failures, weight=weight) for failures in range(3, 9) for weight in (3, 2))
"""From the quickest to the most patient.

With a weight of 3 a target that fails every second look climbs by one a look, with 2 by half of one; with 1
it would never be found.
"""


def false_alarm_chance(rule: Rule, rate: float, echoes: Sequence[float]) -> float:
    """Chance that a first failure of a target that is well becomes a fault before the score is 0 again.

    :param rate: share of looks that fail although nothing is wrong, below 1.
    :param echoes: share of the looks that fail right after the first, second, … failure in a row; the last
        one holds for all that follow.

    Exact for this model. With h(s) for the chance of a fault from the score s after a good look, and P(j) for
    that of j failures in a row from a first one on: h(0) = 0 and
    h(s) = (1 - rate) h(s - 1) + rate Σ P(j) h(s + j weight - 1), where a score at the limit counts 1. Solved
    by sweeps upwards, of which each takes one more row of failures into account.
    """
    limit, weight = rule.limit, rule.weight
    rows, left = [], 1.0  # chances of so many failures in a row and then a good look
    for failures in range(1, rule.failures):
        again = max(rate, echoes[min(failures, len(echoes)) - 1])
        rows.append((failures * weight, left * (1 - again)))
        left *= again
    chances = [0.0] * limit

    def after_a_failure(score: int) -> float:
        total, covered = 0.0, 0.0
        for rise, chance in rows:
            if score + rise >= limit:
                break
            total += chance * chances[score + rise - 1]
            covered += chance
        return total + 1.0 - covered

    for _ in range(_SWEEPS):
        before = chances[-1]
        for score in range(1, limit):
            chances[score] = (1 - rate) * chances[score - 1] + rate * after_a_failure(score)
        if chances[-1] - before <= _EXACT * chances[-1]:
            break
    return after_a_failure(0)


def quickest(rate: float, echoes: Sequence[float], looks_a_year: float, alarms_a_year: float) -> Rule:
    """The first of :data:`RULES` with at most so many false alarms a year; the last if there is none.

    Other parameters as in :func:`false_alarm_chance`. A millisecond's work.
    """
    climbs = looks_a_year * rate
    quick_enough = (
        rule for rule in RULES if climbs * false_alarm_chance(rule, rate, echoes) <= alarms_a_year
    )
    return next(quick_enough, RULES[-1])

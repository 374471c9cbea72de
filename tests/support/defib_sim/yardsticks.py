"""Failure detectors from the literature and from other products: yardsticks for ours, as their sources define them.

Times are in seconds unless a name or a docstring says otherwise.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev

# --- Chen, Toueg, Aguilera: NFD-E and its configurator (IEEE ToC 51(5), 2002) ------------------------------


def nfd_e(arrivals: Sequence[float], eta: float, n: int) -> Iterator[float]:
    """The expected arrival of the next beat after each of some numbered from 0, by the mean of the last ``n``."""
    for newest in range(len(arrivals)):
        window = range(max(0, newest - n + 1), newest + 1)
        yield fmean(arrivals[k] - eta * k for k in window) + eta * (newest + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The quality of service that a configurator is asked for."""

    detection: float  #: at most
    recurrence: float  #: of mistakes, at least
    duration: float  #: of mistakes, at most
    loss: float  #: probability that a beat is lost


def configure_for_any_delay(wanted: Wanted, variance: float) -> float:
    """The longest interval for delays of unknown distribution (one-sided Chebyshev)."""
    t, loss = wanted.detection, wanted.loss
    share = (1 - loss) * t**2 / (variance + t**2)

    def recurrence(eta: float) -> float:
        product = eta
        for left in _left(t, eta):
            product *= (variance + left**2) / (variance + loss * left**2)
        return product

    return _longest(recurrence, wanted.recurrence, min(share * wanted.duration, t))


def configure_for_exponential_delay(wanted: Wanted, mean: float) -> float:
    """The longest interval for delays that are known to be exponentially distributed."""
    t, loss = wanted.detection, wanted.loss
    in_time = (1 - loss) * (1 - math.exp(-t / mean))

    def recurrence(eta: float) -> float:
        product = eta / in_time
        for left in _left(t, eta):
            product /= loss + (1 - loss) * math.exp(-left / mean)
        return product

    return _longest(recurrence, wanted.recurrence, min(in_time * wanted.duration, t))


def _left(detection: float, eta: float) -> Iterator[float]:
    """What is left of the detection time after each beat within it."""
    for j in range(1, math.ceil(detection / eta)):
        yield detection - j * eta


def _longest(recurrence: Callable[[float], float], least: float, most: float) -> float:
    """The largest argument up to ``most`` for which ``recurrence`` is at least ``least``, to 1e-4."""
    step = 1e-4
    count = math.floor(most / step)
    return next(k * step for k in range(count, 0, -1) if recurrence(k * step) >= least)


def mistake_recurrence(eta: float, loss: float, misses: int) -> float:
    """Mean time between mistakes of NFD-U where jitter is small against the interval: η / (q·u(0)) with u(0) = p^m."""
    return eta / ((1 - loss) * loss**misses)


# --- phi accrual (Hayashibara 2004) ------------------------------------------------------------------------


def phi_exact(t: float, mean: float, deviation: float) -> float:
    """-log10 of the normal tail beyond ``t``."""
    z = (t - mean) / deviation
    tail = 0.5 * math.erfc(z / math.sqrt(2))
    return -math.log10(tail) if tail > 0 else math.inf


def phi_akka(t: float, mean: float, deviation: float) -> float:
    """Akka's logistic approximation of the normal tail (PhiAccrualFailureDetector.scala)."""
    y = (t - mean) / deviation
    e = math.exp(-y * (1.5976 + 0.070566 * y * y))
    tail = e / (1 + e) if t > mean else 1 - 1 / (1 + e)
    return -math.log10(tail) if tail > 0 else math.inf


def phi_cassandra(t: float, mean: float) -> float:
    """-log10 of the exponential tail (FailureDetector.java)."""
    return t / mean / math.log(10)


@dataclass(slots=True)
class Akka:
    """Akka's detector with its start-up history and its skip of the first interval after an unavailability."""

    estimate: float
    pause: float
    threshold: float = 8.0
    least_deviation: float = 0.1
    history: list[float] = field(default_factory=list)
    last: float | None = None

    def beat(self, at: float) -> None:
        if self.last is None:
            self.history = [self.estimate - self.estimate / 4, self.estimate + self.estimate / 4]
        elif self.phi(at) < self.threshold:
            self.history.append(at - self.last)
        self.last = at

    def phi(self, now: float, formula: Callable[[float, float, float], float] = phi_akka) -> float:
        if self.last is None:
            return 0.0
        return formula(now - self.last, fmean(self.history) + self.pause, self.deviation)

    @property
    def deviation(self) -> float:
        return max(pstdev(self.history), self.least_deviation)


# --- Bertier, Marin, Sens (DSN 2002) -----------------------------------------------------------------------


def bertier(arrivals: Sequence[float], eta: float, n: int) -> Iterator[float]:
    """The deadline after each beat: NFD-E's expectation and a margin after Jacobson."""
    gamma, beta, phi = 0.1, 1.0, 4.0
    delay = variance = 0.0
    expected: float | None = None
    for at, following in zip(arrivals, nfd_e(arrivals, eta, n), strict=True):
        if expected is not None:
            error = at - expected - delay
            delay += gamma * error
            variance += gamma * (abs(error) - variance)
        expected = following
        yield expected + beta * delay + phi * variance


# --- SWIM with Lifeguard (hashicorp/memberlist, suspicion.go) ----------------------------------------------


def swim_suspicion_timeout(confirmations: int, expected: int, least: float, most: float) -> float:
    """How long a suspicion lasts, the shorter the more peers share it."""
    share = math.log(confirmations + 1) / math.log(expected + 1)
    return max(least, most - (most - least) * share)


# --- Jacobson (RFC 6298) -----------------------------------------------------------------------------------


def jacobson_timeouts(round_trips: Iterable[float]) -> Iterator[float]:
    """The retransmission timeout after each round trip, without the RFC's lower bound."""
    smoothed = variation = None
    for r in round_trips:
        if smoothed is None or variation is None:
            smoothed, variation = r, r / 2
        else:
            variation += (abs(smoothed - r) - variation) / 4
            smoothed += (r - smoothed) / 8
        yield smoothed + 4 * variation

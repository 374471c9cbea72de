"""The victim: a target that lives through its script, and whose own life is the ground truth."""

import asyncio
import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from defib.model.evidence import Evidence, Grade, ProbeStatus
from defib.ports import Clock
from defib_sim.modes import BOOTING, WELL, Loss, Mode, Reply, Truth, draw_latency_s

SLOW_FROM_S = 1.0  #: an answer that takes longer is right, but late
REFUSED_AFTER_S = 0.001

Life = list[tuple[float, Mode]]
"""From each instant on, in virtual seconds; in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What a restart does to a target."""

    boot_s: float = 3.0  #: until it answers again
    helps: bool = True  #: it is well then; else it goes on as its script says
    relapse_after_s: float | None = None  #: it falls again so long after it was well


class Target:
    """Lives.

    :ivar life: all that it did and will do; what is past never changes.
    :ivar restarts: when each began and ended, and the truth when it began.
    :ivar arrivals: when each probe came.
    """

    def __init__(
        self, clock: Clock, random: Random, script: Life, *, remedy: Remedy, loss: Loss | None = None
    ) -> None:
        """:param script: starts at second 0."""
        self._clock = clock
        self._random = random
        self.life = list(script)
        self._fault = next((mode for _, mode in script if mode.truth is Truth.FAULT), WELL)
        self._remedy = remedy
        self._loss = loss
        self._last_sent: tuple[float, bool] | None = None  # when, and whether it was lost
        self._next_is_lost = False
        self._in_flight = 0
        self._process_ended = asyncio.Event()
        self.leans_on: tuple[Target, ...] = ()
        self.leaning = WELL  #: what it does while one of them is out of order
        self.on_the_way: Callable[[float], Reply | None] = lambda at: (
            None
        )  #: what meets a probe before it does
        self.restarts: list[tuple[float, float, Truth]] = []
        self.arrivals: list[float] = []

    # --- the truth ---------------------------------------------------------------------------------

    def mode_at(self, at: float) -> Mode:
        own = self.life[bisect_right(self.life, at, key=_instant) - 1][1]
        if own.reply is Reply.OK and any(other.mode_at(at).reply is not Reply.OK for other in self.leans_on):
            return self.leaning
        return own

    def truth_at(self, at: float) -> Truth:
        return self.mode_at(at).truth

    def _next_change(self, after: float) -> float:
        """When it does something else, as far as is settled now; infinite when nothing is."""
        own = bisect_right(self.life, after, key=_instant)
        mine = self.life[own][0] if own < len(self.life) else float("inf")
        return min([mine, *(other._next_change(after) for other in self.leans_on)])

    # --- probes ------------------------------------------------------------------------------------

    async def meet(self, timeout: timedelta) -> Evidence:
        """One probe."""
        began = self._clock.monotonic()
        ends = began + timeout.total_seconds()
        self.arrivals.append(began)
        self._in_flight += 1
        try:
            return await self._met(began, ends, timeout)
        finally:
            self._in_flight -= 1

    async def _met(self, began: float, ends: float, timeout: timedelta) -> Evidence:
        way = self.on_the_way(began)
        if way is Reply.UNASKED:
            return Evidence.inconclusive("no-descriptors", "no file descriptor is left for a socket")
        if way is Reply.UNROUTED:
            return Evidence.inconclusive("no-route", "this machine has no route there")
        if way is not None:
            await self._clock.sleep(ends - began)
            return _timeout(timeout)
        if self._loss is not None and self._is_lost(self._loss, began):
            if self._loss.is_reset:
                await self._clock.sleep(REFUSED_AFTER_S)
                return Evidence.fail("reset", "connection reset", grade=Grade.STRONG)
            await self._clock.sleep(ends - began)
            return _timeout(timeout)
        mode = self.mode_at(began)
        while mode.reply is Reply.SILENT:
            now = self._clock.monotonic()
            if await self._is_cut_off(min(ends, self._next_change(now)) - now):
                return Evidence.fail("reset", "connection reset", grade=Grade.STRONG)
            if (now := self._clock.monotonic()) >= ends:
                return _timeout(timeout)
            mode = self.mode_at(now)
        return await self._answer(mode, began, timeout)

    async def _answer(self, mode: Mode, began: float, timeout: timedelta) -> Evidence:
        if mode.reply is Reply.REFUSED:
            await self._clock.sleep(REFUSED_AFTER_S)
            return Evidence.fail("refused", "connection refused", grade=Grade.STRONG)
        if mode.reply is Reply.STOPPED:
            return Evidence.fail("stopped", "stopped on purpose", grade=Grade.INTENT)
        wait = mode.slowness * timeout.total_seconds() or draw_latency_s(self._random)
        await self._clock.sleep(wait)
        took = timedelta(seconds=self._clock.monotonic() - began)
        if took > timeout:  # it answered in time, but who asked was held up
            return _timeout(timeout)
        if mode.reply is Reply.WRONG and (mode.share == 1.0 or self._random.random() < mode.share):
            return Evidence.fail("http-500", "HTTP 500", status=ProbeStatus.UNHEALTHY, latency=took)
        if took.total_seconds() > SLOW_FROM_S:
            return Evidence.degraded("slow", "slow", latency=took)
        return Evidence.ok("HTTP 200", latency=took)

    def _is_lost(self, loss: Loss, now: float) -> bool:
        before, was_lost = self._last_sent or (float("-inf"), False)
        lost = self._next_is_lost or self._random.random() < loss.chance(was_lost, now - before)
        self._last_sent, self._next_is_lost = (now, lost), False
        return lost

    def draw_answers_before_loss(self, interval_s: float) -> int:
        """How many probes at such intervals are answered before one is lost; after them, the next one is.

        0 unless the newest probe was answered, and none is on its way.
        """
        _, was_lost = self._last_sent or (0.0, True)
        if self._loss is None or was_lost or self._in_flight or self._next_is_lost:
            return 0
        self._next_is_lost = True
        chance = self._loss.chance(False, interval_s)
        return int(math.log(1.0 - self._random.random()) / math.log1p(-chance))

    async def _is_cut_off(self, seconds: float) -> bool:
        """Wait; whether the process that held the connection ended meanwhile."""
        try:
            await asyncio.wait_for(self._process_ended.wait(), seconds)
        except TimeoutError:
            return False
        return True

    # --- recovery ----------------------------------------------------------------------------------

    async def restart(self, takes_s: float) -> None:
        """Stop and start it: it boots from now on, and the action ends while it does."""
        began, remedy = self._clock.monotonic(), self._remedy
        self.restarts.append((began, began + takes_s, self.truth_at(began)))
        self._process_ended.set()
        self._process_ended = asyncio.Event()
        ready = began + remedy.boot_s
        to_come = [item for item in self.life if item[0] > ready]
        goes_on = self.life[bisect_right(self.life, ready, key=_instant) - 1][1]
        self.life = [item for item in self.life if item[0] <= began]
        self.life.append((began, BOOTING))
        if not remedy.helps:
            self.life += [(ready, goes_on), *to_come]
        else:
            self.life.append((ready, WELL))
            if remedy.relapse_after_s is not None:
                self.life.append((ready + remedy.relapse_after_s, self._fault))
        await self._clock.sleep(takes_s)


def _instant(item: tuple[float, Mode]) -> float:
    return item[0]


def _timeout(timeout: timedelta) -> Evidence:
    return Evidence.fail("timeout", f"no answer within {timeout.total_seconds():g} s")

"""One pass, as cron and systemd timers run it: look at what is due, follow up, recover, deliver, report; then end."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from defib.engine.engine import Engine
from defib.engine.housekeeping import PASS_GAP
from defib.model.health import State
from defib.model.ids import MonitorId

BUDGET = timedelta(seconds=50)  #: it ends before the next minute's one begins
DUE_SLACK = timedelta(seconds=1)  #: a pass that cron starts a moment early still finds its monitors due
_DELIVER_WAIT_S = 12.0  #: that a pass waits for deliveries to be tried once
_ONCE = timedelta(days=365)  #: the interval of what is looked at once


async def run_pass(
    engine: Engine, *, only: Iterable[MonitorId] = (), every: bool = False, budget: timedelta = BUDGET
) -> None:
    """Run ``engine`` for one pass over what is due, over ``only`` these, or over ``every`` monitor.

    Confirmations, recovery and verification go on within ``budget``; what needs longer is taken up by the
    next pass from the store.

    :raises StaleEpochError: another Defib decides now.
    """
    clock = engine.clock
    ends = clock.monotonic() + budget.total_seconds()
    engine.housekeeping.span_gap = PASS_GAP
    await engine.housekeeping.flush()  # from here on somebody watches
    await engine.duty.review()
    engine.recovery.horizon = ends
    for monitor in only or _due(engine, every=every):
        watched = engine.roster.monitors[monitor]
        if watched.polled is not None and engine.table[monitor].state is not State.PAUSED:
            engine.scheduler.add(monitor, _ONCE, watched.polled.host, first_in=0.0)
    engine.courier.start()
    await engine.judge.withdraw_missing()
    engine.recovery.resume()
    await engine.recovery.rearm()
    engine.guard.start()
    running = [
        asyncio.create_task(engine.scheduler.run(), name="defib-scheduler"),
        asyncio.create_task(engine.guard.watch_clocks(), name="defib-clocks"),
    ]
    try:
        await engine.chores.make_due_reports()
        while clock.monotonic() < ends and _has_work(engine, ends) and not engine.is_stopping:
            engine.chores.check_term()
            await clock.sleep(0.02)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if not engine.is_stopping and engine.writer.stale is None:
            await engine.standing.run_once()
            await asyncio.wait({asyncio.ensure_future(engine.courier.wait_tried())}, timeout=_DELIVER_WAIT_S)
            await engine.housekeeping.flush()
            await engine.chores.roll_up()
            await engine.dead_man.ping()
        await engine.wind_down()


def _due(engine: Engine, *, every: bool) -> list[MonitorId]:
    now, unfinished = engine.clock.now(), engine.recovery.unfinished()
    due = []
    for monitor in engine.roster.monitors:
        health = engine.table[monitor]
        if (
            every
            or monitor in unfinished
            or health.last is None
            or health.state is State.SUSPECT
            or now - health.last.started_at >= engine.roster.strategy(monitor).interval - DUE_SLACK
            or now < health.last.started_at
        ):
            due.append(monitor)
    return due


def _has_work(engine: Engine, ends: float) -> bool:
    next_due = engine.scheduler.next_due()
    return (
        engine.scheduler.in_flight > 0
        or (next_due is not None and next_due < ends)
        or not engine.recovery.is_idle
    )

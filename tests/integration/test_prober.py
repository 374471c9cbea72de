"""Whatever a plugin does, the engine gets an observation in time."""

import asyncio
import time
from datetime import timedelta

import pytest

from defib.engine.clock import SystemClock
from defib.engine.detection.prober import Prober
from defib.model.evidence import Evidence, Outcome
from defib.model.ids import MonitorId
from defib.ports import ProbeContext

MAIN = MonitorId("main")


class Plugin:
    """A monitor whose probe is given."""

    target, host = "", ""

    def __init__(self, probe: object) -> None:
        self._probe = probe

    async def probe(self, context: ProbeContext) -> Evidence:
        return await self._probe()  # type: ignore[operator,no-any-return]

    async def close(self) -> None:
        pass


async def look(probe: object) -> Evidence:
    prober = Prober(SystemClock())
    observation = await prober.look(MAIN, Plugin(probe), timedelta(seconds=0.1))
    await prober.close()
    assert observation.ended_at >= observation.started_at
    return observation.evidence


async def test_evidence_is_handed_on() -> None:
    async def probe() -> Evidence:
        return Evidence.ok("fine")

    assert await look(probe) == Evidence.ok("fine")


async def test_a_plugin_that_hangs_is_a_timeout() -> None:
    async def probe() -> Evidence:
        await asyncio.sleep(60)
        raise AssertionError

    started = time.monotonic()
    evidence = await look(probe)
    assert (evidence.outcome, evidence.cause) == (Outcome.FAIL, "timeout")
    assert time.monotonic() - started < 3


async def test_a_plugin_that_refuses_to_be_cancelled_holds_nobody_up() -> None:
    async def probe() -> Evidence:
        for _ in range(2):
            try:
                await asyncio.sleep(0.9)
            except asyncio.CancelledError:
                continue
        return Evidence.ok("at last")

    assert (await look(probe)).cause == "timeout"


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyError("x"), asyncio.CancelledError()])
async def test_a_plugin_that_crashes_is_inconclusive_never_down(error: BaseException) -> None:
    async def probe() -> Evidence:
        raise error

    assert (await look(probe)).outcome is Outcome.INCONCLUSIVE


async def test_a_plugin_that_returns_something_else_is_inconclusive() -> None:
    async def probe() -> bool:
        return True

    evidence = await look(probe)
    assert evidence.outcome is Outcome.INCONCLUSIVE
    assert "returned no evidence" in evidence.summary

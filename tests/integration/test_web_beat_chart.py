"""The page of a monitor that beats: what it shows where others have response times."""

import re
from pathlib import Path

import pytest

from defib.model.beat import Signal
from defib.model.ids import MonitorId
from receiver_world import make_world

NIGHTLY = MonitorId("nightly")


@pytest.mark.parametrize("period", ["24h", "7d"])
async def test_beats_failures_and_runs_are_drawn_and_response_times_are_not(
    tmp_path: Path, period: str
) -> None:
    world = make_world(tmp_path)
    world.expect_beats("nightly")
    world.expect_beats("quiet")
    async with world.running() as site:
        for signal in (Signal.START, Signal.ALIVE, Signal.START, Signal.FAIL):
            await site.engine.beats.accept(NIGHTLY, signal, protocol="test")
        await site.engine.housekeeping.flush()

        page = (await site.client.get(f"/monitors/nightly?period={period}")).text
        quiet = (await site.client.get(f"/monitors/quiet?period={period}")).text

    assert re.search(r"<p>1 failed, 2 runs took 0(\.\d)? s to 0(\.\d)? s, 0(\.\d)? s in the middle</p>", page)
    assert (page.count('class="run"'), page.count('class="run ill"'), page.count('<path class="ill"')) == (
        1,
        1,
        1,
    )
    assert "Response time" not in page
    assert ("Nothing heard" in quiet, 'class="run"' in quiet) == (True, False)

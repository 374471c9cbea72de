"""Targets that hang delay nobody but themselves."""

from collections import defaultdict
from contextlib import closing
from itertools import pairwise

import pytest

from defib_testkit.company import Company
from defib_testkit.many_targets import ManyTargets
from defib_testkit.ports import free_port
from defib_testkit.waiting import wait_until

INTERVAL_S = 2
HEALTHY, HANGING = 180, 20


@pytest.mark.alone
def test_200_monitors_of_which_20_hang_are_probed_on_time(company: Company) -> None:
    company.set(strategies={"steady": {"interval": f"{INTERVAL_S}s", "timeout": "1500ms", "confirm": []}},
                defaults={"strategy": "steady"})  # fmt: skip
    with (
        closing(ManyTargets(["127.0.0.1"], free_port())) as quick,
        closing(ManyTargets(["127.0.0.1"], free_port(), delay=3600)) as slow,
    ):
        company.add_monitors(
            {"id": f"{kind}-{number}", "type": "http", "url": f"http://127.0.0.1:{targets.port}/{number}"}
            for kind, count, targets in (("well", HEALTHY, quick), ("hang", HANGING, slow))
            for number in range(count)
        )
        company.serve()
        wait_until(
            lambda: sum(look["monitor"].startswith("well-") for look in company.looks()) >= HEALTHY * 5,
            60, "five rounds of looks",
        )  # fmt: skip
        assert company.stop() == 0

    seen: dict[str, list[float]] = defaultdict(list)
    for look in company.looks():
        seen[look["monitor"]].append(look["at"].timestamp())
    well = {monitor: times[1:] for monitor, times in seen.items() if monitor.startswith("well-")}
    assert len(well) == HEALTHY
    # the first look of each is spread over the start; from the second on, turns are an interval apart
    late = sorted(b - a - INTERVAL_S for times in well.values() for a, b in pairwise(times))
    assert len(late) >= HEALTHY * 2
    assert late[int(len(late) * 0.99)] < 0.5
    states = dict(company.rows("SELECT substr(monitor, 1, 4) || state, count(*) FROM health GROUP BY 1"))
    assert states["wellup"] == HEALTHY
    assert "hangup" not in states

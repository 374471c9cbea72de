"""Lines that lose probes, and targets that fail now and then: the production engine on virtual time."""

from dataclasses import replace

import pytest

from defib.model.health import State
from defib_sim.modes import Loss
from defib_sim.playing import PLAIN, play
from defib_sim.plugin import load_plugins
from defib_sim.results import Result
from defib_sim.scenarios import DAY, Role, named

SEED = 20260105
NORMAL = load_plugins().strategies.items["normal"]


def suspicions(result: Result) -> int:
    return sum(story.states.count(State.SUSPECT) for story in result.stories)


def test_time_that_is_left_out_changes_nothing_but_clocks() -> None:
    """Three days on a line that loses 2 %: 57.6 lost ones each day, give or take 7.6."""
    [line] = named(["1 % reset"])
    lossy = replace(line, roles=(Role(loss=Loss(share=0.02, is_reset=True)),), lasts_s=DAY)

    quick = play(lossy, PLAIN, episodes=3, seed=SEED)
    slow = play(replace(lossy, leaves_out_answers=False), PLAIN, episodes=3, seed=SEED)

    assert (quick.monitor_years, slow.monitor_years) == pytest.approx((3 / 365, 3 / 365), rel=0.01)
    assert quick.probes < slow.probes / 5
    assert suspicions(quick) == pytest.approx(170, abs=40)
    assert suspicions(slow) == pytest.approx(170, abs=40)


@pytest.mark.parametrize("name", ["1 % lost", "1 % reset in bursts, 20 %"])
def test_a_month_on_a_line_that_loses_one_probe_of_a_hundred_raises_no_alarm(name: str) -> None:
    [line] = named([name])

    result = play(replace(line, lasts_s=10 * DAY), NORMAL, episodes=3, seed=SEED)

    assert result.crashes == ()
    assert suspicions(result) == pytest.approx(864, rel=0.2)  # one look of a hundred, in 30 days
    assert (result.false_faults, result.false_restarts) == (0, 0)


def test_nobody_is_called_again_for_each_pair_of_lucky_answers() -> None:
    """Two good answers in a row would end it, and call again, six to nine times in these twenty minutes."""
    [unfixable] = named(["intermittent 50 %, unfixable"])

    result = play(unfixable, NORMAL, episodes=12, seed=SEED)

    assert result.found.count == 12
    assert sum(result.down_alerts) <= 18

"""``maintenance:`` in a configuration."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config_kit import load, mistakes
from defib.model.ids import MonitorId
from defib.model.window import Matcher, PlannedMaintenance

MONITORS = "timezone: Asia/Hong_Kong\nmonitors:\n  - {id: m, type: beat, tags: [agents]}\nmaintenance:\n"


def test_one_comes_back_by_cron_and_one_comes_once(tmp_path: Path) -> None:
    text = (
        "  - {name: sunday, cron: '0 3 * * sun', duration: 1h, match: {tags: [agents]}, reason: updates}\n"
        "  - {name: move, from: 2026-12-01 22:00, to: 2026-12-02T03:00+01:00, timezone: Europe/Berlin, match: all}\n"
        "  - {name: one, from: 2026-12-01 22:00, to: 2026-12-02 03:00, match: {monitors: m}}\n"
    )
    assert load(tmp_path, MONITORS + text).maintenance == (
        PlannedMaintenance(
            name="sunday", matcher=Matcher(tags=frozenset({"agents"})), reason="updates", cron="0 3 * * sun",
            duration=timedelta(hours=1), timezone="Asia/Hong_Kong",
        ),
        PlannedMaintenance(
            name="move", matcher=Matcher(), timezone="Europe/Berlin",
            starts_at=datetime(2026, 12, 1, 21, tzinfo=UTC), ends_at=datetime(2026, 12, 2, 2, tzinfo=UTC),
        ),
        PlannedMaintenance(
            name="one", matcher=Matcher(monitors=frozenset({MonitorId("m")})), timezone="Asia/Hong_Kong",
            starts_at=datetime(2026, 12, 1, 14, tzinfo=UTC), ends_at=datetime(2026, 12, 1, 19, tzinfo=UTC),
        ),
    )  # fmt: skip


WEEKLY = "cron: '0 3 * * sun', duration: 1h"


@pytest.mark.parametrize(
    ("window", "path", "says"),
    [
        ("name: a, cron: '0 3 * * sun', match: all", "maintenance[0]", "lacks 'duration'"),
        ("name: a, to: 2026-12-01 22:00, match: all", "maintenance[0]", "lacks 'from'"),
        ("name: a, match: all", "maintenance[0]", "says not when"),
        (f"name: a, {WEEKLY}, from: 2026-12-01 22:00, match: all", "maintenance[0]", "remove what is too much"),
        ("name: a, from: 2026-12-01 22:00, to: 2026-12-01 22:00, match: all", "maintenance[0].to", "must be later"),
        ("name: a, from: tomorrow, to: 2026-12-01 22:00, match: all", "maintenance[0].from", "is no date and time"),
        (f"name: a, {WEEKLY}", "maintenance[0].match", "is missing"),
        (f"name: a, {WEEKLY}, match: {{}}", "maintenance[0].match", "write 'match: all'"),
        (f"name: a, {WEEKLY}, match: {{monitors: [n]}}", "maintenance[0].match.monitors[0]", "unknown monitor 'n'"),
        (f"name: a b, {WEEKLY}, match: all", "maintenance[0].name", "must consist of letters"),
        ("name: a, cron: '0 3 * *', duration: 1h, match: all", "maintenance[0].cron", "five fields"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(tmp_path: Path, window: str, path: str, says: str) -> None:
    [mistake] = mistakes(tmp_path, f"{MONITORS}  - {{{window}}}\n")
    line, at, message = mistake.split(": ", 2)
    assert (line, at) == ("5", path)
    assert says in message


def test_two_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    text = f"  - {{name: a, {WEEKLY}, match: all}}\n" * 2
    [mistake] = mistakes(tmp_path, MONITORS + text)
    assert mistake == "6: maintenance[1]: there is a window 'a' above; give each a name of its own"


def test_a_tag_that_no_monitor_has_is_doubtful(tmp_path: Path) -> None:
    settings = load(tmp_path, f"{MONITORS}  - {{name: a, {WEEKLY}, match: {{tags: [agent]}}}}\n")
    assert any("no monitor has the tag 'agent'" in warning for warning in settings.warnings)


def test_a_window_that_is_over_is_doubtful(tmp_path: Path) -> None:
    over, ahead = "from: 2026-01-01 22:00, to: 2026-01-02", "from: 2026-01-01 22:00, to: 2999-01-02"
    assert load(tmp_path, f"{MONITORS}  - {{name: a, {ahead}, match: all}}\n").warnings == ()
    [warning] = load(tmp_path, f"{MONITORS}  - {{name: a, {over}, match: all}}\n").warnings
    assert warning.endswith("5: maintenance[0].to: is in the past, so nothing comes of the window; remove it")

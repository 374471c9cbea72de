"""What ``defib explain`` prints of a monitor or an incident."""

from typing import Any

import pytest

from defib.cli import words

INCIDENT: dict[str, Any] = {
    "name": "Shop", "summary": "connection refused", "sentences": [], "cases": [], "attempts": [], "alerts": [],
    "snapshot": None,
}  # fmt: skip


def printed(capsys: pytest.CaptureFixture[str], **given: Any) -> list[str]:
    words.print_incident({**INCIDENT, **given}, "UTC")
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("deliveries", "verdicts", "told"),
    [
        (
            [{"channel": "chat", "state": "delivered"}, {"channel": "mail", "state": "dead"}],
            [{"ruling": "passed", "reason": "through chat, mail"}],
            "chat delivered, mail dead",
        ),
        (
            [],
            [{"ruling": "passed", "reason": "new"}, {"ruling": "held", "reason": "its switch is down"}],
            "not told: its switch is down",
        ),
        ([], [{"ruling": "dropped", "reason": "no route takes it"}], "not told: no route takes it"),
        ([], [], "not told"),
    ],
)
def test_an_alert_says_to_whom_it_went_or_why_to_nobody(
    deliveries: list[Any], verdicts: list[Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    alert = {
        "at": "2026-01-03T14:15:19+00:00", "severity": "high", "title": "Shop is down",
        "deliveries": deliveries, "verdicts": verdicts,
    }  # fmt: skip

    assert f"  2026-01-03 14:15:19  high: Shop is down ({told})" in printed(capsys, alerts=[alert])


def test_a_snapshot_comes_last_and_the_end_of_each_long_part_stands_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts = [
        {"heading": "load", "text": "load 1.0"},
        {"heading": "sockets", "text": "\n".join(f"port {number}" for number in range(1, 101))},
    ]
    snapshot = {"taken_at": "2026-01-03T14:15:19+00:00", "parts": parts, "missing": []}

    lines = printed(capsys, snapshot=snapshot)

    assert lines.index("What was told") < lines.index("  load")
    assert lines[lines.index("  load") :] == [
        "  load", "    load 1.0", "  sockets", *(f"    port {number}" for number in range(81, 101)),
        "    the last 20 of 100 lines; --json has all",
    ]  # fmt: skip

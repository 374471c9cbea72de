"""What ``defib explain`` prints of a monitor or an incident."""

from typing import Any

import pytest
from rich.cells import cell_len

from defib.cli import words
from defib.engine.agents.agent_views import STATUS_WORDS
from defib.model.agent import AgentStatus

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


AGENT: dict[str, Any] = {
    "id": "web-1", "name": "web-1", "monitor": "web-1", "pool": "", "status": "online", "word": "Online",
    "kept_out_at": None, "aside": "", "last_seen": None, "metrics": {}, "hostname": "", "os": "",
}  # fmt: skip


def listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *agents: dict[str, Any]
) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    words.print_agents({**AGENT, **agent} for agent in agents)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("status", list(AgentStatus))
def test_agents_of_every_status_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, status: AgentStatus
) -> None:
    word = STATUS_WORDS[status]

    lines = listed(capsys, monkeypatch, {"status": str(status), "word": word})

    assert lines[1].split()[1:] == [*word.lower().split(), "web-1", "never"]
    assert lines[-1] == "1 agent"


def test_agents_of_one_name_are_told_apart_by_what_commands_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = {"id": "550e8400-e29b-41d4-a716-446655440000", "name": "My Server"}

    lines = listed(capsys, monkeypatch, {**host, "monitor": "my-server"}, {**host, "monitor": "my-server-2"})

    assert [line.strip() for line in lines[2:5:2]] == ["my-server", "my-server-2"]


def test_the_list_of_agents_fits_eighty_columns_whatever_they_are_called(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = {"metrics": {"cpu_percent": 100, "memory_percent": 100}, "last_seen": "2026-01-01T00:00:00+00:00"}
    lines = listed(
        capsys, monkeypatch,
        {**loads, "name": "サーバー東京リージョン第二データセンターの本番系", "monitor": "agent", "pool": "本番系"},
        {**loads, "id": "i" * 70, "name": "i" * 70, "hostname": "ip-10-0-0-12.eu-central-1.compute.internal"},
        {"status": "error", "word": "Reports an error", "kept_out_at": "2026-01-01T00:00:00+00:00",
         "aside": "maintenance"},
    )  # fmt: skip

    assert max(map(cell_len, lines)) <= 80
    assert "".join(lines).count("i") > 70
    assert [line.strip() for line in lines if line.strip() in ("kept out", "maintenance")] == [
        "kept out", "maintenance",
    ]  # fmt: skip


def test_the_overview_fits_eighty_columns_and_cuts_nothing_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    known = {
        "since": "2026-01-01T00:00:00+00:00",
        "recovery": {"case": None},
        "flapping": None,
        "suspicion": None,
    }
    monitors = [
        {
            **known,
            "id": "m" * 66,
            "state": "maintenance",
            "latency_ms": 12345.0,
            "reason": "r" * 90,
            "summary": "",
        },
        {**known, "id": "web", "state": "up", "latency_ms": 1.0, "reason": "", "summary": "HTTP 200"},
    ]

    words.print_overview({"problems": [], "monitors": monitors, "counts": {"up": 1}, "strategy": "normal"})

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    said = "".join(lines)
    assert (said.count("m" * 10) > 0, said.count("r") > 90, "…" in said) == (True, True, False)
    assert "12345 ms" in said
    assert "· maintenance " in said

"""Rows of the overview: the template's own markup, filled for each monitor."""

from datetime import UTC, datetime
from typing import Any

import pytest

from defib.web.overview_rows import MonitorRows
from defib.web.rendering import Pages

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WORDS = {"up": "Up", "fault": "At fault"}
WELL: dict[str, Any] = {
    "id": "shop", "name": "Shop", "type": "http", "target": "http://shop", "tags": ["web", "eu"], "state": "up",
    "since": "2026-11-20T09:55:00+00:00", "says": "HTTP 200", "inconclusive": False, "latency_ms": 12.4,
    "last_seen": "2026-11-20T11:59:35+00:00", "deadline": None, "flapping": None, "suspicion": None,
    "recovery": {"mode": "none", "doing": "", "case": None}, "hours": ["none"] * 22 + ["ok", "bad"],
    "latencies_ms": [10.0, 20.0, 5.0],
}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> MonitorRows:
    pages = Pages(lambda name: name, lambda request: {})
    return MonitorRows(pages.macro("parts.html", "monitor_row"))


def test_a_row_shows_its_monitor(rows: MonitorRows) -> None:
    row = " ".join(rows.row(WELL, NOW, WORDS).split())
    assert '<li class="monitor" data-id="shop" data-state="up" data-look="clear">' in row
    assert '<use href="#i-up"/>' in row
    assert '<b data-slot="word">Up</b>' in row
    assert '<time datetime="2026-11-20T09:55:00+00:00" data-say="span">2 h 5 min</time>' in row
    assert '<a data-slot="name" href="/monitors/shop">Shop</a>' in row
    assert '<span class="tag">web</span><span class="tag">eu</span>' in row
    assert '<span data-slot="latency">12 ms</span>' in row
    assert '<polyline points="0,12 50,1 100,17.5"/>' in row
    assert "<title>Last 24 hours: 1 hour bad</title>" in row
    assert '<path class="ok" d="M22 0h.78v1h-.78z"/>' in row
    assert 'data-slot="seen"><time datetime="2026-11-20T11:59:35+00:00" data-say="ago">20 s ago</time>' in row
    assert row.count(" hidden>") == 4  # flapping, due, late and recovery


def test_what_is_late_flapping_and_recovering_is_not_hidden(rows: MonitorRows) -> None:
    sick = WELL | {
        "state": "fault", "flapping": {"since": "x", "falls": 3}, "suspicion": 0.25, "inconclusive": True,
        "deadline": "2026-11-20T11:57:00+00:00", "recovery": {"mode": "auto", "doing": "", "case": None},
    }  # fmt: skip
    row = rows.row(sick, NOW, WORDS)
    assert " hidden>" not in row
    assert 'data-look="inconclusive"' in row
    assert 'data-say="ahead">3 min late</time>' in row
    assert 'value="0.25"' in row
    assert "recovery auto" in row


def test_what_is_not_known_yet_leaves_the_blank_that_scripts_fill(rows: MonitorRows) -> None:
    blank = WELL | {"since": None, "last_seen": None, "latency_ms": None, "latencies_ms": [], "hours": []}
    row = rows.row(blank, NOW, WORDS)
    assert '<time data-say="span"></time>' in row
    assert '<span data-slot="seen" hidden><time data-say="ago"></time></span>' in row
    assert '<span data-slot="latency">–</span>' in row
    assert '<polyline points=""/>' in row
    assert "<title>Last 24 hours: nothing seen</title>" in row


@pytest.mark.parametrize("slot", ["id", "name", "type", "target", "says"])
def test_nothing_from_outside_is_markup(rows: MonitorRows, slot: str) -> None:
    evil = "\x00name\x00<script>alert('1')</script>\""
    row = rows.row(WELL | {slot: evil, "tags": [evil]}, NOW, WORDS)
    assert "<script" not in row
    assert row.count("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&#34;") >= 2

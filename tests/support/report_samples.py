"""Days that reports are made of, and ways to read what was made."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from defib.model.ids import AttemptId, CaseId
from defib.plugin import (
    Alert,
    AlertFacts,
    AlertId,
    AlertKind,
    Attempt,
    AttemptOutcome,
    Incident,
    IncidentId,
    MonitorId,
    MonitorPeriod,
    Period,
    ReportDocument,
    ReportId,
    Severity,
)
from defib_reports import daily
from defib_reports.daily.wording import NBSP, plain

HONG_KONG = ZoneInfo("Asia/Hong_Kong")
BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2026, 11, 20, tzinfo=HONG_KONG).astimezone(UTC)
DAY = timedelta(days=1)
NO_TIME = timedelta(0)
REFERENCE = Path(__file__).parents[2] / "docs/reference/report-json.md"


# --- a day and its parts -------------------------------------------------------------------------------


def at(hour: int, minute: int = 0, second: float = 0) -> datetime:
    """That time of 20 November 2026 in Hong Kong."""
    return MIDNIGHT + timedelta(hours=hour, minutes=minute, seconds=second)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def monitor(id: str = "main", **changes: Any) -> MonitorPeriod:
    """An agent that was looked at each 30 s and was well all day."""
    well = MonitorPeriod(
        monitor=MonitorId(id),
        name=id,
        kind="http",
        family="agent",
        state="up",
        tags=(),
        counts={"healthy": 2880, "unhealthy": 0, "error": 0, "unknown": 0},
        up=DAY,
        down=NO_TIME,
        down_lo=NO_TIME,
        down_hi=NO_TIME,
        latencies_ms=(12.0, 40.0, 80.0),
        latency_mean_ms=15.0,
        incidents=0,
        previous_p95_ms=40.0,
    )
    return replace(well, **changes)


def fallen(
    id: str = "main", down: float = 864, lo: float = 800, hi: float = 928, **changes: Any
) -> MonitorPeriod:
    """The same, but down for so many seconds."""
    bounds = {
        "up": DAY - seconds(down),
        "down": seconds(down),
        "down_lo": seconds(lo),
        "down_hi": seconds(hi),
    }
    return monitor(id, **{**bounds, "incidents": 1, **changes})


def unseen(id: str = "printer", **changes: Any) -> MonitorPeriod:
    """A monitor that nothing is known of."""
    nothing = {
        "counts": {},
        "up": NO_TIME,
        "latencies_ms": None,
        "latency_mean_ms": None,
        "previous_p95_ms": None,
    }
    return monitor(id, **{**nothing, "state": "new", **changes})


def incident(id: str = "i1", of: str = "main", **changes: Any) -> Incident:
    """Began at 02:59:58 ± 2 s, was decided on at 03:00:10 and healed by Defib at 03:00:16.4."""
    healed = Incident(
        id=IncidentId(id),
        monitor=MonitorId(of),
        opened_at=at(3, 0, 10),
        fault_lo=at(2, 59, 56),
        fault_hi=at(3),
        cause="refused",
        grade="E1",
        summary="connection refused",
        closed_at=at(3, 0, 16.4),
        healed_by="defib",
    )
    return replace(healed, **changes)


def still_open(id: str = "i1", of: str = "main", **changes: Any) -> Incident:
    return incident(id, of, **{"closed_at": None, "healed_by": None, **changes})


def attempt(id: str = "a1", of: str = "main", **changes: Any) -> Attempt:
    """It ran from 03:00:11 for 1.2 s and was seen to have worked at 03:00:16.4."""
    worked = Attempt(
        id=AttemptId(id),
        case=CaseId("c1"),
        incident=IncidentId("i1"),
        monitor=MonitorId(of),
        number=1,
        rung=0,
        kind="systemd",
        description=f"systemctl restart {of}",
        actor="auto",
        intent_at=at(3, 0, 11),
        boot_id="boot",
        started_at=at(3, 0, 11),
        ended_at=at(3, 0, 12.2),
        verified_at=at(3, 0, 16.4),
        exit_status=0,
        outcome=AttemptOutcome.VERIFIED,
    )
    return replace(worked, **changes)


ALERTED = at(3, 0, 10)


def alert(
    id: str = "al1",
    event: AlertKind = AlertKind.DOWN,
    of: str = "main",
    moment: datetime = ALERTED,
    **changes: Any,
) -> Alert:
    facts = AlertFacts(
        event=event,
        monitor=MonitorId(of),
        monitor_name=of,
        monitor_kind="http",
        family="agent",
        target="http://127.0.0.1:8000/health",
        at=moment,
        since=moment,
        cause="refused",
        summary="connection refused",
    )
    down = Alert(
        id=AlertId(id),
        kind="agent_down",
        severity=Severity.HIGH,
        title=f"{of} is down",
        description="",
        evidence=(),
        recommendations=(),
        at=moment,
        monitor=MonitorId(of),
        incident=IncidentId("i1"),
        facts=facts,
    )
    return replace(down, **changes)


def day(*monitors: MonitorPeriod, **changes: Any) -> Period:
    """20 November 2026 in Hong Kong, reported at 08:00 on the next morning."""
    quiet = Period(
        report=ReportId("report_20261120"),
        name="daily",
        timezone="Asia/Hong_Kong",
        start=MIDNIGHT,
        end=MIDNIGHT + DAY,
        generated_at=MIDNIGHT + timedelta(hours=32),
        version="0.1.0",
        monitors=monitors,
        incidents=(),
        attempts=(),
        alerts=(),
        deliveries={},
        observed=DAY,
    )
    return replace(quiet, **changes)


def documented_day() -> Period:
    """The day whose JSON is the example in the reference."""
    return day(
        fallen(name="Main Agent", down=18.4, lo=16.4, hi=20.4, tags=("agents",), previous_p95_ms=32.0,
               counts={"healthy": 2878, "error": 2}),
        monitor("db", name="PostgreSQL", kind="postgres", family="database", latencies_ms=(1.2, 3.4, 7.9),
                latency_mean_ms=1.5, previous_p95_ms=None),
        incidents=(incident(),),
        attempts=(attempt(),),
        alerts=(alert(), alert("al2", AlertKind.RECOVERED, moment=at(3, 0, 17), kind="recovered",
                               severity=Severity.INFO, title="main is well again")),
        deliveries={"ops-mail": {"delivered": 2}},
    )  # fmt: skip


WRITER = daily.create()  # shared, since compiling its template takes longer than any report


def write(period: Period) -> ReportDocument:
    return WRITER.write(period)


def text_of(period: Period) -> str:
    """The text part without its line breaks."""
    return " ".join(plain(write(period).text).split())


def data_of(period: Period) -> Any:
    return json.loads(write(period).data)


def summary(period: Period) -> list[str]:
    sentences: list[str] = data_of(period)["summary"]
    return sentences


def rows(document: ReportDocument) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(document.csv, newline="")))


class PageText(HTMLParser):
    """What a page shows, and the tags it is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).replace(NBSP, " ").split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [
            value or "" for name, value in attrs if name in ("href", "src", "background", "action")
        ]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

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
    Budget,
    Expiry,
    Forecast,
    Hold,
    Incident,
    IncidentId,
    Missed,
    MonitorId,
    MonitorPeriod,
    ObserverPeriod,
    OwnGap,
    Past,
    Period,
    ReportDocument,
    ReportId,
    ResponseHour,
    Ruling,
    Severity,
    SickSpell,
    Stage,
    State,
    Stretch,
    Verdict,
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


# --- a company's day, with everything in it -------------------------------------------------------------


def stretches(*changes: tuple[datetime, State], until: datetime = MIDNIGHT + DAY) -> tuple[Stretch, ...]:
    """A timeline: each state from its instant to the next one."""
    ends = [*(since for since, _ in changes[1:]), until]
    return tuple(
        Stretch(state=state, since=since, until=end) for (since, state), end in zip(changes, ends, strict=True)
    )


def _hourly(peak: int, low: float, high: float) -> tuple[ResponseHour, ...]:
    """Response times over the day, slowest around one hour."""
    return tuple(
        ResponseHour(
            at=at(hour),
            p50_ms=low * (1 + 2.0 / (1 + abs(hour - peak))),
            p95_ms=low * 2.2 + (high - low * 2.2) / (1 + (hour - peak) ** 2 / 3),
        )
        for hour in range(24)
    )


def busy_day(language: str = "en", **changes: Any) -> Period:
    """20 November 2026 of a small company: healed, open, flapping, filling up, ending, missed, over budget."""
    weather_since = at(21, 14)
    budget = Budget(objective=0.999, window=timedelta(days=30), allowed=seconds(2592), spent=seconds(1034), burn=1.48)
    spent = Budget(objective=0.995, window=timedelta(days=30), allowed=seconds(12_960), spent=seconds(15_100), burn=23.1)
    flaps = [at(10, 5 * n) for n in range(6)]
    monitors = (
        fallen("main", name="Main Agent", down=128, lo=120, hi=136, incidents=2, falls=2, tags=("agents",),
               previous_p95_ms=52.0, latencies_ms=(23.0, 71.0, 180.0), counts={"healthy": 2871, "error": 9},
               week_before=Past(availability=1.0, latencies_ms=(20.0, 55.0, 90.0)), budget=budget,
               timeline=stretches((MIDNIGHT, State.UP), (at(2, 59, 58), State.FAULT), (at(3, 0, 16), State.UP),
                                  (at(16, 40), State.FAULT), (at(16, 41, 50), State.UP))),
        fallen("weather", name="Weather Agent", down=9_960, lo=9_945, hi=9_975, state="fault", falls=1, tags=("agents",),
               latencies_ms=(310.0, 1340.0, 2480.0), previous_p95_ms=900.0, budget=spent,
               counts={"healthy": 2540, "error": 340},
               timeline=stretches((MIDNIGHT, State.UP), (at(13), State.DEGRADED), (at(14, 30), State.UP),
                                  (weather_since, State.FAULT))),
        monitor("db", name="PostgreSQL", kind="postgres", family="database", latencies_ms=(1.2, 3.4, 7.9),
                latency_mean_ms=1.5, previous_p95_ms=3.3, timeline=stretches((MIDNIGHT, State.UP))),
        fallen("gateway", name="Gateway", kind="docker", family="docker", down=420, lo=372, hi=468, incidents=6, falls=6,
               latencies_ms=(4.0, 9.0, 30.0), previous_p95_ms=9.1, counts={"healthy": 2822, "unhealthy": 58},
               timeline=stretches((MIDNIGHT, State.UP), *((edge, state) for began in flaps for edge, state in (
                   (began, State.FAULT), (began + seconds(70), State.UP))))),
        monitor("host", name="Host hk-1", kind="host", family="host", latencies_ms=None, latency_mean_ms=None,
                previous_p95_ms=None, state="degraded",
                timeline=stretches((MIDNIGHT, State.UP), (at(18), State.DEGRADED))),
        monitor("shop", name="Web shop", family="service", latencies_ms=(88.0, 240.0, 610.0), previous_p95_ms=260.0,
                counts={"healthy": 2640}, up=timedelta(hours=22),
                timeline=stretches((MIDNIGHT, State.UP), (at(4), State.MAINTENANCE), (at(6), State.UP))),
        fallen("backup", name="Nightly backup", kind="heartbeat", family="job", down=5_400, lo=5_400, hi=5_400,
               latencies_ms=None, latency_mean_ms=None, previous_p95_ms=None, counts={"healthy": 1, "error": 1},
               timeline=stretches((MIDNIGHT, State.UP), (at(3, 30), State.FAULT), (at(5), State.UP))),
        monitor("mail", name="Mail relay", kind="tcp", family="network", latencies_ms=(0.8, 1.9, 4.0),
                previous_p95_ms=1.9, timeline=stretches((MIDNIGHT, State.UP))),
    )  # fmt: skip
    flapping = tuple(
        incident(f"g{n}", "gateway", opened_at=began + seconds(9), fault_lo=began - seconds(4), fault_hi=began + seconds(4),
                 closed_at=began + seconds(70), healed_by="itself", cause="unhealthy", summary="container is unhealthy")
        for n, began in enumerate(flaps)
    )  # fmt: skip
    second = incident("i2", opened_at=at(16, 40, 12), fault_lo=at(16, 39, 58), fault_hi=at(16, 40, 2), closed_at=at(16, 41, 50),
                      cause="http-500", summary="HTTP 500 in 12 ms")  # fmt: skip
    open_one = still_open("i3", "weather", opened_at=weather_since + seconds(8), fault_lo=weather_since - seconds(15),
                          fault_hi=weather_since + seconds(15), cause="timeout", summary="no answer within 5 s",
                          acked_at=at(21, 40), acked_by="ayse")  # fmt: skip
    missed = incident("i4", "backup", opened_at=at(3, 30), fault_lo=at(3, 30), fault_hi=at(3, 30), closed_at=at(5),
                      healed_by="itself", cause="missed-beat", summary="no report by 03:30")  # fmt: skip
    tries = tuple(
        attempt(f"w{n}", "weather", incident=open_one.id, number=n, description="systemctl restart weather-agent",
                intent_at=began, started_at=began, ended_at=began + seconds(2), verified_at=None, exit_status=1,
                outcome=AttemptOutcome.FAILED, detail="Job for weather-agent.service failed")
        for n, began in enumerate((weather_since + seconds(20), weather_since + seconds(45), weather_since + seconds(95)), 1)
    )  # fmt: skip
    again = attempt("a2", incident=second.id, description="docker restart main-agent", kind="docker",
                    intent_at=at(16, 40, 20), started_at=at(16, 40, 20), ended_at=at(16, 40, 31), verified_at=at(16, 41, 50))  # fmt: skip
    quiet = Verdict(stage=Stage.MUTE, ruling=Ruling.HELD, reason="quiet hours until 07:00", by=Hold.QUIET_HOURS,
                    until=at(7))  # fmt: skip
    alerts = (
        alert("al1", moment=at(3, 0, 10), title="Main Agent is down: connection refused"),
        alert("al2", AlertKind.RECOVERED, moment=at(3, 0, 17), kind="recovered", severity=Severity.INFO,
              title="Main Agent was recovered by Defib in 6.4 s"),
        alert("al3", of="backup", moment=at(3, 30), kind="job_missed", title="Nightly backup did not report",
              severity=Severity.LOW, incident=missed.id, verdicts=(quiet,)),
        alert("al4", AlertKind.FLAPPING, of="gateway", moment=at(10, 12), kind="docker_flapping",
              title="Gateway goes up and down", severity=Severity.HIGH),
        alert("al5", AlertKind.SETTLED, of="gateway", moment=at(10, 45), kind="docker_settled",
              title="Gateway has settled", severity=Severity.INFO),
        alert("al6", of="weather", moment=at(21, 14, 8), incident=open_one.id, severity=Severity.SEVERE,
              title="Weather Agent is down: no answer within 5 s"),
        alert("al7", AlertKind.RECOVERY_FAILED, of="weather", moment=at(21, 17), incident=open_one.id,
              kind="recovery_failed", severity=Severity.SEVERE, title="Weather Agent needs a person: recovery was given up"),
    )  # fmt: skip
    now = MIDNIGHT + timedelta(hours=32)
    busy = day(
        *monitors,
        language=language,
        incidents=(incident(), missed, *flapping, second, open_one),
        attempts=(attempt(), again, *tries),
        alerts=alerts,
        deliveries={"ops-mail": {"delivered": 7}, "ops-chat": {"delivered": 6, "dead": 1}},
        before=Past(availability=0.9997),
        week_before=Past(availability=0.99991),
        forecasts=(
            Forecast(monitor=MonitorId("host"), metric="disk_percent", value=87.2, per_day=0.8,
                     full_at=now + timedelta(days=16.1), full_lo=now + timedelta(days=12.9), full_hi=now + timedelta(days=21.2)),
        ),
        expiries=(Expiry(monitor=MonitorId("shop"), ends_at=now + timedelta(days=5.2)),),
        missed=(Missed(monitor=MonitorId("backup"), times=1, is_missing=False, next_due=now + timedelta(hours=19.5)),),
        responses={MonitorId("weather"): _hourly(14, 250.0, 2900.0), MonitorId("shop"): _hourly(20, 70.0, 420.0),
                   MonitorId("main"): _hourly(16, 20.0, 240.0)},
        observed=DAY - timedelta(minutes=18),
        observer=ObserverPeriod(
            gaps=(OwnGap(since=at(6, 2), until=at(6, 20)),),
            sick=(SickSpell(since=at(15, 1), until=at(15, 3, 20), reason="the event loop was held up for 2.1 s"),),
            lateness_p99_ms=34.0,
            store_bytes=13_400_000,
        ),
        public_url="https://health.example.com",
    )  # fmt: skip
    return replace(busy, **changes)

"""A company's day and week with everything in them, for eyes and for browsers."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from defib.plugin import (
    AlertKind,
    AttemptOutcome,
    Budget,
    Expiry,
    Forecast,
    Hold,
    Lapse,
    Missed,
    Moment,
    MonitorId,
    ObserverPeriod,
    OwnGap,
    Past,
    Period,
    Phrases,
    ReportId,
    ResponseHour,
    Ruling,
    Severity,
    SickSpell,
    Span,
    Stage,
    State,
    Stretch,
    Verdict,
)
from report_samples import (
    DAY,
    MIDNIGHT,
    alert,
    at,
    attempt,
    day,
    fallen,
    incident,
    monitor,
    seconds,
    still_open,
)

phrase = Phrases("defib_plugins")
ANSWERED = phrase("HTTP {status} in {took:.0f} ms", status=500, took=12.0)
HELD_UP = "Defib's event loop has been held up for 2.1 s"
SLOW = phrase("no answer within {limit}, while {phase}", limit=Lapse(5), phase=phrase("connecting"))
MISSED = phrase(
    "no beat by {expected_by}; they come {due}, {last}", expected_by=Moment(at(3, 30)),
    due=phrase("every {every}", every=Lapse(86_400)), last=phrase("none ever came"),
)  # fmt: skip


def stretches(*changes: tuple[datetime, State], until: datetime = MIDNIGHT + DAY) -> tuple[Stretch, ...]:
    """A timeline: each state from its instant to the next one."""
    ends = [*(since for since, _ in changes[1:]), until]
    return tuple(
        Stretch(state=state, since=since, until=end)
        for (since, state), end in zip(changes, ends, strict=True)
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
    budget = Budget(
        objective=0.999, window=timedelta(days=30), allowed=seconds(2592), spent=seconds(1034), burn=1.48
    )
    spent = Budget(
        objective=0.995, window=timedelta(days=30), allowed=seconds(12_960), spent=seconds(15_100), burn=23.1
    )
    flaps = [at(10, 5 * n) for n in range(6)]
    monitors = (
        fallen("main", name="Main Agent", down=128, lo=120, hi=136, incidents=2, falls=2, tags=("agents",),
               previous_p95_ms=52.0, latencies_ms=(23.0, 71.0, 180.0), counts={"healthy": 2871, "error": 9},
               week_before=Past(availability=1.0, latencies_ms=(20.0, 55.0, 90.0)), budget=budget,
               timeline=stretches((MIDNIGHT, State.UP), (at(2, 59, 58), State.FAULT), (at(3, 0, 16), State.UP),
                                  (at(16, 40), State.FAULT), (at(16, 41, 50), State.UP))),
        fallen("weather", name="Weather Agent", down=9_960, lo=9_945, hi=9_975, state="fault", falls=1,
               tags=("agents",),
               latencies_ms=(310.0, 1340.0, 2480.0), previous_p95_ms=900.0, budget=spent,
               counts={"healthy": 2540, "error": 340},
               timeline=stretches((MIDNIGHT, State.UP), (at(13), State.DEGRADED), (at(14, 30), State.UP),
                                  (weather_since, State.FAULT))),
        monitor("db", name="PostgreSQL", kind="postgres", family="database", latencies_ms=(1.2, 3.4, 7.9),
                latency_mean_ms=1.5, previous_p95_ms=3.3, timeline=stretches((MIDNIGHT, State.UP))),
        fallen("gateway", name="Gateway", kind="docker", family="docker", down=420, lo=372, hi=468, incidents=6,
               falls=6,
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
        incident(f"g{n}", "gateway", opened_at=began + seconds(9), fault_lo=began - seconds(4),
                 fault_hi=began + seconds(4),
                 closed_at=began + seconds(70), healed_by="itself", cause="unhealthy",
                 summary=phrase("{name} runs, but its health check fails: {output}", name="gateway", output="502"))
        for n, began in enumerate(flaps)
    )  # fmt: skip
    second = incident("i2", opened_at=at(16, 40, 12), fault_lo=at(16, 39, 58), fault_hi=at(16, 40, 2),
                      closed_at=at(16, 41, 50),
                      cause="http-500", summary=ANSWERED)  # fmt: skip
    open_one = still_open("i3", "weather", opened_at=weather_since + seconds(8), fault_lo=weather_since - seconds(15),
                          fault_hi=weather_since + seconds(15), cause="timeout",
                          summary=SLOW,
                          acked_at=at(21, 40), acked_by="ayse")  # fmt: skip
    missed = incident("i4", "backup", opened_at=at(3, 30), fault_lo=at(3, 30), fault_hi=at(3, 30), closed_at=at(5),
                      healed_by="itself", cause="missed-beat", summary=MISSED)  # fmt: skip
    tries = tuple(
        attempt(f"w{n}", "weather", incident=open_one.id, number=n, description="systemctl restart weather-agent",
                intent_at=began, started_at=began, ended_at=began + seconds(2), verified_at=None, exit_status=1,
                outcome=AttemptOutcome.FAILED, detail="Job for weather-agent.service failed")
        for n, began in enumerate((weather_since + seconds(20), weather_since + seconds(45),
                                  weather_since + seconds(95)), 1)
    )  # fmt: skip
    again = attempt("a2", incident=second.id, description="docker restart main-agent", kind="docker",
                    intent_at=at(16, 40, 20), started_at=at(16, 40, 20), ended_at=at(16, 40, 31),
                                 verified_at=at(16, 41, 50))  # fmt: skip
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
              kind="recovery_failed", severity=Severity.SEVERE,
              title="Weather Agent needs a person: recovery was given up"),
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
                     full_at=now + timedelta(days=16.1), full_lo=now + timedelta(days=12.9),
                     full_hi=now + timedelta(days=21.2)),
        ),
        expiries=(Expiry(monitor=MonitorId("shop"), ends_at=now + timedelta(days=5.2)),),
        missed=(Missed(monitor=MonitorId("backup"), times=1, is_missing=False,
                next_due=now + timedelta(hours=19.5)),),
        responses={MonitorId("weather"): _hourly(14, 250.0, 2900.0), MonitorId("shop"): _hourly(20, 70.0, 420.0),
                   MonitorId("main"): _hourly(16, 20.0, 240.0)},
        observed=DAY - timedelta(minutes=18),
        observer=ObserverPeriod(
            gaps=(OwnGap(since=at(6, 2), until=at(6, 20)),),
            sick=(SickSpell(since=at(15, 1), until=at(15, 3, 20), reason=HELD_UP),),
            lateness_p99_ms=34.0,
            store_bytes=13_400_000,
        ),
        public_url="https://health.example.com",
    )  # fmt: skip
    return replace(busy, **changes)


def week(language: str = "en") -> Period:
    """16 to 22 November 2026, with an outage on Wednesday and one at the weekend."""
    start = MIDNIGHT - 4 * DAY
    fell = start + timedelta(days=2, hours=9)
    main = fallen(
        "main", down=36_000, lo=35_990, hi=36_010, up=7 * DAY - timedelta(hours=10),
        timeline=stretches((start, State.UP), (fell, State.FAULT), (fell + timedelta(hours=1), State.UP),
                           (start + timedelta(days=5), State.FAULT), (start + timedelta(days=5, hours=9), State.UP),
                           until=start + 7 * DAY),
    )  # fmt: skip
    well = monitor("db", up=7 * DAY, timeline=stretches((start, State.UP), until=start + 7 * DAY))
    return day(main, well, report=ReportId("weekly_20261116"), name="weekly", span=Span.WEEK, start=start,
               end=start + 7 * DAY, generated_at=start + 7 * DAY + timedelta(hours=8), observed=7 * DAY,
               language=language, incidents=(incident("i1", opened_at=fell, fault_lo=fell, fault_hi=fell,
                                                      closed_at=fell + timedelta(hours=1)),))  # fmt: skip

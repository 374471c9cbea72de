"""One suite over both stores: what is committed is read back, whole and in order; what fails leaves nothing."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from defib.errors import StoreBusyError, StoreError
from defib.model.alert import (
    Alert,
    AlertFacts,
    AlertKind,
    Delivery,
    DeliveryState,
    Held,
    Hold,
    Purpose,
    Ruling,
    Severity,
    Stage,
    Together,
    Verdict,
)
from defib.model.beat import Beat, Signal
from defib.model.changes import Changes, DeliveryTry, Forget, WatchSpan
from defib.model.evidence import Evidence, Grade, Observation, Source
from defib.model.health import FaultLabel, Flaps, Health, Incident, State, Transition
from defib.model.history import Latencies
from defib.model.ids import AlertId, AttemptId, CaseId, DeliveryId, IncidentId, MonitorId, ReportId, WindowId
from defib.model.monitor import MadeMonitor
from defib.model.phrase import Lapse, Phrases, Said
from defib.model.recovery import Attempt, AttemptOutcome, AuditEntry, Case, CaseState, Gate
from defib.model.report import ReportDocument
from defib.model.snapshot import Snapshot
from defib.model.window import Matcher, Window, WindowKind
from defib.store import Database, Reader, Writer, open_database
from defib.store.lock import OwnerLock
from defib.store.migrate import newest_revision
from defib.store.schema import REVISION

T = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
MAIN = MonitorId("main")
INCIDENT = IncidentId("inc-1")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/defib.db"
    else:
        url = request.getfixturevalue("postgres_database").dsn
    database = open_database(url)
    yield database
    database.close()


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    writer = Writer(database)
    yield writer
    writer.close()


@pytest.fixture
def reader(database: Database) -> Reader:
    return Reader(database)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def saw(evidence: Evidence, seconds: float = 0) -> Observation:
    return Observation(
        monitor=MAIN, source=Source.PROBE, evidence=evidence, started_at=at(seconds), ended_at=at(seconds)
    )


WELL = saw(
    Evidence.ok("fine", latency=timedelta(microseconds=1500), metrics={"x": 1.5}, facts={"a": "é", "b": None})
)
ILL = saw(Evidence.fail("refused", "connection refused", grade=Grade.STRONG), 5)
HEALTH = Health(
    monitor=MAIN,
    state=State.UP,
    since=T,
    reason="well",
    memory={"fails": 0},
    last=WELL,
    last_ok_at=T,
    was_up=True,
    beats={"heard": 1.5, "pulse": {"phases": [0.25, 0.5]}, "runs": {"": {"started": 2.0}}},
    flaps=Flaps(swings=(T, at(5)), since=at(5), falls=2, told_at=at(5)),
    stop_told=True,
)
FAULT = Transition(
    monitor=MAIN, from_state=State.SUSPECT, to_state=State.FAULT, t_lo=T, t_hi=at(5), decided_at=at(8),
    reason="3 of 3", evidence=ILL, incident=INCIDENT,
)  # fmt: skip
OPEN = Incident(
    id=INCIDENT,
    monitor=MAIN,
    opened_at=at(8),
    fault_lo=T,
    fault_hi=at(5),
    cause="refused",
    grade="E1",
    summary="refused",
    root=IncidentId("inc_first"),
    label=FaultLabel.INTERMITTENT,
)
CASE = Case(
    id=CaseId("c1"), incident=INCIDENT, monitor=MAIN, state=CaseState.GATED, opened_at=at(8), due_at=at(16),
    gate=Gate.OTHER_CONTROLLER, gated_since=at(9), pages=("late", "blocked:rate"),
)  # fmt: skip
ATTEMPT = Attempt(
    id=AttemptId("a1"), case=CASE.id, incident=INCIDENT, monitor=MAIN, number=1, rung=0, kind="script",
    description="restart", actor="auto", intent_at=at(16), boot_id="boot", pid=42, pid_started=1234.5,
    identity_before="1234 17:00", identity_after="1240 17:01", signature_before="E2 http-500",
    signature_after="E1 refused", relapsed_at=at(90),
)  # fmt: skip
ALERT = Alert(
    id=AlertId("al1"), kind="agent_down", severity=Severity.HIGH, title="Main is down", description="…",
    evidence=("refused",), recommendations=("look",), at=at(8), monitor=MAIN, incident=INCIDENT,
    facts=AlertFacts(event=AlertKind.DOWN, monitor=MAIN, monitor_name="Main", monitor_kind="http", family="agent",
                     target="http://localhost", at=at(8), since=at(5), cause="refused", summary="refused",
                     evidence=("refused",), facts={"port": 1}, tags=("a", "b")),
)  # fmt: skip


def delivery(number: int, key: str) -> Delivery:
    return Delivery(
        id=DeliveryId(f"d{number}"), channel="mail", notice=ALERT.id, notice_type="alert", key=key,
        created_at=at(number), due_at=at(number), thread=INCIDENT,
    )  # fmt: skip


def commit(writer: Writer, changes: Changes) -> None:
    writer.submit(changes).result(10)


def test_a_decision_is_read_back_as_it_was_written(writer: Writer, reader: Reader) -> None:
    changes = Changes(
        health=(HEALTH,), observations=(WELL, ILL), transitions=(FAULT,), incidents=(OPEN,), cases=(CASE,),
        attempts=(ATTEMPT,), alerts=(ALERT,), new_deliveries=(delivery(1, "k1"),),
        audit=(AuditEntry(at=T, actor="auto", event="recovery.intent", subject="main", facts={"n": 1}),),
        watch=(WatchSpan(started_at=T, seen_at=at(9)),), settings=(("strategy", "aggressive"),),
    )  # fmt: skip
    commit(writer, changes)
    assert reader.health() == {MAIN: HEALTH}
    assert reader.transitions(newest=5) == [FAULT]
    assert reader.incidents(only_open=True) == [OPEN]
    assert reader.cases(only_active=True) == [CASE]
    assert reader.attempts(monitor=MAIN) == [ATTEMPT]
    assert reader.alerts(incident=INCIDENT) == [ALERT]
    assert reader.pending_deliveries() == [delivery(1, "k1")]
    assert reader.audit() == list(changes.audit)
    assert reader.watch_spans(T, at(1)) == list(changes.watch)
    assert reader.settings() == {"strategy": "aggressive"}
    assert reader.status_counts(T, at(60)) == {MAIN: {"healthy": 1, "error": 1}}
    assert reader.latencies(T, at(60)) == {MAIN: Latencies(mean_ms=1.5, p50_ms=1.5, p95_ms=1.5, p99_ms=1.5)}


def test_made_monitors_are_kept_until_they_are_removed(writer: Writer, reader: Reader) -> None:
    made = MadeMonitor(
        id=MonitorId("sync"), kind="heartbeat", name="Sync", options={"every": "1h", "keywords": {"start": ["GO"]}},
        made_at=T, made_by="a key", description="copies all", tags=("prod", "db"),
    )  # fmt: skip
    commit(writer, Changes(made=(made, replace(made, id=MonitorId("later"), made_at=at(1)))))
    commit(writer, Changes(made=(replace(made, name="Synchronise"),)))
    assert [item.id for item in reader.made_monitors()] == ["sync", "later"]
    assert reader.made_monitors()[0] == replace(made, name="Synchronise")

    commit(writer, Changes(made=(replace(made, removed_at=at(2)),)))
    assert [item.id for item in reader.made_monitors()] == ["later"]


def test_beats_are_read_newest_first_and_counted(writer: Writer, reader: Reader) -> None:
    signals = [Signal.START, Signal.ALIVE, Signal.FAIL, Signal.LOG]
    beats = [
        Beat(monitor=MAIN, signal=signal, received_at=at(second), protocol="ping", body=f"{second}")
        for second, signal in enumerate(signals)
    ]
    commit(writer, Changes(beats=tuple(beats)))

    assert [beat.body for beat in reader.beats(MAIN, newest=3)] == ["3", "2", "1"]
    assert reader.beats(MonitorId("other")) == []
    assert reader.beat_totals() == {MAIN: (4, at(2))}


def test_what_was_said_keeps_what_it_is_made_of(writer: Writer, reader: Reader) -> None:
    """So that it can still be said in another language after a restart; the English stays a plain text."""
    phrase = Phrases("defib_plugins")
    said = phrase("no answer within {limit}, while {phase}", limit=Lapse(5), phase=phrase("connecting"))
    ill = saw(Evidence.fail("timeout", said, facts={"phase": phrase("connecting"), "port": 1}), 5)
    member = Together(
        monitor=MAIN, name="Main", family="agent", summary=said, since=T, recovery=phrase("beat received")
    )
    facts = replace(ALERT.facts, summary=said, evidence=(phrase("{clock}  {text}", clock="12:00:05", text=said),),
                    target=phrase("this machine"), facts=ill.evidence.facts, together=(member,))  # fmt: skip
    commit(
        writer,
        Changes(
            health=(replace(HEALTH, last=ill),), transitions=(replace(FAULT, evidence=ill),),
            incidents=(replace(OPEN, summary=said, resolution=phrase("beat received")),),
            alerts=(replace(ALERT, facts=facts),),
        ),
    )  # fmt: skip

    health = reader.health()[MAIN]
    (transition,), (incident,) = reader.transitions(), reader.incidents()
    alert = reader.alert(ALERT.id)
    assert alert is not None
    assert health.last is not None
    assert transition.evidence is not None
    assert alert.facts == facts
    found: list[object] = [
        health.last.evidence.summary, health.last.evidence.facts["phase"], transition.evidence.evidence.summary,
        incident.summary, incident.resolution, alert.facts.summary, alert.facts.target, alert.facts.facts["phase"],
        alert.facts.evidence[0], alert.facts.together[0].summary, alert.facts.together[0].recovery,
    ]  # fmt: skip
    assert [item for item in found if not isinstance(item, Said)] == []
    line = alert.facts.evidence[0]
    assert isinstance(line, Said)
    assert isinstance(line.values["text"], Said)
    assert line.values["text"].values["limit"] == Lapse(5)
    assert alert.facts.facts["port"] == 1


def test_an_incident_keeps_its_first_snapshot_in_its_order(writer: Writer, reader: Reader) -> None:
    first = Snapshot(
        incident=INCIDENT, monitor=MAIN, taken_at=at(3), took=timedelta(milliseconds=1250),
        parts={"z log": "the queue is full\nüñ\\", "a disks": "", "m": "x" * 60_000}, missing={"rung 2": "late"},
    )  # fmt: skip
    commit(writer, Changes(snapshots=(first,)))
    commit(writer, Changes(snapshots=(replace(first, parts={"log": "after the restart"}),)))

    found = reader.snapshot(INCIDENT)

    assert found == first
    assert list(found.parts) == ["z log", "a disks", "m"]
    assert reader.snapshot(IncidentId("inc-other")) is None
    commit(writer, Changes(forget=(Forget(before=at(60), events=True),)))
    assert reader.snapshot(INCIDENT) is None


def test_a_row_of_the_same_key_is_replaced(writer: Writer, reader: Reader) -> None:
    commit(writer, Changes(health=(HEALTH,), cases=(CASE,), attempts=(ATTEMPT,), incidents=(OPEN,)))
    done = replace(CASE, state=CaseState.DONE, closed_at=at(20))
    verified = replace(ATTEMPT, outcome=AttemptOutcome.VERIFIED, verified_at=at(20))
    closed = replace(OPEN, closed_at=at(20), healed_by="defib", resolution="restart")
    commit(
        writer,
        Changes(
            health=(replace(HEALTH, reason="other"),),
            cases=(done,),
            attempts=(verified,),
            incidents=(closed,),
        ),
    )
    assert reader.health()[MAIN].reason == "other"
    assert reader.cases(only_active=True) == []
    assert reader.cases() == [done]
    assert reader.attempts() == [verified]
    assert reader.incident(INCIDENT) == closed
    assert reader.incidents(only_open=True) == []


def test_the_same_notice_enters_an_outbox_once(writer: Writer, reader: Reader) -> None:
    commit(writer, Changes(alerts=(ALERT,), new_deliveries=(delivery(1, "same"),)))
    commit(writer, Changes(new_deliveries=(delivery(2, "same"), delivery(3, "other"))))
    assert [item.id for item in reader.pending_deliveries()] == ["d1", "d3"]


def test_a_delivered_notice_leaves_the_outbox_and_heads_its_thread(writer: Writer, reader: Reader) -> None:
    commit(writer, Changes(alerts=(ALERT,), new_deliveries=(delivery(1, "k1"),)))
    accepted = replace(
        delivery(1, "k1"), state=DeliveryState.DELIVERED, tries=1, accepted_at=at(9), receipt="<m1>"
    )
    note = DeliveryTry(delivery=accepted.id, at=at(9), accepted=True, detail="250 ok")
    commit(writer, Changes(deliveries=(accepted,), tries=(note,)))
    assert reader.pending_deliveries() == []
    assert reader.delivery_counts(T, at(60)) == {"mail": {"delivered": 1}}


def test_an_alert_keeps_its_verdicts_and_what_people_are_told_of_the_hold(
    writer: Writer, reader: Reader
) -> None:
    held = Held(by=Hold.SILENCE, name="deploy", until=at(600))
    member = Together(
        monitor=MAIN, name="Main", family="agent", summary="refused", since=at(5), duration_s=2.5,
        event=AlertKind.RECOVERED, severity=Severity.INFO, is_over=True,
    )  # fmt: skip
    alert = replace(
        ALERT,
        facts=replace(
            ALERT.facts, held=held, together=(member,), level=2, step=5, reminders=1, actor="ana", acked_at=at(60),
            until=at(90), silent_host="box", silent=7,
        ),
        verdicts=(
            Verdict(stage=Stage.MUTE, ruling=Ruling.HELD, reason="quiet hours", until=at(900), by=Hold.QUIET_HOURS,
                    name="night", channels=("mail", "chat")),
            Verdict(stage=Stage.ROUTE, ruling=Ruling.PASSED, reason="route 1: chat"),
        ),
    )  # fmt: skip
    row = replace(delivery(1, "k1"), purpose=Purpose.FALLBACK, stands_in_for=DeliveryId("d0"), is_quiet=True)

    commit(writer, Changes(alerts=(alert,), new_deliveries=(row,)))

    assert reader.alert(ALERT.id) == alert
    assert reader.deliveries() == [row]


def test_who_was_told_of_an_incident_is_who_took_it_or_will(writer: Writer, reader: Reader) -> None:
    other = replace(OPEN, id=IncidentId("inc2"), monitor=MonitorId("other"), root=INCIDENT)
    joined = replace(ALERT, id=AlertId("al2"), at=at(9), monitor=MonitorId("other"), incident=other.id)
    rows = (
        delivery(1, "k1"),
        replace(delivery(2, "k2"), channel="chat", state=DeliveryState.DELIVERED),
        replace(delivery(3, "k3"), channel="gone", state=DeliveryState.DEAD),
        replace(delivery(4, "k4"), channel="phone", notice=joined.id),
    )

    commit(writer, Changes(incidents=(OPEN, other), alerts=(ALERT, joined), new_deliveries=rows))

    assert reader.told_channels(INCIDENT) == ("mail", "chat")
    assert reader.told_channels(other.id) == ("phone",)
    assert [alert.id for alert in reader.story_alerts(INCIDENT)] == [ALERT.id, joined.id]


def test_states_at_an_instant_are_those_of_the_newest_transition_before_it(
    writer: Writer, reader: Reader
) -> None:
    back = replace(FAULT, from_state=State.FAULT, to_state=State.UP, decided_at=at(30))
    commit(writer, Changes(transitions=(FAULT, back)))
    assert reader.states_at(at(8)) == {}
    assert reader.states_at(at(20)) == {MAIN: FAULT}
    assert reader.states_at(at(60)) == {MAIN: back}


def test_reports_keep_their_pictures(writer: Writer, reader: Reader) -> None:
    document = ReportDocument(
        id=ReportId("report_20261120"), name="daily", start=T, end=at(86400), generated_at=at(90000), subject="S",
        html="<p>", text="t", data="{}", csv="a,b", images={"chart": b"\x89PNG"},
    )  # fmt: skip
    commit(writer, Changes(reports=(document,)))
    assert reader.report(document.id) == document
    assert reader.report_titles() == [
        {
            "id": document.id,
            "name": "daily",
            "subject": "S",
            "start": T,
            "end": at(86400),
            "generated_at": at(90000),
        }
    ]
    assert reader.report_titles(name="weekly") == []


def test_the_store_knows_what_it_takes_on_disk(reader: Reader) -> None:
    size = reader.size_bytes()

    assert size is not None
    assert 100_000 < size < 100_000_000


def test_percentiles_are_within_two_percent_of_the_values_at_their_ranks(
    writer: Writer, reader: Reader
) -> None:
    looks = [
        saw(Evidence.ok("fine", latency=timedelta(milliseconds=ms)), ms / 1000) for ms in range(100, 0, -1)
    ]
    commit(writer, Changes(observations=(*looks, saw(Evidence.fail("timeout", "late"), 1))))
    found = reader.latencies(T, at(60))[MAIN]
    assert found.mean_ms == 50.5
    assert (found.p50_ms, found.p95_ms, found.p99_ms) == (
        pytest.approx(50, rel=0.02), pytest.approx(95, rel=0.02), pytest.approx(99, rel=0.02),
    )  # fmt: skip


def test_beats_tell_when_each_monitor_last_spoke(writer: Writer, reader: Reader) -> None:
    beats = [Beat(monitor=MAIN, signal=signal, received_at=at(n), protocol="ping")
             for n, signal in enumerate((Signal.ALIVE, Signal.ALIVE, Signal.LOG))]  # fmt: skip
    commit(writer, Changes(beats=tuple(beats)))
    assert reader.newest_beats() == {MAIN: beats[1]}


def test_a_beat_keeps_what_its_sender_says_of_it_among_the_facts(writer: Writer, reader: Reader) -> None:
    beat = Beat(
        monitor=MAIN, signal=Signal.FAIL, received_at=T, protocol="agent", exit_status=3, body="disk full",
        facts={"rid": "1"}, seq=7, epoch="e1", eta=timedelta(seconds=10), age=timedelta(seconds=2.5),
    )  # fmt: skip
    commit(writer, Changes(beats=(beat,)))
    facts = {"rid": "1", "seq": 7, "epoch": "e1", "eta_ms": 10000, "age_ms": 2500}
    assert reader.newest_beats() == {
        MAIN: Beat(monitor=MAIN, signal=Signal.FAIL, received_at=T, protocol="agent", exit_status=3, body="disk full",
                   facts=facts)
    }  # fmt: skip


def test_a_setting_is_removed_by_none(writer: Writer, reader: Reader) -> None:
    commit(writer, Changes(settings=(("strategy", "aggressive"),)))
    commit(writer, Changes(settings=(("strategy", None),)))
    assert reader.settings() == {}


def test_a_window_comes_back_as_it_was_made(writer: Writer, reader: Reader) -> None:
    matcher = Matcher(
        monitors=frozenset({MAIN}), tags=frozenset({"a", "b"}), incidents=frozenset({INCIDENT}),
        severity=frozenset({Severity.LOW}),
    )  # fmt: skip
    window = Window(
        id=WindowId("silence-1"), kind=WindowKind.SILENCE, matcher=matcher, starts_at=T, ends_at=at(60),
        reason="deploy", made_by="kim", made_at=T,
    )  # fmt: skip
    endless = replace(window, id=WindowId("pause-1"), kind=WindowKind.PAUSE, matcher=Matcher(), ends_at=None)
    writer.submit(Changes(windows=(window, endless))).result()
    assert reader.windows() == [endless, window]
    assert reader.windows(since=at(60)) == [endless]
    assert reader.windows(over_at=at(59)) == []
    assert reader.windows(over_at=at(60)) == [window]

    ended = replace(endless, ended_at=at(5), ended_by="lee")
    early = replace(window, ended_at=at(5), ended_by="lee")
    writer.submit(Changes(windows=(ended, early))).result()
    assert reader.windows(since=at(10)) == [early], "of the configuration it would come back without its row"
    assert reader.windows(over_at=at(5), kinds=(WindowKind.PAUSE,), newest=10) == [ended]


def test_old_windows_are_forgotten_with_the_events(writer: Writer, reader: Reader) -> None:
    over = Window(
        id=WindowId("silence-1"), kind=WindowKind.SILENCE, matcher=Matcher(), starts_at=T, ends_at=at(60), reason="",
        made_by="kim", made_at=T,
    )  # fmt: skip
    lasts = replace(over, id=WindowId("pause-1"), ends_at=None)
    writer.submit(Changes(windows=(over, lasts))).result()
    writer.submit(Changes(forget=(Forget(before=at(100), events=True),))).result()
    assert reader.windows() == [lasts]


def test_old_observations_are_forgotten_and_events_stay(writer: Writer, reader: Reader) -> None:
    commit(writer, Changes(observations=(WELL,), transitions=(FAULT,), incidents=(OPEN,)))
    commit(writer, Changes(observations=(ILL,)))
    commit(writer, Changes(forget=(Forget(before=at(1)),)))
    assert [row["cause"] for row in reader.samples(since=T, until=at(60))] == ["refused"]
    commit(writer, Changes(forget=(Forget(before=at(999), events=True),)))
    assert reader.transitions() == []
    assert reader.incidents() == [OPEN]  # it is still open


async def test_many_commits_at_once_are_all_there(writer: Writer, reader: Reader) -> None:
    healths = [replace(HEALTH, monitor=MonitorId(f"m{n}"), last=None) for n in range(500)]
    await asyncio.gather(*[writer.commit(Changes(health=(health,))) for health in healths])
    assert len(reader.health()) == 500


def test_a_change_that_cannot_be_written_takes_no_other_with_it(writer: Writer, reader: Reader) -> None:
    bad = replace(HEALTH, monitor=MonitorId("bad"), reason=None)  # type: ignore[arg-type]
    futures = [
        writer.submit(Changes(health=(replace(HEALTH, monitor=MonitorId(f"m{n}")),))) for n in range(20)
    ]
    failing = writer.submit(Changes(health=(bad,), settings=(("half", "done"),)))
    futures += [
        writer.submit(Changes(health=(replace(HEALTH, monitor=MonitorId(f"n{n}")),))) for n in range(20)
    ]
    with pytest.raises(StoreError):
        failing.result(10)
    for future in futures:
        future.result(10)
    assert len(reader.health()) == 40
    assert reader.settings() == {}  # nothing of the bad change


def test_a_store_has_one_owner(database: Database) -> None:
    with OwnerLock(database, role="the daemon"), pytest.raises(StoreBusyError, match="in use"):
        OwnerLock(database, role="a pass")
    OwnerLock(database, role="a pass").release()


def test_opening_again_finds_everything_and_migrates_nothing(database: Database, writer: Writer) -> None:
    commit(writer, Changes(health=(HEALTH,)))
    again = open_database(database.engine.url.render_as_string(hide_password=False), migrate=False)
    assert Reader(again).health() == {MAIN: HEALTH}
    again.close()


def test_the_schema_of_the_code_is_the_newest_migration() -> None:
    assert newest_revision() == REVISION

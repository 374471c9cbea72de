"""The ``heartbeat`` monitor: options, beats, and beats that did not come."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from defib.plugin import (
    Askable,
    Beat,
    BeatMemory,
    BuildContext,
    Deadline,
    Evidence,
    Family,
    Grade,
    MonitorId,
    Outcome,
    ProbeStatus,
    PushedMonitor,
    PushedVerdict,
    Signal,
)
from defib_plugins import heartbeat

(KIND,) = heartbeat.defib_monitors()
NOW = datetime(2026, 11, 20, 2, 31, tzinfo=UTC)


def build(**options: Any) -> PushedMonitor:
    created = KIND.create(KIND.options.model_validate(options), BuildContext(base=Path("/")))
    assert isinstance(created, PushedMonitor)
    return created


def beat(signal: Signal = Signal.ALIVE, at: datetime = NOW, **fields: Any) -> Beat:
    return Beat(monitor=MonitorId("job"), signal=signal, received_at=at, protocol="ping", **fields)


def told(monitor: PushedMonitor, *beats: Beat) -> PushedVerdict:
    """What the newest of some beats comes to. The memory goes through JSON each time, as the store does it."""
    verdict = PushedVerdict(memory={})
    for item in beats:
        verdict = monitor.fold(json.loads(json.dumps(verdict.memory)), item)
    return verdict


def after(seconds: float, start: datetime = NOW) -> datetime:
    return start + timedelta(seconds=seconds)


def next_deadline(monitor: PushedMonitor, memory: BeatMemory) -> Deadline:
    deadline = monitor.deadline(memory)
    assert deadline is not None
    return deadline


def silence(monitor: PushedMonitor, memory: BeatMemory) -> PushedVerdict:
    """What is made of the next deadline's passing."""
    return monitor.missed(memory, next_deadline(monitor, memory))


def cause(verdict: PushedVerdict) -> str:
    assert verdict.evidence is not None
    return verdict.evidence.cause


def judged(signal: Signal, exit_status: int | None = None, body: str = "") -> Evidence | None:
    item = beat(signal, exit_status=exit_status, body=body, facts={"rid": "1"})
    return build(every="30s").fold({}, item).evidence


def test_it_is_a_job() -> None:
    assert (KIND.kind, KIND.family) == ("heartbeat", Family.JOB)


def test_a_beat_is_well() -> None:
    assert judged(Signal.ALIVE) == Evidence.ok("beat received", facts={"rid": "1"})


def test_a_job_that_ended_with_zero_is_well() -> None:
    assert judged(Signal.ALIVE, 0, "made\n3 files\n") == Evidence.ok(
        "beat received", facts={"rid": "1", "exit_status": 0, "said": "3 files"}
    )


@pytest.mark.parametrize(
    ("signal", "exit_status", "body", "summary"),
    [
        (Signal.FAIL, None, "", "the job failed (it says so)"),
        (Signal.FAIL, 3, "", "the job failed (exit status 3)"),
        (Signal.ALIVE, 1, "", "the job failed (exit status 1)"),
        (Signal.FAIL, 3, "a\ndisk full\n\n", "the job failed (exit status 3): disk full"),
        (Signal.FAIL, 0, "", "the job failed (it says so)"),
    ],
)
def test_a_failed_job_is_unhealthy(signal: Signal, exit_status: int | None, body: str, summary: str) -> None:
    evidence = judged(signal, exit_status, body)

    assert evidence is not None
    assert (evidence.outcome, evidence.cause, evidence.summary) == (Outcome.FAIL, "job-failed", summary)
    assert evidence.status is ProbeStatus.UNHEALTHY


@pytest.mark.parametrize("signal", [Signal.START, Signal.LOG])
def test_a_start_and_a_note_prove_nothing(signal: Signal) -> None:
    assert judged(signal) is None


# --- silence ---------------------------------------------------------------------------------------


def test_a_silence_is_late_first_and_then_missed() -> None:
    monitor = build(every="30s", misses=2)
    memory = told(monitor, beat()).memory
    late = next_deadline(monitor, memory)
    first = monitor.missed(memory, late)
    missed = next_deadline(monitor, first.memory)
    second = monitor.missed(first.memory, missed)

    assert (late.kind, late.at, late.fault_at) == ("late", after(33), after(63))
    assert first.evidence is not None
    assert (first.evidence.cause, first.evidence.grade) == ("late-beat", Grade.WEAK)
    assert first.evidence.facts == {
        "expected_by": "2026-11-20T02:31:33+00:00",
        "expected_at": "2026-11-20T02:31:30+00:00",
        "last_beat_at": "2026-11-20T02:31:00+00:00",
        "fault_at": "2026-11-20T02:32:03+00:00",
        "suspicion": 0.091,
    }
    assert (missed.kind, missed.at, missed.fault_at) == ("missed", after(63), after(63))
    assert second.evidence is not None
    assert (second.evidence.cause, second.evidence.grade) == ("missed-beat", Grade.NORMAL)
    assert monitor.deadline(second.memory) is None


def test_a_missed_beat_tells_how_late_and_what_was_expected() -> None:
    monitor = build(every="30s", misses=2)
    evidence = silence(monitor, silence(monitor, told(monitor, beat()).memory).memory).evidence

    assert evidence is not None
    assert evidence.summary == (
        "the beat expected at 2026-11-20 02:31:30 UTC is more than 33s late; every 30s, 2 in a row, "
        "the last came at 2026-11-20 02:31:00 UTC"
    )
    assert evidence.facts == {
        "expected_by": "2026-11-20T02:32:03+00:00",
        "expected_at": "2026-11-20T02:31:30+00:00",
        "last_beat_at": "2026-11-20T02:31:00+00:00",
    }


@pytest.mark.parametrize(
    ("options", "fault_s"),
    [
        ({"every": "30s"}, 63.0),
        ({"every": "15s"}, 46.5),  # plain pings: three misses
        ({"every": "15s", "misses": 1}, 16.5),
        ({"every": "5s", "misses": 4, "grace": "2s"}, 22.0),
    ],
)
def test_misses_have_their_defaults(options: dict[str, Any], fault_s: float) -> None:
    monitor = build(**options)

    assert next_deadline(monitor, told(monitor, beat()).memory).fault_at == after(fault_s)


def test_agents_repeat_lost_beats_and_are_given_two_misses() -> None:
    monitor = build(every="10s")
    memory = told(monitor, beat(seq=0, epoch="a")).memory

    assert next_deadline(monitor, memory).fault_at == after(21)


def test_a_beat_after_a_silence_ends_it() -> None:
    monitor = build(every="30s", misses=1)
    memory = silence(monitor, told(monitor, beat()).memory).memory
    assert monitor.deadline(memory) is None

    verdict = monitor.fold(memory, beat(at=after(300)))

    assert cause(verdict) == "ok"
    assert next_deadline(monitor, verdict.memory).at == after(333)


def test_nothing_is_expected_before_the_first_beat() -> None:
    assert build(every="30s").deadline({}) is None
    assert build(cron="* * * * *").deadline({}) is None


def test_a_missed_run_is_told_in_the_zone_of_the_job() -> None:
    monitor = build(cron="30 2 * * *", timezone="Europe/Berlin", grace="20m")
    evidence = silence(monitor, told(monitor, beat()).memory).evidence

    assert evidence is not None
    assert evidence.summary == (
        "the beat expected at 2026-11-21 02:30:00 CET is more than 20m late; due at '30 2 * * *' in Europe/Berlin, "
        "the last came at 2026-11-20 03:31:00 CET"
    )


def test_a_deadline_that_was_moved_is_the_one_that_counts() -> None:
    # After its own absence the engine waits longer than the schedule says.
    monitor = build(every="30s", misses=1)
    memory = told(monitor, beat()).memory
    moved = replace(next_deadline(monitor, memory), at=datetime(2026, 11, 20, 3, 0, tzinfo=UTC))
    evidence = monitor.missed(memory, moved).evidence

    assert evidence is not None
    assert evidence.facts["expected_by"] == "2026-11-20T03:00:00+00:00"
    assert "is more than 28m30s late" in evidence.summary


def test_a_memory_of_other_options_or_versions_does_not_trip_it() -> None:
    rhythmic, nightly = build(every="30s", misses=1), build(cron="30 2 * * *", grace="20m")
    beaten = told(rhythmic, beat()).memory

    assert next_deadline(nightly, beaten).at == datetime(2026, 11, 21, 2, 50, tzinfo=UTC)
    assert next_deadline(build(every="1m", misses=1), beaten).at == after(66)
    assert rhythmic.deadline({"heard": "yesterday", "pulse": 3}) is None


def test_replayed_beats_are_followed_by_others_before_silence_counts() -> None:
    monitor = build(every="10s", misses=2)
    replayed = beat(seq=3, epoch="a", age=timedelta(minutes=5))
    deadline = next_deadline(monitor, told(monitor, replayed).memory)

    assert (deadline.at, deadline.fault_at) == (after(6), after(6))


# --- learned rhythm --------------------------------------------------------------------------------


def test_an_undeclared_interval_is_learned_from_eight_intervals() -> None:
    monitor = build()
    beats = [beat(at=after(60 * n)) for n in range(9)]

    assert monitor.deadline(told(monitor, *beats[:8]).memory) is None
    deadline = next_deadline(monitor, told(monitor, *beats).memory)
    assert (deadline.kind, deadline.at, deadline.fault_at) == ("late", after(546), after(606))


def test_an_irregular_sender_is_missed_after_half_more_than_it_ever_took() -> None:
    monitor, at, beats = build(), 0.0, [beat()]
    for interval in (10, 300, 20, 50, 600, 5, 90, 40):
        at += interval
        beats.append(beat(at=after(at)))
    memory = told(monitor, *beats).memory
    evidence = silence(monitor, memory).evidence

    assert next_deadline(monitor, memory).at == after(at + 900)
    assert evidence is not None
    assert "they come in a rhythm of its own" in evidence.summary


def test_an_outage_is_no_habit() -> None:
    monitor = build(grace="0s")
    memory = told(monitor, *(beat(at=after(60 * n)) for n in range(9))).memory
    memory = silence(monitor, silence(monitor, memory).memory).memory
    memory = monitor.fold(memory, beat(at=after(100_000))).memory

    assert next_deadline(monitor, memory).fault_at == after(100_120)


def test_the_sender_may_say_how_often_it_beats() -> None:
    monitor = build(misses=1)
    memory = told(monitor, beat(eta=timedelta(seconds=20))).memory

    assert next_deadline(monitor, memory).at == after(22)


# --- stopping --------------------------------------------------------------------------------------


def test_who_says_that_it_stops_is_expected_no_more() -> None:
    monitor = build(every="30s", misses=1)
    verdict = told(monitor, beat(), beat(Signal.STOPPING, body="upgrade"))

    assert verdict.evidence is not None
    assert (verdict.evidence.cause, verdict.evidence.grade) == ("stopped", Grade.INTENT)
    assert verdict.evidence.summary == "it stops on purpose: upgrade"
    assert monitor.deadline(verdict.memory) is None
    back = monitor.fold(verdict.memory, beat(at=after(7200)))
    assert next_deadline(monitor, back.memory).at == after(7233)


# --- runs ------------------------------------------------------------------------------------------


def test_while_a_run_lasts_only_its_end_is_expected() -> None:
    monitor = build(cron="30 2 * * *", grace="20m", max_runtime="2h")
    start = datetime(2026, 11, 20, 2, 30, 1, tzinfo=UTC)
    begun = told(monitor, beat(Signal.START, start))
    deadline = next_deadline(monitor, begun.memory)
    ended = monitor.fold(begun.memory, beat(at=after(3600, start)))

    assert begun.evidence is None
    assert (deadline.kind, deadline.at) == ("run", after(7200, start))
    assert ended.evidence == Evidence.ok("beat received", facts={"run_time": "1h"})
    assert next_deadline(monitor, ended.memory).at == datetime(2026, 11, 21, 2, 50, tzinfo=UTC)


def test_a_run_that_takes_too_long_is_told_once() -> None:
    monitor = build(cron="30 2 * * *", max_runtime="2h")
    verdict = silence(monitor, told(monitor, beat(Signal.START, facts={"rid": "r1"})).memory)

    assert verdict.evidence is not None
    assert (verdict.evidence.cause, verdict.evidence.grade) == ("ran-too-long", Grade.NORMAL)
    assert verdict.evidence.summary == "the run that began at 2026-11-20 02:31:00 UTC has not ended within 2h"
    assert verdict.evidence.facts == {"started_at": "2026-11-20T02:31:00+00:00", "limit": "2h", "rid": "r1"}
    assert next_deadline(monitor, verdict.memory).kind == "missed"


def test_starts_and_ends_belong_together_by_their_run_id() -> None:
    monitor = build(every="1h", max_runtime="5m")
    first = beat(Signal.START, facts={"rid": "a"})
    second = beat(Signal.START, after(60), facts={"rid": "b"})
    end = beat(at=after(90), facts={"rid": "a"})
    verdict = told(monitor, first, second, end)

    assert verdict.evidence is not None
    assert verdict.evidence.facts["run_time"] == "1m30s"
    assert next_deadline(monitor, verdict.memory).at == after(360)


def test_the_run_limit_is_the_grace_until_ten_runs_have_ended() -> None:
    monitor = build(every="1h", grace="10m")
    beats: list[Beat] = []
    for n in range(10):
        beats += [beat(Signal.START, after(3600 * n)), beat(at=after(3600 * n + 100))]
    start = beat(Signal.START, after(36000))
    early, learned = told(monitor, *beats[:4], beats[4]), told(monitor, *beats, start)

    assert next_deadline(monitor, early.memory).at == after(7200 + 600)
    assert next_deadline(monitor, learned.memory).at == after(36000 + 300)


def test_a_failed_run_teaches_no_run_time() -> None:
    monitor = build(every="1h", grace="10m")
    beats: list[Beat] = []
    for n in range(12):
        beats += [beat(Signal.START, after(3600 * n)), beat(Signal.FAIL, after(3600 * n + 5))]
    memory = told(monitor, *beats, beat(Signal.START, after(43200))).memory

    assert next_deadline(monitor, memory).at == after(43200 + 600)


# --- twice, early, late ----------------------------------------------------------------------------

DUE = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)


def nightly(*offsets: float, **options: Any) -> PushedVerdict:
    """Runs at seconds from half past two, the night after another run."""
    monitor = build(cron="30 2 * * *", grace="20m", **options)
    return told(monitor, beat(at=after(-86390, DUE)), *(beat(at=after(offset, DUE)) for offset in offsets))


def test_a_job_that_runs_once_more_is_told_and_the_next_run_stays_due() -> None:
    verdict = nightly(10, 95)

    assert verdict.evidence is not None
    assert (verdict.evidence.cause, verdict.evidence.is_degraded) == ("ran-twice", True)
    assert verdict.evidence.summary == (
        "it ran once more at 2026-11-20 02:31:35 UTC; the next run is due at 2026-11-21 02:30:00 UTC"
    )
    assert next_deadline(build(cron="30 2 * * *", grace="20m"), verdict.memory).at == datetime(
        2026, 11, 21, 2, 50, tzinfo=UTC
    )


def test_a_job_that_runs_early_is_told_and_counts() -> None:
    verdict = nightly(-600)

    assert verdict.evidence is not None
    assert verdict.evidence.cause == "ran-early"
    assert verdict.evidence.summary == "it ran 10m before it was due at 2026-11-20 02:30:00 UTC"
    assert next_deadline(build(cron="30 2 * * *", grace="20m"), verdict.memory).at == datetime(
        2026, 11, 21, 2, 50, tzinfo=UTC
    )


def test_a_clock_that_is_half_a_minute_fast_is_no_news() -> None:
    verdict = nightly(-30)

    assert cause(verdict) == "ok"
    assert next_deadline(build(cron="30 2 * * *", grace="20m"), verdict.memory).at == datetime(
        2026, 11, 21, 2, 50, tzinfo=UTC
    )


def test_a_job_on_trial_in_the_evening_is_no_substitute_for_the_night() -> None:
    verdict = nightly(-6 * 3600)

    assert cause(verdict) == "ran-twice"
    assert next_deadline(build(cron="30 2 * * *", grace="20m"), verdict.memory).at == after(1200, DUE)


def test_a_run_after_a_failed_one_is_a_second_try() -> None:
    monitor = build(cron="30 2 * * *", grace="20m")
    failed = beat(Signal.FAIL, after(10, DUE))

    assert cause(told(monitor, failed, beat(at=after(600, DUE)))) == "ok"
    assert cause(told(monitor, failed, beat(Signal.START, after(600, DUE)), beat(at=after(660, DUE)))) == "ok"


def test_a_run_that_began_once_more_is_told_at_its_end() -> None:
    monitor = build(cron="30 2 * * *", grace="20m")
    again = [beat(at=after(10, DUE)), beat(Signal.START, after(900, DUE))]

    assert told(monitor, *again).evidence is None
    assert cause(told(monitor, *again, beat(at=after(950, DUE)))) == "ran-twice"


def test_a_late_run_says_how_late() -> None:
    verdict = nightly(1500)

    assert verdict.evidence == Evidence.ok("beat received", facts={"late_by": "25m"})


def test_a_night_in_which_the_clocks_go_back_has_one_run() -> None:
    monitor = build(cron="30 2 * * *", timezone="Europe/Berlin")
    first = beat(at=datetime.fromisoformat("2026-10-25T02:30:05+02:00"))
    again = beat(at=datetime.fromisoformat("2026-10-25T02:30:05+01:00"))

    assert cause(told(monitor, beat(at=after(-86395, first.received_at)), first)) == "ok"
    assert cause(told(monitor, first, again)) == "ran-twice"
    assert next_deadline(monitor, told(monitor, first).memory).at == datetime.fromisoformat(
        "2026-10-26T03:30:00+01:00"
    )


# --- options ---------------------------------------------------------------------------------------


def test_beats_may_address_it_by_its_uuid() -> None:
    monitor = build(every="30s", uuid="3FA85F64-5717-4562-B3FC-2C963F66AFA6")

    assert monitor.keys == ("3fa85f64-5717-4562-b3fc-2c963f66afa6",)
    assert build(every="30s").keys == ()


def test_its_target_is_its_schedule() -> None:
    assert build(every="1h30m").target == "every 1h30m, 2 in a row"
    assert build(every="1h30m", misses=1).target == "every 1h30m"
    assert build(cron="0 8 * * *").target == "due at '0 8 * * *' in UTC"
    assert build(calendar="Mon..Fri 02:30", timezone="Asia/Hong_Kong").target == (
        "due on 'Mon..Fri 02:30' in Asia/Hong_Kong"
    )
    assert build().target == "in a rhythm of its own"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": "30s", "cron": "0 8 * * *"}, "write one of every: 30s, cron:"),
        ({"calendar": "daily", "cron": "0 8 * * *"}, "write one of every: 30s, cron:"),
        ({"cron": "0 8 * * *", "max_runtime": "0s"}, "longer than nothing"),
        ({"timezone": "UTC"}, "timezone: goes with cron"),
        ({"every": "0s"}, "longer than nothing"),
        ({"every": "30"}, "is not a duration"),
        ({"every": "30s", "misses": 0}, "greater than or equal to 1"),
        ({"every": "30s", "timezone": "UTC"}, "timezone: goes with cron"),
        ({"cron": "0 8 * * *", "misses": 2}, "misses: goes with every"),
        ({"cron": "0 8 * * *", "timezone": "Europe/Berlib"}, "write for example Europe/Berlin or UTC"),
        ({"cron": "0 8 * * *", "timezone": "Europe"}, "write for example Europe/Berlin or UTC"),
        ({"every": "30s", "uuid": "nonsense"}, "valid UUID"),
    ],
)
def test_wrong_options_are_mistakes_of_the_configuration(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        build(**options)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 8 * *", "does not have five fields"),
        ("0 0 8 * * *", "does not have five fields"),
        ("@daily", "does not have five fields"),
        ("61 * * * *", "has a bad minute"),
        ("0 0 30 2 *", "has a bad day-of-month"),
        ("0 0 */20 * 1#4", "never comes true"),  # the fourth Monday is never a 1st or 21st
    ],
)
def test_a_wrong_cron_expression_is_refused_with_an_example(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        build(cron=expression)

    assert 'write for example "30 2 * * *"' in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("Mon..Fri 25:30", "has a bad hour"),
        ("Mon..Fry 02:30", "has a bad day-of-week"),
        ("2001-02-29", "never comes true"),
    ],
)
def test_a_wrong_calendar_is_refused_with_an_example(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        build(calendar=expression)

    assert 'write for example "Mon..Fri 02:30"' in str(caught.value)


# --- asking ----------------------------------------------------------------------------------------

ALIVE = Evidence.ok("HTTP 200 in 12 ms")
REFUSED = Evidence.fail("refused", "connection refused", grade=Grade.STRONG)


def askable(probe: str = "http://worker.lan:8000/health", **options: Any) -> Askable:
    monitor = build(every="30s", probe=probe, **options)
    assert isinstance(monitor, Askable)
    return monitor


@pytest.mark.parametrize(
    ("probe", "target", "host"),
    [
        ("http://worker.lan:8000/health", "http://worker.lan:8000/health", "worker.lan"),
        ("https://user:geheim@worker.lan/health", "https://worker.lan/health", "worker.lan"),
        ("tcp://worker.lan:5000", "worker.lan:5000", "worker.lan"),
        ("tcp://[::1]:5000", "[::1]:5000", "::1"),
    ],
)
def test_a_silent_sender_is_asked_at_its_address(probe: str, target: str, host: str) -> None:
    asked = askable(probe).asked

    assert asked is not None
    assert (asked.target, asked.host) == (target, host)


def test_without_an_address_nobody_is_asked() -> None:
    monitor = build(every="30s")
    assert isinstance(monitor, Askable)

    assert monitor.asked is None
    assert monitor.answered(told(build(every="30s"), beat()).memory, [REFUSED]) is None


def test_a_silent_sender_that_does_not_answer_is_down() -> None:
    memory = told(build(every="30s"), beat()).memory

    evidence = askable().answered(memory, [REFUSED, REFUSED, REFUSED])

    assert evidence is not None
    assert (evidence.outcome, evidence.cause, evidence.grade) == (Outcome.FAIL, "silent-sender", Grade.STRONG)
    assert evidence.summary == (
        "it is silent, and http://worker.lan:8000/health does not answer well either: connection refused; "
        "every 30s, 2 in a row, the last came at 2026-11-20 02:31:00 UTC"
    )
    assert evidence.facts == {
        "asked": "http://worker.lan:8000/health",
        "answer": "connection refused",
        "last_beat_at": "2026-11-20T02:31:00+00:00",
    }


def test_a_silent_sender_that_answers_is_a_suspicion_and_no_more() -> None:
    memory = told(build(every="30s"), beat()).memory

    evidence = askable().answered(memory, [REFUSED, ALIVE])

    assert evidence is not None
    assert (evidence.cause, evidence.grade) == ("answers-without-beats", Grade.WEAK)
    assert evidence.summary == (
        "it answers at http://worker.lan:8000/health (HTTP 200 in 12 ms), but it does not beat; every 30s, 2 in a "
        "row, the last came at 2026-11-20 02:31:00 UTC"
    )


def test_a_look_that_could_not_be_made_tells_nothing_of_the_sender() -> None:
    memory = told(build(every="30s"), beat()).memory
    own = Evidence.inconclusive("no-descriptors", "too many open files")

    assert askable().answered(memory, [REFUSED, own, REFUSED]) is None


@pytest.mark.parametrize(
    "probe", ["worker.lan:8000", "ftp://worker.lan", "tcp://worker.lan", "tcp://worker.lan:99999",
              "tcp://worker.lan:5000/health", "http://", "/run/worker.sock"],
)  # fmt: skip
def test_an_address_where_nobody_can_be_asked_is_refused(probe: str) -> None:
    with pytest.raises(ValidationError, match=r"write for example http://worker\.lan:8000/health or tcp://"):
        build(every="30s", probe=probe)


def test_the_secrets_of_the_address_are_never_shown() -> None:
    options = KIND.options.model_validate({"every": "30s", "probe": "http://me:geheim@worker.lan/"})

    assert "geheim" not in repr(options)
    assert "geheim" not in options.model_dump_json()


def test_a_job_of_a_schedule_has_nobody_to_ask() -> None:
    with pytest.raises(ValidationError, match="probe: goes with every"):
        build(cron="30 2 * * *", probe="tcp://worker.lan:5000")


def test_an_agent_is_told_of_by_its_own_number_of_misses() -> None:
    monitor = build(every="10s")
    memory = silence(monitor, told(monitor, beat(seq=0, epoch="a")).memory).memory
    evidence = silence(monitor, memory).evidence

    assert evidence is not None
    assert "every 10s, 2 in a row, the last came" in evidence.summary

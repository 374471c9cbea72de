"""The ``heartbeat`` monitor: options, beats, and beats that did not come."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from defib.plugin import (
    Beat,
    BuildContext,
    Evidence,
    Family,
    Grade,
    MonitorId,
    Outcome,
    ProbeStatus,
    PushedMonitor,
    Signal,
)
from defib_plugins import heartbeat

(KIND,) = heartbeat.defib_monitors()
NOW = datetime(2026, 11, 20, 2, 31, tzinfo=UTC)


def build(**options: Any) -> PushedMonitor:
    created = KIND.create(KIND.options.model_validate(options), BuildContext(base=Path("/")))
    assert isinstance(created, PushedMonitor)
    return created


def judged(signal: Signal, exit_status: int | None = None, body: str = "") -> Evidence | None:
    beat = Beat(
        monitor=MonitorId("job"),
        signal=signal,
        received_at=NOW,
        protocol="ping",
        exit_status=exit_status,
        body=body,
        facts={"rid": "1"},
    )
    return build(every="30s").judge(beat)


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


def test_a_missed_beat_tells_how_late_and_what_was_expected() -> None:
    monitor = build(every="30s", misses=2)
    deadline = monitor.deadline(NOW)

    evidence = monitor.missed(NOW, deadline)

    assert deadline == datetime(2026, 11, 20, 2, 32, 3, tzinfo=UTC)
    assert (evidence.outcome, evidence.cause, evidence.grade) == (Outcome.FAIL, "missed-beat", Grade.NORMAL)
    assert evidence.summary == (
        "the beat expected at 2026-11-20 02:32:00 UTC is more than 3s late; due every 30s, 2 in a row, "
        "the last came at 2026-11-20 02:31:00 UTC"
    )
    assert evidence.facts == {
        "expected_by": "2026-11-20T02:32:03+00:00",
        "expected_at": "2026-11-20T02:32:00+00:00",
        "last_beat_at": "2026-11-20T02:31:00+00:00",
    }


def test_a_missed_run_is_told_in_the_zone_of_the_job() -> None:
    monitor = build(cron="30 2 * * *", timezone="Europe/Berlin", grace="20m")

    assert monitor.missed(NOW, monitor.deadline(NOW)).summary == (
        "the beat expected at 2026-11-21 02:30:00 CET is more than 20m late; due at '30 2 * * *' in Europe/Berlin, "
        "the last came at 2026-11-20 03:31:00 CET"
    )


def test_a_beat_that_never_came_is_told_as_such() -> None:
    assert build(every="30s").missed(None, NOW).summary == (
        "no beat by 2026-11-20 02:31:00 UTC, and none ever; due every 30s"
    )


def test_a_deadline_that_was_moved_is_the_one_that_counts() -> None:
    # After its own absence the engine waits longer than the schedule says.
    evidence = build(every="30s").missed(NOW, datetime(2026, 11, 20, 3, 0, tzinfo=UTC))

    assert evidence.facts["expected_by"] == "2026-11-20T03:00:00+00:00"
    assert "is more than 28m30s late" in evidence.summary


def test_beats_may_address_it_by_its_uuid() -> None:
    monitor = build(every="30s", uuid="3FA85F64-5717-4562-B3FC-2C963F66AFA6")

    assert monitor.keys == ("3fa85f64-5717-4562-b3fc-2c963f66afa6",)
    assert build(every="30s").keys == ()


def test_its_target_is_its_schedule() -> None:
    assert build(every="1h30m").target == "every 1h30m"
    assert build(cron="0 8 * * *").target == "at '0 8 * * *' in UTC"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "write either every: 30s or cron:"),
        ({"every": "30s", "cron": "0 8 * * *"}, "write either every: 30s or cron:"),
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

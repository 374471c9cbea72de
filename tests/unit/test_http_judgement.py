"""What an HTTP answer means."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import ValidationError

from defib.plugin import Evidence, Grade, Outcome, ProbeStatus
from defib_plugins.http_exchange import Answer
from defib_plugins.http_judgement import HttpExpectation, judge, parse_statuses


def judged(
    status: int = 200,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    *,
    took_s: float = 0.012,
    is_cut: bool = False,
    certificate_ends_at: float | None = None,
    expect: Mapping[str, Any] = MappingProxyType({}),
) -> Evidence:
    answer = Answer(
        status=status,
        headers=headers or {},
        body=body,
        is_cut=is_cut,
        took=timedelta(seconds=took_s),
        certificate_ends_at=certificate_ends_at,
    )
    return judge(
        answer, HttpExpectation.model_validate(dict(expect)), metrics={"connect_ms": 1.0}, now=1_000_000.0
    )


JSON = {"content-type": "application/json"}


def test_a_good_answer_is_ok() -> None:
    evidence = judged(body=b"{}", headers=JSON)

    assert evidence == Evidence.ok(
        "HTTP 200 in 12 ms",
        latency=timedelta(milliseconds=12),
        metrics={"connect_ms": 1.0},
        facts={"http_status": 200, "content_type": "application/json"},
    )


@pytest.mark.parametrize(
    ("status", "expected", "is_ok"),
    [
        (200, 200, True),
        (204, 200, False),
        (204, [200, 204], True),
        (299, "2xx", True),
        (300, "2xx", False),
        (304, ["2xx", 304], True),
        (503, "5XX", True),
    ],
)
def test_the_status_must_be_among_the_expected(status: int, expected: object, is_ok: bool) -> None:
    assert judged(status, expect={"status": expected}).is_ok is is_ok


@pytest.mark.parametrize(
    ("status", "cause", "summary"),
    [
        (500, "http-500", "HTTP 500 in 12 ms, expected 200"),
        (404, "http-404", "HTTP 404 in 12 ms, expected 200"),
        (301, "http-301", "HTTP 301 in 12 ms, expected 200"),
        (503, "http-503", "HTTP 503 in 12 ms, expected 200"),
    ],
)
def test_another_status_is_unhealthy(status: int, cause: str, summary: str) -> None:
    evidence = judged(status)

    assert (evidence.outcome, evidence.grade, evidence.status) == (
        Outcome.FAIL,
        Grade.NORMAL,
        ProbeStatus.UNHEALTHY,
    )
    assert (evidence.cause, evidence.summary) == (cause, summary)
    assert evidence.facts["error"] == summary
    assert evidence.latency == timedelta(milliseconds=12)


def test_throttling_is_degraded() -> None:
    evidence = judged(429)

    assert (evidence.is_degraded, evidence.grade, evidence.cause) == (True, Grade.WEAK, "http-429")


def test_a_service_that_asks_to_come_back_later_fails_weakly() -> None:
    evidence = judged(503, headers={"retry-after": "120"})

    assert (evidence.outcome, evidence.grade, evidence.cause) == (Outcome.FAIL, Grade.WEAK, "http-503")
    assert evidence.summary == "HTTP 503 in 12 ms: the service asks to come back later (Retry-After: 120)"


def test_a_slow_answer_is_degraded_and_never_a_failure() -> None:
    evidence = judged(took_s=2.5, expect={"within": "2s"})

    assert (evidence.is_degraded, evidence.cause) == (True, "slow")
    assert evidence.summary == "HTTP 200 in 2500 ms, expected within 2s"


def test_an_answer_just_in_time_is_not_slow() -> None:
    assert judged(took_s=2.0, expect={"within": "2s"}).grade is Grade.NONE


@pytest.mark.parametrize("body", ["ready", "/r..dy/"])
def test_the_body_must_contain_what_is_expected(body: str) -> None:
    evidence = judged(body=b"I am busy", expect={"body": body})

    assert judged(body=b"I am ready", expect={"body": body}).is_ok
    assert (evidence.cause, evidence.status) == ("wrong-body", ProbeStatus.UNHEALTHY)
    assert evidence.summary == f"HTTP 200 in 12 ms, but {body!r} is not in its body"


def test_the_body_is_no_part_of_the_evidence() -> None:
    assert "hunter2" not in repr(judged(body=b"hunter2", expect={"body": "x"}))


def test_json_that_is_as_expected_is_ok() -> None:
    assert judged(
        body=b'{"queue": {"depth": 3}, "status": "ok"}',
        expect={"json": {"$.queue.depth": "< 100", "$.status": "ok"}},
    ).is_ok


def test_json_that_is_not_as_expected_names_the_place() -> None:
    evidence = judged(
        body=b'{"queue": {"depth": 300}}', expect={"json": {"$.queue.depth": "< 100", "$.status": "ok"}}
    )

    assert (evidence.cause, evidence.status) == ("wrong-json", ProbeStatus.UNHEALTHY)
    assert evidence.summary == (
        "HTTP 200 in 12 ms, but $.queue.depth is 300, expected < 100; nothing at $.status ('status' is missing)"
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 200_000])
def test_a_body_that_is_no_json_is_unhealthy(body: bytes) -> None:
    evidence = judged(body=body, expect={"json": {"$.a": 1}})

    assert (evidence.cause, evidence.summary) == ("bad-json", "HTTP 200 in 12 ms, but its body is not JSON")


def test_a_body_beyond_the_limit_cannot_be_read_as_json() -> None:
    assert judged(body=b"[" * 10, is_cut=True, expect={"json": {"$.a": 1}}).summary == (
        "HTTP 200 in 12 ms, but its body is longer than 10 bytes and cannot be read as JSON"
    )


def test_a_failing_health_document_names_what_fails_even_with_an_unexpected_status() -> None:
    body = b'{"status": "DOWN", "components": {"db": {"status": "DOWN"}, "disk": {"status": "UP"}}}'

    evidence = judged(503, body, {**JSON, "retry-after": "5"})

    assert (evidence.outcome, evidence.cause) == (Outcome.FAIL, "health-fail")
    assert evidence.summary == "HTTP 503 in 12 ms: the service says DOWN (db)"


def test_a_warning_health_document_degrades() -> None:
    evidence = judged(200, b"Degraded", {"content-type": "text/plain"})

    assert (evidence.is_degraded, evidence.cause) == (True, "health-warn")
    assert evidence.summary == "HTTP 200 in 12 ms: the service says Degraded"


def test_health_documents_can_be_left_unread() -> None:
    assert judged(200, b'{"status": "DOWN"}', JSON, expect={"health": False}).grade is Grade.NONE


def test_a_broken_health_document_is_unhealthy() -> None:
    evidence = judged(200, b"oops", {"content-type": "application/health+json"})

    assert (evidence.cause, evidence.summary) == (
        "bad-json",
        "HTTP 200 in 12 ms, but the health document is not JSON",
    )


def test_a_redirect_shows_where_to_without_secrets() -> None:
    evidence = judged(302, headers={"location": "https://user:hunter2@other/login?token=hunter2"})

    assert evidence.facts["location"] == "https://other/login?token=***"
    assert judged(302, headers={"location": "/login?token=hunter2"}).facts["location"] == "/login"


def test_the_days_left_of_a_certificate_are_a_metric() -> None:
    assert judged(certificate_ends_at=1_000_000.0 + 21 * 86400).metrics["cert_days_left"] == 21.0


@pytest.mark.parametrize("status", ["", "ok", "6xx", 99, 600, [], "20", "0200", True, None, [200, "x"]])
def test_a_status_that_is_none_is_refused(status: object) -> None:
    with pytest.raises(ValueError, match="is not a status"):
        parse_statuses(status)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "x"},
        {"json": {"queue": 1}},
        {"json": {"$.a": "< x"}},
        {"json": ["$.a"]},
        {"body": "/(/"},
        {"withing": "2s"},
    ],
)
def test_a_wrong_expectation_is_a_mistake_of_the_configuration(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HttpExpectation.model_validate(wrong)


def test_an_expectation_is_dumped_as_it_was_written() -> None:
    written = {
        "status": [200, 204],
        "body": "/ok/",
        "json": {"$.a": "< 5"},
        "within": "2s",
        "health": True,
    }

    assert HttpExpectation.model_validate(written).model_dump(by_alias=True) == written

"""Health documents in their dialects."""

import json

import pytest

from defib_plugins.health_documents import HealthDocument, Level, read_health

ACTUATOR = "application/vnd.spring-boot.actuator.v3+json"


@pytest.mark.parametrize(
    ("content_type", "document", "expected"),
    [
        ("application/health+json", {"status": "pass"}, HealthDocument(level=Level.OK, word="pass")),
        (
            "application/health+json; charset=utf-8",
            {"status": "UP"},
            HealthDocument(level=Level.OK, word="UP"),
        ),
        (
            "application/health+json",
            {
                "status": "fail",
                "checks": {
                    "cassandra:responseTime": [{"status": "pass"}, {"status": "fail"}],
                    "cpu:utilization": [{"status": "warn"}],
                },
            },
            HealthDocument(level=Level.FAIL, word="fail", components=("cassandra:responseTime",)),
        ),
        (
            "application/health+json",
            {"status": "warn", "checks": {"cpu": [{"status": "warn"}], "db": [{"status": "pass"}]}},
            HealthDocument(level=Level.WARN, word="warn", components=("cpu",)),
        ),
        (ACTUATOR, {"status": "UP"}, HealthDocument(level=Level.OK, word="UP")),
        (
            ACTUATOR,
            {
                "status": "DOWN",
                "components": {
                    "db": {
                        "status": "DOWN",
                        "components": {"first": {"status": "UP"}, "second": {"status": "DOWN"}},
                    },
                    "diskSpace": {"status": "UP", "details": {"free": 1}},
                    "ping": {"status": "OUT_OF_SERVICE"},
                },
            },
            HealthDocument(level=Level.FAIL, word="DOWN", components=("db.second", "ping")),
        ),
        (
            "application/json",
            {"status": "OUT_OF_SERVICE"},
            HealthDocument(level=Level.FAIL, word="OUT_OF_SERVICE"),
        ),
        ("application/json", {"status": "UNKNOWN"}, HealthDocument(level=Level.WARN, word="UNKNOWN")),
        (
            "application/json; charset=utf-8",
            {
                "status": "Degraded",
                "entries": {"redis": {"status": "Degraded"}, "sql": {"status": "Healthy"}},
            },
            HealthDocument(level=Level.WARN, word="Degraded", components=("redis",)),
        ),
        (
            "application/json",
            {
                "status": "DOWN",
                "checks": [{"name": "disk", "status": "DOWN"}, {"name": "db", "status": "UP"}],
            },
            HealthDocument(level=Level.FAIL, word="DOWN", components=("disk",)),
        ),
    ],
)
def test_a_document_is_read(content_type: str, document: object, expected: HealthDocument) -> None:
    assert read_health(content_type, json.dumps(document).encode()) == expected


@pytest.mark.parametrize(
    ("body", "level"), [(b"Healthy", Level.OK), (b"Degraded\n", Level.WARN), (b"Unhealthy", Level.FAIL)]
)
def test_a_single_word_of_asp_net_is_a_document(body: bytes, level: Level) -> None:
    document = read_health("text/plain", body)

    assert document == HealthDocument(level=level, word=body.decode().strip())


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"status": "ok"}'),
        ("application/json", b'{"status": "fail", "data": {}}'),  # JSend
        ("application/json", b'{"status": "down"}'),
        ("application/json", b'{"status": 200}'),
        ("application/json", b"[1, 2]"),
        ("application/json", b"not json"),
        ("text/plain", b"Healthy as ever"),
        ("text/html", b'{"status": "DOWN"}'),
        ("", b'{"status": "DOWN"}'),
    ],
)
def test_other_answers_are_no_health_documents(content_type: str, body: bytes) -> None:
    assert read_health(content_type, body) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"oops", "the health document is not JSON"),
        (b"{}", "the health document has no status pass, warn or fail"),
        (b'{"status": "great"}', "the health document has no status pass, warn or fail"),
    ],
)
def test_an_announced_document_that_is_none_is_an_error(body: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_health("application/health+json", body)


def test_at_most_ten_components_are_named() -> None:
    components = {f"c{number}": {"status": "DOWN"} for number in range(50)}

    document = read_health(ACTUATOR, json.dumps({"status": "DOWN", "components": components}).encode())

    assert document is not None
    assert document.components == ("c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9")


def test_a_document_nested_beyond_reason_is_read() -> None:
    body = b'{"status":"DOWN","components":{"a":' * 300 + b'{"status":"DOWN"}' + b"}}" * 300

    document = read_health(ACTUATOR, body)

    assert document is not None
    assert document.components == ("a.a.a.a.a.a",)

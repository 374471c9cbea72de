"""What an HTTP answer means: pure rules over status, body, JSON, health documents and time."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from defib.plugin import Duration, Evidence, Fact, Grade, Lapse, Options, ProbeStatus, Several
from defib_plugins.assertions import JsonAssertions, PatternOption
from defib_plugins.display import mask_url
from defib_plugins.health_documents import HealthDocument, HealthDocumentError, Level, read_health
from defib_plugins.phrases import phrase

if TYPE_CHECKING:
    from defib_plugins.http_exchange import Answer


def parse_statuses(value: object) -> frozenset[int]:
    """``200``, ``"2xx"``, or a list of both.

    :raises ValueError: with an example to follow.
    """
    if isinstance(value, list | tuple | set | frozenset) and value:
        return frozenset().union(*(parse_statuses(item) for item in value))
    text = str(value).lower()
    if len(text) == 3 and text[0] in "12345" and text.endswith("xx"):
        first = int(text[0]) * 100
        return frozenset(range(first, first + 100))
    if len(text) == 3 and text.isascii() and text.isdecimal() and text[0] in "12345":
        return frozenset({int(text)})
    raise ValueError(f"{value!r} is not a status; write for example 200, [200, 204] or 2xx")


_ONE_STATUS = {
    "anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "string", "pattern": "^[1-5](xx|[0-9]{2})$"},
    ]
}

Statuses = Annotated[
    frozenset[int],
    BeforeValidator(parse_statuses),
    PlainSerializer(sorted, return_type=list[int]),
    WithJsonSchema(
        {"anyOf": [*_ONE_STATUS["anyOf"], {"type": "array", "items": _ONE_STATUS, "minItems": 1}]}
    ),
]


class HttpExpectation(Options):
    """What a healthy answer looks like."""

    status: Statuses = Field(
        default=frozenset({200}), description="The status, a list of them, or a class such as 2xx."
    )
    body: PatternOption | None = Field(
        default=None,
        description="Text the body must contain, or a /regular expression/ that must match in it.",
    )
    assertions: JsonAssertions = Field(
        default=(),
        alias="json",
        description='JSON paths with conditions, such as {"$.queue.depth": "< 100"}.',
    )
    within: Duration | None = Field(default=None, description="A slower answer is degraded, never a failure.")
    health: bool = Field(
        default=True,
        description="Judge health documents too (health+json, Spring actuator, ASP.NET, MicroProfile).",
    )


def judge(answer: "Answer", expected: HttpExpectation, *, metrics: dict[str, float], now: float) -> Evidence:
    """The evidence of an answer that arrived whole.

    :param metrics: phase timings to hand on.
    :param now: seconds since 1970, for the age of the certificate.

    A health document that says it fails decides even over an unexpected status, because it names the culprit.
    """
    content_type = answer.headers.get("content-type", "")
    facts: dict[str, Fact] = {"http_status": answer.status, "content_type": content_type or None}
    if location := answer.headers.get("location"):
        facts["location"] = mask_url(location) if "://" in location else location.partition("?")[0]
    if answer.certificate_ends_at is not None:
        metrics = {**metrics, "cert_days_left": (answer.certificate_ends_at - now) / 86400}

    def fail(cause: str, words: str, grade: Grade = Grade.NORMAL) -> Evidence:
        return Evidence.fail(
            cause,
            words,
            grade=grade,
            status=ProbeStatus.UNHEALTHY,
            latency=answer.took,
            metrics=metrics,
            facts={**facts, "error": words},
        )

    def degrade(cause: str, words: str) -> Evidence:
        return Evidence.degraded(cause, words, latency=answer.took, metrics=metrics, facts=facts)

    brief = phrase(
        "HTTP {status} in {took:.0f} ms", status=answer.status, took=answer.took.total_seconds() * 1000
    )
    try:
        document = read_health(content_type, answer.body) if expected.health else None
    except HealthDocumentError as error:
        return fail("bad-json", phrase("{answer}, but {complaint}", answer=brief, complaint=error.message))
    if document and document.level is Level.FAIL:
        return fail(
            "health-fail", phrase("{answer}: the service says {word}", answer=brief, word=_tell(document))
        )
    if answer.status not in expected.status:
        if answer.status == 429:
            return degrade("http-429", phrase("{answer}: the service throttles us", answer=brief))
        if answer.status == 503 and (pause := answer.headers.get("retry-after")):
            words = phrase(
                "{answer}: the service asks to come back later (Retry-After: {pause})", answer=brief,
                pause=pause[:40],
            )  # fmt: skip
            return fail("http-503", words, Grade.WEAK)
        words = phrase("{answer}, expected {wanted}", answer=brief, wanted=_ranges(expected.status))
        return fail(f"http-{answer.status}", words)
    if complaint := _complaint(answer, expected):
        cause, words = complaint
        return fail(cause, phrase("{answer}, but {complaint}", answer=brief, complaint=words))
    if document and document.level is Level.WARN:
        return degrade(
            "health-warn", phrase("{answer}: the service says {word}", answer=brief, word=_tell(document))
        )
    if expected.within is not None and answer.took > expected.within:
        words = phrase("{answer}, expected within {limit}", answer=brief, limit=Lapse.of(expected.within))
        return degrade("slow", words)
    return Evidence.ok(brief, latency=answer.took, metrics=metrics, facts=facts)


def _complaint(answer: "Answer", expected: HttpExpectation) -> tuple[str, str] | None:
    """Cause and words of the first expectation on the body that does not hold."""
    if expected.body is not None and not expected.body.is_in(answer.body.decode("utf-8", "replace")):
        return "wrong-body", phrase("{pattern} is not in its body", pattern=repr(expected.body.source))
    if not expected.assertions:
        return None
    if answer.is_cut:
        return "bad-json", phrase(
            "its body is longer than {n} bytes and cannot be read as JSON", n=len(answer.body)
        )
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return "bad-json", phrase("its body is not JSON")
    complaints = [
        complaint for assertion in expected.assertions if (complaint := assertion.complaint(document))
    ]
    if not complaints:
        return None
    return "wrong-json", phrase("{complaints}", complaints=Several(tuple(complaints[:3]), "; "))


def _tell(document: HealthDocument) -> str:
    return document.word + (f" ({', '.join(document.components)})" if document.components else "")


def _ranges(statuses: Iterable[int]) -> str:
    """``200, 204``, or ``2xx`` for a whole class."""
    left = set(statuses)
    classes = [first for first in range(100, 600, 100) if left.issuperset(range(first, first + 100))]
    single = sorted(left.difference(*(range(first, first + 100) for first in classes)))
    return ", ".join([f"{first // 100}xx" for first in classes] + [str(status) for status in single])

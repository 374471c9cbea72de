"""Bodies of a user's own for webhooks: a Jinja template in a sandbox, tried out before it is needed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from defib.plugin import (
    Alert,
    AlertFacts,
    AlertId,
    AlertKind,
    IncidentId,
    MonitorId,
    ReportDocument,
    ReportId,
    Severity,
)  # fmt: skip
from defib_alerts.wording import one_line

if TYPE_CHECKING:
    from jinja2 import Template

_MISTAKES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a template may run into besides Jinja's own errors."""


class BodyError(Exception):
    """The template cannot be filled, or what it gives is not what it says."""


class BodyTemplate:
    """Writes the body of a request.

    It sees ``title``, ``text``, ``severity``, ``kind``, ``url``, ``alert`` and ``facts`` (of a report: ``report``, the
    others being none).
    """

    def __init__(self, source: str, content_type: str) -> None:
        """
        :raises ValueError: it fails for an alert or a report, or gives no JSON where it should.
        """
        self._is_json = content_type.partition(";")[0].strip().endswith(("/json", "+json"))
        self._template = _compile(source)
        for sample in (_ALERT, _ALERT_OF_NO_MONITOR, _REPORT):
            try:
                self.fill(sample, "https://health.example.com")
            except BodyError as error:
                if isinstance(sample, Alert):
                    raise ValueError(f"body: fails for an alert: {error}") from None
                raise ValueError(
                    f"body: fails for a report, which has no alert and no facts: {error}"
                ) from None

    def fill(self, notice: Alert | ReportDocument, product_url: str) -> bytes:
        """
        :raises BodyError: saying in one line what is wrong.
        """
        from jinja2 import TemplateError

        try:
            text = self._template.render(_words(notice, product_url))
        except (TemplateError, *_MISTAKES) as error:
            raise BodyError(f"{type(error).__name__}: {one_line(str(error), 160)}") from None
        if self._is_json:
            try:
                json.loads(text)
            except ValueError as error:
                raise BodyError(f"is not JSON ({error}); write texts as {{{{ title | tojson }}}}") from None
        return text.encode("utf-8", "replace")


def _compile(source: str) -> "Template":
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "default": _refuse}
    try:
        return environment.from_string(source)
    except TemplateError as error:
        raise ValueError(f"body: {type(error).__name__}: {one_line(str(error), 160)}") from None


def _refuse(value: object) -> object:
    """What has no form in JSON; of an unknown name, Jinja's own error says which."""
    str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _words(notice: Alert | ReportDocument, product_url: str) -> Mapping[str, object]:
    if isinstance(notice, ReportDocument):
        return {
            "title": notice.subject, "text": notice.text, "severity": Severity.INFO.value, "kind": "report",
            "url": product_url, "alert": None, "facts": None, "report": notice,
        }  # fmt: skip
    return {
        "title": notice.title, "text": notice.description, "severity": notice.severity.value, "kind": notice.kind,
        "url": notice.facts.url or product_url, "alert": notice, "facts": notice.facts, "report": None,
    }  # fmt: skip


_AT = datetime(2026, 1, 3, 14, 15, 19, tzinfo=UTC)
_FACTS = AlertFacts(
    event=AlertKind.DOWN, monitor=MonitorId("main"), monitor_name='Main "Agent"\n', monitor_kind="http",
    family="agent", target="http://localhost:8000/health", at=_AT, since=_AT, cause="refused",
    summary="connection refused", evidence=("22:15:19 refused in 1 ms",), tags=("agents",),
)  # fmt: skip
_ALERT = Alert(
    id=AlertId("a-1"), kind="agent_down", severity=Severity.HIGH, title='Main "Agent" is down', at=_AT,
    description="Says \\ and\nmore.", evidence=_FACTS.evidence, recommendations=("See `systemctl status`",),
    monitor=_FACTS.monitor, incident=IncidentId("inc-1"), facts=_FACTS,
)  # fmt: skip
_ALERT_OF_NO_MONITOR = Alert(
    id=AlertId("a-2"), kind="test", severity=Severity.INFO, title="Test", description="A test.", at=_AT, evidence=(),
    recommendations=(), monitor=None, incident=None,
    facts=AlertFacts(
        event=AlertKind.TEST, monitor=MonitorId(""), monitor_name="", monitor_kind="", family="", target="", at=_AT,
        since=_AT, cause="test", summary="a test",
    ),
)  # fmt: skip
_REPORT = ReportDocument(
    id=ReportId("report_20260102"), name="daily", start=_AT - timedelta(days=1), end=_AT, generated_at=_AT,
    subject='Daily "report"', html="<p>well</p>", text="All is\nwell.\n", data="{}", csv="",
)  # fmt: skip

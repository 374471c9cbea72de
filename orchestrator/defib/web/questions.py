"""What callers may ask for and send: query strings and JSON bodies, validated."""

import datetime
import json
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from starlette.requests import Request

from defib.model.agent import AgentStatus, Scope
from defib.model.alert import DeliveryState, Severity
from defib.model.health import State
from defib.model.monitor import RecoveryMode
from defib.model.options import Duration, format_duration
from defib.web.problems import Problem

BODY_LIMIT_BYTES = 64 * 1024
_DEEPEST = "the JSON is nested too deeply"

M = TypeVar("M", bound=BaseModel)


class Question(BaseModel):
    """Base of all: an unknown name is a mistake, not something to pass over."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


# --- query strings -------------------------------------------------------------------------------------


def _states(value: str) -> str:
    known = [str(state) for state in State]
    for name in value.split(","):
        if name not in known:
            raise ValueError(f"there is no state {name!r}; there are: {', '.join(known)}")
    return value


def _plus(value: object) -> object:
    """A ``+`` that was not escaped arrives as a space."""
    return value.replace(" ", "+") if isinstance(value, str) else value


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("must be one line of printable characters, without spaces around it")
    return text


Line = Annotated[str, AfterValidator(_printable)]
Tag = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_printable)]


def _within(least: timedelta, most: timedelta) -> AfterValidator:
    """A span from ``least`` to ``most``."""

    def check(span: timedelta) -> timedelta:
        if not least <= span <= most:
            raise ValueError(f"must be from {format_duration(least)} to {format_duration(most)}")
        return span

    return AfterValidator(check)


Validity = Annotated[Duration, _within(timedelta(seconds=1), timedelta(days=3660))]
Overlap = Annotated[Duration, _within(timedelta(0), timedelta(days=90))]

Instant = Annotated[AwareDatetime, BeforeValidator(_plus)]


class PageQuery(Question):
    """Which part of a list."""

    limit: int = Field(default=100, ge=1, le=1000, description="Most items to answer.")
    offset: int = Field(default=0, ge=0, le=1_000_000, description="Items to leave out at the beginning.")


class DeliveriesQuery(PageQuery):
    """Which deliveries."""

    state: DeliveryState | None = Field(
        default=None, description="Only those that wait, were delivered, or are dead letters."
    )


class MonitorsQuery(PageQuery):
    """Which monitors; each filter that is given must fit."""

    state: Annotated[str, AfterValidator(_states)] | None = Field(
        default=None, description="One state or several: fault,degraded.", examples=["fault,degraded"]
    )
    tag: str | None = Field(default=None, description="A tag.")
    type: str | None = Field(default=None, description="A monitor type: http.")


class AgentsQuery(PageQuery):
    """Which agents; each filter that is given must fit."""

    pool: str | None = Field(default=None, description="A pool.")
    status: AgentStatus | None = Field(
        default=None, description="online, degraded, error, warning, offline, stopped or unknown."
    )


class HistoryQuery(Question):
    """Which observations: of at most 31 days."""

    since: Instant | None = Field(
        default=None, description="From this instant on (RFC 3339); a day before until."
    )
    until: Instant | None = Field(default=None, description="Up to this instant (RFC 3339); now.")
    limit: int = Field(default=5000, ge=1, le=20_000, description="Most items to answer.")
    offset: int = Field(default=0, ge=0, description="Items to leave out at the beginning.")


class HoursQuery(Question):
    """Which hours: of at most 400 days, and 5000 of them."""

    since: Instant | None = Field(
        default=None, description="From this instant on (RFC 3339); a week before until."
    )
    until: Instant | None = Field(default=None, description="Up to this instant (RFC 3339); now.")
    per: int = Field(default=1, ge=1, le=744, description="So many hours together.")


class ReportFormat(StrEnum):
    JSON = "json"
    HTML = "html"
    TEXT = "text"
    CSV = "csv"


class ReportQuery(Question):
    """Which report over the day, and how it is wanted."""

    format: ReportFormat = Field(default=ReportFormat.JSON, description="json, html, text or csv.")
    kind: str = Field(
        default="daily",
        max_length=60,
        description="The report's name; of a week or a month any day finds it.",
    )


# --- bodies --------------------------------------------------------------------------------------------


class Nothing(Question):
    """An empty body, or {}."""


class RecoverBody(Question):
    """How to recover."""

    dry_run: bool = Field(default=False, description="Say what would be done; do nothing.")
    rung: int | None = Field(default=None, ge=1, description="Start at this rung of the ladder, from 1.")


class ArmingBody(Question):
    """Whether recovery acts, and for whom."""

    mode: RecoveryMode | None = Field(
        description="auto acts, dry-run only says what it would do, off does nothing; null goes back to what is "
        "configured."
    )
    monitor: str | None = Field(
        default=None,
        description="One monitor; null for all, also for those that were set by themselves before.",
    )


class MonitorBody(BaseModel):
    """A monitor as an entry of `monitors:` in the configuration: the keys of its type, and those of a strategy.

    `recovery` and `enabled` are not among them, nor are types that run what their options say, as `command` does.
    """

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    type: str = Field(
        max_length=100, description="What to watch: a monitor type, such as http.", examples=["tcp"]
    )
    id: str | None = Field(
        default=None, description="A name for good; without it, one that resembles its name."
    )
    name: str | None = Field(default=None, description="For people.")


class MonitorChanges(BaseModel):
    """Keys of a monitor with their new values; null takes one away, and what is left out stays."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)


class StrategyBody(Question):
    """Which strategy for whom."""

    name: str | None = Field(description="A strategy; null goes back to what is configured.")
    monitor: str | None = Field(
        default=None, description="One monitor; null for all that follow the global one."
    )


Note = Annotated[str, Field(max_length=500)]
Lasting = Annotated[Duration, _within(timedelta(seconds=1), timedelta(days=366))]


class WindowsQuery(Question):
    """Which of them."""

    over: bool = Field(default=False, description="Also the newest ones that are over.")


class Ending(Question):
    """When something is over."""

    lasting: Lasting | None = Field(
        default=None, alias="for", description="How long it lasts, such as 2h, from its beginning on."
    )
    until: Instant | None = Field(default=None, description="When it ends instead (RFC 3339).")

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.lasting is not None and self.until is not None:
            raise ValueError("give either 'for' or 'until', not both")
        return self

    def end(self, begins: datetime.datetime) -> datetime.datetime | None:
        """The instant, of something that begins then."""
        return self.until if self.lasting is None else begins + self.lasting


class WindowBody(Ending):
    """What a silence or a maintenance is about, and for how long; each field that is given must fit."""

    monitors: list[str] = Field(default=[], max_length=1000, description="Any of these monitors, by id.")
    tags: list[str] = Field(default=[], max_length=100, description="Any of these tags of the monitor.")
    everything: bool = Field(
        default=False, alias="all", description="All monitors; nothing else is given then."
    )
    starts_at: Instant | None = Field(default=None, description="Unset is now (RFC 3339).")
    reason: Note = Field(default="", description="For people: why.")


class SilenceBody(WindowBody):
    """What a silence is about, and for how long; each field that is given must fit."""

    incidents: list[str] = Field(default=[], max_length=100, description="Any of these open incidents.")
    severity: list[Severity] = Field(
        default=[], max_length=4, description="Any of these severities of alerts."
    )


class PauseBody(Ending):
    """How long a monitor is left alone; without an end until somebody resumes it."""

    reason: Note = Field(default="", description="For people: why.")


class AckBody(Question):
    """What whoever sees to it has to say."""

    note: Note = Field(default="", description="For people: what is being done.")


class ReportBody(Question):
    """Which report to make."""

    date: datetime.date | None = Field(
        default=None, description="A day of the period that it covers; unset is the newest one that is over."
    )
    kind: str = Field(default="daily", max_length=60, description="The report's name.")
    send: bool = Field(default=False, description="Send it to the report's channels, too.")


class AgentBody(Question):
    """What an operator sets of an agent; what is left out stays."""

    name: Line | None = Field(default=None, min_length=1, max_length=200, description="As it is shown.")
    tags: list[Tag] | None = Field(default=None, max_length=50, description="Its tags.")
    pool: Line | None = Field(default=None, max_length=200, description='Its pool; "" for none.')


class TokenBody(Question):
    """Which token to make."""

    name: Line = Field(min_length=1, max_length=60, description="What it is for; stands in the audit log.")
    scope: Scope = Field(
        description="read sees everything, write steers too, admin makes tokens too, ingest does nothing but report "
        "beats and introduce agents."
    )
    expires: Validity | None = Field(
        default=None, description="How long it is good, such as 90d; null: for ever."
    )


class RotateBody(Question):
    """How long the old token stays good."""

    overlap: Overlap = Field(default=timedelta(hours=24), description="Such as 24h; 0s ends it at once.")


# --- reading them --------------------------------------------------------------------------------------


def query(request: Request, model: type[M]) -> M:
    """The query string.

    :raises Problem: 422 with each wrong parameter.
    """
    return _valid(model, dict(request.query_params), "the query string")


async def body(request: Request, model: type[M]) -> M:
    """The JSON body; none at all counts as ``{}``.

    :raises Problem: 400 when it is no JSON object, 413 when it is too long, 422 with each wrong member.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > BODY_LIMIT_BYTES:
            limit = f"{BODY_LIMIT_BYTES // 1024} kB"
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {limit}")
    try:
        data = json.loads(content) if content.strip() else {}
    except (ValueError, RecursionError) as error:
        why = _DEEPEST if isinstance(error, RecursionError) else str(error)
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {why}") from error
    if not isinstance(data, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body must be a JSON object, such as {}")
    return _valid(model, data, "the body")


def _valid(model: type[M], data: Mapping[str, Any], where: str) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = [
            {"path": ".".join(map(str, item["loc"])), "message": _said(item["type"], item["msg"], model)}
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        summary = "; ".join(
            f"{item['path']}: {item['message']}" if item["path"] else item["message"] for item in errors
        )
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{where} is wrong: {summary}", errors=errors
        ) from error


def _said(kind: str, message: str, model: type[BaseModel]) -> str:
    if kind == "extra_forbidden":
        known = ", ".join(field.alias or name for name, field in model.model_fields.items())
        return f"is not known here; known: {known}" if known else "is not known here; nothing is expected"
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]

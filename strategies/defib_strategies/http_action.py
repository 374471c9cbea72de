"""Recovery by an HTTP call: to a webhook, a runbook automation, a management API.

Nothing that comes from a target reaches the address or the headers: they stand in the configuration. What is
known of the fault goes into the body, as JSON, where no value can become structure.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, JsonValue

from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    ActionResult,
    ActionType,
    BuildContext,
    MonitorSpec,
    Options,
    OwnParts,
    Secret,
    hookimpl,
)
from defib_strategies.own_store import is_same_server
from defib_strategies.results import bounded, failed, timed_out

if TYPE_CHECKING:
    from httpx import Response

_FACTS = {
    "monitor": "DEFIB_MONITOR",
    "type": "DEFIB_TYPE",
    "state": "DEFIB_STATE",
    "reason": "DEFIB_REASON",
    "incident": "DEFIB_INCIDENT",
    "attempt": "DEFIB_ATTEMPT",
}
_PLACEHOLDER = re.compile(rf"\{{({'|'.join(_FACTS)})\}}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_OURS = ("content-type", "content-length", "host", "idempotency-key", "transfer-encoding", "connection")
_ANSWER_BYTES = 4096  #: of an answer that are kept
_KEY = "Idempotency-Key"  # draft-ietf-httpapi-idempotency-key-header


class Method(StrEnum):
    """How it is called."""

    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


def _checked_url(url: Secret) -> Secret:
    try:
        parts = urlsplit(url.get_secret_value())
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or re.search(r"[\x00-\x20\x7f]", url.get_secret_value()):
        raise ValueError("is no web address; write for example https://automation.example.com/restart/main")
    return url


def _checked_headers(headers: dict[str, Secret]) -> dict[str, Secret]:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header; write for example X-Api-Key")
        if name.lower() in _OURS:
            raise ValueError(f"{name} is set by Defib; remove it")
        if re.search(r"[^\x20-\x7e\t]", value.get_secret_value()):
            raise ValueError(f"the value of {name} has a character that no header can carry; remove it")
    return headers


class HttpOptions(Options):
    """``http: {url: https://automation.example.com/restart}``."""

    url: Annotated[Secret, AfterValidator(_checked_url)] = Field(
        description="Address to call, as it stands here; only its host is ever shown."
    )
    method: Method = Field(default=Method.POST, description="How to call it.")
    headers: Annotated[dict[str, Secret], AfterValidator(_checked_headers)] = Field(
        default_factory=dict,
        description="Headers to send along, such as Authorization; their values are never shown.",
    )
    body: JsonValue = Field(
        default=None,
        description="What to send as JSON. In its texts {monitor}, {type}, {state}, {reason}, {incident} and {attempt} "
        "stand for what is known of the fault; unset sends all of these as one object.",
    )


class HttpAction:
    """Makes one call, which a good receiver takes once however often it arrives."""

    changes_identity = False  # what it does at the far end is not known

    def __init__(self, options: HttpOptions, own: OwnParts) -> None:
        self._url = options.url.get_secret_value()
        self._method = str(options.method)
        self._headers = {name: value.get_secret_value() for name, value in options.headers.items()}
        self._body = options.body
        self._own = own
        parts = urlsplit(self._url)
        place = f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
        rest = "/…" if parts.path.strip("/") else "/"  # a path is often a secret too: of Slack, of Discord
        self.description = f"{self._method} {parts.scheme}://{place}{rest}"

    def check(self) -> None:
        """Nothing that could be seen without calling."""

    async def aim(self) -> str:
        """See :class:`defib.plugin.Aimed`."""
        parts = urlsplit(self._url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if self._own.server is not None and await asyncio.to_thread(
            is_same_server, parts.hostname or "", port, self._own.server
        ):
            raise ActionRefusedError(f"{self.description} would call Defib itself; name another address")
        return self.description

    async def identity(self) -> str | None:
        """Unknown."""
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`. A redirect is not followed: it would lead where nobody configured."""
        import httpx

        key = context.key or f"{context.env.get('DEFIB_INCIDENT', '')}-{context.env.get('DEFIB_ATTEMPT', '')}"
        headers = {**self._headers, "Content-Type": "application/json", _KEY: key}
        content = json.dumps(self._filled(context.env), ensure_ascii=False).encode()
        seconds = context.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                await self.aim()
                async with (
                    httpx.AsyncClient(timeout=seconds, trust_env=False, follow_redirects=False) as client,
                    client.stream(self._method, self._url, content=content, headers=headers) as answer,
                ):
                    text = await _beginning(answer)
        except (TimeoutError, httpx.TimeoutException):
            return timed_out(f"{self.description}: no answer in time; it may have been taken all the same")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return failed(f"{self.description}: {str(error) or type(error).__name__}", self._secrets)
        told = bounded(f"{self.description}: status {answer.status_code}\n{text}".rstrip(), self._secrets)
        return ActionResult(exit_status=0 if answer.is_success else 1, output=told)

    def _filled(self, env: Mapping[str, str]) -> Any:
        if self._body is None:
            return {name: env.get(variable, "") for name, variable in _FACTS.items()}
        return _fill(self._body, lambda match: env.get(_FACTS[match[1]], ""))

    @property
    def _secrets(self) -> tuple[str, ...]:
        parts = urlsplit(self._url)
        rest = (parts.password or "", parts.query, parts.path)
        return tuple(value for value in (*self._headers.values(), *rest) if len(value) > 3)


def _fill(value: Any, fact: Any) -> Any:
    """``value`` with each placeholder in its texts replaced once; what is put in is not looked at again."""
    match value:
        case str():
            return _PLACEHOLDER.sub(fact, value)
        case dict():
            return {key: _fill(below, fact) for key, below in value.items()}
        case list():
            return [_fill(item, fact) for item in value]
        case _:
            return value


async def _beginning(answer: "Response") -> str:
    """The first bytes of an answer, whatever its length.

    A longer one is ended by closing the connection, not by leaving the loop: so httpx's generators end by
    themselves, here and now.
    """
    import httpx

    taken = bytearray()
    with suppress(httpx.StreamError, httpx.TransportError):
        async for chunk in answer.aiter_bytes():
            taken += chunk
            if len(taken) >= _ANSWER_BYTES:
                await answer.aclose()
    return taken[:_ANSWER_BYTES].decode("utf-8", "replace")


def _create(options: HttpOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    return HttpAction(options, context.own)


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    """The action."""
    return (
        ActionType(
            kind="http",
            summary="calls a web address, with an idempotency key and what is known of the fault",
            options=HttpOptions,
            create=_create,
        ),
    )

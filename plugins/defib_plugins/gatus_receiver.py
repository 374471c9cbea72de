"""Receiver ``gatus``: Gatus' external endpoints.

``POST /api/v1/endpoints/{key}/external?success=true|false&error=…&duration=10s`` with an ingest token as
``Authorization: Bearer``. The key is a monitor's id, or its name as a slug. 200 with an empty body; what is wrong is
told as text.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from defib.plugin import Fact, ReceiverContext, ReceiverType, Signal, StoreError, hookimpl
from defib_plugins.display import clip
from defib_plugins.receiving import Gate, RefusedError, bearer, refusal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

_LONGEST_KEY = 200
_UNITS_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
_PART = re.compile(r"(\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


def routes(context: ReceiverContext) -> "Sequence[BaseRoute]":
    """``/api/v1/endpoints/{key}/external``."""
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    gate = Gate(context)

    async def take(request: "Request") -> None:
        token = gate.admit(request, bearer(request))
        if token.agent is not None:
            raise gate.refusal(request)
        said = request.query_params
        success = said.get("success", "")
        if success not in ("true", "false"):
            raise RefusedError(400, "invalid success value: it is true or false")
        duration_ms = milliseconds(said.get("duration", ""))
        key = request.path_params["key"]
        found = context.jobs.named(key) if len(key) <= _LONGEST_KEY else []
        if len(found) != 1:
            raise RefusedError(404, "not found")
        facts: dict[str, Fact] = {"method": request.method}
        if user_agent := request.headers.get("user-agent"):
            facts["user_agent"] = clip(user_agent)
        await context.sink.accept(
            found[0], Signal.ALIVE if success == "true" else Signal.FAIL, protocol="gatus",
            body=said.get("error", "").replace("\x00", "\ufffd"), facts=facts,
            metrics={} if duration_ms is None else {"duration_ms": duration_ms},
        )  # fmt: skip

    async def external(request: "Request") -> "Response":
        try:
            await take(request)
        except (RefusedError, StoreError) as error:
            refused = refusal(error)
            return PlainTextResponse(refused.why, refused.status, dict(refused.headers))
        return PlainTextResponse("")

    return [Route("/api/v1/endpoints/{key}/external", external, methods=["POST"])]


def milliseconds(text: str) -> float | None:
    """Of a duration as Go writes it: ``1m30.5s``; None for "".

    :raises RefusedError: 400, it is none.
    """
    if not text:
        return None
    if text == "0":
        return 0.0
    parts = _PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise RefusedError(400, "invalid duration: write for example 250ms or 1m30s")
    return float(sum(float(number) * _UNITS_MS[unit] for number, unit in parts))


@hookimpl
def defib_receivers() -> Iterable[ReceiverType]:
    return [
        ReceiverType(
            kind="gatus", summary="Gatus external endpoints: /api/v1/endpoints/{key}/external", routes=routes
        )
    ]

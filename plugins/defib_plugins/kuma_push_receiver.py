"""Receiver ``kuma-push``: Uptime Kuma's push monitors, ``/api/push/{token}?status=up&msg=OK&ping=12``.

The token is a monitor's ``push_token``, or its ping UUID with or without its dashes. As there, every method is taken,
``status`` is ``up`` unless it says otherwise, an empty ``ping`` is normal, and whatever is wrong is a 404.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from defib.plugin import (
    Fact,
    MonitorId,
    ReceiverContext,
    ReceiverType,
    Signal,
    hookimpl,
)
from defib_plugins.display import clip
from defib_plugins.receiving import Endpoint, Gate, RefusedError, answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

TOKEN_CHARACTERS = 32
_LONGEST_TOKEN = 100
_MOST_MS = 1e11
_METHODS = ["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_NUMBER = re.compile(r"\s*([-+]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))", re.ASCII)


def routes(context: ReceiverContext) -> "Sequence[BaseRoute]":
    """``/api/push/{token}``."""
    from starlette.routing import Route

    gate = Gate(context)

    async def push(request: "Request") -> "Response":
        monitor = _find(context, request.path_params["token"])
        if monitor is None:
            told = gate.refusal(request)
            raise told if told.status == 429 else RefusedError(404, "Monitor not found or not active.")
        said = request.query_params
        facts: dict[str, Fact] = {"method": request.method}
        if user_agent := request.headers.get("user-agent"):
            facts["user_agent"] = clip(user_agent)
        ping_ms = milliseconds(said.get("ping", ""))
        signal = Signal.ALIVE if said.get("status", "up") == "up" else Signal.FAIL
        await context.sink.accept(
            monitor, signal, protocol="kuma-push", body=said.get("msg", "OK").replace("\x00", "\ufffd"), facts=facts,
            metrics={} if ping_ms is None else {"ping_ms": ping_ms},
        )  # fmt: skip
        return answer({"ok": True})

    return [Route("/api/push/{token}", Endpoint(push, _say), methods=_METHODS)]


def _say(status: int, why: str) -> dict[str, bool | str]:
    return {"ok": False, "msg": why}


def _find(context: ReceiverContext, token: str) -> MonitorId | None:
    """The monitor of a token; a monitor's id, which can be guessed, is none."""
    if not TOKEN_CHARACTERS <= len(token) <= _LONGEST_TOKEN:
        return None
    dashed = "-".join((token[:8], token[8:12], token[12:16], token[16:20], token[20:]))
    for key in (token, dashed):
        monitor = context.sink.find(key)
        if monitor is not None and monitor != key:
            return monitor
    return None


def milliseconds(text: str) -> float | None:
    """As ``parseFloat`` reads it; None for what is no number, and for zero, which stands for none.

    :raises RefusedError: 404, out of range.
    """
    found = _NUMBER.match(text)
    value = float(found.group(1)) if found else math.nan
    if math.isnan(value) or value == 0:
        return None
    if not 0 < value <= _MOST_MS:
        raise RefusedError(404, "Invalid ping value: it is from 0 to 100000000000 milliseconds.")
    return value


@hookimpl
def defib_receivers() -> Iterable[ReceiverType]:
    return [ReceiverType(kind="kuma-push", summary="Uptime Kuma push: /api/push/{token}", routes=routes)]

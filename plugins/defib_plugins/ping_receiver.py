"""Receiver ``ping``: the Healthchecks ping API, so that whatever pings there today can ping here.

``/ping/{uuid}`` with ``/start``, ``/fail``, ``/log`` and ``/{exit-status}``, by HEAD, GET or POST. A monitor's id
works in place of its UUID. The body is kept as it is, whatever its type says, because wrappers post a
traceback as a form; what exceeds the limit is dropped and never an error.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from defib.plugin import BeatSink, Fact, ReceiverContext, ReceiverType, Signal, StoreError, hookimpl
from defib_plugins.display import clip

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

BODY_LIMIT_BYTES = 100_000
_RETRY_AFTER_S = 5
_LONGEST_KEY = 100
_RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Ping-Body-Limit": str(BODY_LIMIT_BYTES),
}
_SIGNALS = {"": Signal.ALIVE, "start": Signal.START, "fail": Signal.FAIL, "log": Signal.LOG}


def routes(context: ReceiverContext) -> "Sequence[BaseRoute]":
    """The routes below ``/ping``."""
    from starlette.routing import Route

    async def ping(request: "Request") -> "Response":
        return await _take(request, context.sink)

    methods = ["HEAD", "GET", "POST"]
    return [
        Route("/ping/{key}", ping, methods=methods),
        Route("/ping/{key}/", ping, methods=methods),
        Route("/ping/{key}/{word}", ping, methods=methods),
    ]


async def _take(request: "Request", sink: BeatSink) -> "Response":
    """Answer one ping. 200 only once it cannot be lost."""
    from starlette.requests import ClientDisconnect

    word = request.path_params.get("word", "")
    exit_status = int(word) if word.isascii() and word.isdecimal() else None
    if exit_status is None and word not in _SIGNALS:
        return _answer(404, "not found")
    if exit_status is not None and exit_status > 255:
        return _answer(400, "invalid url format")
    key = request.path_params["key"]
    monitor = sink.find(key) if len(key) <= _LONGEST_KEY else None
    if monitor is None:
        return _answer(404, "not found")
    run_id = request.query_params.get("rid")
    if run_id is not None and not _RUN_ID.fullmatch(run_id):
        return _answer(400, "invalid uuid format")
    facts: dict[str, Fact] = {"method": request.method}
    if run_id is not None:
        facts["rid"] = run_id.lower()
    if agent := request.headers.get("user-agent"):
        facts["user_agent"] = clip(agent)
    try:
        body = await _body(request)
        if exit_status is None:
            await sink.accept(monitor, _SIGNALS[word], protocol="ping", body=body, facts=facts)
        else:
            signal = Signal.FAIL if exit_status else Signal.ALIVE
            await sink.accept(
                monitor, signal, protocol="ping", exit_status=exit_status, body=body, facts=facts
            )  # fmt: skip
    except StoreError:
        return _answer(503, "cannot store the ping now; try again", **{"Retry-After": str(_RETRY_AFTER_S)})
    except ClientDisconnect:
        return _answer(400, "the request ended early")
    return _answer(200, "OK")


async def _body(request: "Request") -> str:
    """The first bytes of the body as text; NUL, which no store keeps, and bad UTF-8 are replaced."""
    kept = bytearray()
    async for chunk in request.stream():
        kept += chunk[: BODY_LIMIT_BYTES - len(kept)]
    return kept.decode("utf-8", "replace").replace("\x00", "\ufffd")


def _answer(status: int, text: str, **headers: str) -> "Response":
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(text, status, {**_HEADERS, **headers})


@hookimpl
def defib_receivers() -> Iterable[ReceiverType]:
    return [ReceiverType(kind="ping", summary="Healthchecks ping API: /ping/{uuid}", routes=routes)]

"""How Defib itself is: the health document, and one word for supervisors."""

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from defib import __version__
from defib.engine.working import STALLED_S
from defib.errors import StoreError
from defib.web.services import Services

_CHECKS = {
    "observer": "observer:sickness",
    "dead-man": "observer:dead-man",
    "plugin": "plugins:faults",
    "channel": "channels:delivery",
    "report": "reports:faults",
}
"""What is wrong with Defib, without that it stops watching: the name of its check."""

MEDIA_TYPE = "application/health+json"


class HealthRoutes:
    """``/health``, ``/livez`` and ``/readyz``; open to everybody, they tell no names of what is watched."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def health(self, request: Request) -> Response:
        """The health document (draft-inadarei-api-health-check-06): 503 when Defib cannot watch, else 200."""
        document = await self._document()
        status = HTTPStatus.SERVICE_UNAVAILABLE if document["status"] == "fail" else HTTPStatus.OK
        return JSONResponse(document, status, media_type=MEDIA_TYPE)

    async def livez(self, request: Request) -> Response:
        """The process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(self, request: Request) -> Response:
        """It watches."""
        for why in self._services.engine.working.obstacles():
            return PlainTextResponse(f"not ready: {why}\n", HTTPStatus.SERVICE_UNAVAILABLE)
        return PlainTextResponse("ready\n")

    async def _document(self) -> dict[str, Any]:
        engine = self._services.engine
        failing, overdue_s = list(engine.working.obstacles()), engine.working.overdue()
        checks: dict[str, list[dict[str, Any]]] = {
            "store:writable": [_check("fail", engine.housekeeping.store_error)]
            if engine.housekeeping.store_error
            else [_check("pass")],
            "scheduler:lateness": [
                _check("fail" if overdue_s > STALLED_S else "pass")
                | {"observedValue": round(max(0.0, overdue_s), 3), "observedUnit": "s"}
            ],
        }
        try:
            problems = await asyncio.to_thread(self._services.views.problems)
        except StoreError as error:
            failing.append(str(error))
            checks["store:readable"] = [_check("fail", str(error))]
            problems = []
        for what, name in _CHECKS.items():
            found = [_check("warn", item["message"]) for item in problems if item["what"] == what]
            checks[name] = found or [_check("pass")]
        warns = any(check["status"] == "warn" for found in checks.values() for check in found)
        status = "fail" if failing else "warn" if warns else "pass"
        document = {
            "status": status,
            "version": __version__,
            "description": "Defib, which watches heartbeats and restarts hearts",
            "checks": checks,
        }
        return document | ({"output": "; ".join(failing)} if failing else {})


def _check(status: str, output: str = "") -> dict[str, Any]:
    check = {"status": status, "time": datetime.now(UTC).isoformat()}
    return check | ({"output": output} if output else {})

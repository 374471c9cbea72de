"""Which ports speak HTTP, and where they tell their health."""

import asyncio
from collections.abc import Iterable

import httpx

from defib import __version__
from defib.discovery.seen import Answer, Listener
from defib.discovery.servers import HEALTH_PATHS

REQUEST_TIMEOUT_S = 0.5
DEADLINE_S = 3.0  #: for all ports together
_AT_ONCE = 16
_HEADERS = {"User-Agent": f"defib/{__version__} (discovery)", "Accept": "*/*", "Connection": "close"}


async def ask(listeners: Iterable[Listener]) -> dict[int, Answer]:
    """The answers of the ports that speak HTTP; those that took too long are left out."""
    gate = asyncio.Semaphore(_AT_ONCE)
    answers: dict[int, Answer] = {}
    async with httpx.AsyncClient(headers=_HEADERS, trust_env=False, timeout=REQUEST_TIMEOUT_S) as client:

        async def ask_one(listener: Listener) -> None:
            async with gate:
                answer = await _ask(client, listener.url)
            if answer is not None:
                answers[listener.port] = answer

        try:
            async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
                for listener in listeners:
                    group.create_task(ask_one(listener))
        except TimeoutError:
            pass  # what answered by now is what there is
    return answers


async def _ask(client: httpx.AsyncClient, url: str) -> Answer | None:
    """One path after the other until one answers 200; None at the first silence or word that is not HTTP."""
    first: int | None = None
    for path in HEALTH_PATHS:
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT_S),
                client.stream("GET", url + path) as response,  # the body is not read: it may be endless
            ):
                status = response.status_code
        except (httpx.HTTPError, OSError):  # TimeoutError is an OSError
            return Answer(status=first) if first is not None else None
        if first is None:
            first = status
        if status == 200:
            return Answer(status=first, path=path)
    assert first is not None
    return Answer(status=first)

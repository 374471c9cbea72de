"""The application: every route put together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from defib.engine.engine import Engine
from defib.errors import DefibError
from defib.logs import get_logger
from defib.model.settings import BadgeAccess
from defib.ports import ReceiverContext
from defib.registry import Registry
from defib.web.access import Access
from defib.web.agent_pages import AgentPages
from defib.web.agent_stream import AgentStream
from defib.web.agents import Agents
from defib.web.assets import Assets
from defib.web.badges import Badges
from defib.web.desk import DeskOperations
from defib.web.desk_pages import DeskPages
from defib.web.front_door import FrontDoor
from defib.web.health import HealthRoutes
from defib.web.live import Events
from defib.web.login import Login
from defib.web.making import Making
from defib.web.metrics import MetricsRoute
from defib.web.openapi import describe
from defib.web.operations import API, json_response, routes
from defib.web.pages import PageRoutes
from defib.web.problems import Problem, handlers
from defib.web.proxies import BehindProxies
from defib.web.reading import Reading
from defib.web.rendering import Pages
from defib.web.services import Services
from defib.web.snapshot import Snapshot
from defib.web.steering import Steering
from defib.web.tokens import TokenOperations

__all__ = ["Services", "create_app", "listening_receivers"]

log = get_logger("defib.web")


def create_app(services: Services) -> BehindProxies:
    """The server's application for one engine."""
    access = Access(services)
    assets = Assets()
    snapshot = Snapshot(services.views)

    def about(request: Request) -> dict[str, Any]:
        """What every page knows: who looks, and the zone of its clock."""
        try:
            caller = access.caller(request)
        except Problem:  # an error page for a wrong token
            csrf = ""
        else:
            csrf = access.csrf_token(caller)
        return {"csrf": csrf, "timezone": services.engine.roster.settings.timezone}

    pages = Pages(assets.url, about)
    agents = Agents(services.engine, snapshot)
    operations = [
        *Reading(services, snapshot).operations(),
        *Steering(services, snapshot).operations(),
        *DeskOperations(services, snapshot).operations(),
        *Making(services.engine, snapshot).operations(),
        *agents.operations(),
        *TokenOperations(services.engine).operations(),
    ]

    @cache
    def description() -> dict[str, Any]:
        """Made when somebody asks: it takes a tenth of a second, which no start should wait for."""
        return describe(operations)

    health = HealthRoutes(services)
    metrics = MetricsRoute(services.engine)
    badges = Badges(services.engine)
    events = Events(access, services.engine.bus)

    async def scrape(request: Request) -> Response:
        access.reader(request)
        return await metrics(request)

    async def openapi(request: Request) -> Response:
        access.reader(request)
        return json_response(await asyncio.to_thread(description))

    receivers = receiver_routes(services.engine.roster.registry, receiver_context(services.engine, access))
    table: list[BaseRoute] = [
        *receivers,
        Route("/health", health.health),
        Route("/livez", health.livez),
        Route("/readyz", health.readyz),
        Route("/metrics", scrape),
        Route("/openapi.json", openapi),
        WebSocketRoute(f"{API}/events", events.listen),
        WebSocketRoute(f"{API}/agents/live", AgentStream(services.engine, access, agents).listen),
        *routes(operations, access),
        *badges.routes(),
        assets.route,
        *Login(access, services.login_keys, pages).routes(),
        *AgentPages(services.engine, access, pages, agents).routes(),
        *DeskPages(services, access, pages).routes(),
        *PageRoutes(services, access, pages, snapshot, description).routes(),
    ]
    app = FrontDoor(Starlette(routes=table, exception_handlers=handlers(pages)), access, receivers)
    return BehindProxies(app, lambda: services.engine.roster.settings.server.trusted_proxies)


def receiver_context(engine: Engine, access: Access) -> ReceiverContext:
    """What receivers work with."""

    def may_read(connection: HTTPConnection) -> bool:
        try:
            access.reader(connection)
        except Problem:
            return False
        if connection.scope["type"] == "websocket" and "authorization" not in connection.headers:
            return access.is_known_origin(connection)  # else a page of another site would read by our cookie
        return True

    return ReceiverContext(
        sink=engine.beats, jobs=engine.jobs, fleet=engine.fleet, clock=engine.clock, may_read=may_read,
        unix_socket=engine.roster.settings.server.unix_socket,
        unix_socket_mode=engine.roster.settings.server.unix_socket_mode,
        unix_socket_group=engine.roster.settings.server.unix_socket_group,
        has_badges=lambda: engine.roster.settings.server.badges is not BadgeAccess.OFF,
        sign=engine.roster.sign,
    )  # fmt: skip


def receiver_routes(registry: Registry, context: ReceiverContext) -> list[BaseRoute]:
    """The routes of every receiver; one that cannot make them is logged, and the others stay."""
    found: list[BaseRoute] = []
    for kind in registry.receivers.names():
        try:
            found += registry.receivers[kind].routes(context)
        except Exception as error:  # a receiver is a plugin
            log.error("receiver has no routes", receiver=kind, error=repr(error), exc_info=error)
    return found


@asynccontextmanager
async def listening_receivers(services: Services) -> AsyncIterator[None]:
    """The receivers that listen elsewhere run meanwhile; one that ends is logged, and the others go on."""
    registry = services.engine.roster.registry
    context = receiver_context(services.engine, Access(services))

    async def guarded(kind: str, serve: Callable[[ReceiverContext], Coroutine[Any, Any, None]]) -> None:
        try:
            await serve(context)
        except DefibError as error:
            log.error("receiver does not listen", receiver=kind, error=str(error))
        except Exception as error:  # a receiver is a plugin
            log.error("receiver stopped", receiver=kind, error=repr(error), exc_info=error)

    tasks = [
        asyncio.create_task(guarded(kind, serve), name=f"defib-receiver-{kind}")
        for kind in registry.receivers.names()
        if (serve := registry.receivers[kind].serve) is not None
    ]
    try:
        yield
    finally:
        services.engine.fleet.close()  # streams that end from now on do so because of us
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""The API's commands: everything that makes the engine do something."""

import asyncio
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from defib.engine.views import row_views
from defib.errors import UsageError
from defib.model.agent import Scope
from defib.model.changes import DeliveryTry
from defib.model.ids import MonitorId
from defib.web import answers, questions
from defib.web.operations import Call, Operation
from defib.web.problems import Problem
from defib.web.reading import no_monitor
from defib.web.services import Services
from defib.web.snapshot import Snapshot


class Steering:
    """Does what operators ask for; each call expires the snapshot, so that they see what they did."""

    def __init__(self, services: Services, snapshot: Snapshot) -> None:
        self._services = services
        self._engine = services.engine
        self._snapshot = snapshot

    def operations(self) -> list[Operation]:
        """What can be asked for."""
        return [
            Operation(
                method="POST", path="/monitors/{id}/check", name="checkMonitor", group="Monitors", scope=Scope.WRITE,
                answer=self.check, summary="Look now; answers the monitor as it is then.", body=questions.Nothing,
                shape=answers.MonitorStory,
                refusals={HTTPStatus.NOT_FOUND: "There is none of that id.",
                          HTTPStatus.CONFLICT: "It reports by itself; there is nothing to look at."},
            ),
            Operation(
                method="POST", path="/monitors/{id}/recover", name="recoverMonitor", group="Monitors",
                scope=Scope.WRITE, answer=self.recover, status=HTTPStatus.ACCEPTED, body=questions.RecoverBody,
                shape=answers.Started,
                summary="Run the recovery ladder by hand: same gates, same verification, audited.",
                refusals={HTTPStatus.NOT_FOUND: "There is none of that id.",
                          HTTPStatus.CONFLICT: "It is not at fault, has no ladder, or is being recovered already."},
            ),
            Operation(
                method="POST", path="/monitors/{id}/recover/cancel", name="cancelRecovery", group="Recovery",
                scope=Scope.WRITE, answer=self.cancel, status=HTTPStatus.ACCEPTED, body=questions.Nothing,
                shape=answers.Cancelled,
                summary="End the recovery at work; an action that runs comes to its end first, and is not verified.",
                refusals={HTTPStatus.NOT_FOUND: "There is none of that id.",
                          HTTPStatus.CONFLICT: "No recovery of it is at work."},
            ),
            Operation(
                method="POST", path="/monitors/{id}/recover/reset", name="resetRecovery", group="Recovery",
                scope=Scope.WRITE, answer=self.reset, body=questions.Nothing, shape=answers.MonitorStory,
                summary="Forget what recovery has spent on it and that it was given up; an open fault is taken up.",
                refusals={HTTPStatus.NOT_FOUND: "There is none of that id."},
            ),
            Operation(
                method="PUT", path="/recovery", name="armRecovery", group="Recovery", scope=Scope.WRITE,
                answer=self.arm, body=questions.ArmingBody, shape=answers.Arming,
                summary="Arm or disarm recovery for all monitors or one; it stays so over restarts.",
            ),
            Operation(
                method="PUT", path="/strategies", name="switchStrategy", group="Strategies", scope=Scope.WRITE,
                answer=self.switch, summary="Switch all monitors or one to a strategy; it stays so over restarts.",
                body=questions.StrategyBody, shape=answers.Strategies,
            ),
            Operation(
                method="POST", path="/channels/{name}/test", name="testChannel", group="Alerts", scope=Scope.WRITE,
                answer=self.test, summary="Send a real test message through the real path.",
                body=questions.Nothing, shape=answers.Tested,
                refusals={HTTPStatus.NOT_FOUND: "There is none of that name."},
            ),
            Operation(
                method="POST", path="/reports", name="makeReport", group="Reports", scope=Scope.WRITE,
                answer=self.report, summary="Make the report of a day, store it, and send it if asked to.",
                status=HTTPStatus.CREATED, body=questions.ReportBody, shape=answers.ReportMade,
            ),
            Operation(
                method="POST", path="/config/reload", name="reloadConfiguration", group="Defib", scope=Scope.WRITE,
                answer=self.reload, body=questions.Nothing, shape=answers.Reloaded,
                summary="Load the configuration again: valid as a whole, or 422 and the old one stays in force.",
            ),
            Operation(
                method="POST", path="/login-links", name="makeLoginLink", group="Defib", scope=Scope.ADMIN,
                answer=self.login_link, summary="A fresh link that logs one browser in.", body=questions.Nothing,
                shape=answers.LoginLink, status=HTTPStatus.CREATED,
            ),
        ]  # fmt: skip

    # --- monitors ----------------------------------------------------------------------------------

    async def check(self, call: Call) -> dict[str, Any]:
        monitor = self._monitor(call)
        if self._engine.roster.monitors[monitor].is_pushed:
            raise Problem(HTTPStatus.CONFLICT, f"{monitor} reports by itself; there is nothing to look at")
        await self._engine.look(monitor)
        self._snapshot.expire()
        view = await asyncio.to_thread(self._services.views.monitor, monitor)
        if view is None:  # a reload has removed it meanwhile
            raise no_monitor(monitor)
        return view

    async def recover(self, call: Call) -> dict[str, Any]:
        monitor = self._monitor(call)
        wanted: questions.RecoverBody = call.body
        case = await self._engine.recovery.by_hand(
            monitor,
            call.caller.actor,
            dry_run=wanted.dry_run,
            rung=None if wanted.rung is None else wanted.rung - 1,
        )
        self._snapshot.expire()
        return {"case": row_views.case(case)}

    async def cancel(self, call: Call) -> dict[str, Any]:
        case = await self._engine.recovery.cancel(self._monitor(call), call.caller.actor)
        self._snapshot.expire()
        return {"case": row_views.case(case)}

    async def reset(self, call: Call) -> dict[str, Any]:
        monitor = self._monitor(call)
        await self._engine.arming.reset(monitor, call.caller.actor)
        self._snapshot.expire()
        view = await asyncio.to_thread(self._services.views.monitor, monitor)
        if view is None:  # a reload has removed it meanwhile
            raise no_monitor(monitor)
        return view

    async def arm(self, call: Call) -> dict[str, Any]:
        wanted: questions.ArmingBody = call.body
        monitor = None if wanted.monitor is None else MonitorId(wanted.monitor)
        await self._engine.arming.set_mode(wanted.mode, monitor, call.caller.actor)
        self._snapshot.expire()
        return self._services.views.recovery()

    def _monitor(self, call: Call) -> MonitorId:
        monitor = MonitorId(call.part("id"))
        if monitor not in self._engine.roster.monitors:
            raise no_monitor(monitor)
        return monitor

    # --- the rest ----------------------------------------------------------------------------------

    async def switch(self, call: Call) -> dict[str, Any]:
        wanted: questions.StrategyBody = call.body
        monitor = None if wanted.monitor is None else MonitorId(wanted.monitor)
        await self._engine.switch_strategy(wanted.name, monitor, call.caller.actor)
        self._snapshot.expire()
        return self._services.views.strategies()

    async def test(self, call: Call) -> dict[str, Any]:
        tries: list[DeliveryTry] = []
        try:
            accepted, detail = await self._engine.test_alert(call.part("name"), on_try=tries.append)
        except UsageError as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
        return {
            "accepted": accepted,
            "detail": detail,
            "tries": [row_views.delivery_try(one) for one in tries],
        }

    async def report(self, call: Call) -> dict[str, Any]:
        wanted: questions.ReportBody = call.body
        reporting = self._engine.reporting
        try:
            spec = reporting.spec(wanted.kind)
        except UsageError as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
        today = self._engine.clock.now().astimezone(ZoneInfo(spec.timezone)).date()
        day = wanted.date or reporting.newest_day(spec)
        if day > today:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{day} is still to come; today is {today}")
        document, channels = await self._engine.make_report(spec.name, day, send=wanted.send)
        return {"id": document.id, "subject": document.subject, "channels": list(channels)}

    async def reload(self, call: Call) -> dict[str, Any]:
        mistakes = await self._services.reload()
        self._snapshot.expire()
        if mistakes:
            n = f"{len(mistakes)} mistake{'' if len(mistakes) == 1 else 's'}"
            detail = f"the configuration has {n}, so the old one stays in force: {mistakes[0]}"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, mistakes=mistakes)
        settings = self._engine.roster.settings
        return {"monitors": len(self._engine.roster.monitors), "warnings": list(settings.warnings)}

    async def login_link(self, call: Call) -> dict[str, Any]:
        return {"url": self._services.login_url(str(call.request.base_url))}

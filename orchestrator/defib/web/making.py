"""The API's monitors: made, changed and removed by programs, beside those of the configuration."""

from http import HTTPStatus
from typing import Any

from defib.engine.engine import Engine
from defib.engine.heartbeats.made_monitors import definition_of
from defib.engine.recovery.known_secrets import secrets_in
from defib.errors import RegistrationRefusedError
from defib.model.agent import Scope
from defib.model.ids import MonitorId
from defib.model.monitor import MadeMonitor
from defib.rules.masking import masked
from defib.web import answers, questions
from defib.web.operations import Call, Operation
from defib.web.problems import Problem
from defib.web.reading import no_monitor
from defib.web.snapshot import Snapshot

_NOT_FOUND = {HTTPStatus.NOT_FOUND: "There is none of that id."}
_READ_ONLY = {HTTPStatus.CONFLICT: "It is in the configuration, or was made for an agent."}


class Making:
    """Makes monitors for one server."""

    def __init__(self, engine: Engine, snapshot: Snapshot) -> None:
        self._engine = engine
        self._snapshot = snapshot

    def operations(self) -> list[Operation]:
        """What can be asked for."""
        return [
            Operation(
                method="POST", path="/monitors", name="makeMonitor", group="Monitors", scope=Scope.WRITE,
                answer=self.make, status=HTTPStatus.CREATED, body=questions.MonitorBody, shape=answers.MadeMonitor,
                summary="Watch one more thing, as an entry of `monitors:` would, beside those of the configuration.",
                refusals={HTTPStatus.CONFLICT: "There is one of that id, or too many were made already."},
            ),
            Operation(
                method="GET", path="/monitors/{id}/definition", name="getDefinition", group="Monitors",
                answer=self.definition, shape=answers.MadeMonitor, scope=Scope.WRITE,
                summary="What was sent for a monitor that was made through the API; secrets are masked.",
                refusals=_NOT_FOUND | _READ_ONLY,
            ),
            Operation(
                method="PATCH", path="/monitors/{id}", name="changeMonitor", group="Monitors", scope=Scope.WRITE,
                answer=self.change, body=questions.MonitorChanges, shape=answers.MadeMonitor,
                summary="Change keys of a monitor that was made through the API; null takes one away.",
                refusals=_NOT_FOUND | _READ_ONLY,
            ),
            Operation(
                method="DELETE", path="/monitors/{id}", name="removeMonitor", group="Monitors", scope=Scope.WRITE,
                answer=self.remove, body=questions.Nothing, shape=answers.MadeMonitor,
                summary="Watch a monitor that was made through the API no more; its history stays.",
                refusals=_NOT_FOUND
                | {HTTPStatus.CONFLICT: f"{_READ_ONLY[HTTPStatus.CONFLICT]} Or another one requires it."},
            ),
        ]  # fmt: skip

    async def make(self, call: Call) -> dict[str, Any]:
        wanted: questions.MonitorBody = call.body
        definition = wanted.model_dump(exclude_none=True)
        made = await self._engine.jobs.create(definition, actor=call.caller.actor)
        return self._told(made)

    async def definition(self, call: Call) -> dict[str, Any]:
        return self._shown(self._made(call))

    async def change(self, call: Call) -> dict[str, Any]:
        wanted: questions.MonitorChanges = call.body
        before = self._made(call)
        changes = wanted.model_dump(exclude_unset=True)
        for key, value in (("id", before.id), ("type", before.kind)):
            if changes.pop(key, value) != value:
                what = f"{key} cannot be changed; make another monitor, and remove this one"
                raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, what)
        return self._told(await self._engine.jobs.amend(before.id, changes, actor=call.caller.actor))

    async def remove(self, call: Call) -> dict[str, Any]:
        made = self._made(call)
        shown = self._shown(made)
        try:
            await self._engine.jobs.remove(made.id, actor=call.caller.actor)
        except KeyError:  # somebody else was faster
            raise no_monitor(made.id) from None
        self._snapshot.expire()
        return shown

    def _made(self, call: Call) -> MadeMonitor:
        """:raises Problem: 404, or 409 for one that is not made here."""
        monitor = MonitorId(call.part("id"))
        made = self._engine.jobs.get(monitor)
        if made is not None:
            return made
        if monitor not in self._engine.roster.monitors:
            raise no_monitor(monitor)
        if (agent := self._engine.fleet.watched_by(monitor)) is not None:
            why = f"{monitor} was made for agent {agent!r}; PATCH or DELETE /api/v1/agents/{agent} instead"
        else:
            why = f"{monitor} is in the configuration; change it there"
        raise RegistrationRefusedError(why)

    def _told(self, made: MadeMonitor) -> dict[str, Any]:
        self._snapshot.expire()
        return self._shown(made)

    def _shown(self, made: MadeMonitor) -> dict[str, Any]:
        spec = self._engine.roster.monitors[made.id].spec
        secrets = frozenset(secrets_in(spec.options))
        return {
            "id": made.id,
            "definition": _masked(definition_of(made), secrets),
            "made_at": made.made_at.isoformat(),
            "made_by": made.made_by,
        }


def _masked(value: Any, secrets: frozenset[str]) -> Any:
    """Plain values without the secrets in them, and without what looks like one."""
    match value:
        case str():
            return masked(value, secrets)
        case dict():
            return {key: _masked(below, secrets) for key, below in value.items()}
        case list():
            return [_masked(below, secrets) for below in value]
    return value

"""The demo's own small server: alerts come in here, and the rungs of the ladders ask here for a restart."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from defib.demo.tiny_http import Request
from defib.demo.world import World

ALERTS = "/alerts"


class Control:
    """Answers Defib."""

    def __init__(self, world: World, say: Callable[[str], None]) -> None:
        self._world = world
        self._say = say

    async def answer(self, request: Request) -> tuple[HTTPStatus, Mapping[str, object]]:
        """Take an alert, or restart an agent."""
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["alerts"]:
                self._say(line_of(json.loads(request.body)))
                return HTTPStatus.OK, {}
            case "POST", ["agents", name, "restart"] if name in self._world.ports:
                await self._world.restart(name)
                return HTTPStatus.OK, {"restarted": name}
        return HTTPStatus.NOT_FOUND, {}


def line_of(event: Mapping[str, Any]) -> str:
    """An alert, as the webhook channel sends it, in one line."""
    data = event["data"]
    facts = data.get("facts", {})
    # the command that healed it stands behind the colon; here it would only be long
    what = facts["recovery"].partition(": ")[0] if facts.get("event") == "recovered" else facts.get("summary")
    line = f"ALERT {data.get('severity', 'info'):<6} {data.get('title', event['type'])}"
    return f"{line} – {what}" if what else line

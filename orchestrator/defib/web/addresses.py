"""The addresses of one monitor that people take elsewhere: where it is pinged, and where its badge is."""

from dataclasses import dataclass

from starlette.requests import Request

from defib.engine.engine import Engine
from defib.model.agent import Scope
from defib.model.ids import MonitorId
from defib.web.access import Access
from defib.web.badges import Badges

PINGED = "heartbeat"  #: the monitor type whose senders ping
_CURL = "curl -fsS -m 10 --retry 5 -o /dev/null"
_ANY_CRON = "30 2 * * *"


@dataclass(frozen=True, slots=True)
class Address:
    """One line to copy."""

    name: str
    text: str
    is_secret: bool = False  #: whoever knows it can do something


def addresses(request: Request, engine: Engine, access: Access, monitor: MonitorId) -> list[Address]:
    """What whoever asks may know; a ping address only who may change something, since it does."""
    watched = engine.roster.monitors.get(monitor)
    if watched is None:
        return []
    site = engine.roster.settings.server.public_url or str(request.base_url).rstrip("/")
    found = []
    if watched.spec.kind == PINGED and access.caller(request).may(Scope.WRITE):
        url = f"{site}/ping/{engine.roster.beat_uuid(monitor)}"
        cron = getattr(watched.spec.options, "cron", None) or _ANY_CRON
        found = [
            Address("Address", url, is_secret=True),
            Address("From a script", f"{_CURL} {url}", is_secret=True),
            Address(
                "From cron, with its exit status", f"{cron} /path/to/job; {_CURL} {url}/$?", is_secret=True
            ),
        ]
    if badge := Badges(engine).address(monitor):
        found.append(Address("Badge", f"{site}{badge}"))
    return found

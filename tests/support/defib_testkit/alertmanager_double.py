"""A double of an Alertmanager's API v2 that remembers what fires, for the ways in which the real one never fails."""

import json
import re
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from defib_testkit.http_double import HttpDouble, Request, Response
from defib_testkit.recorder import Recorder

_MATCHER = re.compile(r'(\w+)(=~|=)"(.*)"')


class AlertmanagerDouble(HttpDouble):
    """Records what was accepted in ``posts``: the alerts of each request.

    | mode | the client sees |
    |---|---|
    | ok | what is asked for |
    | 400, 401, 500 | that status with ``remark`` |
    | hang | no answer |
    | dead | connection refused |
    """

    MODES = ("ok", "400", "401", "500", "hang", "dead")

    def __init__(self, tls: ssl.SSLContext | None = None, *, now: datetime | None = None) -> None:
        """
        :param now: what its clock shows for ever; None for the real one.
        """
        self.remark = ""
        self._now = now
        self.posts: Recorder[Sequence[Mapping[str, Any]]] = Recorder("posts")
        self._firing: dict[tuple[tuple[str, str], ...], Mapping[str, Any]] = {}
        super().__init__(tls)

    def firing(self) -> list[Mapping[str, str]]:
        """The labels of what fires."""
        return [alert["labels"] for alert in self._firing.values()]

    async def _respond(self, request: Request) -> Response | None:
        mode = self._next_mode()
        if mode == "hang":
            return None
        if mode != "ok":
            return Response(status=int(mode), body=self.remark.encode())
        if not request.path.endswith("/api/v2/alerts"):
            return Response(status=404)
        if request.method == "GET":
            query = parse_qsl(urlsplit(request.target).query)
            matchers = [_MATCHER.fullmatch(value) for name, value in query if name == "filter"]
            found = [
                alert
                for alert in self._firing.values()
                if all(matcher is not None and _fits(matcher, alert["labels"]) for matcher in matchers)
            ]
            return Response(body=json.dumps(found).encode(), headers={"Content-Type": "application/json"})
        alerts = request.json()
        self.posts.add(alerts)
        for alert in alerts:
            key = tuple(sorted(alert["labels"].items()))
            self._firing.pop(key, None)
            if datetime.fromisoformat(alert["endsAt"]) > (self._now or datetime.now(UTC)):
                self._firing[key] = alert
        return Response()


def _fits(matcher: re.Match[str], labels: Mapping[str, str]) -> bool:
    value = labels.get(matcher[1], "")
    return value == matcher[3] if matcher[2] == "=" else re.fullmatch(matcher[3], value) is not None

"""A double of an ntfy server that takes published JSON as https://docs.ntfy.sh/publish/#publish-as-json defines it."""

import json
import re
import secrets
import ssl
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from defib_testkit.http_double import HttpDouble, Request, Response
from defib_testkit.recorder import Recorder

_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_SEQUENCE = re.compile(r"[-_A-Za-z0-9]{1,64}")
_LONGEST_MESSAGE = 4096  # bytes; more becomes an attachment
_MOST_ACTIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message as subscribers see it."""

    id: str
    sequence_id: str  # whose place it takes; its own id for a new one
    title: str
    message: str
    priority: int
    tags: tuple[str, ...]
    click: str
    actions: tuple[Mapping[str, Any], ...]
    is_attached: bool  # too long: a file in place of the text


class NtfyServer(HttpDouble):
    """Records what was published in ``notifications``, whatever the topic.

    | mode | the publisher sees |
    |---|---|
    | ok | the message with its id |
    | 403 | forbidden: the topic is reserved |
    | 429 | limit reached |
    | 500 | internal server error |
    | hang | no answer |
    | dead | connection refused |

    With a ``token`` or ``login``, whoever brings no other than that gets 401.
    """

    MODES = ("ok", "403", "429", "500", "hang", "dead")

    def __init__(
        self,
        *,
        token: str | None = None,
        login: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.remark = ""  # that refusals end with
        self.authorization = ""  # that is asked for
        self.notifications: Recorder[Notification] = Recorder("notifications")
        if token is not None:
            self.authorization = f"Bearer {token}"
        elif login is not None:
            self.authorization = f"Basic {b64encode(':'.join(login).encode()).decode()}"
        super().__init__(tls)

    async def _respond(self, request: Request) -> Response | None:
        match self._next_mode():
            case "hang":
                return None
            case "403":
                return self._refuse(40301, 403, "forbidden")
            case "429":
                return self._refuse(42901, 429, "limit reached: too many requests, please be nice")
            case "500":
                return self._refuse(50001, 500, "internal server error")
        if self.authorization and request.headers.get("Authorization") != self.authorization:
            return self._refuse(40101, 401, "unauthorized")
        if request.method not in ("POST", "PUT") or request.path != "/":
            return self._refuse(40401, 404, "page not found")
        try:
            said = request.json()
        except ValueError:
            return self._refuse(40024, 400, "invalid request: request body must be valid JSON")
        return self._publish(said)

    def _publish(self, said: Mapping[str, Any]) -> Response:
        if not _TOPIC.fullmatch(str(said.get("topic", ""))):
            return self._refuse(40009, 400, "invalid request: topic invalid")
        if said.get("priority", 3) not in (1, 2, 3, 4, 5):
            return self._refuse(40007, 400, "invalid request: priority invalid")
        actions = said.get("actions", [])
        if len(actions) > _MOST_ACTIONS or any(not action.get("label") for action in actions):
            return self._refuse(40018, 400, "invalid request: actions invalid")
        sequence = said.get("sequence_id")
        if sequence is not None and not _SEQUENCE.fullmatch(sequence):
            return self._refuse(40049, 400, "invalid request: sequence ID invalid")
        message = str(said.get("message") or "triggered")
        number = secrets.token_urlsafe(9)
        self.notifications.add(
            Notification(
                id=number, sequence_id=sequence or number, title=str(said.get("title", "")), message=message,
                priority=said.get("priority", 3), tags=tuple(said.get("tags", ())), click=str(said.get("click", "")),
                actions=tuple(actions), is_attached=len(message.encode()) > _LONGEST_MESSAGE,
            )
        )  # fmt: skip
        answer = {"id": number, "time": int(time.time()), "event": "message", **said}
        return Response(body=json.dumps(answer).encode(), headers={"Content-Type": "application/json"})

    def _refuse(self, code: int, status: int, error: str) -> Response:
        body = {
            "code": code,
            "http": status,
            "error": error + self.remark,
            "link": "https://ntfy.sh/docs/publish/",
        }
        headers = {"Content-Type": "application/json"}
        return Response(status=status, body=json.dumps(body, ensure_ascii=False).encode(), headers=headers)

"""A double of Telegram's Bot API that speaks its wire format, as https://core.telegram.org/bots/api defines it."""

import asyncio
import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from defib_testkit.http_double import HttpDouble, Request, Response
from defib_testkit.recorder import Recorder
from defib_testkit.telegram_text import TextError, plain_text

TOKEN = "123456789:test-kit-token"
_LONGEST_ANSWER = 200  # characters
_BOT = {"id": 123456789, "is_bot": True, "first_name": "Defib", "username": "defib_test_bot"}
_STRUCTURED = ("reply_markup", "link_preview_options", "entities", "reply_parameters", "allowed_updates")
_GRANTED = ("deletewebhook", "setmycommands", "sendchataction", "deletemessage")


@dataclass(frozen=True, slots=True, kw_only=True)
class BotMessage:
    """A message as the bot sent or edited it."""

    message_id: int
    chat_id: str
    text: str  # with its markup
    plain: str  # as a reader sees it
    parse_mode: str | None
    is_silent: bool
    buttons: tuple[Mapping[str, Any], ...]  # of the inline keyboard, row after row
    params: Mapping[str, Any]  # all of the call


@dataclass(frozen=True, slots=True, kw_only=True)
class PressAnswer:
    """What the bot said to somebody who had pressed a button."""

    query: str
    text: str
    is_alert: bool


class TelegramApi(HttpDouble):
    """Records what was sent in ``messages``, what was edited in ``edits`` and what was said to presses in ``answers``;
    every call is in ``requests``.

    | mode | the bot sees |
    |---|---|
    | ok | its message, as Telegram understood it |
    | 401 | Unauthorized: the token was revoked |
    | 409 | Conflict: another program asks for updates; for ``getUpdates`` only |
    | 403 | Forbidden: the user blocked the bot; for messages only |
    | 429 | Too Many Requests, with ``retry_after``; for messages only |
    | 502 | the HTML page of the proxy in front of Telegram |
    | hang | no answer |
    | dead | connection refused |

    ``then`` counts sent and edited messages. As with Telegram itself, whoever asks for updates cuts short whoever was
    asking before, and what was handed out is forgotten with the next ``offset``.
    """

    MODES = ("ok", "401", "403", "409", "429", "502", "hang", "dead")

    def __init__(self) -> None:
        self.token = TOKEN
        self.retry_after = 1  # seconds, in mode 429
        self.messages: Recorder[BotMessage] = Recorder("messages")
        self.edits: Recorder[BotMessage] = Recorder("edits")
        self.answers: Recorder[PressAnswer] = Recorder("answers")
        self.conflict = (
            "terminated by other getUpdates request; make sure that only one bot instance is running"
        )
        self._latest: dict[int, BotMessage] = {}
        self._expired: set[str] = set()
        self._asking = 0  # the newest call of getUpdates
        self._migrated: dict[str, int] = {}
        self._updates: list[dict[str, Any]] = []
        self._ids = itertools.count(1)
        super().__init__()

    @property
    def base_url(self) -> str:
        """What python-telegram-bot takes as ``base_url``: the token follows."""
        return f"{self.origin}/bot"

    def migrate(self, chat_id: int | str, new_chat_id: int) -> None:
        """Turn a group into a supergroup: messages to the old id get 400 and ``migrate_to_chat_id``."""
        self._migrated[str(chat_id)] = new_chat_id

    def press(self, message: BotMessage, data: str, *, user_id: int = 1001) -> str:
        """Have a user press the button with this ``callback_data``; the bot hears of it by ``getUpdates``.

        :return: id of the callback query, which the bot answers with ``answerCallbackQuery``.
        """
        if data not in [button.get("callback_data") for button in message.buttons]:
            raise ValueError(f"message {message.message_id} has no button {data!r}: it has {message.buttons}")
        query = {"id": str(next(self._ids)), "from": _user(user_id), "message": _described(message)}
        query |= {"chat_instance": message.chat_id, "data": data}
        self._updates.append({"update_id": next(self._ids), "callback_query": query})
        return str(query["id"])

    def expire(self, query: str) -> None:
        """Let a press be too long ago to be answered."""
        self._expired.add(query)

    def delete(self, message_id: int) -> None:
        """Have somebody delete a message of the bot's."""
        del self._latest[message_id]

    def say(
        self,
        chat_id: int,
        text: str,
        *,
        user_id: int = 1001,
        reply_to: BotMessage | None = None,
        ago_s: int = 0,
    ) -> None:
        """Have a user write to the bot; it hears of it by ``getUpdates``."""
        message: dict[str, Any] = {"message_id": next(self._ids), "date": int(time.time()) - ago_s}
        message |= {"from": _user(user_id), "chat": _chat(str(chat_id)), "text": text}
        if text.startswith("/"):
            command = text.split(maxsplit=1)[0]
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(command)}]
        if reply_to is not None:
            message["reply_to_message"] = _described(reply_to)
        self._updates.append({"update_id": next(self._ids), "message": message})

    @property
    def unheard(self) -> int:
        """Updates that Telegram would hand out to the next who asks."""
        return len(self._updates)

    async def _respond(self, request: Request) -> Response | None:
        token, _, method = request.path.removeprefix("/bot").partition("/")
        method = method.lower()
        is_message = method in ("sendmessage", "editmessagetext")
        mode = self._next_mode() if is_message else self._mode
        if mode == "hang":
            return None
        if mode == "502":
            page = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n</html>\r\n"
            return Response(status=502, body=page, headers={"Content-Type": "text/html"})
        if mode == "401" or token != self.token:
            return _refuse(401, "Unauthorized")
        if is_message and mode == "403":
            return _refuse(403, "Forbidden: bot was blocked by the user")
        if is_message and mode == "429":
            description = f"Too Many Requests: retry after {self.retry_after}"
            return _refuse(429, description, retry_after=self.retry_after)
        params = _params(request)
        match method:
            case "sendmessage" | "editmessagetext":
                return self._take_message(params, is_edit=method == "editmessagetext")
            case "getme":
                return _grant(_BOT | {"can_join_groups": True, "can_read_all_group_messages": False})
            case "getupdates":
                if mode == "409":
                    return _refuse(409, f"Conflict: {self.conflict}")
                updates = await self._pending(int(params.get("offset", 0)), float(params.get("timeout", 0)))
                return _refuse(409, f"Conflict: {self.conflict}") if updates is None else _grant(updates)
            case "answercallbackquery":
                return self._take_answer(params)
            case _:
                return _grant(True) if method in _GRANTED else _refuse(404, "Not Found")

    def _take_message(self, params: Mapping[str, Any], *, is_edit: bool) -> Response:
        chat_id = str(params.get("chat_id", ""))
        if not chat_id:
            return _refuse(400, "Bad Request: chat_id is empty")
        if chat_id in self._migrated:
            description = "Bad Request: group chat was upgraded to a supergroup chat"
            return _refuse(400, description, migrate_to_chat_id=self._migrated[chat_id])
        try:
            plain = plain_text(str(params.get("text", "")), params.get("parse_mode"))
        except TextError as error:
            return _refuse(400, str(error))
        keyboard = (params.get("reply_markup") or {}).get("inline_keyboard", [])
        message = BotMessage(
            message_id=int(params.get("message_id", 0)) if is_edit else next(self._ids),
            chat_id=chat_id,
            text=str(params["text"]),
            plain=plain,
            parse_mode=params.get("parse_mode"),
            is_silent=str(params.get("disable_notification", "")).lower() == "true",
            buttons=tuple(button for row in keyboard for button in row),
            params=params,
        )
        if is_edit:
            before = self._latest.get(message.message_id)
            if before is None or before.chat_id != chat_id:
                return _refuse(400, "Bad Request: message to edit not found")
            if (before.plain, before.text, before.buttons) == (plain, message.text, message.buttons):
                return _refuse(
                    400,
                    "Bad Request: message is not modified: specified new message content and reply markup are "
                    "exactly the same as a current content and reply markup of the message",
                )
        self._latest[message.message_id] = message
        (self.edits if is_edit else self.messages).add(message)
        return _grant(_described(message))

    def _take_answer(self, params: Mapping[str, Any]) -> Response:
        query = str(params["callback_query_id"])
        if query in self._expired:
            return _refuse(
                400, "Bad Request: query is too old and response timeout expired or query ID is invalid"
            )
        text = str(params.get("text", ""))
        if len(text) > _LONGEST_ANSWER:
            return _refuse(400, "Bad Request: MESSAGE_TOO_LONG")
        is_alert = str(params.get("show_alert", "")).lower() == "true"
        self.answers.add(PressAnswer(query=query, text=text, is_alert=is_alert))
        return _grant(True)

    async def _pending(self, offset: int, timeout: float) -> list[dict[str, Any]] | None:
        """Updates from ``offset`` on, which forgets those before it; waits up to ``timeout`` seconds for one.

        None: somebody else asked meanwhile.
        """
        self._asking += 1
        turn = self._asking
        deadline = time.monotonic() + timeout
        while True:
            self._updates = [update for update in self._updates if update["update_id"] >= offset]
            if self._updates or time.monotonic() >= deadline:
                return self._updates
            await asyncio.sleep(0.01)
            if turn != self._asking:
                return None


def _params(request: Request) -> dict[str, Any]:
    """Parameters from the query and from a form or JSON body, nested ones decoded."""
    params: dict[str, Any] = dict(request.query)
    if request.headers.get_content_type() == "application/json":
        params |= request.json()
    else:
        params |= dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    return {
        name: json.loads(value) if name in _STRUCTURED and isinstance(value, str) else value
        for name, value in params.items()
    }


def _grant(result: object) -> Response:
    return _answer(200, {"ok": True, "result": result})


def _refuse(status: int, description: str, **parameters: int) -> Response:
    body: dict[str, object] = {"ok": False, "error_code": status, "description": description}
    if parameters:
        body["parameters"] = parameters
    return _answer(status, body)


def _answer(status: int, body: Mapping[str, object]) -> Response:
    headers = {"Content-Type": "application/json"}
    return Response(status=status, body=json.dumps(body).encode(), headers=headers)


def _described(message: BotMessage) -> dict[str, Any]:
    described: dict[str, Any] = {"message_id": message.message_id, "from": _BOT, "date": int(time.time())}
    described |= {"chat": _chat(message.chat_id), "text": message.plain}
    if message.buttons:
        described["reply_markup"] = message.params["reply_markup"]
    return described


def _chat(chat_id: str) -> dict[str, Any]:
    if not chat_id.lstrip("-").isdigit():
        return {"id": -1001000000001, "type": "channel", "title": chat_id}
    number = int(chat_id)
    if number > 0:
        return {"id": number, "type": "private", "first_name": "Tester"}
    kind = "supergroup" if chat_id.startswith("-100") else "group"
    return {"id": number, "type": kind, "title": "Test group"}


def _user(user_id: int) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": "Tester", "language_code": "en"}

"""Telegram: alerts as messages of a bot, recoveries as replies to the alert they belong to."""

import asyncio
import logging
import re
import warnings
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from defib.plugin import (
    Alert,
    BuildContext,
    ChannelType,
    DeliveryError,
    Duration,
    Options,
    Receipt,
    ReportDocument,
    Secret,
    SendContext,
    format_duration,
    hookimpl,
)
from defib_alerts.deadlines import deadline
from defib_alerts.masking import Masker, MaskingFilter
from defib_alerts.rendering import Rendering, Templates, alert_words, check_folder
from defib_alerts.telegram_markup import MESSAGE_LIMIT, plain, shorten, visible_length
from defib_alerts.wording import one_line

if TYPE_CHECKING:
    from telegram import Bot
    from telegram.error import TelegramError

_TOKEN = re.compile(r"\d+:[\w-]+")
_CHAT = re.compile(r"-?\d+|@\w+")
_CHATTY_LOGGERS = ("httpx", "telegram.Bot", "telegram.request.BaseRequest")
"""They write addresses, and with them the token."""

_REPORT_LINES = 30
_REPORT_CHARACTERS = 3000


class TelegramOptions(Options):
    """A chat, and the bot that writes into it."""

    token: Secret = Field(description="The bot's token from @BotFather: 123456:ABC-DEF")
    chat_id: int | str = Field(
        description="Where to write: the chat's number (groups have negative ones), or @name of a public channel"
    )
    thread_id: int | None = Field(default=None, description="Topic of the group to write into")
    allow_users: tuple[int, ...] = Field(
        default=(), description="Numbers of the people whose buttons and commands count; nobody's when empty"
    )
    api_url: str = Field(
        default="https://api.telegram.org",
        pattern=r"^https?://[^\s/]+",
        description="The Bot API server: Telegram's, or one of your own",
    )
    timeout: Duration = Field(default=timedelta(seconds=10), description="For one try, all in all")
    templates: Path | None = Field(
        default=None, description="Folder with alert.telegram.html.j2 or report.telegram.html.j2 of your own"
    )

    @field_validator("token")
    @classmethod
    def _looks_like_a_token(cls, token: Secret) -> Secret:
        if not _TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("is not a bot token; @BotFather gives one that looks like 123456:ABC-DEF")
        return token

    @field_validator("chat_id")
    @classmethod
    def _is_a_number_or_a_name(cls, chat: int | str) -> int | str:
        if not _CHAT.fullmatch(str(chat)):
            raise ValueError("write the chat's number, such as -1001234567890, or @name of a public channel")
        return chat


class TelegramChannel:
    """Writes into one chat. The bot is made with the first message."""

    def __init__(self, name: str, options: TelegramOptions, context: BuildContext) -> None:
        topic = f", topic {options.thread_id}" if options.thread_id is not None else ""
        self.target = f"Telegram chat {options.chat_id}{topic}"
        self._options = options
        self._chat_id = options.chat_id
        self._own_templates = check_folder(options.templates, context.base)
        self._mask = Masker([options.token.get_secret_value()])
        self._log_filter = MaskingFilter(self._mask)
        self._opening = asyncio.Lock()
        self._opened: tuple[Bot, Templates] | None = None

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        """Send one message: an alert as a reply to the first of its incident, a report as its first lines."""
        async with deadline(min(self._options.timeout, context.timeout), self.target):
            bot, templates = await self._open()
            from telegram.error import TelegramError

            if isinstance(notice, Alert):
                rendering = _write_alert(templates, notice, context)
            else:
                rendering = _write_report(templates, notice, context)
            try:
                receipt = await self._post(bot, rendering.text, context.thread)
            except TelegramError as error:
                raise self._failure(error) from None  # its causes name the address, and with it the token
            detail = "; ".join(note for note in (rendering.complaint, receipt.detail) if note)
            return replace(receipt, detail=detail)

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened[0].request.shutdown()
        for name in _CHATTY_LOGGERS:
            logging.getLogger(name).removeFilter(self._log_filter)

    async def _open(self) -> "tuple[Bot, Templates]":
        async with self._opening:
            if self._opened is None:
                for name in _CHATTY_LOGGERS:
                    logging.getLogger(name).addFilter(self._log_filter)
                self._opened = await asyncio.to_thread(self._build)  # loading the library takes a while
            return self._opened

    def _build(self) -> "tuple[Bot, Templates]":
        from telegram import Bot
        from telegram.request import HTTPXRequest
        from telegram.warnings import PTBDeprecationWarning

        # Since 22.2 the library warns of a change to come whenever it makes a RetryAfter of its own.
        warnings.filterwarnings("ignore", message=".*`retry_after`", category=PTBDeprecationWarning)
        limit_s = self._options.timeout.total_seconds()  # the deadline of each try is the real limit
        request = HTTPXRequest(
            connection_pool_size=4,
            read_timeout=limit_s,
            write_timeout=limit_s,
            connect_timeout=limit_s,
            pool_timeout=limit_s,
        )
        bot = Bot(
            self._options.token.get_secret_value(),
            base_url=f"{self._options.api_url.rstrip('/')}/bot",
            request=request,
            get_updates_request=request,
        )
        return bot, Templates(self._own_templates)

    async def _post(self, bot: "Bot", text: str, thread: str | None) -> Receipt:
        """Send ``text``, and once more each for a group that has moved and for markup that is refused."""
        from telegram import LinkPreviewOptions, ReplyParameters
        from telegram.error import BadRequest, ChatMigrated

        reply = None
        if thread is not None and thread.isdecimal():
            reply = ReplyParameters(message_id=int(thread), allow_sending_without_reply=True)
        notes: list[str] = []
        has_moved = False
        parse_mode: str | None = "HTML"
        while True:
            try:
                message = await bot.send_message(
                    chat_id=self._chat_id,
                    message_thread_id=self._options.thread_id,
                    text=text if parse_mode else plain(text),
                    parse_mode=parse_mode,
                    link_preview_options=LinkPreviewOptions(is_disabled=True),
                    reply_parameters=reply,
                )
                return Receipt(id=str(message.message_id), detail="; ".join(notes))
            except ChatMigrated as moved:
                if has_moved:
                    raise
                has_moved, self._chat_id = True, moved.new_chat_id
                notes.append(f"the group has become a supergroup; write chat_id: {moved.new_chat_id}")
            except BadRequest as error:
                if not parse_mode or "can't parse" not in error.message.lower():
                    raise
                parse_mode = None
                notes.append(f"sent without markup, which Telegram refused: {self._tell(error)}")

    def _failure(self, error: "TelegramError") -> DeliveryError:
        from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter, TimedOut

        match error:
            case RetryAfter(retry_after=pause):
                delay = pause if isinstance(pause, timedelta) else timedelta(seconds=pause)
                return DeliveryError(
                    f"{self.target}: Telegram asks to wait for {format_duration(delay)}", retry_after=delay
                )
            case InvalidToken():
                remedy = "write the token that @BotFather shows, and check api_url"
                return DeliveryError(f"{self.target}: the bot's token is not valid; {remedy}", permanent=True)
            case Forbidden():
                remedy = "start a chat with the bot or add it to the group"
                return DeliveryError(
                    f"{self.target}: the bot may not write there ({self._tell(error)}); {remedy}",
                    permanent=True,
                )
            case BadRequest() | ChatMigrated():
                remedy = "check chat_id and thread_id"
                return DeliveryError(
                    f"{self.target}: refused ({self._tell(error)}); {remedy}", permanent=True
                )
            case TimedOut():
                return DeliveryError(f"{self.target} did not answer in time")
            case _:
                return DeliveryError(f"{self.target} cannot be reached ({self._tell(error)})")

    def _tell(self, error: "TelegramError") -> str:
        return one_line(self._mask(error.message), 200)


def _write_alert(templates: Templates, alert: Alert, context: SendContext) -> Rendering:
    """The message, with as much of the newest evidence as has room."""
    while True:
        words = alert_words(alert, product_url=context.product_url)
        text, complaint = templates.render("alert.telegram.html.j2", words)
        text = text.strip()
        if visible_length(text) <= MESSAGE_LIMIT or not alert.evidence:
            return Rendering(shorten(text), complaint)
        alert = replace(alert, evidence=alert.evidence[1:])


def _write_report(templates: Templates, report: ReportDocument, context: SendContext) -> Rendering:
    """The first lines; the whole of it goes by e-mail."""
    whole = report.text.strip()
    summary = "\n".join(whole.splitlines()[:_REPORT_LINES])[:_REPORT_CHARACTERS].rstrip()
    words = {
        "report": report,
        "summary": summary if summary == whole else f"{summary}\n…",
        "product_url": context.product_url,
    }
    text, complaint = templates.render("report.telegram.html.j2", words)
    return Rendering(shorten(text.strip()), complaint)


@hookimpl
def defib_channels() -> Iterable[ChannelType]:
    """Telegram."""
    return [
        ChannelType(
            kind="telegram",
            summary="Messages of a Telegram bot",
            options=TelegramOptions,
            create=TelegramChannel,
        )
    ]

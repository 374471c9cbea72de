"""Telegram: alerts as messages of a bot, with buttons for those who may use them, edited or answered as they go on."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from defib.plugin import (
    Alert,
    BuildContext,
    ChannelType,
    DeliveryError,
    Desk,
    Duration,
    Options,
    Receipt,
    ReportDocument,
    Secret,
    SendContext,
    hookimpl,
)
from defib_alerts.deadlines import deadline
from defib_alerts.rendering import check_folder
from defib_alerts.telegram_bot import TelegramBot, keyboard_of
from defib_alerts.telegram_listener import Listener
from defib_alerts.telegram_markup import plain
from defib_alerts.telegram_messages import write_alert, write_report
from defib_alerts.telegram_updates import Mailboxes

if TYPE_CHECKING:
    from telegram import Bot, InlineKeyboardMarkup

_TOKEN = re.compile(r"\d+:[\w-]+")
_CHAT = re.compile(r"-?\d+|@\w+")


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
    timeout: Duration = Field(default=timedelta(seconds=5), description="For one try, all in all")
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
    """Writes into one chat, without buttons: nobody is listed who may use them."""

    can_edit = True
    _has_buttons = False

    def __init__(self, name: str, options: TelegramOptions, context: BuildContext) -> None:
        topic = f", topic {options.thread_id}" if options.thread_id is not None else ""
        self.target = f"Telegram chat {options.chat_id}{topic}"
        self.timeout = options.timeout
        self._options = options
        self._chat_id = options.chat_id
        self._bot = TelegramBot(
            options.token.get_secret_value(),
            options.api_url,
            target=self.target,
            timeout=options.timeout,
            templates=check_folder(options.templates, context.base),
        )

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        """Send one message, or write it over the one that ``context.edits`` names.

        An alert replies to the first message of its incident; of a report, the first lines are sent.
        """
        async with deadline(min(self.timeout, context.timeout), self.target):
            bot, templates = await self._bot.open()
            from telegram.error import TelegramError

            if isinstance(notice, Alert):
                rendering = write_alert(templates, notice, context)
            else:
                rendering = write_report(templates, notice, context)
            try:
                receipt = await self._post(bot, rendering.text, context)
            except TelegramError as error:
                raise self._bot.failure(error) from None  # its causes name the address, and with it the token
            detail = "; ".join(note for note in (rendering.complaint, receipt.detail) if note)
            return replace(receipt, detail=detail)

    async def close(self) -> None:
        await self._bot.close()

    async def _post(self, bot: "Bot", text: str, context: SendContext) -> Receipt:
        """Write ``text``, and once more each for a group that has moved and for markup that is refused."""
        from telegram.error import BadRequest, ChatMigrated

        notes: list[str] = []
        has_moved = False
        parse_mode: str | None = "HTML"
        while True:
            try:
                written = await self._write(bot, text if parse_mode else plain(text), parse_mode, context)
                return Receipt(id=str(written), detail="; ".join(notes))
            except ChatMigrated as moved:
                if has_moved:
                    raise
                has_moved, self._chat_id = True, moved.new_chat_id
                notes.append(f"the group has become a supergroup; write chat_id: {moved.new_chat_id}")
            except BadRequest as error:
                if not parse_mode or "can't parse" not in error.message.lower():
                    raise
                parse_mode = None
                notes.append(f"sent without markup, which Telegram refused: {self._bot.tell(error)}")

    async def _write(self, bot: "Bot", text: str, parse_mode: str | None, context: SendContext) -> int:
        """
        :return: the message's number.
        """
        from telegram import LinkPreviewOptions, ReplyParameters

        common: dict[str, Any] = {
            "chat_id": self._chat_id,
            "text": text,
            "parse_mode": parse_mode,
            "link_preview_options": LinkPreviewOptions(is_disabled=True),
            "reply_markup": self._keyboard(context),
        }
        if context.edits is not None:
            return await self._edit(bot, context.edits, common)
        reply = None
        if context.thread is not None and context.thread.isdecimal():
            reply = ReplyParameters(message_id=int(context.thread), allow_sending_without_reply=True)
        message = await bot.send_message(
            **common,
            message_thread_id=self._options.thread_id,
            reply_parameters=reply,
            disable_notification=context.is_quiet or None,
        )
        return message.message_id

    async def _edit(self, bot: "Bot", receipt: str, common: dict[str, Any]) -> int:
        """Write over a message of ours. One that says so already is as good."""
        from telegram.error import BadRequest

        if not receipt.isdecimal():
            raise DeliveryError(f"{self.target}: {receipt!r} is no message there", permanent=True)
        try:
            await bot.edit_message_text(**common, message_id=int(receipt))
        except BadRequest as error:
            said = error.message.lower()
            if "message is not modified" in said:
                return int(receipt)
            if "can't parse" in said:
                raise
            words = f"message {receipt} can no longer be edited ({self._bot.tell(error)})"
            raise DeliveryError(f"{self.target}: {words}", permanent=True) from None
        return int(receipt)

    def _keyboard(self, context: SendContext) -> "InlineKeyboardMarkup | None":
        return keyboard_of(context.buttons) if self._has_buttons else None


class AnsweredTelegramChannel(TelegramChannel):
    """One whose listed users press buttons and write commands."""

    _has_buttons = True

    def __init__(
        self, name: str, options: TelegramOptions, context: BuildContext, mailboxes: Mailboxes
    ) -> None:
        super().__init__(name, options, context)
        self._mailboxes = mailboxes

    async def listen(self, desk: Desk) -> None:
        """Do what listed users ask for, until cancelled."""
        listener = Listener(
            self._bot,
            desk,
            target=self.target,
            users=frozenset(self._options.allow_users),
            chat=lambda: self._chat_id,
        )
        key = (self._options.api_url, self._options.token.get_secret_value())
        await self._mailboxes.listen(key, self._bot, listener)


class Telegram:
    """Makes the channels; those of one bot share what comes in for it."""

    def __init__(self, mailboxes: Mailboxes | None = None) -> None:
        self._mailboxes = mailboxes or Mailboxes()

    def channel(self, name: str, options: TelegramOptions, context: BuildContext) -> TelegramChannel:
        """One chat; ``listen`` only where somebody is listed."""
        if options.allow_users:
            return AnsweredTelegramChannel(name, options, context, self._mailboxes)
        return TelegramChannel(name, options, context)


@hookimpl
def defib_channels() -> Iterable[ChannelType]:
    """Telegram."""
    return [
        ChannelType(
            kind="telegram",
            summary="Messages of a Telegram bot, with buttons",
            options=TelegramOptions,
            create=Telegram().channel,
        )
    ]

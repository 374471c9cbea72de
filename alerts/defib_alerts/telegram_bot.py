"""One bot of Telegram's: loaded when it is first needed, silent about its token, its refusals in our words."""

import asyncio
import logging
import warnings
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from defib.plugin import Button, DeliveryError, Lapse
from defib_alerts.masking import Masker, MaskingFilter
from defib_alerts.phrases import phrase
from defib_alerts.rendering import Templates
from defib_alerts.telegram_messages import data_of, rows_of
from defib_alerts.wording import one_line

if TYPE_CHECKING:
    from telegram import Bot, InlineKeyboardMarkup
    from telegram.error import TelegramError

_CHATTY_LOGGERS = (
    "httpx", "httpcore.http11", "httpcore.connection", "telegram.Bot", "telegram.ext", "telegram.request.BaseRequest",
)  # fmt: skip
"""They write addresses, and with them the token."""


class TelegramBot:
    """The library's bot with what belongs to it."""

    def __init__(
        self, token: str, api_url: str, *, target: str, timeout: timedelta, templates: Path | None
    ) -> None:
        """
        :param target: how messages call the chat.
        :param timeout: of one request.
        :param templates: folder of a user's own.
        """
        self._token = token
        self._api_url = api_url.rstrip("/")
        self._target = target
        self._timeout_s = timeout.total_seconds()
        self._folder = templates
        self._mask = Masker([token, token.partition(":")[2]])
        self._log_filter = MaskingFilter(self._mask)
        self._opening = asyncio.Lock()
        self._opened: tuple[Bot, Templates] | None = None

    async def open(self) -> "tuple[Bot, Templates]":
        """The bot and the templates, made in a thread at the first call: loading the library takes a while."""
        async with self._opening:
            if self._opened is None:
                for name in _CHATTY_LOGGERS:
                    logging.getLogger(name).addFilter(self._log_filter)
                self._opened = await asyncio.to_thread(self._build)
            return self._opened

    async def close(self) -> None:
        """Release the connections; may be called again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened[0].request.shutdown()
        for name in _CHATTY_LOGGERS:
            logging.getLogger(name).removeFilter(self._log_filter)

    def tell(self, error: "TelegramError") -> str:
        """What Telegram said, on one line."""
        return one_line(self._mask(error.message), 200)

    def failure(self, error: "TelegramError") -> DeliveryError:
        """What a refusal means for the next try, with a remedy. Raise it ``from None``: causes name the token."""
        from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter, TimedOut

        match error:
            case RetryAfter(retry_after=pause):
                delay = pause if isinstance(pause, timedelta) else timedelta(seconds=pause)
                words = phrase(
                    "{target}: Telegram asks to wait for {pause}", target=self._target, pause=Lapse.of(delay)
                )
                return DeliveryError(words, retry_after=delay)
            case InvalidToken():
                words = phrase(
                    "{target}: the bot's token is not valid; write the token that @BotFather shows, and check api_url",
                    target=self._target,
                )
                return DeliveryError(words, permanent=True)
            case Forbidden():
                words = phrase(
                    "{target}: the bot may not write there ({said}); start a chat with the bot or add it to the group",
                    target=self._target, said=self.tell(error),
                )  # fmt: skip
                return DeliveryError(words, permanent=True)
            case BadRequest() | ChatMigrated():
                words = phrase(
                    "{target}: refused ({said}); check chat_id and thread_id", target=self._target,
                    said=self.tell(error),
                )  # fmt: skip
                return DeliveryError(words, permanent=True)
            case TimedOut():
                return DeliveryError(phrase("{target} did not answer in time", target=self._target))
            case _:
                return DeliveryError(
                    phrase("{target} cannot be reached ({said})", target=self._target, said=self.tell(error))
                )

    def _build(self) -> "tuple[Bot, Templates]":
        from telegram import Bot
        from telegram.request import HTTPXRequest
        from telegram.warnings import PTBDeprecationWarning

        # Since 22.2 the library warns of a change to come whenever it makes a RetryAfter of its own.
        warnings.filterwarnings("ignore", message=".*`retry_after`", category=PTBDeprecationWarning)
        limit_s = self._timeout_s  # the deadline of each try is the real limit
        request = HTTPXRequest(
            connection_pool_size=4,
            read_timeout=limit_s,
            write_timeout=limit_s,
            connect_timeout=limit_s,
            pool_timeout=limit_s,
        )
        bot = Bot(self._token, base_url=f"{self._api_url}/bot", request=request, get_updates_request=request)
        return bot, Templates(self._folder)


def keyboard_of(buttons: Sequence[Button]) -> "InlineKeyboardMarkup | None":
    """Buttons below a message; None where there are none that Telegram would take."""
    from telegram import InlineKeyboardButton, InlineKeyboardMarkup

    rows = rows_of(buttons)
    if not rows:
        return None
    return InlineKeyboardMarkup(
        [
            [InlineKeyboardButton(button.label, callback_data=data_of(button)) for button in row]
            for row in rows
        ]
    )

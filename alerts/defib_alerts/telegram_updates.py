"""What comes in for a bot, each update once: Telegram forgets it before anything is done.

1. Ask for updates (``getUpdates``); the answer comes as soon as there is one.
2. Ask once more with the next offset: Telegram forgets what it has handed out. Only then
3. do what was asked for, one thing after the other.

So nothing is done twice, whenever Defib is killed and started again: at worst a press is lost, and pressed once more.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, repeat
from typing import TYPE_CHECKING, Protocol

from defib.plugin import get_logger
from defib_alerts.telegram_bot import TelegramBot

if TYPE_CHECKING:
    from telegram import Chat, Update
    from telegram.error import TelegramError

log = get_logger("defib.telegram")

_POLL_S = 25  #: seconds that Telegram may keep a request for updates
_WANTED = ("message", "callback_query")
PAUSES_S = (
    1.0,
    2.0,
    5.0,
    10.0,
    30.0,
)  #: between tries while Telegram does not answer; the last one from then on


class Ear(Protocol):
    """One chat that is listened to."""

    target: str
    users: frozenset[int]

    def is_in(self, chat: "Chat") -> bool:
        """Whether ``chat`` is this one's."""

    async def take(self, update: "Update", username: str) -> None:
        """Do what was asked for; ``username`` is the bot's."""


@dataclass
class _Mailbox:
    """The updates of one bot, which only one at a time may ask for."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    ears: list[Ear] = field(default_factory=list)


class Mailboxes:
    """Lets the channels of one bot take turns: each of them hears what is said in its chat, whoever asks for it."""

    def __init__(self, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self._pauses_s = pauses_s
        self._open: dict[tuple[str, str], _Mailbox] = {}

    async def listen(self, key: tuple[str, str], bot: TelegramBot, ear: Ear) -> None:
        """Hand to ``ear`` what is said in its chat, until cancelled.

        :param key: what tells one bot from another.
        """
        async with self._joined(key, ear) as ears:
            async for update, username in self._updates(bot, ear.target):
                hearer = _hearer(update, ears)
                if hearer is not None:
                    await hearer.take(update, username)

    @asynccontextmanager
    async def _joined(self, key: tuple[str, str], ear: Ear) -> AsyncIterator[list[Ear]]:
        """Be one of a bot's ears, and wait for the turn to ask for its updates.

        :return: all of its ears at any time.
        """
        box = self._open.setdefault(key, _Mailbox())
        box.ears.append(ear)
        try:
            async with box.turn:
                yield box.ears
        finally:
            box.ears.remove(ear)
            if not box.ears:
                self._open.pop(key, None)

    async def _updates(self, bot: TelegramBot, target: str) -> "AsyncIterator[tuple[Update, str]]":
        from telegram.error import TelegramError

        offset: int | None = None
        username: str | None = None
        pauses = self._pauses()
        raw, _ = await bot.open()
        while True:
            try:
                if username is None:
                    username = (await raw.get_me()).username or ""
                updates = await raw.get_updates(offset=offset, timeout=_POLL_S, allowed_updates=_WANTED)
                if updates:
                    await raw.get_updates(offset=updates[-1].update_id + 1, timeout=0, limit=1)
            except TelegramError as error:
                pause_s, words = self._trouble(bot, error, next(pauses))
                log.warning(
                    "buttons and commands are not heard", target=target, why=words, again_in_s=pause_s
                )
                await asyncio.sleep(pause_s)
                continue
            pauses = self._pauses()
            for update in updates:
                offset = update.update_id + 1
                yield update, username

    def _pauses(self) -> Iterator[float]:
        return chain(self._pauses_s, repeat(self._pauses_s[-1]))

    def _trouble(self, bot: TelegramBot, error: "TelegramError", pause_s: float) -> tuple[float, str]:
        """Seconds until the next try, and why it is needed."""
        from telegram.error import Conflict

        if isinstance(error, Conflict):
            if "webhook" in error.message.lower():
                words = (
                    "the bot has a webhook, which takes its updates; call deleteWebhook, or use another bot"
                )
            else:
                words = "another program asks for this bot's updates; stop it, or give Defib a bot of its own"
            return self._pauses_s[-1], words
        failure = bot.failure(error)
        return max(pause_s, (failure.retry_after or timedelta(0)).total_seconds()), str(failure)


def _hearer(update: "Update", ears: list[Ear]) -> Ear | None:
    """Whose chat it was said in; in a private chat with the bot, whoever knows the user. None: nobody's."""
    chat, user = update.effective_chat, update.effective_user
    if chat is None or user is None:
        return None
    here = [ear for ear in ears if ear.is_in(chat)]
    if not here and chat.type == "private":
        here = list(ears)
    knowing = [ear for ear in here if user.id in ear.users]
    return next(iter(knowing or here), None)

"""What people ask the bot for: by buttons pressed and commands written, listed users only."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from defib.plugin import Button, DefibError, Desk, IncidentId, Matcher, MonitorId, get_logger, parse_duration
from defib_alerts.telegram_bot import TelegramBot, keyboard_of
from defib_alerts.telegram_choice import Question, clear, question
from defib_alerts.telegram_markup import cut
from defib_alerts.telegram_messages import Press, press_of
from defib_alerts.wording import one_line

if TYPE_CHECKING:
    from telegram import Bot, CallbackQuery, Chat, MaybeInaccessibleMessage, Message, Update, User

log = get_logger("defib.telegram")

_STALE = timedelta(minutes=10)  #: what was written longer ago is not done any more
_SILENCE = timedelta(hours=1)
_LONGEST_TOAST = 200
"""Characters of the note that a press is answered with. Source: Bot API, answerCallbackQuery."""
_MOST_STRANGERS = 1000  #: who are remembered to have been refused

USAGE = """/status – how everything is
/ack – somebody sees to it: as the answer to an alert, or /ack MONITOR, with a note if you like
/silence – tell nobody for an hour: as the answer to an alert, or /silence MONITOR 2h
/explain – why: as the answer to an alert, or /explain MONITOR"""
_INCIDENT = "inc-"  #: begins the ids of incidents
_OBSOLETE = "This button is of another time; it does nothing now."
_TOO_LATE = "Defib was not listening when this was pressed; press it again."


class Listener:
    """One chat's ear."""

    def __init__(
        self,
        bot: TelegramBot,
        desk: Desk,
        *,
        target: str,
        users: frozenset[int],
        chat: Callable[[], int | str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """
        :param users: whose word counts.
        :param chat: the number of the chat now, or ``@name``.
        :param now: to tell what was written while nobody listened.
        """
        self._bot = bot
        self._desk = desk
        self.target = target
        self.users = users
        self._chat = chat
        self._now = now
        self._strangers: set[int] = set()

    def is_in(self, chat: "Chat") -> bool:
        """Whether ``chat`` is this one's."""
        own = self._chat()
        return own == chat.id or str(own).lower() == f"@{chat.username}".lower()

    async def take(self, update: "Update", username: str) -> None:
        """Do what was asked for. What Telegram does not take of the answer is logged."""
        from telegram.error import TelegramError

        bot, _ = await self._bot.open()
        try:
            if (query := update.callback_query) is not None:
                await self._pressed(bot, query)
            elif update.message is not None and update.message.from_user is not None:
                await self._written(bot, update.message, update.message.from_user, username)
        except TelegramError as error:
            log.warning("an answer was not taken", target=self.target, why=str(self._bot.failure(error)))

    # --- buttons -----------------------------------------------------------------------------------

    async def _pressed(self, bot: "Bot", query: "CallbackQuery") -> None:
        from telegram.error import BadRequest, TelegramError

        user = query.from_user
        press = press_of(query.data)
        if user.id not in self.users:
            self._refused(user, query.data or "")
            await bot.answer_callback_query(query.id, text=_not_listed(user), show_alert=True)
            return
        if press is None:
            await bot.answer_callback_query(query.id, text=_OBSOLETE)
            return
        if press.act == "acknowledge":  # harmless at any time, and the message itself will say so
            sentence = await self._told(self._desk.acknowledge(press.incident, _who(user)))
            with suppress(TelegramError):  # too late for a note
                await bot.answer_callback_query(query.id, text=one_line(sentence, _LONGEST_TOAST))
            return
        try:
            await bot.answer_callback_query(query.id)
        except BadRequest:  # "query is too old": pressed while nobody listened
            await self._say(bot, query.message, _TOO_LATE)
            return
        except TelegramError:  # the button turns on for a while, and nothing else
            pass
        await self._say(bot, query.message, await self._act(press, user))

    async def _act(self, press: Press, user: "User") -> str:
        match press.act:
            case "silence":
                matcher = Matcher(incidents=frozenset({press.incident}))
                return await self._told(self._desk.silence(matcher, _SILENCE, _who(user)))
            case "explain":
                return await self._told(self._desk.explain(press.incident))
            case "recover":
                return await self._told(self._desk.recover(press.incident, _who(user)))
        return _OBSOLETE

    # --- commands ----------------------------------------------------------------------------------

    async def _written(self, bot: "Bot", message: "Message", user: "User", username: str) -> None:
        words = (message.text or "").split()
        command, _, addressee = (words[0] if words else "").partition("@")
        is_private = message.chat.type == "private"
        known = {"/status", "/ack", "/silence", "/explain"} | ({"/start", "/help"} if is_private else set())
        if command.lower() not in known or (addressee and addressee.lower() != username.lower()):
            return
        if user.id not in self.users:
            if self._refused(user, command):
                await self._say(bot, message, _not_listed(user))
            return
        if self._now() - message.date > _STALE:
            said = f"Defib was not listening when you wrote {command}; write it again if it still holds."
            await self._say(bot, message, said)
            return
        answer = await self._done(command.lower(), words[1:], message, user)
        if isinstance(answer, Question):
            await self._say(bot, message, answer.text, answer.buttons)
        else:
            await self._say(bot, message, answer)

    async def _done(self, command: str, words: list[str], message: "Message", user: "User") -> str | Question:
        match command:
            case "/status":
                return await self._told(self._desk.status())
            case "/start" | "/help":
                return USAGE
        lasting = _SILENCE
        if command == "/silence":
            lasting, words = _lasting(words)
        subject: IncidentId | MonitorId | None = _incident_of(message.reply_to_message)
        if subject is None:
            name, words = (words[0], words[1:]) if words else ("", [])
            found = await self._meant(command, name)
            if isinstance(found, Question):
                return found
            subject = found
        note = one_line(" ".join(words))
        match command:
            case "/silence":
                return await self._told(self._desk.silence(_about(subject), lasting, _who(user), note))
            case "/ack":
                return await self._told(self._desk.acknowledge(IncidentId(subject), _who(user), note))
        return await self._told(self._desk.explain(subject))

    async def _meant(self, command: str, name: str) -> IncidentId | MonitorId | Question:
        """What ``name`` is, or what to ask."""
        if name.startswith(_INCIDENT):  # it may be over, and is known all the same
            return IncidentId(name)
        subjects = await self._desk.meant(name)
        found = clear(command, name, subjects)
        if found is None:
            return question(command, name, subjects)
        return found.monitor if name or found.incident is None else found.incident

    # --- what goes out -----------------------------------------------------------------------------

    async def _told(self, answer: Awaitable[str]) -> str:
        """The desk's sentence, or why it refused."""
        try:
            return await answer
        except DefibError as error:
            return str(error)

    async def _say(
        self, bot: "Bot", to: "MaybeInaccessibleMessage | None", text: str, buttons: Sequence[Button] = ()
    ) -> None:
        """Answer a message where it stands, as plain text."""
        from telegram import Message, ReplyParameters

        if to is None:
            return
        thread = to.message_thread_id if isinstance(to, Message) and to.is_topic_message else None
        await bot.send_message(
            chat_id=to.chat.id,
            message_thread_id=thread,
            text=cut(text),
            reply_markup=keyboard_of(buttons),
            reply_parameters=ReplyParameters(message_id=to.message_id, allow_sending_without_reply=True),
        )

    def _refused(self, user: "User", what: str) -> bool:
        """Log it; True the first time, when a stranger is told so."""
        log.warning(
            "refused: the user is not in allow_users",
            target=self.target, user=user.id, name=one_line(user.full_name, 60), what=one_line(what, 60),
        )  # fmt: skip
        if user.id in self._strangers or len(self._strangers) >= _MOST_STRANGERS:
            return False
        self._strangers.add(user.id)
        return True


def _lasting(words: list[str]) -> tuple[timedelta, list[str]]:
    """How long a silence lasts, and what else was said."""
    lasting, others = _SILENCE, []
    for word in words:
        try:
            lasting = parse_duration(word)
        except ValueError:
            others.append(word)
    return lasting, others


def _about(subject: IncidentId | MonitorId) -> Matcher:
    if subject.startswith(_INCIDENT):
        return Matcher(incidents=frozenset({IncidentId(subject)}))
    return Matcher(monitors=frozenset({MonitorId(subject)}))


def _who(user: "User") -> str:
    """As audits and messages name them."""
    return f"{one_line(user.full_name, 60)} (Telegram {user.id})"


def _not_listed(user: "User") -> str:
    return f"Only listed people may do this. Your number is {user.id}; allow_users takes it."


def _incident_of(message: "Message | None") -> IncidentId | None:
    """The incident of an alert that somebody answers: its buttons know it."""
    if message is None or message.reply_markup is None:
        return None
    presses = (
        press_of(str(button.callback_data)) for row in message.reply_markup.inline_keyboard for button in row
    )
    return next((press.incident for press in presses if press is not None), None)

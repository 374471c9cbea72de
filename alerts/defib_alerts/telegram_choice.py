"""What people are asked when it is not clear what a command in a chat is about. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from defib.plugin import Button, Subject
from defib_alerts.wording import one_line

MOST = 8  #: to choose from
_LONGEST_LABEL = 40  #: characters of a button: half a phone's width
_ACTS: dict[str, Literal["acknowledge", "explain"]] = {"/ack": "acknowledge", "/explain": "explain"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An answer that asks."""

    text: str
    buttons: tuple[Button, ...] = ()  #: for those that a press can stand for


def clear(command: str, text: str, subjects: Sequence[Subject]) -> Subject | None:
    """The one that is meant; None where people have to be asked.

    What only explains takes the one that fits. What changes something wants its name, or nothing else to be wrong.
    """
    if len(subjects) != 1:
        return None
    [only] = subjects
    is_named = text.casefold() in ("", only.monitor.casefold(), only.name.casefold(), only.incident)
    return only if is_named or command == "/explain" else None


def question(command: str, text: str, subjects: Sequence[Subject]) -> Question:
    """Which of ``subjects``? One press answers where something is open about them."""
    if not subjects and not text:
        return Question(text=f"Nothing is wrong. Write {command} MONITOR; /status shows how everything is.")
    if not subjects:
        return Question(text=f"Nothing fits “{one_line(text, 60)}”; /status lists what is wrong.")
    shown = subjects[:MOST]
    lines = [f"{command} {item.monitor} – {item.name}: {item.state}" for item in shown]
    if more := len(subjects) - len(shown):
        lines.append(f"… and {more} more")
    act = _ACTS.get(command)
    buttons = (
        Button(act=act, incident=item.incident, label=one_line(item.name, _LONGEST_LABEL))
        for item in shown
        if act is not None and item.incident is not None
    )
    return Question(
        text="Which one? Answer an alert with this command, press, or write:\n" + "\n".join(lines),
        buttons=tuple(buttons),
    )

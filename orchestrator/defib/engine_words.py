"""Plans and reasons of the engine, recognised by their English and said in other languages.

They are finished sentences where they are written, because they are also its audit, and are put together from one
another later. Each that people meet is a message here; where one fits, its parts are taken out, and the sentence is
made anew. Parts named ``reason`` and ``detail`` may be such sentences again. What no message fits stays as it is:
better English than nothing.
"""

import re
from functools import cache

from defib.languages import ENGLISH, N_, Catalogue, catalogue

SAID: tuple[str, ...] = (
    # --- what it is going to do ---
    N_("Defib would run: {command} (recovery is in dry-run mode)"),
    N_("Defib will run: {command}"),
    N_("Defib will not act before it has seen it afresh: it was not well itself when it decided this"),
    N_("Defib will not act: it was stopped on purpose"),
    N_("Defib will not act: it has never been seen well"),
    N_("Defib will not act: no recovery is configured"),
    N_("Defib tries again after a short wait"),
    # --- what it did ---
    N_("recovered by Defib in {seconds} s: {command}"),
    N_("recovered by Defib in {seconds} s"),
    N_("recovered by Defib"),
    N_("recovered by itself"),
    N_("recovered after the attempt was given up"),
    # --- how it goes on ---
    N_("it fell again after {n} good recoveries within an hour; Defib goes on, but at long intervals"),
    N_("Defib has been held back for {minutes} min: {reason}"),
    N_("{n} attempt so far; {reason}"),
    N_("{n} attempts so far; {reason}"),
    N_("Defib acts as soon as it may: {reason}"),
    N_("Defib goes on: {reason}"),
    N_("Defib is at it: {reason}"),
    N_("attempt {n} failed ({detail}); next one in {seconds} s"),
    N_("fell again while it was watched; next attempt in {seconds} s"),
    N_("it fell again soon after it was recovered; next attempt in {seconds} s"),
    N_("waiting until the fault is {seconds} s old"),
    N_("one last look before acting"),
    N_("acting"),
    N_("verifying: waiting for good answers"),
    N_("verifying after an interruption"),
    N_("verifying"),
    # --- why it waits ---
    N_("another action runs on {host}"),
    N_("another Defib decides about it now"),
    N_("too many attempts in a short time, over all monitors"),
    N_("waiting for {monitors}, which it requires"),
    N_("it is unreachable: what is behind that has to be well first"),
    N_("stopped on purpose: {detail}; waiting whether it is started again"),
    N_("stopped on purpose: {detail}; Defib leaves it stopped"),
    N_("it was stopped on purpose; Defib leaves it stopped"),
    N_("somebody else restarted it {seconds} s ago; waiting to see what comes of it"),
    N_("it is in maintenance"),
    N_("{reason}: one attempt in {minutes} min, the next in {seconds} s at the soonest"),
    N_("flapping, and tried {n} times within an hour"),
    N_("{detail}: what it requires goes first"),
    N_("{detail}: one at a time, each verified before the next"),
    N_("{n} of the group {group} is in recovery already"),
    N_("{n} of the group {group} are in recovery already"),
    N_("{n} other recovery acts or goes first, at most {most} at once"),
    N_("{n} other recoveries act or go first, at most {most} at once"),
    # --- why it has given up ---
    N_("no recovery ladder is configured"),
    N_("it has never been seen well, so there is nothing to go back to"),
    N_("{detail} although Defib had started it: stopped on purpose or ended by itself, needs a human"),
    N_("recovery was disarmed while it was at work"),
    N_("taken over by {actor}"),
    N_("asked for by {actor}"),
    N_("{reason}: needs a human"),
    N_("{n} failed attempt within {minutes} min"),
    N_("{n} failed attempts within {minutes} min"),
    N_("crash-looping: {reason}"),
    N_("fell again after {n} good recoveries within an hour"),
    N_("{n} attempts within 24 h"),
    N_("every rung of the ladder has been used"),
    N_("every rung of the ladder has been used, or has changed nothing twice"),
    N_("the action was refused: {detail}"),
    N_("{reason}, and nobody knows what became of an action that must not run twice"),
    N_("a restart cannot help here"),
    N_("recovery is off for this monitor"),
    # --- what an attempt came to ---
    N_("the target is still the same process"),
    N_("killed after {seconds} s"),
    N_("it answers again, but still wrongly"),
    N_("not well {seconds} s after the action"),
    N_("would have run: {command}"),
    N_("dry-run: {detail}"),
    N_("Defib was interrupted while it acted; verification decides"),
    # --- why nobody was told ---
    N_("it goes up and down: single falls and returns are not told, only what becomes of it"),
    N_("nobody was told of what it follows"),
    N_("people know already, through {channels}"),
    N_("no route takes it"),
    N_("its routes name no channel"),
    # --- why it is not watched any more ---
    N_("the monitor was removed"),
    N_("the agent was removed"),
    N_("it is not in the configuration any more"),
    # --- about itself ---
    N_("Defib itself is not well: its own server does not answer"),
    N_("Defib lost its network"),
    N_("Defib's event loop has been held up for {seconds} s"),
    N_("It was told of before Defib was restarted"),
    N_("Meanwhile no fault is declared for up to {minutes} minutes, and nothing is repaired"),
    N_("Failures seen meanwhile count for nothing, and nothing is repaired"),
    N_(
        "What is reached over the network is neither declared down nor repaired; what is on this machine is watched "
        "as usual"
    ),
    N_(
        "What lies beyond the uplink counts as unreachable: nobody is told of it one by one, and it is not repaired"
    ),
    N_("Nothing is looked at meanwhile, nothing is repaired, and the dashboard does not answer"),
    N_("Whatever was seen meanwhile is looked at afresh"),
    N_("a test of the channel {channel}"),
    # --- about its channels ---
    N_("Defib goes on trying, and sends alerts through {channel} instead"),
    N_("What it refused is kept as dead letters. Defib sends alerts through {channel} instead"),
    N_("What it owed is delivered now"),
    N_(
        "What it owed is delivered now, except {n} dead letter: the page Alerts sends it once more, as does "
        "`POST /api/v1/deliveries/ID/retry`"
    ),
    N_(
        "What it owed is delivered now, except {n} dead letters: the page Alerts sends each once more, as does "
        "`POST /api/v1/deliveries/ID/retry`"
    ),
    N_("it accepts messages"),
)
_PLACE = re.compile(r"\\\{(\w+)\\\}")
_SENTENCES = frozenset({"reason", "detail"})
_FIGURES = frozenset({"seconds", "minutes"})
_DEEP = 4  #: reasons within reasons


def spoken(text: str, words: Catalogue) -> str:
    """``text``, which the engine wrote, in the language of ``words``, whosever catalogue they are."""
    if words.language == ENGLISH:
        return text
    return _spoken(text, catalogue("defib", words.language), _DEEP)


def _spoken(text: str, words: Catalogue, depth: int) -> str:
    if not depth:
        return text
    for message in SAID:
        if found := pattern_of(message).fullmatch(text):
            parts = found.groupdict()
            for name, part in parts.items():
                parts[name] = (
                    _spoken(part, words, depth - 1) if name in _SENTENCES else _figure(name, part, words)
                )
            return words.gettext(message).format_map(parts)
    return text


def _figure(name: str, part: str, words: Catalogue) -> str:
    if name not in _FIGURES or not part.replace(".", "", 1).isdecimal():
        return part
    return words.number(float(part), len(part.partition(".")[2]))


@cache
def pattern_of(message: str) -> re.Pattern[str]:
    """What fits a message, with a group for each of its places."""
    return re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.escape(message)), re.IGNORECASE)

"""Times, durations and lines of text as people read them. Pure but for the catalogues, which are read once."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from defib.plugin import ENGLISH, LANGUAGES, N_, AlertFacts, Catalogue, catalogue, retell

PACKAGE = "defib_alerts"


def words_in(language: str) -> Catalogue:
    """This package's messages; English for a language that nobody has translated."""
    return catalogue(PACKAGE, language if language in LANGUAGES else ENGLISH)


def zone(name: str) -> tzinfo:
    """The named time zone; UTC where this machine does not know the name, so that an alert still leaves."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def zone_name(name: str) -> str:
    """How :func:`zone` is called in texts."""
    return name if zone(name) is not UTC else "UTC"


@dataclass(frozen=True, slots=True)
class Voice:
    """The language and the time zone that one alert is told in."""

    words: Catalogue
    timezone: str
    at: datetime  #: when it speaks; days are left out where they are this one's

    @classmethod
    def of(cls, facts: AlertFacts, language: str) -> "Voice":
        return cls(words_in(language), facts.timezone, facts.at)

    def say(self, message: str, **values: object) -> str:
        """A message in this language, filled in."""
        return self.words.gettext(message).format_map(values)

    def plural(self, one: str, many: str, n: int, **values: object) -> str:
        """The form that goes with ``n``, filled in."""
        return self.words.ngettext(one, many, n).format_map({"n": n, **values})

    def clock(self, instant: datetime, *, has_seconds: bool = True) -> str:
        """``22:14:07`` on the day of the alert, else ``Sat 3 Jan 22:14:07``; local."""
        local, here = instant.astimezone(zone(self.timezone)), self.at.astimezone(zone(self.timezone))
        return self.words.moment(local, seen_from=here, has_seconds=has_seconds)

    def told(self, text: str) -> str:
        """What a monitor or the engine said, in this language and by the readers' clock."""
        return retell(text, self.words, self.clock)

    @property
    def zone(self) -> str:
        return zone_name(self.timezone)


def human_duration(seconds: float, language: str = ENGLISH) -> str:
    """``6.4 s``, ``1 min 12 s``, ``2 h 5 min``, ``3 d 4 h``: the two largest units that matter."""
    return words_in(language).duration(seconds)


def full_time(instant: datetime, timezone: str, language: str = ENGLISH) -> str:
    """``Sat 3 Jan 2026, 22:14:07 (Asia/Hong_Kong)``."""
    words = words_in(language)
    time = words.instant(instant.astimezone(zone(timezone)))
    return words.gettext(N_("{time} ({timezone})")).format(time=time, timezone=zone_name(timezone))


def one_line(text: str, limit: int = 300) -> str:
    """``text`` without line ends, control and direction characters, at most ``limit`` characters long."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def clause(text: str) -> str:
    """``text`` without the stop at its end, to stand inside a sentence."""
    return text.strip().rstrip(".;,: 。")


def sentence(text: str) -> str:
    """``text`` with a capital first letter and one full stop; "" stays empty."""
    trimmed = clause(text)
    if not trimmed:
        return ""
    end = "" if trimmed[-1] in "!?…" else "."
    return trimmed[0].upper() + trimmed[1:] + end

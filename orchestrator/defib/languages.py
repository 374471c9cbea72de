"""Words and figures in the languages that Defib speaks: gettext catalogues, dates, numbers and durations.

A package writes its messages in English and keeps their translations beside its code, in
``locale/<language>/LC_MESSAGES/messages.po``; the wheel holds them as they are::

    words = catalogue("defib_alerts", "zh-Hant")
    words.gettext("What to do")                            # 該怎麼做
    words.ngettext("{n} check", "{n} checks", 3).format(n=words.number(3))
    words.duration(72)                                     # 1 分 12 秒
    words.sentences(first, second)                         # joined as the language does it

Placeholders are those of :meth:`str.format`, filled in after the look-up. A message that stands in a table is marked
with :func:`N_`, so that ``python tests/support/catalogues.py`` finds it: that renews the .po files from the code, and a
test holds every language against it. Messages in Jinja templates are written ``{{ _("What to do") }}``.

English needs neither a file nor Babel. The other languages read both at the first use, some hundredths of a second.
"""

import io
from collections.abc import Iterable
from datetime import date, datetime
from functools import cached_property, lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel import Locale

ENGLISH = "en"
LANGUAGES = (ENGLISH, "zh-Hant", "tr")
NAMES = {"en": "English", "zh-Hant": "繁體中文", "tr": "Türkçe"}
"""What speakers call their language."""

_UNITS = {
    "en": ("s", "min", "h", "d"),
    "zh-Hant": ("秒", "分", "小時", "天"),
    "tr": ("sn", "dk", "sa", "gün"),
}
_MILLISECOND = {"en": "ms", "zh-Hant": "毫秒", "tr": "ms"}
_DAYS = {"zh-Hant": "M月d日 EEE", "tr": "d MMM EEE"}
_DAYS_WITH_YEAR = {"zh-Hant": "y年M月d日 EEE", "tr": "d MMM y EEE"}
_MONTHS = {"zh-Hant": "y年M月", "tr": "LLLL y"}


def N_(message: str) -> str:
    """Mark ``message`` for translation where it stands in a table and is looked up later."""
    return message


class Catalogue:
    """One package's messages in one language, and how that language writes figures. Made by :func:`catalogue`."""

    def __init__(self, language: str, messages: NullTranslations) -> None:
        self.language = language
        self._messages = messages

    # --- messages ----------------------------------------------------------------------------------

    def gettext(self, message: str) -> str:
        """``message`` in this language; itself where it is not translated, and "" for ""."""
        return self._messages.gettext(message) if message else ""

    def pgettext(self, context: str, message: str) -> str:
        """The same for a message that means different things in different places."""
        return self._messages.pgettext(context, message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        """The form that goes with ``count``; ``{n}`` and the like are still to be filled in."""
        return self._messages.ngettext(one, many, count)

    # --- sentences ---------------------------------------------------------------------------------

    def sentences(self, *sentences: str) -> str:
        """Whole sentences one after the other, empty ones left out; Chinese puts no space between."""
        said = [sentence for sentence in sentences if sentence]
        text = said[0] if said else ""
        for sentence in said[1:]:
            text += sentence if text.endswith(("。", "？", "！", "：")) else f" {sentence}"
        return text

    def listed(self, items: Iterable[str]) -> str:
        """``a, b, c`` as this language separates them."""
        return ("、" if self.language == "zh-Hant" else ", ").join(items)

    def clauses(self, clauses: Iterable[str]) -> str:
        """``a; b; c``: what is more than words."""
        return ("；" if self.language == "zh-Hant" else "; ").join(clauses)

    # --- figures -----------------------------------------------------------------------------------

    def number(self, value: float, digits: int = 0) -> str:
        """``12,345.6``: always so many decimals."""
        if self.language == ENGLISH:
            return f"{value:,.{digits}f}"
        from babel.numbers import format_decimal

        return str(format_decimal(value, _pattern("#,##0", digits), self.locale))

    def percent(self, share: float, digits: int = 0) -> str:
        """A share of 1 as ``99.98 %``, ``99.98%`` in Chinese and ``%99,98`` in Turkish."""
        figure = self.number(share * 100, digits)
        return {"zh-Hant": f"{figure}%", "tr": f"%{figure}"}.get(self.language, f"{figure} %")

    def duration(self, seconds: float) -> str:
        """``6.4 s``, ``1 min 12 s``, ``2 h 5 min``, ``3 d 4 h``: the two largest units that matter.

        :param seconds: a negative span (a clock stepped) reads as ``0.0 s``.
        """
        second, minute, hour, day = _UNITS[self.language]
        seconds = max(seconds, 0.0)
        if seconds < 9.95:
            return f"{self.number(seconds, 1)} {second}"
        whole = round(seconds)
        for unit, size, rest_unit, rest_size in (
            (day, 86_400, hour, 3_600),
            (hour, 3_600, minute, 60),
            (minute, 60, second, 1),
        ):
            if whole >= size:
                rest = whole % size // rest_size
                if self.language == "zh-Hant" and not rest and unit == minute:
                    unit = "分鐘"
                return f"{whole // size} {unit}" + (f" {rest} {rest_unit}" if rest else "")
        return f"{whole} {second}"

    def span(self, seconds: float) -> str:
        """``350 ms``, ``3 s``, ``6.4 s``, ``1 min 12 s``: as :meth:`duration`, for spans that were set or are short."""
        if 0 < seconds < 0.9995:
            return f"{self.number(seconds * 1000)} {_MILLISECOND[self.language]}"
        if 0 <= seconds < 10 and seconds == int(seconds):
            return f"{int(seconds)} {_UNITS[self.language][0]}"
        return self.duration(seconds)

    # --- dates; all arguments are local times already ------------------------------------------------

    def day(self, day: date, *, has_year: bool = False) -> str:
        """``Sat 3 Jan``, ``Sat 3 Jan 2026``; ``1月3日 週六``; ``3 Oca 2026 Cmt``."""
        if self.language == ENGLISH:
            return f"{day:%a} {day.day} {day:%b %Y}" if has_year else f"{day:%a} {day.day} {day:%b}"
        return self._date(day, (_DAYS_WITH_YEAR if has_year else _DAYS)[self.language])

    def month(self, day: date) -> str:
        """``January 2026``; ``2026年1月``; ``Ocak 2026``."""
        return f"{day:%B %Y}" if self.language == ENGLISH else self._date(day, _MONTHS[self.language])

    def moment(self, instant: datetime, *, seen_from: datetime, has_seconds: bool = True) -> str:
        """``22:14:07`` on the day of ``seen_from``, else with the day before it: ``Sat 3 Jan 22:14:07``."""
        clock = f"{instant:%H:%M:%S}" if has_seconds else f"{instant:%H:%M}"
        return clock if instant.date() == seen_from.date() else f"{self.day(instant)} {clock}"

    def instant(self, instant: datetime) -> str:
        """Day, year and time: ``Sat 3 Jan 2026, 22:14:07``; ``2026年1月3日 週六 22:14:07``."""
        comma = "," if self.language == ENGLISH else ""
        return f"{self.day(instant, has_year=True)}{comma} {instant:%H:%M:%S}"

    @cached_property
    def locale(self) -> "Locale":
        """For what else Babel can write in this language."""
        from babel import Locale

        return Locale.parse(_file_name(self.language))

    def _date(self, day: date, pattern: str) -> str:
        from babel.dates import format_date

        return format_date(day, pattern, self.locale)


@lru_cache(maxsize=32)
def catalogue(package: str, language: str = ENGLISH) -> Catalogue:
    """The messages of the importable ``package`` in ``language``, read once.

    A package without a file for the language says everything in English, with the language's figures.

    :raises ValueError: it is none of :data:`LANGUAGES`.
    :raises ModuleNotFoundError: there is no such package. It is not imported.
    """
    if language not in LANGUAGES:
        raise ValueError(f"there is no language {language!r}; there are: {', '.join(LANGUAGES)}")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"there is no package {package!r}", name=package)
    folder = Path(spec.submodule_search_locations[0]) / "locale"
    path = folder / _file_name(language) / "LC_MESSAGES" / "messages.po"
    if language == ENGLISH or not path.is_file():
        return Catalogue(language, NullTranslations())
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(path.read_bytes()), locale=_file_name(language)))
    compiled.seek(0)
    return Catalogue(language, GNUTranslations(compiled))


def _file_name(language: str) -> str:
    return language.replace("-", "_")


def _pattern(whole: str, digits: int) -> str:
    return f"{whole}.{'0' * digits}" if digits else whole

"""Words and figures in the language of the report's readers.

Parts that must not be torn apart are joined by no-break spaces; :func:`~defib_reports.daily.wording.plain` makes them
ordinary ones. The English stands in the code, its translations in ``locale/``.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from defib.plugin import ENGLISH, N_, catalogue, retell
from defib_reports.daily.wording import NBSP

# Not strftime: its names follow the process's locale.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_LONG_DAY = {"zh-Hant": "y年M月d日 EEEE", "tr": "d MMMM y EEEE"}
_SHORT_DAY = {"zh-Hant": "M月d日", "tr": "d MMM"}
_INITIALS = {"zh-Hant": "EEEEE", "tr": "EEE"}
_SAME = 0.05  #: a trend of less is within the error of the sketches, 2 % each
_LONG = ("GB", "MB", "kB")


class Speech:
    """How one language says what the report has to say."""

    def __init__(self, language: str) -> None:
        """:raises ValueError: there is no such language."""
        self.language = language
        self._words = catalogue("defib_reports", language)

    # --- sentences ---------------------------------------------------------------------------------

    def gettext(self, message: str, **values: object) -> str:
        """``message`` in this language with its placeholders filled in."""
        return self._words.gettext(message).format(**values)

    def ngettext(self, one: str, many: str, count: int, **values: object) -> str:
        """The form that goes with ``count``, which is its ``{n}``."""
        return self._words.ngettext(one, many, count).format(n=self.number(count), **values)

    def told(self, text: str, clock: Callable[[datetime], str]) -> str:
        """What a monitor or the engine said, as far as it knows what it is made of.

        :param clock: an instant as the readers' clock shows it.
        """
        return retell(text, self._words, clock)

    def upper(self, text: str) -> str:
        """In capitals; the Turkish i keeps its dot."""
        return (text.replace("i", "İ") if self.language == "tr" else text).upper()

    def joined(self, *sentences: str) -> str:
        """Whole sentences one after the other."""
        return self._words.sentences(*sentences)

    def several(self, items: Sequence[str]) -> str:
        """``a, b, c``."""
        return self._words.listed(items)

    def listed(self, items: Sequence[str], limit: int = 3) -> str:
        """``a``, ``a and b``, ``a, b and 4 more``."""
        shown = list(items[:limit])
        if left_out := len(items) - len(shown):
            shown.append(self.ngettext("{n} more", "{n} more", left_out))
        if len(shown) < 2:
            return "".join(shown)
        return self.gettext("{several} and {last}", several=self._words.listed(shown[:-1]), last=shown[-1])

    # --- figures -----------------------------------------------------------------------------------

    def number(self, value: float, digits: int = 0) -> str:
        """``43,120``."""
        return self._words.number(value, digits)

    def percent(self, share: float) -> str:
        """``99.93 %``: cut off, never rounded up, with more digits where two would hide what is missing to 100."""
        return self.percents(share)[0]

    def percents(self, *shares: float) -> tuple[str, ...]:
        """Each as :meth:`percent`, with as many digits as the one that needs most, so that they can be compared."""
        digits = max(map(_digits, shares))
        return tuple(self._percent(share, digits) for share in shares)

    def roughly(self, share: float) -> str:
        """``12 %``."""
        return self._words.percent(share).replace(" ", NBSP)

    def exactly(self, share: float) -> str:
        """``99.9 %``: with as many digits as it has."""
        exponent = (Decimal(str(share)) * 100).normalize().as_tuple().exponent
        digits = max(0, -exponent) if isinstance(exponent, int) else 0
        return self._words.percent(share, digits).replace(" ", NBSP)

    def roughly_fine(self, share: float) -> str:
        """``0.8 %``."""
        return self._words.percent(share, 1).replace(" ", NBSP)

    def _percent(self, share: float, digits: int) -> str:
        exact = Decimal(str(share))
        if exact in (0, 1):
            digits = 0
        cut = exact.quantize(Decimal(1).scaleb(-digits - 2), rounding=ROUND_DOWN)
        return self._words.percent(float(cut), digits).replace(" ", NBSP)

    def change(self, ratio: float) -> str:
        """``12 % slower``; what is within the error of measurement is no change."""
        if abs(ratio) < _SAME:
            return self.gettext("unchanged")
        if ratio >= 1:
            return self._tight(N_("{factor} times as slow"), factor=self.number(ratio + 1, 1))
        message = N_("{percent} slower") if ratio > 0 else N_("{percent} faster")
        return self._tight(message, percent=self.roughly(abs(ratio)))

    def milliseconds(self, value: float) -> str:
        """``0.43 ms``, ``4.3 ms``, ``43 ms``, ``1.2 s``."""
        if value >= 999.5:
            return self.duration(timedelta(milliseconds=value))
        digits = 2 if value < 0.995 else 1 if value < 9.95 else 0
        return self._tight(N_("{n} ms"), n=self.number(value, digits))

    def duration(self, span: timedelta) -> str:
        """``350 ms``, ``6.4 s``, ``58 s``, ``2 min 5 s``, ``1 h 12 min``, ``2 d 3 h``."""
        seconds = span.total_seconds()
        if not seconds:
            return self._tight(N_("{n} s"), n=0)
        if seconds < 0.0005:
            return self._tight(N_("under 1 ms"))
        if seconds < 0.9995:
            return self._tight(N_("{n} ms"), n=self.number(seconds * 1000))
        return self._words.duration(seconds).replace(" ", NBSP)

    def size(self, count: int) -> str:
        """``13.4 MB``, in powers of ten."""
        for unit, size in zip(_LONG, (1e9, 1e6, 1e3), strict=True):
            if count >= size:
                return f"{self.number(count / size, 1)}{NBSP}{unit}"
        return f"{self.number(count)}{NBSP}B"

    # --- dates; local ones -------------------------------------------------------------------------

    def long_day(self, day: date) -> str:
        """``Friday, 20 November 2026``."""
        if self.language == ENGLISH:
            return f"{_WEEKDAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year}"
        return self._date(day, _LONG_DAY[self.language])

    def days(self, first: date, last: date) -> str:
        """``16 – 22 November 2026``."""
        if self.language != ENGLISH:
            from babel.dates import format_interval

            return str(format_interval(first, last, "yMMMMd", locale=self._words.locale))
        end = f"{last.day} {_MONTHS[last.month - 1]} {last.year}"
        if (first.year, first.month) == (last.year, last.month):
            return f"{first.day} – {end}"
        year = "" if first.year == last.year else f" {first.year}"
        return f"{first.day} {_MONTHS[first.month - 1]}{year} – {end}"

    def month(self, day: date) -> str:
        """``November 2026``."""
        if self.language == ENGLISH:
            return f"{_MONTHS[day.month - 1]} {day.year}"
        return self._words.month(day)

    def short_day(self, day: date) -> str:
        """``20 Nov``."""
        if self.language == ENGLISH:
            return f"{day.day}{NBSP}{_MONTHS[day.month - 1][:3]}"
        return self._date(day, _SHORT_DAY[self.language]).replace(" ", NBSP)

    def weekday(self, day: date) -> str:
        """``Fri``."""
        if self.language == ENGLISH:
            return _WEEKDAYS[day.weekday()][:3]
        return self._date(day, _INITIALS[self.language])

    def clock(self, local: datetime) -> str:
        """``14:02:11``."""
        return f"{local:%H:%M:%S}"

    def _date(self, day: date, pattern: str) -> str:
        from babel.dates import format_date

        return str(format_date(day, pattern, locale=self._words.locale))

    def _tight(self, message: str, **values: object) -> str:
        return self.gettext(message, **values).replace(" ", NBSP)


def _digits(share: float) -> int:
    return 2 if share < 0.9999 or share == 1 else 3 if share < 0.99999 else 4 if share < 0.999999 else 5

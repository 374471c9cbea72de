"""Figures, dates and sentences in the languages that Defib speaks."""

import subprocess
import sys
from datetime import date, datetime

import pytest

from defib.languages import LANGUAGES, NAMES, Catalogue, catalogue


def words(language: str) -> Catalogue:
    return catalogue("defib_alerts", language)


@pytest.mark.parametrize(
    ("language", "seconds", "text"),
    [
        ("en", -5, "0.0 s"), ("en", 6.44, "6.4 s"), ("en", 59.6, "1 min"), ("en", 273_600, "3 d 4 h"),
        ("zh-Hant", 6.44, "6.4 秒"), ("zh-Hant", 72, "1 分 12 秒"), ("zh-Hant", 7500, "2 小時 5 分"),
        ("zh-Hant", 273_600, "3 天 4 小時"),
        ("tr", 6.44, "6,4 sn"), ("tr", 72, "1 dk 12 sn"), ("tr", 7500, "2 sa 5 dk"), ("tr", 273_600, "3 gün 4 sa"),
    ],
)  # fmt: skip
def test_durations_read_as_people_say_them(language: str, seconds: float, text: str) -> None:
    assert words(language).duration(seconds) == text


@pytest.mark.parametrize(
    ("language", "number", "percent", "day", "month", "instant"),
    [
        ("en", "12,345.7", "99.98 %", "Sat 3 Jan", "January 2026", "Sat 3 Jan 2026, 22:14:07"),
        ("zh-Hant", "12,345.7", "99.98%", "1月3日 週六", "2026年1月", "2026年1月3日 週六 22:14:07"),
        ("tr", "12.345,7", "%99,98", "3 Oca Cmt", "Ocak 2026", "3 Oca 2026 Cmt 22:14:07"),
    ],
)
def test_figures_and_dates_are_written_as_the_language_does(
    language: str, number: str, percent: str, day: str, month: str, instant: str
) -> None:
    told, at = words(language), datetime(2026, 1, 3, 22, 14, 7)  # noqa: DTZ001 - local already

    assert told.number(12345.67, 1) == number
    assert told.percent(0.9998, 2) == percent
    assert told.day(date(2026, 1, 3)) == day
    assert told.month(date(2026, 1, 3)) == month
    assert told.instant(at) == instant
    assert told.moment(at, seen_from=at) == "22:14:07"
    assert told.moment(at, seen_from=at.replace(day=4), has_seconds=False) == f"{day} 22:14"


@pytest.mark.parametrize(
    ("language", "sentences", "listed"),
    [("en", "One. Two. 三。Four.", "a, b"), ("zh-Hant", "One. Two. 三。Four.", "a、b"),
     ("tr", "One. Two. 三。Four.", "a, b")],
)  # fmt: skip
def test_sentences_are_joined_as_their_script_does(language: str, sentences: str, listed: str) -> None:
    assert words(language).sentences("One.", "", "Two.", "三。", "Four.") == sentences
    assert words(language).sentences("", "") == ""
    assert words(language).listed("ab") == listed


def test_a_language_that_nobody_speaks_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"there is no language 'xx'; there are: en, zh-Hant, tr"):
        catalogue("defib_alerts", "xx")


def test_a_package_without_a_catalogue_speaks_english_with_the_languages_figures() -> None:
    told = catalogue("defib", "tr")

    assert told.gettext("What to do") == "What to do"
    assert told.number(1.5, 1) == "1,5"


def test_every_language_has_a_name_in_itself() -> None:
    assert list(NAMES) == list(LANGUAGES)


def test_english_costs_no_catalogue() -> None:
    """Neither Babel nor Jinja is loaded for an alert in English."""
    code = (
        "import sys; sys.path.insert(0, 'tests/support')\n"
        "from defib_alerts.samples import sample_alerts; sample_alerts()\n"
        "print([name for name in ('babel', 'jinja2') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout == "[]\n"

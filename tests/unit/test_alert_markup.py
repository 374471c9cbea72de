"""How alerts look in the markup of each channel: Telegram's limits, secrets, colours."""

import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_samples import make_alert
from defib.plugin import LANGUAGES, AlertKind, Severity
from defib_alerts.masking import Masker, MaskingFilter
from defib_alerts.rendering import Templates, Tone, alert_words, tone_of
from defib_alerts.samples import SAMPLES, sample_alert
from defib_alerts.telegram_markup import MESSAGE_LIMIT, plain, shorten, visible_length
from defib_testkit.telegram_text import plain_text

# --- Telegram --------------------------------------------------------------------------------------

pieces = st.one_of(
    st.text(alphabet=st.characters(exclude_characters="<>&", exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["&lt;", "&gt;", "&amp;", "&quot;", "&#x27;", "&#128293;", "🔥", "\n"]),
)
texts = st.lists(pieces, max_size=12).map("".join)
elements = st.recursive(
    texts,
    lambda inner: st.tuples(st.sampled_from(["b", "i", "code", "pre"]), st.lists(inner, max_size=4)).map(
        lambda made: f"<{made[0]}>{''.join(made[1])}</{made[0]}>"
    ),
    max_leaves=12,
)


@given(st.lists(elements, max_size=6).map("".join), st.integers(min_value=2, max_value=60))
def test_shortened_markup_is_whole_and_within_the_limit(markup: str, limit: int) -> None:
    short = shorten("x" + markup, limit)

    seen = plain_text(short, "HTML")  # refuses what Telegram refuses
    assert len(seen.encode("utf-16-le")) // 2 <= limit
    assert visible_length(short) <= limit


@given(st.lists(elements, max_size=6).map("".join))
def test_markup_that_fits_stays_as_it_is(markup: str) -> None:
    assert shorten(markup) == markup


@given(st.lists(elements, max_size=6).map("".join))
def test_plain_is_what_telegram_shows(markup: str) -> None:
    assert plain("x" + markup).strip() == plain_text("x" + markup, "HTML")


@pytest.mark.parametrize(
    ("markup", "limit", "short"),
    [
        ("<b>Main Agent</b> is down", 6, "<b>Main…</b>"),
        ("<b>Main Agent</b> is down", 12, "<b>Main Agent</b>…"),
        ("a &amp; b", 4, "a &amp;…"),
        ("a &amp; b", 3, "a…"),
        ("🔥🔥🔥", 5, "🔥🔥…"),
        ("🔥🔥🔥", 4, "🔥…"),
        ("<pre><code>deep</code></pre>", 3, "<pre><code>de…</code></pre>"),
        ('<a href="https://x">Open it</a>', 5, '<a href="https://x">Open…</a>'),
        ("1 < 2, cut", 6, "1 &lt; 2…"),
        ("broken</b> by its author", 8, "broken</b>…"),
    ],
)
def test_a_cut_spares_tags_entities_and_characters(markup: str, limit: int, short: str) -> None:
    assert shorten(markup.replace(" < ", " &lt; "), limit) == short


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SAMPLES)
def test_telegram_takes_every_message_in_every_language(name: str, language: str) -> None:
    words = alert_words(
        sample_alert(name, language), product_url="https://defib.example.com", language=language
    )
    markup = Templates().render("alert.telegram.html.j2", words).text.strip()

    seen = plain_text(markup, "HTML")  # refuses what Telegram refuses
    assert len(seen) <= 4096
    assert seen.splitlines()[0].endswith(sample_alert(name, language).title)
    assert "\n\n\n" not in seen


def test_the_limit_is_telegrams() -> None:
    assert visible_length("<b>" + "x" * MESSAGE_LIMIT + "</b>") == 4096
    assert len(plain_text(shorten("x" * 5000), "HTML")) == 4096


# --- secrets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "the token 12:a/b c= was refused",
        "https://x/bot12%3Aa%2Fb%20c%3D/send",
        "https://x/bot12%3Aa/b%20c%3D/send",
        "https://x/?key=12%3Aa%2Fb+c%3D",
        "AUTH PLAIN MTI6YS9iIGM9",
    ],
)
def test_a_secret_is_masked_in_every_spelling(text: str) -> None:
    masked = Masker(["12:a/b c="])(text)

    assert "***" in masked
    assert "12" not in masked
    assert "MTI6" not in masked


def test_a_secret_inside_another_leaves_no_rest() -> None:
    assert Masker(["key", "key-long", ""])("my key-long and my key") == "my *** and my ***"


def test_log_records_are_masked_with_their_arguments(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.chatty")
    masking = MaskingFilter(Masker(["s3cret"]))
    logger.addFilter(masking)
    try:
        try:
            raise ValueError("s3cret")
        except ValueError:
            logger.exception("GET %s", "https://x/s3cret")
    finally:
        logger.removeFilter(masking)

    assert "s3cret" not in caplog.text
    assert caplog.messages == ["GET https://x/***"]


# --- details ---------------------------------------------------------------------------------------


def test_details_are_labelled_for_people_and_repeat_nothing() -> None:
    facts = {
        "http_status": 500,
        "error": "refused",
        "n-restarts": 0,
        "main_pid": None,
        "disk /": "41 %",
        "text": "a\nb",
    }
    alert = make_alert(facts=facts, tags=("agents", "production"), attempts=2, duration_s=72.0)

    assert alert_words(alert)["details"] == [
        ("Monitor", "Main Agent (main, http)"),
        ("Target", "http://localhost:8000/health"),
        ("Since", "Sat 3 Jan 2026, 22:14:07 (Asia/Hong_Kong)"),
        ("Lasted", "1 min 12 s"),
        ("Cause", "refused"),
        ("Attempts", "2"),
        ("Tags", "agents, production"),
        ("HTTP status", "500"),
        ("N restarts", "0"),
        ("Disk /", "41 %"),
        ("Text", "a b"),
    ]


# --- colours ---------------------------------------------------------------------------------------


def every_tone() -> dict[str, Tone]:
    """One for each severity, and the one of good news."""
    tones = [
        tone_of(make_alert(family="database")),
        tone_of(make_alert()),
        tone_of(make_alert(event=AlertKind.DEGRADED)),
        tone_of(make_alert(event=AlertKind.TEST)),
        tone_of(make_alert(event=AlertKind.RECOVERED)),
    ]
    return {tone.word: tone for tone in tones}


def test_the_word_tells_what_the_colour_tells() -> None:
    assert list(every_tone()) == ["SEVERE", "HIGH", "LOW", "INFO", "RECOVERED"]
    assert len({tone.colour for tone in every_tone().values()}) == 5
    assert {tone.word for tone in every_tone().values()} >= {severity.name for severity in Severity}


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(colour: str) -> float:
        channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("word", ["SEVERE", "HIGH", "LOW", "INFO", "RECOVERED"])
def test_every_text_can_be_read_on_its_background(word: str) -> None:
    tone = every_tone()[word]
    pairs = {
        "badge": ("#ffffff", tone.colour),
        "time": (tone.ink, tone.tint),
        "description": ("#101828", tone.tint),
        "time, dark": (tone.dark_ink, tone.dark_tint),
        "description, dark": ("#f5f5f6", tone.dark_tint),
        "labels": ("#475467", "#ffffff"),
        "labels, dark": ("#a9adb6", "#161b26"),
    }

    too_weak = {name: contrast(*pair) for name, pair in pairs.items() if contrast(*pair) < 4.5}

    assert too_weak == {}


def test_the_colours_tested_are_those_of_the_page() -> None:
    html = Templates().render("alert.html.j2", alert_words(make_alert())).text
    colours = set(re.findall(r"#[0-9a-f]{6}", html))

    assert {"#101828", "#f5f5f6", "#475467", "#a9adb6", "#161b26"} <= colours

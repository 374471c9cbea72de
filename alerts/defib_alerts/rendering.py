"""Alerts through Jinja templates: the shipped ones, and a user's own in their place, one by one."""

import logging
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from defib.plugin import ENGLISH, Alert, Catalogue, ReportDocument
from defib_alerts.details import details_of, label_of, links_of
from defib_alerts.entries import entries_of
from defib_alerts.layout import padded, wrapped
from defib_alerts.subjects import subject_of
from defib_alerts.tones import Tone, is_good_news, tone_of
from defib_alerts.wording import full_time, one_line, words_in

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

log = logging.getLogger("defib.templates")

SHIPPED = Path(__file__).parent / "templates"
MISTAKES = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)
"""What a template may run into besides Jinja's own errors."""

_CODE = re.compile(r"`([^`]+)`")


class Rendering(NamedTuple):
    """The outcome of a template."""

    text: str
    complaint: str = ""  #: what is wrong with the user's own template; the text is then the shipped one's


class Templates:
    """Renders by name. Made off the event loop: it loads Jinja.

    A template of the user's runs in Jinja's sandbox. Where it fails, the shipped one takes its place: a mistake
    in a template never holds back an alert.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._shipped = environment(SHIPPED)
        self._folder = folder
        self._own = None if folder is None else environment(folder)

    def render(self, name: str, words: Mapping[str, object]) -> Rendering:
        """Fill the template ``name``: the user's where there is one."""
        complaint = ""
        if self._own is not None and self._folder is not None and (self._folder / name).is_file():
            from jinja2 import TemplateError

            try:
                return Rendering(self._own.get_template(name).render(words))
            except (TemplateError, *MISTAKES) as error:
                told = f"{type(error).__name__}: {one_line(str(error), 120)}"
                complaint = f"your template {name} fails ({told}); the shipped one was used"
                log.error("%s", complaint)
        return Rendering(self._shipped.get_template(name).render(words), complaint)


def check_folder(folder: Path | None, base: Path) -> Path | None:
    """The absolute folder of a user's templates, each of which has been tried out.

    :raises ValueError: there is no such folder, or something in it is of no use.
    """
    if folder is None:
        return None
    if not (absolute := base / folder).is_dir():
        raise ValueError(
            f"templates: there is no folder {absolute}; make it, or leave the key out for the shipped texts"
        )
    from defib_alerts.own_templates import check

    check(absolute)
    return absolute


def alert_words(alert: Alert, *, product_url: str = "", language: str = ENGLISH) -> dict[str, object]:
    """What templates for alerts may use; ``docs/reference/alert-templates.md`` tells of each."""
    facts = alert.facts
    links = links_of(alert, product_url=product_url, language=language)
    return {
        "alert": alert,
        "facts": facts,
        "language": language,
        "subject": subject_of(alert, language),
        "tone": tone_of(alert, language),
        "is_good_news": is_good_news(alert),
        "time": full_time(alert.at, facts.timezone, language),
        "entries": entries_of(facts, language) if facts.together else [],
        "details": details_of(alert, language),
        "links": links,
        "url": links[0].url if links else "",
        "product_url": product_url,
        "_": _saying(words_in(language)),
    }


def report_words(
    report: ReportDocument, summary: str, *, product_url: str = "", language: str = ENGLISH
) -> dict[str, object]:
    """What templates for reports may use.

    :param summary: its first lines, where the channel does not carry the whole.
    """
    return {
        "report": report, "summary": summary, "product_url": product_url, "language": language,
        "_": _saying(words_in(language)),
    }  # fmt: skip


def _saying(words: Catalogue) -> Callable[..., str]:
    """What ``_("…", n=3)`` does in a template."""

    def say(message: str, **values: object) -> str:
        return words.gettext(message).format_map(values)

    return say


@lru_cache(maxsize=8)
def environment(folder: Path) -> "Environment":
    """Templates of ``folder``, in the sandbox; ``shipped/…`` are the shipped ones, to be extended."""
    from jinja2 import ChoiceLoader, FileSystemLoader, PrefixLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    shipped = PrefixLoader({"shipped": FileSystemLoader(SHIPPED)})
    made = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(folder), shipped]),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["_"] = _saying(words_in(ENGLISH))  # where a template is filled without a language
    made.filters["code"] = _code
    made.filters["padded"] = padded
    made.filters["wrapped"] = wrapped
    return made


def _code(text: str) -> "Markup":
    """Escape ``text`` and show what stands in backticks as code."""
    from markupsafe import Markup, escape

    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped right here


__all__ = [
    "MISTAKES", "SHIPPED", "Rendering", "Templates", "Tone", "alert_words", "check_folder", "environment", "label_of",
    "report_words", "tone_of",
]  # fmt: skip

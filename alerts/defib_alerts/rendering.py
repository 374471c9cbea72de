"""Alerts through Jinja templates: the shipped ones, and a user's own in their place, one by one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from defib.plugin import Alert, AlertKind, Severity
from defib_alerts.wording import full_time, human_duration, one_line

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

SHIPPED = Path(__file__).parent / "templates"
_CODE = re.compile(r"`([^`]+)`")
_ACRONYMS = frozenset({"cpu", "dns", "http", "id", "oom", "pid", "tls", "url"})
_MOST_DETAILS = 12
_MISTAKES = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)
"""What a template may run into besides Jinja's own errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """How pressing something looks. Colours never stand alone: the word is always beside them."""

    word: str
    mark: str  #: one emoji, for chats
    colour: str  #: of bars and badges; white text on it has a contrast of at least 4.5:1
    tint: str  #: a light background
    ink: str  #: text on ``tint``; contrast at least 4.5:1
    dark_tint: str
    dark_ink: str


_TONES: Mapping[Severity, Tone] = {
    Severity.SEVERE: Tone(
        word="SEVERE", mark="🔴", colour="#b42318", tint="#fef3f2", ink="#912018",
        dark_tint="#451a16", dark_ink="#fda29b",
    ),
    Severity.HIGH: Tone(
        word="HIGH", mark="🟠", colour="#b93815", tint="#fff4ed", ink="#932f19",
        dark_tint="#431f12", dark_ink="#feb273",
    ),
    Severity.LOW: Tone(
        word="LOW", mark="🟡", colour="#8f5a06", tint="#fffaeb", ink="#7a4a04",
        dark_tint="#3b2a0b", dark_ink="#fec84b",
    ),
    Severity.INFO: Tone(
        word="INFO", mark="🔵", colour="#175cd3", tint="#eff8ff", ink="#1849a9",
        dark_tint="#13294b", dark_ink="#84caff",
    ),
}  # fmt: skip
_WELL = Tone(
    word="RECOVERED",
    mark="🟢",
    colour="#067647",
    tint="#ecfdf3",
    ink="#085d3a",
    dark_tint="#0b3321",
    dark_ink="#75e0a7",
)


_GOOD_NEWS = (AlertKind.RECOVERED, AlertKind.STARTED, AlertKind.OBSERVER_WELL)
_OF_NO_MONITOR = (AlertKind.TEST, AlertKind.OBSERVER_SICK, AlertKind.OBSERVER_WELL)


def tone_of(alert: Alert) -> Tone:
    """Its severity's, but good news looks like good news."""
    return _WELL if alert.facts.event in _GOOD_NEWS else _TONES[alert.severity]


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
        self._shipped = _environment(SHIPPED)
        self._folder = folder
        self._own = None if folder is None else _environment(folder)

    def render(self, name: str, words: Mapping[str, object]) -> Rendering:
        """Fill the template ``name``: the user's where there is one."""
        complaint = ""
        if self._own is not None and self._folder is not None and (self._folder / name).is_file():
            from jinja2 import TemplateError

            try:
                return Rendering(self._own.get_template(name).render(words))
            except (TemplateError, *_MISTAKES) as error:
                told = f"{type(error).__name__}: {one_line(str(error), 120)}"
                complaint = f"your template {name} fails ({told}); the shipped one was used"
        return Rendering(self._shipped.get_template(name).render(words), complaint)


def check_folder(folder: Path | None, base: Path) -> Path | None:
    """The absolute folder of a user's templates.

    :raises ValueError: there is no such folder.
    """
    if folder is None:
        return None
    if not (absolute := base / folder).is_dir():
        raise ValueError(
            f"templates: there is no folder {absolute}; make it, or leave the key out for the shipped texts"
        )
    return absolute


def alert_words(alert: Alert, *, product_url: str = "") -> dict[str, object]:
    """What templates for alerts may use."""
    facts = alert.facts
    return {
        "alert": alert,
        "facts": facts,
        "tone": tone_of(alert),
        "time": full_time(alert.at, facts.timezone),
        "details": _details(alert),
        "url": facts.url or product_url,
        "product_url": product_url,
    }


def _details(alert: Alert) -> list[tuple[str, str]]:
    """Label and value of what is worth a glance."""
    facts = alert.facts
    if facts.event in _OF_NO_MONITOR:
        return []
    if facts.together:
        return [("Monitors", ", ".join(member.monitor for member in facts.together))]
    details = [
        ("Monitor", f"{facts.monitor_name} ({facts.monitor}, {facts.monitor_kind})"),
        ("Target", facts.target),
    ]
    if facts.since < alert.at:
        details.append(("Since", full_time(facts.since, facts.timezone)))
    if facts.duration_s is not None:
        details.append(("Lasted", human_duration(facts.duration_s)))
    if facts.event is not AlertKind.RECOVERED:
        details.append(("Cause", facts.cause))
    if facts.attempts:
        details.append(("Attempts", str(facts.attempts)))
    if facts.tags:
        details.append(("Tags", ", ".join(facts.tags)))
    told = (None, "", facts.cause, facts.summary)
    details += [(label_of(key), str(value)) for key, value in facts.facts.items() if value not in told]
    return [(label, one_line(value, 200)) for label, value in details if value][:_MOST_DETAILS]


def label_of(key: str) -> str:
    """``http_status`` as a label: ``HTTP status``."""
    words = one_line(key.replace("_", " ").replace("-", " "), 40).split(" ")
    words = [word.upper() if word in _ACRONYMS else word for word in words]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _environment(folder: Path) -> "Environment":
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    return environment


def _code(text: str) -> "Markup":
    """Escape ``text`` and show what stands in backticks as code."""
    from markupsafe import Markup, escape

    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped right here

"""A user's own templates, tried out before they are needed: with every kind of alert, in every language."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING

from defib.plugin import LANGUAGES
from defib_alerts.rendering import MISTAKES, SHIPPED, alert_words, environment, report_words
from defib_alerts.samples import sample_alerts, sample_report
from defib_alerts.wording import one_line

if TYPE_CHECKING:
    from jinja2 import Environment

_PRODUCT_URL = "https://defib.example.com"


def check(folder: Path) -> None:
    """Try out every template of ``folder``.

    :raises ValueError: with the file, the line and the remedy of each mistake.
    """
    mistakes = [*_strangers(folder), *(told for name in _own(folder) for told in _mistakes(folder, name))]
    if mistakes:
        raise ValueError(f"templates: {'; '.join(mistakes)}")


def known_names() -> tuple[str, ...]:
    """The templates that messages are made of."""
    return tuple(sorted(path.name for path in SHIPPED.glob("*.j2")))


def _own(folder: Path) -> list[str]:
    return [name for name in known_names() if (folder / name).is_file()]


def _strangers(folder: Path) -> Iterator[str]:
    """Files that look like templates, but that no message is made of."""
    used = _included(folder)
    for path in sorted(folder.iterdir()):
        name = path.name
        looks_like_one = name.endswith(".j2") or f"{name}.j2" in known_names()
        if not path.is_file() or not looks_like_one or name in used or name in known_names():
            continue
        near = get_close_matches(name, known_names(), n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        yield f"no message is made of {path}; {guess}known are {', '.join(known_names())}"


def _included(folder: Path) -> set[str]:
    """What the templates of the folder include or extend."""
    from jinja2 import TemplateSyntaxError, meta

    made, used = environment(folder), set[str]()
    for path in folder.glob("*.j2"):
        try:
            named = meta.find_referenced_templates(made.parse(path.read_text(encoding="utf-8")))
        except (TemplateSyntaxError, OSError, ValueError):
            continue  # told with its line when it is tried out
        used.update(name for name in named if name is not None)
    return used


def _mistakes(folder: Path, name: str) -> Iterator[str]:
    """The first mistake of one template."""
    from jinja2 import TemplateSyntaxError, UndefinedError

    for words in _samples(name):
        try:
            _try_out(environment(folder), name, words)
        except TemplateSyntaxError as error:
            yield f"{error.filename or folder / name}:{error.lineno}: {one_line(error.message or '', 200)}"
            return
        except UndefinedError as error:
            remedy = "the words that there are stand in docs/reference/alert-templates.md"
            yield f"{_place(error, folder, name)}: {one_line(str(error), 200)}; {remedy}"
            return
        except (*MISTAKES, _template_error()) as error:
            yield f"{_place(error, folder, name)}: {type(error).__name__}: {one_line(str(error), 200)}"
            return


def _template_error() -> type[Exception]:
    from jinja2 import TemplateError

    return TemplateError


def _try_out(made: "Environment", name: str, words: Mapping[str, object]) -> None:
    made.get_template(name).render(words)


def _samples(name: str) -> Iterator[Mapping[str, object]]:
    if name.startswith("report."):
        yield report_words(sample_report(), "Daily report", product_url=_PRODUCT_URL)
        return
    for language in LANGUAGES:
        for alert in sample_alerts(language):
            yield alert_words(alert, product_url=_PRODUCT_URL, language=language)


def _place(error: BaseException, folder: Path, name: str) -> str:
    """File and line within the folder where the error came about, as Jinja puts them into the traceback."""
    frames = [frame for frame in extract_tb(error.__traceback__) if Path(frame.filename).parent == folder]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(folder / name)

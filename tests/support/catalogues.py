"""The message catalogues of the families and of the kernel, renewed from their code.

``python tests/support/catalogues.py`` takes every message that the code of a family holds into its .po files and leaves
out those that are gone; translations stay. What is new is written with an empty translation, to be filled in by hand.
"""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from defib.languages import ENGLISH, LANGUAGES

ROOT = Path(__file__).parents[2]
PACKAGES = tuple(
    ROOT / path
    for path in (
        "alerts/defib_alerts",
        "reports/defib_reports",
        "plugins/defib_plugins",
        "orchestrator/defib",
    )
)
METHODS = [("**.py", "python"), ("**.j2", "jinja2.ext:babel_extract")]
KEYWORDS = {
    "N_": None, "_": None, "gettext": None, "ngettext": (1, 2), "plural": (1, 2), "pgettext": ((1, "c"), 2),
    "phrase": None,
}  # fmt: skip
LINE_WIDTH = 110


def extracted(package: Path) -> Catalog:
    """Every message of a family, in the order of its files."""
    template = Catalog(project="Defib", charset="utf-8")
    options = {"**.j2": {"encoding": "utf-8"}}
    for file, _, message, comments, context in extract_from_dir(
        package, METHODS, options, KEYWORDS, ("Translators:",)
    ):
        template.add(message, None, [(file, None)], auto_comments=comments, context=context)  # type: ignore[list-item]
    return template


def path_of(package: Path, language: str) -> Path:
    return package / "locale" / language.replace("-", "_") / "LC_MESSAGES" / "messages.po"


def read(package: Path, language: str) -> Catalog:
    path = path_of(package, language)
    content = path.read_bytes() if path.exists() else b""
    return read_po(io.BytesIO(content), locale=language.replace("-", "_"))


def written(catalog: Catalog) -> bytes:
    """As it stands in the file: with places, without dates, so that it changes only when a message does."""
    into = io.BytesIO()
    write_po(into, catalog, width=LINE_WIDTH, omit_header=True, include_lineno=False, ignore_obsolete=True)
    header = (
        'msgid ""\nmsgstr ""\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        f'"Language: {catalog.locale_identifier}\\n"\n'
        f'"Plural-Forms: {catalog.plural_forms}\\n"\n\n'
    )
    return header.encode() + into.getvalue()


def renewed(package: Path, language: str) -> Catalog:
    """The translations there are, for the messages that the code holds now."""
    catalog = read(package, language)
    catalog.update(extracted(package), no_fuzzy_matching=True)
    return catalog


def pairs() -> Iterator[tuple[Path, str]]:
    """Each family with each language that it is translated into."""
    for package in PACKAGES:
        if (package / "locale").is_dir():
            yield from ((package, language) for language in LANGUAGES if language != ENGLISH)


def main() -> None:
    empty = 0
    for package, language in pairs():
        catalog = renewed(package, language)
        path = path_of(package, language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written(catalog))
        missing = [message.id for message in catalog if message.id and not message.string]
        empty += len(missing)
        print(f"{path.relative_to(ROOT)}: {len(catalog)} messages, {len(missing)} not translated")
    sys.exit(1 if empty else 0)


if __name__ == "__main__":
    main()

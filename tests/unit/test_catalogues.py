"""The translations are whole: every message, with the same placeholders and commands, in every language."""

import ast
import re
from collections import Counter
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Message

import catalogues
from defib.languages import LANGUAGES

PAIRS = [
    pytest.param(package, language, id=f"{package.name}-{language}")
    for package, language in catalogues.pairs()
]


def forms(message: Message) -> list[tuple[str, str]]:
    """Each translation of a message with the text it is made from; of several, the plural."""
    source = message.id if isinstance(message.id, str) else message.id[-1]
    found = [message.string] if isinstance(message.string, str) else list(message.string or [""])
    return [(source, form) for form in found]


def told(package: Path, language: str) -> list[Message]:
    return [message for message in catalogues.read(package, language) if message.id]


@pytest.mark.parametrize(("package", "language"), PAIRS)
def test_the_file_is_what_the_code_and_the_translations_make(package: Path, language: str) -> None:
    content = catalogues.path_of(package, language).read_bytes()

    assert catalogues.written(catalogues.renewed(package, language)) == content, (
        "renew it: python tests/support/catalogues.py"
    )


@pytest.mark.parametrize(("package", "language"), PAIRS)
def test_every_message_is_translated_and_none_is_guessed(package: Path, language: str) -> None:
    empty = [message.id for message in told(package, language) if not all(form for _, form in forms(message))]
    guessed = [message.id for message in told(package, language) if message.fuzzy]

    assert empty == []
    assert guessed == []


@pytest.mark.parametrize(("package", "language"), PAIRS)
def test_placeholders_and_commands_are_the_same(package: Path, language: str) -> None:
    different = [
        (source, form)
        for message in told(package, language)
        for source, form in forms(message)
        if placeholders(source) != placeholders(form) or commands(source) != commands(form)
    ]

    assert different == []


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def commands(text: str) -> Counter[str]:
    return Counter(re.findall(r"`[^`]*`", text))


@pytest.mark.parametrize(("package", "language"), PAIRS)
def test_a_message_is_closed_as_its_source_is(package: Path, language: str) -> None:
    """A sentence ends with the full stop of its script, a title with none."""
    stop = "。" if language == "zh-Hant" else "."
    different = [
        (source, form)
        for message in told(package, language)
        for source, form in forms(message)
        if source.endswith(".") != form.endswith(stop)
    ]

    assert different == []


def test_there_is_one_form_for_every_number_in_chinese_and_turkish() -> None:
    package = catalogues.PACKAGES[0]

    assert [catalogues.read(package, language).num_plurals for language in ("zh-Hant", "tr")] == [1, 1]


@pytest.mark.parametrize("package", catalogues.PACKAGES, ids=lambda package: package.name)
def test_every_marked_message_is_extracted(package: Path) -> None:
    """Extraction does not look into f-strings."""
    known = {text for message in catalogues.extracted(package) for text in texts(message)}

    marked = {
        (node.args[0].value, file.name)
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in {*catalogues.KEYWORDS, "say"}
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }

    assert sorted((text, file) for text, file in marked if text and text not in known) == []


def texts(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def test_the_alerts_are_translated_into_every_language_but_english() -> None:
    alerts = [language for package, language in catalogues.pairs() if package.name == "defib_alerts"]

    assert ["en", *alerts] == list(LANGUAGES)

"""YAML's syntax errors in words that say what to look at."""

import yaml

from defib.config.nodes import Place

_TWO_COLONS = "two ': ' in one value, or wrong indentation; quote values that hold ': '"
_MISALIGNED = "indentation differs from the lines above, or text follows a closing quote"
_ADVICE = (
    # part of the parser's message (libyaml's, or PyYAML's own where that is missing), what to look at
    ("mapping values are not allowed", _TWO_COLONS),
    ("expected ',' or ']'", "a list that began with [ is not closed, or a comma is missing"),
    ("expected ',' or '}'", "a mapping that began with { is not closed, or a comma is missing"),
    ("expected '-' indicator", "the items of a list must begin in the same column, each with '- '"),
    ("node content", "a bracket, { or [, is not closed, or a value is missing"),
    ("did not find expected key", _MISALIGNED),
    ("expected <block end>", _MISALIGNED),
    ("could not find expected ':'", "a key has no ': ' behind it"),
    ("unexpected end of stream", "a quote is not closed"),
    ("unknown escape character", "use 'single quotes' for text with backslashes, or write \\\\ inside \"…\""),
    ("cannot start any token", "a value begins with @, `, % or another reserved character; quote it"),
    ("expected alphabetic or numeric character", "a value begins with * or &; quote it"),
)


def explain(error: yaml.YAMLError, text: str, file: str) -> tuple[Place, str]:
    """Where the text stops being YAML, and why."""
    if isinstance(error, yaml.reader.ReaderError):
        position = error.position if isinstance(error.position, int) else 0
        line = text.encode(errors="replace")[:position].count(b"\n") + 1
        return Place(
            file, line, 1
        ), "not YAML: a control character, which no text should hold; retype the line"
    if not isinstance(error, yaml.MarkedYAMLError):
        return Place(file, 1, 1), f"not YAML: {error}"
    problem = f"{error.context or ''} {error.problem or ''}".strip()
    mark = error.problem_mark
    if "not closed" in _advice(problem) and error.context_mark is not None:
        mark = error.context_mark  # where it was opened; the parser noticed only later
    last = text.count("\n", 0, len(text.rstrip())) + 1
    line = min(mark.line + 1, last) if mark is not None else 1
    column = mark.column + 1 if mark is not None else 1
    if (tab := _tab_near(text, line)) is not None:
        return Place(file, tab, 1), "not YAML: the line is indented with a tab; use spaces"
    advice = _advice(problem)
    if "${" in _line(text, line):
        advice += '; inside {…} and […] a reference stands in quotes: "${NAME}"'
    return Place(file, line, column), f"not YAML: {advice}"


def _advice(problem: str) -> str:
    for part, advice in _ADVICE:
        if part in problem:
            return advice
    return f"{problem}; look at the indentation, quotes and brackets here"


def _tab_near(text: str, line: int) -> int | None:
    """The line indented with a tab (or by ``-`` and a tab), at ``line`` or just above it."""
    for number in (line, line - 1):
        content = _line(text, number)
        if "\t" in content[: len(content) - len(content.lstrip(" \t-"))]:
            return number
    return None


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1] if 1 <= number <= len(lines) else ""

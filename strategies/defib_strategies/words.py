"""Command lines in the configuration: lists of words, never a line for a shell."""

from typing import Annotated

from pydantic import BeforeValidator, Field


def _word(value: object) -> object:
    if isinstance(value, bool | int | float):
        raise ValueError(f'{value} is not text; put it into quotes: "{value}"')
    if isinstance(value, str) and "\0" in value:
        raise ValueError("holds a NUL character, which no command line can carry; remove it")
    return value


def _words(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(
            "is one piece of text; no shell splits it: write a list with one item for each word, "
            "such as [/usr/bin/systemctl, restart, nginx]"
        )
    return value


Word = Annotated[str, BeforeValidator(_word)]
"""One argument, passed on exactly as it is."""

Words = Annotated[tuple[Word, ...], BeforeValidator(_words)]
"""Arguments, one item each."""

Argv = Annotated[tuple[Word, ...], BeforeValidator(_words), Field(min_length=1)]
"""A program and its arguments, one item each."""

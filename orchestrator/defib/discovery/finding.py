"""What a finder hands on: one monitor, as it will be written."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Value: TypeAlias = "str | int | Sequence[Value] | Mapping[str, Value]"
"""What can be written as YAML."""
Rung: TypeAlias = Mapping[str, Value]
"""One rung of a recovery ladder, as users write it: ``{"docker": {"action": "restart"}}``."""


class Group(StrEnum):
    """Monitors that stand together in the file, in this order; the value is the heading."""

    HOST = "This machine"
    AGENTS = "Agents"
    DATABASES = "Databases"
    CONTAINERS = "Docker containers"
    UNITS = "System services"
    WEB = "Web endpoints"
    PORTS = "Other servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One monitor that makes sense here."""

    id: str
    kind: str  #: the monitor type
    group: Group
    target: str  #: what is watched, for the terminal
    comment: str  #: where it was found
    fields: Mapping[str, Value] = field(default_factory=dict)  #: beside id, type, requires and recovery
    requires: tuple[str, ...] = ()
    recovery: tuple[Rung, ...] = ()
    hint: tuple[Rung, ...] = ()  #: a ladder to write as an example, where none is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Everything that was found, in the order of the file."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()  #: what could not be looked at, or was left out, and why


class Ids:
    """Gives each monitor an id of its own."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def claim(self, wanted: str, otherwise: str) -> str:
        """An id made of ``wanted``; where that is taken, with ``otherwise`` behind it, and then a number."""
        slug = slug_of(wanted) or otherwise
        number = 1
        candidate = slug
        while candidate in self._taken:
            suffix = f"-{otherwise}" if number == 1 else f"-{otherwise}-{number}"
            candidate = slug[: 100 - len(suffix)] + suffix
            number += 1
        self._taken.add(candidate)
        return candidate


def slug_of(text: str) -> str:
    """``text`` in the letters that an id may have; "" when none of them is left."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:100]

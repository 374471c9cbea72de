"""Silences, maintenance windows and pauses."""

from typing import Literal

from pydantic import AwareDatetime, Field

from defib.model.alert import Severity
from defib.model.window import WindowKind
from defib.web.answers.base import Answer


class Window(Answer):
    """A stretch of time in which less is said or done about some monitors."""

    id: str
    kind: WindowKind = Field(
        description="silence: nobody is told; maintenance: nothing is judged; pause: nobody looks."
    )
    phase: Literal["planned", "active", "over"]
    monitors: list[str] = Field(description="It is about any of these; empty: about all.")
    tags: list[str] = Field(
        description="And about monitors with any of these tags; empty: whatever the tags."
    )
    incidents: list[str] = Field(description="And about any of these incidents; empty: about all.")
    severity: list[Severity] = Field(description="And about alerts of these severities; empty: of all.")
    everything: bool = Field(description="It is about all monitors.")
    covered: list[str] = Field(description="The monitors that it is about as things are now.")
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = Field(description="null: when somebody ends it.")
    reason: str
    made_by: str = Field(description="configuration, or who made it.")
    made_at: AwareDatetime
    ended_at: AwareDatetime | None = Field(description="It was ended before its time.")
    ended_by: str


class Windows(Answer):
    """Those in force and those to come, that begin first leading; then those that are over, newest first."""

    items: list[Window]
    total: int

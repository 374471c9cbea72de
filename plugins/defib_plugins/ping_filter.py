"""What a ping means where its monitor has rules for that: words in its body, and the method it must come by. Pure."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from defib.plugin import Beat, Options, Signal

PROTOCOL = "ping"


class Keywords(Options):
    """Words in the body of a plain ping that say what it means. The first rule that holds counts."""

    failure: list[str] = Field(default=[], description="The run failed, if the body has one of these.")
    success: list[str] = Field(default=[], description="It ended well.")
    start: list[str] = Field(default=[], description="It began.")
    otherwise: Literal["ignore", "fail"] = Field(
        default="ignore", description="What a body without any means."
    )


def meaning(beat: Beat, keywords: Keywords | None, *, only_post: bool) -> Signal | None:
    """What a beat says; None when it is to be ignored.

    A ping whose address says what it means (``/start``, ``/fail``, ``/log``, ``/{exit-status}``) means that.
    """
    if beat.protocol != PROTOCOL:
        return beat.signal
    if only_post and beat.facts.get("method") != "POST":
        return None
    if keywords is None or beat.signal is not Signal.ALIVE or beat.exit_status is not None:
        return beat.signal
    if _has_any(beat.body, keywords.failure):
        return Signal.FAIL
    if _has_any(beat.body, keywords.success):
        return Signal.ALIVE
    if _has_any(beat.body, keywords.start):
        return Signal.START
    return Signal.FAIL if keywords.otherwise == "fail" else None


def _has_any(body: str, words: Iterable[str]) -> bool:
    return any(word in body for word in words)

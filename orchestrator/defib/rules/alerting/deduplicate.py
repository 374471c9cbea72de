"""People hear of a thing once, and of the end of what they have heard of."""

from defib.model.alert import AlertKind, Ruling, Stage, Verdict
from defib.rules.alerting.notice import AFTERWARDS, Notice, Scene

_SINGLE = frozenset({AlertKind.DOWN, AlertKind.RELAPSED, AlertKind.RECOVERED, AlertKind.DEGRADED})
"""Falls and returns one by one."""


def deduplicate(notice: Notice, scene: Scene) -> Verdict:
    """Whether it says anything new, to anybody."""
    if scene.is_flapping and notice.event in _SINGLE:
        return _dropped("it goes up and down: single falls and returns are not told, only what becomes of it")
    if (notice.is_end or notice.event in AFTERWARDS) and not scene.told:
        return _dropped("nobody was told of what it follows")
    if notice.event is AlertKind.DOWN and scene.told and not scene.is_owed:
        return _dropped(f"people know already, through {', '.join(scene.told)}")
    if notice.is_end:
        return _passed(f"the end of what was told through {', '.join(scene.told)}")
    return _passed("it is news")


def _passed(reason: str) -> Verdict:
    return Verdict(stage=Stage.DEDUPLICATE, ruling=Ruling.PASSED, reason=reason)


def _dropped(reason: str) -> Verdict:
    return Verdict(stage=Stage.DEDUPLICATE, ruling=Ruling.DROPPED, reason=reason)

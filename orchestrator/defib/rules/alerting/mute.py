"""Times at which less is told: maintenance for all, quiet hours and calm by route."""

from collections.abc import Sequence

from defib.model.alert import AlertKind, Hold, Ruling, Stage, Verdict
from defib.model.route import Route
from defib.model.window import WindowKind
from defib.rules.alerting.hours import span_at
from defib.rules.alerting.notice import HANDS, Notice, Scene
from defib.rules.alerting.silence import is_meant

_WINDOWS = {WindowKind.MAINTENANCE: Hold.MAINTENANCE, WindowKind.PAUSE: Hold.PAUSE}
_CALM = frozenset({AlertKind.DOWN, AlertKind.DEGRADED})


def mute(notice: Notice, scene: Scene) -> Verdict:
    """Whether a maintenance or a pause covers it."""
    for window in scene.windows:
        if (by := _WINDOWS.get(window.kind)) is not None and is_meant(window, notice):
            said = f" “{window.reason}”" if window.reason else ""
            return Verdict(
                stage=Stage.MUTE, ruling=Ruling.HELD, by=by, name=window.reason, until=window.until,
                reason=f"{window.kind}{said} by {window.made_by}",
            )  # fmt: skip
    return Verdict(stage=Stage.MUTE, ruling=Ruling.PASSED, reason="no maintenance")


def quieten(
    notice: Notice, scene: Scene, routes: Sequence[tuple[int, Route]]
) -> tuple[list[tuple[int, Route]], list[Verdict]]:
    """Those of the routes that carry it now, and why the others do not yet.

    :param routes: those that take it, with their number.
    """
    loud, held = [], []
    for number, route in routes:
        verdict = _quiet(notice, scene, number, route) or _calm(notice, scene, number, route)
        if verdict is None:
            loud.append((number, route))
        else:
            held.append(verdict)
    return loud, held


def _quiet(notice: Notice, scene: Scene, number: int, route: Route) -> Verdict | None:
    quiet = route.quiet
    if quiet is None or notice.severity.rank >= quiet.severity_below.rank:
        return None
    if notice.event in HANDS or (span := span_at(quiet.hours, scene.now)) is None:
        return None
    return Verdict(
        stage=Stage.MUTE, ruling=Ruling.HELD, by=Hold.QUIET_HOURS, until=span[1], channels=route.channels,
        reason=f"quiet hours of route {number} for what is below {quiet.severity_below}",
    )  # fmt: skip


def _calm(notice: Notice, scene: Scene, number: int, route: Route) -> Verdict | None:
    if not route.calm or notice.event not in _CALM or scene.began is None:
        return None
    until = scene.began + route.calm
    if until <= scene.now:
        return None
    return Verdict(
        stage=Stage.MUTE, ruling=Ruling.HELD, by=Hold.CALM, until=until, channels=route.channels,
        reason=f"route {number} carries what lasts {route.calm.total_seconds():g} s",
    )  # fmt: skip

"""An alert that another one explains waits until that one is over.

What inhibits need not have been told itself. An alert never inhibits itself: not the same one, and of two that
fit both sides of a rule the earlier one stands.

Source of the shape of rules: ``inhibit/inhibit.go`` of Prometheus Alertmanager.
"""

from collections.abc import Iterable
from dataclasses import replace

from defib.model.alert import AlertKind, Hold, Ruling, Stage, Verdict
from defib.model.ids import MonitorId
from defib.model.route import InhibitRule
from defib.rules.alerting.notice import Firing, Notice, Scene
from defib.rules.alerting.route import takes

_FAULTS = frozenset({AlertKind.DOWN, AlertKind.RELAPSED})
_EXPIRED = "tls-expired"


def inhibit(notice: Notice, scene: Scene, rules: Iterable[InhibitRule]) -> Verdict:
    """Whether something else explains it."""
    if scene.observer:
        return _held(Hold.OBSERVER, f"Defib cannot see it clearly: {scene.observer}")
    if scene.behind:
        names = ", ".join(sorted(scene.behind))
        return _held(Hold.DEPENDENCY, f"it needs {names}, which is at fault", scene.behind[0])
    if scene.settling:
        name, until = max(scene.settling.items(), key=lambda item: item[1])
        return Verdict(
            stage=Stage.INHIBIT, ruling=Ruling.HELD, by=Hold.DEPENDENCY, name=name, until=until,
            reason=f"{name} has just come back, and it gets time to follow",
        )  # fmt: skip
    for other in scene.firing:
        if reason := _builtin(notice, other, scene) or _by_rule(notice, other, scene, rules):
            if other.until is not None:
                reason = f"{reason}; that is over, and it gets time to follow"
            return replace(_held(Hold.INHIBITION, reason, other.notice.monitor), until=other.until)
    return Verdict(stage=Stage.INHIBIT, ruling=Ruling.PASSED, reason="nothing else explains it")


def _builtin(notice: Notice, other: Firing, scene: Scene) -> str:
    source = other.notice
    if source.monitor == notice.monitor:
        if notice.event is AlertKind.DEGRADED and source.event in _FAULTS and other.until is None:
            return "it is at fault, which says more"
        return ""
    is_about_tls = notice.cause.startswith("tls-") and source.cause == _EXPIRED
    if is_about_tls and notice.host and source.host == notice.host and _is_later(notice, other, scene):
        return f"the certificate of {notice.host} has expired, as {source.monitor} says"
    return ""


def _by_rule(notice: Notice, other: Firing, scene: Scene, rules: Iterable[InhibitRule]) -> str:
    source = other.notice
    for rule in rules:
        if not (takes(rule.target, notice) and takes(rule.source, source)):
            continue
        is_symmetric = takes(rule.source, notice) and takes(rule.target, source)
        if is_symmetric and (source.monitor == notice.monitor or not _is_later(notice, other, scene)):
            continue
        if all(notice.label(name) == source.label(name) for name in rule.equal):
            common = f" with the same {', '.join(rule.equal)}" if rule.equal else ""
            return f"{source.monitor or 'Defib'} ({source.kind}){common} inhibits it by a rule"
    return ""


def _is_later(notice: Notice, other: Firing, scene: Scene) -> bool:
    """Of two that began at once, one is the later by name."""
    began = scene.began or scene.now
    return (other.since, other.notice.monitor or "") < (began, notice.monitor or "")


def _held(by: Hold, reason: str, name: MonitorId | None = None) -> Verdict:
    return Verdict(stage=Stage.INHIBIT, ruling=Ruling.HELD, reason=reason, by=by, name=name or "")

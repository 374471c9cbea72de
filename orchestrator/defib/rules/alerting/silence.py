"""What somebody has silenced waits until the silence is over."""

from defib.model.alert import Hold, Ruling, Stage, Verdict
from defib.model.window import Window, WindowKind
from defib.rules.alerting.notice import Notice, Scene
from defib.rules.windows import covers


def silence(notice: Notice, scene: Scene) -> Verdict:
    """Whether a silence covers it; of several, the one that lasts longest counts."""
    found = [
        window for window in scene.windows if window.kind is WindowKind.SILENCE and is_meant(window, notice)
    ]
    if not found:
        return Verdict(stage=Stage.SILENCE, ruling=Ruling.PASSED, reason="nobody has silenced it")
    window = max(found, key=lambda item: (item.until is None, item.until or item.starts_at))
    said = f" “{window.reason}”" if window.reason else ""
    return Verdict(
        stage=Stage.SILENCE, ruling=Ruling.HELD, by=Hold.SILENCE, name=window.reason, until=window.until,
        reason=f"silenced{said} by {window.made_by}",
    )  # fmt: skip


def is_meant(window: Window, notice: Notice) -> bool:
    """Whether a window covers it; one for an incident covers all that is told as its story."""
    if notice.monitor is None:
        return window.matcher.is_everything
    return any(
        covers(window, notice.monitor, notice.tags, notice.severity, incident)
        for incident in {notice.incident, notice.story}
    )

"""The stages one after another."""

from collections.abc import Sequence
from dataclasses import dataclass

from defib.model.alert import AlertKind, Purpose, Ruling, Stage, Verdict
from defib.model.route import InhibitRule, Route
from defib.rules.alerting.deduplicate import deduplicate
from defib.rules.alerting.inhibit import inhibit
from defib.rules.alerting.mute import mute, quieten
from defib.rules.alerting.notice import ABOUT_DEFIB, AFTERWARDS, HANDS, Notice, Scene
from defib.rules.alerting.route import channels_of, routes_for
from defib.rules.alerting.silence import silence


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Who is told, and why; or why nobody is."""

    verdicts: tuple[Verdict, ...]
    channels: tuple[str, ...] = ()
    purpose: Purpose = Purpose.ROUTE

    @property
    def held(self) -> Verdict | None:
        """What keeps it from everybody for now."""
        last = self.verdicts[-1]
        return last if last.ruling is Ruling.HELD else None


def decide(
    notice: Notice,
    scene: Scene,
    routes: Sequence[Route],
    rules: Sequence[InhibitRule] = (),
    channels: tuple[str, ...] | None = None,
) -> Outcome:
    """Take an alert through the stages.

    1. What holds an alert back holds no end back, and nothing that is about Defib itself.
    2. An end goes to whoever was told of the beginning.
    3. Everything else goes by the routes. Of those that are quiet now each has a verdict of its own.

    :param channels: who is called, where it is not the routes that say so.
    """
    verdicts: list[Verdict] = []
    if not notice.is_end and notice.event not in ABOUT_DEFIB and notice.event not in HANDS:
        for verdict in (inhibit(notice, scene, rules), silence(notice, scene), mute(notice, scene)):
            verdicts.append(verdict)
            if verdict.ruling is Ruling.HELD:
                return Outcome(verdicts=tuple(verdicts))
    verdicts.append(deduplicate(notice, scene))
    if verdicts[-1].ruling is Ruling.DROPPED:
        return Outcome(verdicts=tuple(verdicts))
    if notice.is_end:
        return _settled(verdicts, scene.told, "where the beginning was told", Purpose.RESOLUTION)
    if notice.event in HANDS:
        return _settled(verdicts, scene.told, "where it was told", Purpose.ROUTE)
    if channels is not None and notice.event not in AFTERWARDS:
        return _settled(verdicts, channels, "asked for by name", Purpose.ROUTE)
    return _routed(verdicts, notice, scene, routes, channels)


def _routed(
    verdicts: list[Verdict], notice: Notice, scene: Scene, routes: Sequence[Route], channels: tuple[str, ...] | None
) -> Outcome:  # fmt: skip
    taken = routes_for(notice, routes, scene.now)
    loud, quiet = (taken, []) if notice.event in ABOUT_DEFIB else quieten(notice, scene, taken)
    told = channels_of(loud)
    numbers = ", ".join(str(number) for number, _ in loud)
    reason = f"route{'' if len(loud) == 1 else 's'} {numbers}"
    purpose = Purpose.ROUTE
    if (
        channels is not None
    ):  # whom to call was said when the policy was read; the routes say whether it is time
        purpose = Purpose.ESCALATION if notice.event is AlertKind.ESCALATED else Purpose.REMINDER
        waiting = {channel for verdict in quiet for channel in verdict.channels} - set(told)
        told = tuple(channel for channel in channels if channel not in waiting)
        reason = "nobody has taken it on"
    if scene.only is not None:
        told = tuple(channel for channel in told if channel in scene.only)
    waiting_for = [verdict for verdict in quiet if not set(verdict.channels) <= set(told)]
    if not told and waiting_for:
        soonest = min(waiting_for, key=lambda verdict: verdict.until or scene.now)
        return Outcome(verdicts=(*verdicts, *(v for v in waiting_for if v is not soonest), soonest))
    verdicts += waiting_for
    if not told:
        said = "no route takes it" if not taken else "its routes name no channel"
        return Outcome(verdicts=(*verdicts, Verdict(stage=Stage.ROUTE, ruling=Ruling.DROPPED, reason=said)))
    return _settled(verdicts, told, reason, purpose)


def _settled(verdicts: list[Verdict], channels: tuple[str, ...], reason: str, purpose: Purpose) -> Outcome:
    stage = Stage.ESCALATE if purpose in (Purpose.ESCALATION, Purpose.REMINDER) else Stage.ROUTE
    verdict = Verdict(
        stage=stage, ruling=Ruling.PASSED, reason=f"{reason}: {', '.join(channels)}", channels=channels
    )
    return Outcome(verdicts=(*verdicts, verdict), channels=channels, purpose=purpose)

"""Pauses that end by themselves: a job that somebody paused is expected no more until it is heard.

Such a pause is a window as any other (:class:`defib.engine.alerting.windows.Windows`), marked ``ends_with_beat``.
While it lasts its monitor is still listened to; a beat that counts ends it, and so does a run that began
meanwhile and is overdue.
"""

from defib.engine.alerting.duty import Duty
from defib.engine.alerting.windows import Windows
from defib.engine.heartbeats.beats import Beats
from defib.model.ids import MonitorId

HEARD = "its own beat"  #: who ends such a pause, for the audit log


class Pauses:
    """Begins and ends them."""

    def __init__(self, windows: Windows, duty: Duty, beats: Beats) -> None:
        self._windows = windows
        self._duty = duty
        self._beats = beats

    async def begin(self, monitor: MonitorId, actor: str) -> None:
        """Expect nothing of a monitor until it is heard or resumed. Harmless for one that is paused.

        :raises StoreError: it is not paused.
        """
        if self._windows.pauses_of(monitor):
            return
        await self._windows.pause(monitor, actor, ends_with_beat=True)
        await self._duty.review()
        await self._beats.put_to_rest(monitor)

    async def end(self, monitor: MonitorId, actor: str) -> bool:
        """End every pause of a monitor, which is as new then; False when there was none.

        :raises UsageError: it is paused together with others.
        :raises StoreError: it is paused as before.
        """
        if not self._windows.pauses_of(monitor):
            return False
        await self._windows.resume(monitor, actor)
        await self._beats.make_new(monitor)
        await self._duty.review()
        return True

    async def rouse(self, monitor: MonitorId) -> bool:
        """It was heard while it is paused, or its run is overdue: whether that ends the pause.

        :raises StoreError: it is paused as before.
        """
        pauses = self._windows.pauses_of(monitor)
        if not pauses or not all(pause.ends_with_beat for pause in pauses):
            return False
        await self._windows.resume(monitor, HEARD)
        await self._duty.review()
        return True

"""What operators decide about recovery at run time: whether it acts, and that it may begin afresh.

Both are settings in the store, and lines in the audit log: they hold over restarts, and from one pass to the next.
"""

from defib.engine.events import Event, EventBus
from defib.engine.recovery.cases import Recovery
from defib.engine.roster import RECOVERY_KEY, RESET_KEY
from defib.errors import UsageError
from defib.logs import get_logger
from defib.model.changes import Changes
from defib.model.ids import MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.recovery import AuditEntry
from defib.ports import Clock
from defib.store import Writer

log = get_logger("defib.arming")


class Arming:
    """Arms, disarms and resets."""

    def __init__(self, clock: Clock, writer: Writer, bus: EventBus, recovery: Recovery) -> None:
        self._clock = clock
        self._writer = writer
        self._bus = bus
        self._recovery = recovery

    async def set_mode(
        self, mode: RecoveryMode | None, monitor: MonitorId | None, actor: str, *, begin: bool = True
    ) -> None:
        """Put a mode of recovery in force for one monitor or for all; None goes back to what is configured.

        For all it overrides what was set for single ones before: who disarms everything means everything. Arming
        everything arms no monitor whose configuration says ``off``.

        :param begin: False while nothing runs here: faults that are open are left to who takes them up.
        :raises UsageError: there is no such monitor, or it has nothing to arm.
        """
        roster = self._recovery.roster
        if monitor is not None:
            self._check(monitor)
            if mode is RecoveryMode.AUTO and not roster.monitors[monitor].actions:
                raise UsageError(f"{monitor} has no recovery ladder; give it one under 'recovery:'")
        key = RECOVERY_KEY if monitor is None else f"{RECOVERY_KEY}:{monitor}"
        value = None if mode is None else str(mode)
        settings: list[tuple[str, str | None]] = [(key, value)]
        if monitor is None:
            settings += [(single, None) for single in roster.armed if single != RECOVERY_KEY]
        audit = AuditEntry(
            at=self._clock.now(), actor=actor, event="recovery.mode", subject=monitor or "*", facts={"mode": value}
        )  # fmt: skip
        await self._writer.commit(Changes(settings=tuple(settings), audit=(audit,)))
        for name, stored in settings:
            roster.switch(name, stored)
        log.warning("recovery mode set", mode=value or "as configured", monitor=monitor or "all", actor=actor)
        self._bus.publish(Event(type="recovery", monitor=monitor))
        if begin:
            await self._recovery.rearm()

    async def reset(self, monitor: MonitorId, actor: str, *, begin: bool = True) -> None:
        """Forget what recovery has spent on a monitor, and that it was given up; a fault that is open is taken up.

        :raises UsageError: there is no such monitor.
        """
        self._check(monitor)
        now, key = self._clock.now(), f"{RESET_KEY}:{monitor}"
        audit = AuditEntry(at=now, actor=actor, event="recovery.reset", subject=monitor)
        await self._writer.commit(Changes(settings=((key, now.isoformat()),), audit=(audit,)))
        self._recovery.roster.switch(key, now.isoformat())
        log.warning("recovery budgets reset", monitor=monitor, actor=actor)
        self._bus.publish(Event(type="recovery", monitor=monitor))
        if begin:
            await self._recovery.rearm()

    def _check(self, monitor: MonitorId) -> None:
        if monitor not in self._recovery.roster.monitors:
            raise UsageError(f"there is no monitor {monitor!r}; 'defib status' lists them")

"""What is done again and again beside looking and listening; a daemon does it in tasks, a pass once."""

from defib.engine.delivery import Courier
from defib.engine.housekeeping import Housekeeping
from defib.engine.reporting.schedule import Reporting
from defib.engine.roster import Roster
from defib.errors import StoreError
from defib.logs import get_logger
from defib.ports import Clock
from defib.store import Writer

log = get_logger("defib.engine")

FLUSH_EVERY = 1.0  #: seconds between groups of observations
REPORT_EVERY = 10.0
ROLL_EVERY = 60.0
CHECKPOINT_EVERY = 5.0


class Chores:
    """Writes what was noted, makes reports that are due, rolls up history."""

    def __init__(
        self, clock: Clock, roster: Roster, writer: Writer, housekeeping: Housekeeping, reporting: Reporting,
        courier: Courier,
    ) -> None:  # fmt: skip
        self._clock = clock
        self.roster = roster
        self._writer = writer
        self._housekeeping = housekeeping
        self._reporting = reporting
        self._courier = courier

    async def flush_often(self) -> None:
        """:raises StaleEpochError: as :meth:`check_term`."""
        while True:
            await self._clock.sleep(FLUSH_EVERY)
            await self._housekeeping.flush(everything=False)
            self.check_term()

    def check_term(self) -> None:
        """:raises StaleEpochError: another Defib decides now; this one has to end."""
        if self._writer.stale is not None:
            log.critical("this Defib decides and acts no more", error=str(self._writer.stale))
            raise self._writer.stale

    async def report_often(self) -> None:
        while True:
            await self.make_due_reports()
            await self._clock.sleep(REPORT_EVERY)

    async def make_due_reports(self) -> None:
        """Make, store and send every report whose time has come."""
        try:
            self._courier.added(await self._reporting.make_due())
        except StoreError as error:
            log.error("report waits for the store", error=str(error))

    async def checkpoint_often(self) -> None:
        while True:
            await self._clock.sleep(CHECKPOINT_EVERY)
            await self._housekeeping.checkpoint()

    async def roll_up_often(self) -> None:
        while True:
            await self._clock.sleep(ROLL_EVERY)
            await self.roll_up()

    async def roll_up(self) -> None:
        """Hours that are over become small, and once there was one, what is too old goes."""
        if await self._housekeeping.roll_up():
            await self._housekeeping.forget(self.roster.settings.retention)

"""Questions to senders that are late; one at a time to each, withdrawn as soon as it is heard."""

import asyncio
from collections.abc import Mapping

from defib.engine.heartbeats.asking import Asking
from defib.engine.heartbeats.verdicts import Verdicts
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.logs import get_logger
from defib.model.evidence import Grade, Source
from defib.model.ids import MonitorId
from defib.ports import Askable, Monitor, PushedMonitor

log = get_logger("defib.beats")


class Questions:
    """Asks, and has the answers judged."""

    def __init__(
        self, roster: Roster, table: StateTable, asking: Asking, verdicts: Verdicts,
        locks: Mapping[MonitorId, asyncio.Lock],
    ) -> None:  # fmt: skip
        """:param locks: of each monitor: its beats, silences and answers are judged one at a time."""
        self.roster = roster
        self._table = table
        self._asking = asking
        self._verdicts = verdicts
        self._locks = locks
        self._open: dict[MonitorId, asyncio.Task[None]] = {}

    def ask(self, monitor: MonitorId, plugin: PushedMonitor) -> None:
        """Ask a sender that is late, if somebody has said how and nobody asks it yet."""
        if isinstance(plugin, Askable) and plugin.asked is not None and monitor not in self._open:
            question = asyncio.ensure_future(self._put(monitor, plugin, plugin.asked))
            self._open[monitor] = question
            question.add_done_callback(lambda _: self._open.pop(monitor, None))

    def withdraw(self, monitor: MonitorId) -> None:
        """It was heard: no question is open any more."""
        if (question := self._open.get(monitor)) is not None:
            question.cancel()

    async def close(self) -> None:
        """Withdraw every question."""
        if questions := tuple(self._open.values()):
            for question in questions:
                question.cancel()
            await asyncio.wait(questions)

    async def _put(self, monitor: MonitorId, plugin: Askable, asked: Monitor) -> None:
        looks = await self._asking.ask(monitor, asked, self.roster.strategy(monitor))
        async with self._locks[monitor]:
            try:
                evidence = plugin.answered(self._table[monitor].beats, [look.evidence for look in looks])
                if evidence is not None:
                    source = Source.DEADLINE if evidence.grade is Grade.WEAK else Source.PROBE
                    began = min(look.started_at for look in looks)
                    await self._verdicts.give(monitor, evidence, source, began)
            except StoreError as error:
                log.error("answer not recorded; its deadline decides", monitor=monitor, error=str(error))
            except Exception as error:  # the boundary of one question
                log.error("judging an answer crashed", monitor=monitor, error=repr(error), exc_info=error)

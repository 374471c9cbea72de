"""What one decision was made of, kept so that it can be taken again."""

from dataclasses import dataclass
from datetime import datetime

from defib.model.evidence import Observation
from defib.model.health import Health, Memory, State
from defib.model.ids import MonitorId
from defib.model.strategy import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """One observation that changed a state or a detector's memory: everything that went in, and what came out.

    An observation without a record changed neither; what it left is in the next record's ``before``.
    """

    monitor: MonitorId
    decided_at: datetime
    version: str  #: of Defib: another one may decide otherwise
    before: Health  #: what was known; without what pushed monitors remember of their beats
    observation: Observation  #: as it was judged: the guard had its say already
    strategy: Strategy  #: in force
    is_told: bool  #: the monitor is told instead of looking: no detector was asked
    bad: tuple[MonitorId, ...] = ()  #: required monitors at fault
    suspect: tuple[MonitorId, ...] = ()  #: required monitors under suspicion
    hold: str = ""  #: why no fault could be declared, whatever the evidence
    state: State  #: afterwards
    memory: Memory  #: the detector's, afterwards

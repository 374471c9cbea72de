"""What the guard perceives of itself and its network with.

Ask the machine: :class:`~defib.engine.observer.vitals.SystemSenses` and
:class:`~defib.engine.observer.canaries.Canaries`. A simulation answers by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from defib.rules.correlation import Interface, Readings
from defib.rules.gaps import Clocks

Address = tuple[str, int]
"""A numeric address and a port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """Pressure stall information: per cent of the last 10 s that tasks lost waiting."""

    cpu_some_avg10: float = 0.0  #: some task waited for a CPU
    memory_full_avg10: float = 0.0  #: all tasks waited for memory


class Senses(Protocol):
    """The observer's own body: its event loop, its machine, its clocks. Seconds are monotonic."""

    def start(self) -> None:
        """Begin to measure the running loop; until then nothing is late."""

    def close(self) -> None:
        """End measuring; idempotent."""

    def max_lag(self, since: float) -> float:
        """The longest that the loop was held up from ``since`` until now; from any thread."""

    def blocked_for(self) -> float:
        """How long the loop has been held up now; from any thread."""

    def clocks(self) -> Clocks:
        """The three clocks, read at one instant."""

    async def pressure(self) -> Pressure:
        """The machine's pressure."""

    def interfaces(self) -> tuple[Interface, ...]:
        """Every address of this machine with its on-link network."""


class Lookout(Protocol):
    """Looks at canaries: signs of the observer's own network."""

    anchors: Sequence[Address]  #: that the user named, beyond the gateway

    async def look(self) -> Readings:
        """What the canaries show, at most 2 s old; takes at most a second."""

"""Empties the outbox.

    rows ─→ Outbox (in memory) ─→ Lane (one task per channel) ─→ Composer (words) ─→ channel
                 │                   └ rules.delivering decides what goes, when and in which shape
                 └─→ StandIns (who carries what a channel does not; who hears that it does not work)

A dead channel delays no other and no check. What is not accepted is tried again, later each time, until the channel
takes it; what can never be accepted becomes a dead letter, which people can send again.
"""

from defib.engine.delivery.courier import Courier

__all__ = ["Courier"]

"""The recovery state machine: what a case does next, and why. Pure: the engine asks, does, commits, and asks again.

    PENDING ─hold over→ GATED ─all gates open→ LAST_LOOK ─still failing→ INTENT → ACTING ─ended→ VERIFYING
       │                  ↑                                                 └too long→ KILLING ──↗   │
       └─ well again ─────┼─────────→ ABORTED                                                        │
                          └── BACKOFF ←─ not well in time ───────────────────────────────────────────┤
                                 ↑                                                                   │ well
                                 └─ falls again (relapse) ── PROBATION ←─────────────────────────────┘
                                                                 └─ stays well → DONE
    any of them: the circuit opens → OPEN, cancelled or in maintenance → ABORTED, another Defib decides → FENCED

:mod:`.machine` moves a case; :mod:`.gates` says what must hold before an action, and in which words;
:mod:`.budgets` counts; :mod:`.ladder` chooses the rung; :mod:`.timing` knows how long; :mod:`.verifying` judges
what an action came to; :mod:`.paging` says when a human is needed.
"""

from defib.rules.recovery.budgets import Spent
from defib.rules.recovery.machine import cancelled, healed, next_step, refused
from defib.rules.recovery.situation import Act, Crowd, Finish, Look, Relapse, Settle, Situation, Step, Wait
from defib.rules.recovery.verifying import Signs

__all__ = [
    "Act", "Crowd", "Finish", "Look", "Relapse", "Settle", "Signs", "Situation", "Spent", "Step", "Wait", "cancelled",
    "healed", "next_step", "refused",
]  # fmt: skip

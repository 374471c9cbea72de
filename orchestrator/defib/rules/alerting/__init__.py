"""Who hears of an alert, when, and why not: small stages, each of which gives a verdict with a reason.

    facts ─→ inhibit ─→ silence ─→ mute ─→ deduplicate ─→ route ─→ rows of the outbox
                 held, held, held ─────────┐   dropped    dropped
                                           └─→ told later, after a fresh look, if it is still so

Deciding is here, and pure; doing is :mod:`defib.engine.alerting`'s: ``notifier`` (rows) and ``standing`` (time).
Every verdict is stored with the alert: "why did this not alert" has an answer.

Suppression hides creation, never resolution: whoever was told of a trouble is told of its end, and nobody else.
"""

from defib.rules.alerting.escalate import Call, Policy, attention, next_call, policy_of, reminder_due
from defib.rules.alerting.matter import owed, was_told
from defib.rules.alerting.notice import Firing, Notice, Scene
from defib.rules.alerting.pipeline import Outcome, decide

__all__ = [
    "Call",
    "Firing",
    "Notice",
    "Outcome",
    "Policy",
    "Scene",
    "attention",
    "decide",
    "next_call",
    "owed",
    "policy_of",
    "reminder_due",
    "was_told",
]

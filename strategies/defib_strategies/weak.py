"""What is no fault as long as it does not last: a service that asks to come back later."""

from dataclasses import replace
from datetime import timedelta

from defib.plugin import Grade, Health, Observation, Outcome, Source, State

PERSISTENT = timedelta(minutes=2)
"""Weak failures that have gone on for so long are failures like all others. The detection design, section 2.5."""


def weighed(health: Health, observation: Observation) -> Observation:
    """A weak failure that does not last yet as the degraded answer that it counts as; all else as it is.

    Only of probes: a beat that is late is judged by its own deadlines. And a fault that was declared is not
    ended by half an answer.
    """
    evidence = observation.evidence
    if evidence.outcome is not Outcome.FAIL or evidence.grade is not Grade.WEAK:
        return observation
    began = health.first_fail_at or observation.started_at
    lasts = observation.started_at - began >= PERSISTENT
    is_declared = health.state in (State.FAULT, State.UNREACHABLE, State.STOPPED)
    if observation.source is not Source.PROBE or lasts or is_declared:
        return observation
    return replace(observation, evidence=replace(evidence, outcome=Outcome.OK))

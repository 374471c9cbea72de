"""Decisions in plain words."""

from typing import Any

import pytest

from defib.engine.wording import STATE_WORDS, doing, headline
from defib.model.health import State
from defib.model.recovery import CaseState


@pytest.mark.parametrize(
    ("counts", "words", "tone"),
    [
        ({}, "Nothing to watch yet", "idle"),
        ({"new": 3}, "Waiting for the first looks", "idle"),
        ({"up": 3, "new": 1}, "All well", "ok"),
        ({"up": 1, "stopped": 1, "paused": 2, "maintenance": 1, "watch": 1}, "All well", "ok"),
        ({"up": 1, "degraded": 1}, "1 monitor degraded", "warn"),
        ({"suspect": 2, "degraded": 1}, "2 monitors under suspicion", "warn"),
        ({"unreachable": 2, "suspect": 1}, "2 monitors unreachable", "bad"),
        ({"fault": 1, "unreachable": 5}, "1 monitor at fault", "bad"),
    ],
)
def test_the_headline_tells_of_the_worst(counts: dict[str, int], words: str, tone: str) -> None:
    assert headline(counts) == (words, tone)


def test_every_state_has_a_word() -> None:
    assert set(STATE_WORDS) == set(State)
    assert len(set(STATE_WORDS.values())) == len(State)


def case(state: CaseState, reason: str = "the reason", attempts: int = 1) -> dict[str, Any]:
    return {"state": state, "reason": reason, "attempts": attempts, "action": "docker restart gateway"}


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (case(CaseState.PENDING, "waiting until the fault is 8 s old"),
         "Recovery is about to begin: waiting until the fault is 8 s old"),
        (case(CaseState.GATED, "waiting for db, which it requires"),
         "Recovery is held back: waiting for db, which it requires"),
        (case(CaseState.LAST_LOOK), "Taking one last look before running docker restart gateway"),
        (case(CaseState.INTENT), "Running docker restart gateway, attempt 1"),
        (case(CaseState.ACTING, attempts=2), "Running docker restart gateway, attempt 2"),
        (case(CaseState.VERIFYING), "Ran docker restart gateway, attempt 1; looking whether it is well again"),
        (case(CaseState.BACKOFF, "attempt 1 failed (…); next one in 10 s"),
         "Recovery backs off: attempt 1 failed (…); next one in 10 s"),
        (case(CaseState.DONE, "well again, 2 good looks in a row"),
         "Recovered: well again, 2 good looks in a row"),
        (case(CaseState.ABORTED, "recovered by itself"), "Recovery ended: recovered by itself"),
        (case(CaseState.OPEN, "every rung of the ladder has been used: needs a human", 1),
         "Recovery gave up after 1 attempt: every rung of the ladder has been used: needs a human"),
        (case(CaseState.OPEN, "3 failed attempts within 30 min: needs a human", 3),
         "Recovery gave up after 3 attempts: 3 failed attempts within 30 min: needs a human"),
    ],
)  # fmt: skip
def test_recovery_says_what_it_is_doing(now: dict[str, Any], words: str) -> None:
    assert doing("auto", now) == words


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("none", "No recovery is configured"),
        ("off", "Recovery is off for this monitor"),
        ("auto", "Recovery has not begun"),
    ],
)
def test_recovery_without_a_case_says_why(mode: str, words: str) -> None:
    assert doing(mode, None) == words

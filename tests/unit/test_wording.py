"""Decisions in plain words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from defib.engine.views.wording import STATE_WORDS, doing, headline, of_incident, why
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


# --- why -----------------------------------------------------------------------------------------------

SINCE = "2026-11-21T03:44:35+00:00"
LOOK = {"outcome": "fail", "summary": "connection refused", "ended_at": SINCE, "source": "probe"}


def view(state: str, **more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": "Shop", "state": state, "since": SINCE, "reason": "3 failures in a row: connection refused",
        "last": LOOK, "deadline": None, "suspicion": None, "flapping": None, "label": "", "together": [],
        "strategy_detail": {"fail_threshold": 3, "recovery_threshold": 2}, "incident": "inc-1", "alerts": [],
        "windows": [], "incidents": [],
        "recovery": {"doing": "No recovery is configured"},
    }  # fmt: skip
    return plain | more


def told(**more: Any) -> dict[str, Any]:
    delivery = {
        "channel": "mail", "state": "delivered", "tries": 1, "due_at": SINCE, "sent_with": None,
    } | more  # fmt: skip
    return {
        "title": "Shop is down",
        "kind": "service_down",
        "incident": "inc-1",
        "at": SINCE,
        "verdicts": [],
        "deliveries": [delivery],
    }


def sentences(state: str, **more: Any) -> list[str]:
    return why(view(state, **more), more.get("parents", {}), "Europe/Berlin")


def test_a_fault_is_explained_from_its_reason_to_who_was_told() -> None:
    assert sentences("fault", alerts=[told()]) == [
        "Shop is at fault since 2026-11-21 04:44:35: 3 failures in a row: connection refused.",
        "It is well again after 2 good answers in a row.",
        "No recovery is configured.",
        "“Shop is down” went to mail (delivered).",
    ]


def test_what_fell_together_is_said_to_be_one_story() -> None:
    found = sentences("fault", together=["db", "web"], alerts=[told(sent_with="send-1")])

    assert "It fell together with db, web: they are told as one story." in found
    assert found[-1] == "“Shop is down” went to mail (delivered, in one message with others)."


@pytest.mark.parametrize(
    ("ruling", "until", "sentence"),
    [
        ("held", SINCE,
         "“Shop is down” was held back until 2026-11-21 04:44:35: silenced “deploy” by ana. It is told afterwards if a "
         "fresh look finds it so."),
        ("held", None,
         "“Shop is down” was held back: silenced “deploy” by ana. It is told afterwards if a fresh look finds it so."),
        ("dropped", None, "“Shop is down” was not told: silenced “deploy” by ana."),
    ],
)  # fmt: skip
def test_what_was_not_told_says_why(ruling: str, until: str | None, sentence: str) -> None:
    verdict: dict[str, Any] = {
        "ruling": ruling,
        "reason": "silenced “deploy” by ana",
        "until": until,
        "channels": [],
    }

    found = sentences("fault", alerts=[told() | {"deliveries": [], "verdicts": [verdict]}])

    assert found[-1] == sentence


def test_whoever_has_quiet_hours_is_named_beside_those_who_were_told() -> None:
    verdict: dict[str, Any] = {
        "ruling": "held",
        "reason": "quiet hours of route 2",
        "until": SINCE,
        "channels": ["boss"],
    }

    found = sentences("fault", alerts=[told() | {"verdicts": [verdict, verdict | {"ruling": "passed"}]}])

    assert found[-1] == (
        "“Shop is down” went to mail (delivered); held back from boss until 2026-11-21 04:44:35: "
        "quiet hours of route 2."
    )


def test_a_message_that_waits_for_company_says_when_it_leaves() -> None:
    found = sentences("fault", alerts=[told(state="pending", tries=0)])

    assert found[-1] == (
        "“Shop is down” went to mail (leaves at 2026-11-21 04:44:35, with all that falls together with it)."
    )


def test_flapping_is_explained_with_what_is_not_told() -> None:
    found = sentences("fault", flapping={"since": SINCE, "falls": 7})

    assert found[1].startswith(
        "It goes up and down: 7 falls since 2026-11-21 04:44:35. Single falls and returns"
    )
    assert found[-1] == "Nobody was told of this fall: it goes up and down."


@pytest.mark.parametrize(
    ("label", "beginning"),
    [("intermittent", "It does not fail at every look"), ("unverified", "Defib itself was not well")],
)
def test_a_label_is_explained(label: str, beginning: str) -> None:
    assert any(sentence.startswith(beginning) for sentence in sentences("fault", label=label))


def test_a_late_beat_says_how_near_a_fault_it_is() -> None:
    assert "Its beat is late, 40% of the way from when it was expected to a fault." in sentences(
        "suspect", suspicion=0.4
    )


def test_a_late_sender_is_at_fault_by_its_deadline_and_not_by_a_count_of_failures() -> None:
    found = sentences("suspect", last=LOOK | {"source": "deadline"}, deadline=SINCE)

    assert "Its next beat must come by 2026-11-21 04:44:35." in found
    assert not any(sentence.startswith("It becomes a fault") for sentence in found)


def test_a_silent_sender_is_well_again_with_its_next_beat() -> None:
    assert "It is well again with its next good beat." in sentences(
        "fault", last=LOOK | {"source": "deadline"}
    )


@pytest.mark.parametrize(
    ("alerts", "last"),
    [
        ([], "People hear of it when that has lasted a minute."),
        ([told() | {"kind": "stopped"}], "People know."),
    ],
)
def test_a_stop_on_purpose_says_whether_people_know(alerts: list[dict[str, Any]], last: str) -> None:
    assert sentences("stopped", alerts=alerts)[-2:] == [
        "It was stopped on purpose, so nothing is restarted.", last,
    ]  # fmt: skip


def test_an_incident_is_told_from_its_beginning_to_its_end() -> None:
    held: dict[str, Any] = {"ruling": "held", "reason": "its switch is down", "until": None, "channels": []}
    story = {
        "name": "Shop", "fault_at": SINCE, "opened_at": "2026-11-21T03:44:37.600000+00:00", "label": "",
        "summary": "connection refused", "members": [{"monitor": "web"}, {"monitor": "db"}], "affected": ["cart"],
        "cases": [], "attempts": [{"intent_at": SINCE, "action": "restart shop", "outcome": "verified"}],
        "closed_at": "2026-11-21T03:45:05+00:00", "resolution": "restart shop helped",
        "alerts": [told() | {"deliveries": [], "verdicts": [held]}, told()],
        "acked_at": "2026-11-21T03:44:50+00:00", "acked_by": "kim", "ack_note": "looking",
    }  # fmt: skip
    assert of_incident(story, "UTC") == [
        "Shop failed at 2026-11-21 03:44:35 or shortly before: connection refused.",
        "It was sure to be a fault after 2.6 s.",
        "It fell together with db, web: they are told as one story.",
        "Behind it were cart: they need it, so nobody was told of them.",
        "At 2026-11-21 03:44:35 Defib ran restart shop: verified.",
        "kim took it on at 2026-11-21 03:44:50: looking.",
        "It was over at 2026-11-21 03:45:05, after 30 s: restart shop helped.",
        "“Shop is down” was held back: its switch is down.",
        "“Shop is down” went to mail (delivered).",
    ]


def test_what_is_set_aside_silenced_or_seen_to_is_said() -> None:
    silence = {
        "kind": "silence", "phase": "active", "severity": ["low"], "made_by": "kim", "ends_at": SINCE,
        "reason": "deploy",
    }  # fmt: skip
    seen_to = {"acked_at": SINCE, "acked_by": "lee", "ack_note": "", "closed_at": None}
    told_of = sentences("maintenance", windows=[silence, silence | {"phase": "planned"}], incidents=[seen_to])
    assert told_of[1:4] == [
        "It is looked at as ever, but nothing is judged, told or repaired while that lasts.",
        "kim has silenced its low alerts until 2026-11-21 04:44:35: deploy.",
        "lee sees to it since 2026-11-21 04:44:35.",
    ]
    assert "Nobody looks at it while that lasts." in sentences("paused")


@pytest.mark.parametrize(("second", "said"), [(34, "kim sees to it since"), (35, "kim took it on at")])
def test_who_took_it_on_too_long_ago_does_not_see_to_it_any_more(second: int, said: str) -> None:
    story: dict[str, Any] = {
        "name": "Shop", "fault_at": SINCE, "opened_at": SINCE, "label": "", "summary": "refused", "members": [],
        "affected": [], "cases": [], "attempts": [], "closed_at": None, "alerts": [],
        "acked_at": "2026-11-21T03:44:35+00:00", "acked_by": "kim", "ack_note": "looking",
    }  # fmt: skip
    acks_from = datetime(2026, 11, 21, 3, 44, second, tzinfo=UTC)

    told = of_incident(story, "UTC", acks_from=acks_from)

    still = ", and it still fails" if second == 35 else ""
    assert f"{said} 2026-11-21 03:44:35{still}: looking." in told

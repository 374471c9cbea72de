"""The standard alert texts: kinds, words, recommendations."""

import ast
import re
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_samples import NOW, make_facts
from defib.plugin import AlertKind, AlertText, Family, Held, Hold, MonitorId, Severity, Together
from defib_alerts import advice
from defib_alerts.advice import WHEN_DEGRADED, WHEN_DOWN, Line, needed
from defib_alerts.causes import CAUSES, advice_for
from defib_alerts.kinds import DOWN_KINDS
from defib_alerts.names import known_names
from defib_alerts.texts import StandardTexts
from defib_alerts.wording import full_time, human_duration, one_line, sentence

REFERENCE = Path(__file__).parents[2] / "docs/reference/channels.md"
PLUGINS = Path(__file__).parents[2] / "plugins/defib_plugins"


LET_GO = {"actor": "Anna", "acked_at": NOW - timedelta(minutes=1)}


def compose(**facts: Any) -> AlertText:
    return StandardTexts().compose(make_facts(**facts))


# --- kinds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "kind", "severity"),
    [
        ("agent", "agent_down", "high"),
        ("database", "database_down", "severe"),
        ("docker", "docker_down", "high"),
        ("service", "service_down", "high"),
        ("process", "process_down", "high"),
        ("host", "host_down", "severe"),
        ("network", "network_down", "high"),
        ("job", "job_missed", "high"),
        ("check", "check_failed", "high"),
        ("toaster", "toaster_down", "high"),
    ],
)
def test_a_fault_has_the_kind_and_severity_of_its_sort_of_component(
    family: str, kind: str, severity: str
) -> None:
    text = compose(family=family)

    assert (text.kind, text.severity) == (kind, severity)


@pytest.mark.parametrize(
    ("event", "family", "cause", "kind", "severity"),
    [
        (AlertKind.DEGRADED, "agent", "slow", "agent_slow", "low"),
        (AlertKind.DEGRADED, "agent", "http-429", "agent_degraded", "low"),
        (AlertKind.DEGRADED, "network", "slow", "network_degraded", "low"),
        (AlertKind.DEGRADED, "host", "disk", "host_degraded", "low"),
        (AlertKind.RECOVERED, "agent", "ok", "recovered", "info"),
        (AlertKind.RECOVERY_FAILED, "database", "refused", "recovery_failed", "severe"),
        (AlertKind.RECOVERY_LATE, "database", "refused", "recovery_late", "severe"),
        (AlertKind.RECOVERY_BLOCKED, "database", "refused", "recovery_blocked", "severe"),
        (AlertKind.CRASH_LOOPING, "agent", "refused", "crash_looping", "high"),
        (AlertKind.RELAPSED, "agent", "refused", "relapsed", "low"),
        (AlertKind.OBSERVER_SICK, "observer", "observer-sick", "observer_sick", "high"),
        (AlertKind.OBSERVER_WELL, "observer", "observer-sick", "observer_well", "info"),
        (AlertKind.TEST, "agent", "test", "test", "info"),
        (AlertKind.FLAPPING, "service", "refused", "flapping", "high"),
        (AlertKind.STILL_FLAPPING, "service", "refused", "still_flapping", "low"),
        (AlertKind.STOPPED, "service", "unit-inactive", "stopped", "low"),
        (AlertKind.STARTED, "service", "ok", "started", "info"),
        (AlertKind.REMINDER, "database", "refused", "reminder", "severe"),
        (AlertKind.REMINDER, "service", "refused", "reminder", "high"),
        (AlertKind.ESCALATED, "host", "refused", "escalated", "severe"),
        (AlertKind.ACKNOWLEDGED, "database", "refused", "acknowledged", "info"),
        (AlertKind.UNACKNOWLEDGED, "database", "refused", "unacknowledged", "info"),
        (AlertKind.SET_ASIDE, "database", "refused", "set_aside", "info"),
        (AlertKind.UNWATCHED, "database", "refused", "unwatched", "info"),
        (AlertKind.CHANNEL_BROKEN, "channel", "channel", "channel_broken", "high"),
        (AlertKind.CHANNEL_WORKS, "channel", "channel", "channel_works", "info"),
    ],
)
def test_other_events_have_kinds_of_their_own(
    event: AlertKind, family: str, cause: str, kind: str, severity: str
) -> None:
    text = compose(event=event, family=family, cause=cause)

    assert (text.kind, text.severity) == (kind, severity)


def test_every_sort_of_component_has_recommendations_of_its_own() -> None:
    assert set(WHEN_DOWN) == {family.value for family in Family}


def test_every_kind_is_on_the_reference_page() -> None:
    kinds = {kind for kind, _ in DOWN_KINDS.values()} | {"agent_slow", "several_down"}
    kinds |= {str(event) for event in AlertKind} - {"down", "degraded"}
    page = REFERENCE.read_text()

    assert sorted(kind for kind in kinds if f"`{kind}`" not in page) == []


# --- words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        ({}, "Main Agent is down"),
        ({"event": AlertKind.DEGRADED, "cause": "slow"}, "Main Agent is slow"),
        ({"event": AlertKind.DEGRADED, "cause": "http-429"}, "Main Agent is degraded"),
        (
            {"event": AlertKind.DEGRADED, "cause": "disk", "family": "host"},
            "Main Agent is running out of disk space",
        ),
        ({"event": AlertKind.RECOVERED, "cause": "ok"}, "Main Agent has recovered"),
        ({"event": AlertKind.RECOVERY_FAILED}, "Main Agent needs a human"),
        ({"event": AlertKind.RECOVERY_LATE}, "Main Agent is still failing and needs you"),
        ({"event": AlertKind.RECOVERY_BLOCKED}, "Main Agent needs you: recovery is held back"),
        ({"event": AlertKind.CRASH_LOOPING}, "Main Agent is crash-looping"),
        ({"event": AlertKind.RELAPSED}, "Main Agent fell again"),
        ({"event": AlertKind.TEST}, "Test: this channel works"),
        ({"family": "job", "cause": "missed-beat"}, "Main Agent did not report in time"),
        ({"label": "intermittent"}, "Main Agent fails now and then"),
        ({"label": "unverified"}, "Main Agent is probably down"),
        ({"event": AlertKind.FLAPPING, "state": "up", "falls": 3}, "Main Agent goes up and down"),
        ({"event": AlertKind.STILL_FLAPPING, "state": "up", "falls": 9}, "Main Agent still goes up and down"),
        ({"event": AlertKind.SETTLED, "state": "up"}, "Main Agent goes up and down no more: well"),
        ({"event": AlertKind.SETTLED, "state": "fault"}, "Main Agent goes up and down no more: at fault"),
        ({"event": AlertKind.STOPPED, "state": "stopped"}, "Main Agent was stopped"),
        ({"event": AlertKind.STARTED, "state": "up"}, "Main Agent is no longer stopped"),
        ({"family": "job", "cause": "job-failed"}, "Main Agent failed"),
        ({"event": AlertKind.REMINDER}, "Still open: Main Agent is down"),
        ({"event": AlertKind.REMINDER, "label": "intermittent"}, "Still open: Main Agent fails now and then"),
        (
            {"event": AlertKind.ESCALATED, "cause": "missed-beat"},
            "Nobody has taken it on: Main Agent went silent",
        ),
        ({"event": AlertKind.ACKNOWLEDGED, "actor": "Anna"}, "Anna has taken on Main Agent"),
        ({"event": AlertKind.ACKNOWLEDGED}, "Somebody has taken on Main Agent"),
        ({"event": AlertKind.UNACKNOWLEDGED, "actor": "Anna"}, "Nobody sees to Main Agent any more"),
        ({"event": AlertKind.SET_ASIDE, "state": "maintenance"}, "Main Agent is in maintenance now"),
        ({"event": AlertKind.SET_ASIDE, "state": "paused"}, "Main Agent is paused now"),
        ({"event": AlertKind.UNWATCHED}, "Main Agent is no longer watched"),
        ({"event": AlertKind.REMINDER, **LET_GO}, "Still open: Main Agent is down"),
        ({"event": AlertKind.ESCALATED, **LET_GO}, "Taken on by Anna, and still failing: Main Agent is down"),
        (
            {"event": AlertKind.CHANNEL_BROKEN, "monitor_name": "ops-mail"},
            "The channel ops-mail does not work",
        ),
        ({"event": AlertKind.CHANNEL_WORKS, "monitor_name": "ops-mail"}, "The channel ops-mail works again"),
        ({"family": "check", "cause": "critical"}, "Main Agent fails"),
    ],
)
def test_the_title_says_what_happened_to_whom(facts: dict[str, Any], title: str) -> None:
    assert compose(**facts).title == title


def test_a_fault_is_described_with_its_beginning_its_meaning_and_what_defib_does() -> None:
    assert compose().description == (
        "Main Agent has been failing since 22:14:07 (Asia/Hong_Kong): connection refused by localhost:8000. "
        "Its host answers, but nothing listens on the port: the process is gone or still starting. "
        "Defib will run: systemctl restart openclaw-main."
    )


def test_a_fault_that_nobody_repairs_is_described_without_a_promise() -> None:
    assert compose(cause="never-heard-of", summary="odd.", recovery="").description == (
        "Main Agent has been failing since 22:14:07 (Asia/Hong_Kong): odd."
    )


def test_a_degradation_says_that_it_still_works() -> None:
    text = compose(
        event=AlertKind.DEGRADED, cause="slow", summary="HTTP 200 in 2.7 s, expected within 2s", recovery=""
    )

    assert text.description == (
        "Main Agent works, but since 22:14:07 (Asia/Hong_Kong) not as it should: "
        "HTTP 200 in 2.7 s, expected within 2s. It answers rightly, but takes longer than its limit."
    )


@pytest.mark.parametrize(
    ("facts", "end"),
    [
        ({"recovery": "recovered by Defib in 6.4 s", "healed_by": "defib"}, "Recovered by Defib in 6.4 s."),
        ({"recovery": "", "healed_by": "defib"}, "Recovered by Defib."),
        ({"recovery": "", "healed_by": "itself"}, "Recovered by itself."),
        ({"recovery": "", "healed_by": None}, "1 min 12 s."),
    ],
)
def test_a_recovery_says_how_long_it_took_and_who_did_it(facts: dict[str, Any], end: str) -> None:
    text = compose(
        event=AlertKind.RECOVERED, cause="ok", summary="HTTP 200 in 12 ms", duration_s=72.0, **facts
    )

    assert text.description.startswith(
        "Main Agent is well again: HTTP 200 in 12 ms. "
        "The trouble lasted from 22:14:07 to 22:15:19 (Asia/Hong_Kong), 1 min 12 s."
    )
    assert text.description.endswith(end)


def test_a_failed_recovery_says_that_defib_has_stopped() -> None:
    reason = "3 failed attempts within 30 min: needs a human"
    text = compose(event=AlertKind.RECOVERY_FAILED, attempts=3, recovery=reason)

    assert text.description == (
        "Defib could not bring Main Agent back in 3 attempts and has stopped trying. "
        "Main Agent has been failing since 22:14:07 (Asia/Hong_Kong): connection refused by localhost:8000. "
        "Its host answers, but nothing listens on the port: the process is gone or still starting. "
        "3 failed attempts within 30 min: needs a human."
    )


def test_a_test_asks_for_nothing() -> None:
    text = compose(event=AlertKind.TEST, cause="test", summary="a test of the channel ops-mail", evidence=())

    assert text.description == (
        "Defib sent this at 22:15:19 (Asia/Hong_Kong) as a test of the channel ops-mail. "
        "It arrived; nothing is wrong, and there is nothing to do."
    )
    assert text.evidence == ()
    assert text.recommendations == ()


def test_a_job_is_overdue_and_an_agent_is_silent() -> None:
    job = compose(
        family="job", cause="missed-beat", summary="no beat since 02:30", since=NOW - timedelta(days=1)
    )
    agent = compose(family="agent", cause="missed-beat", summary="no beat for 90 s")

    assert job.description.startswith(
        "Main Agent has been overdue since Fri 2 Jan 22:15:19 (Asia/Hong_Kong): no beat"
    )
    assert agent.title == "Main Agent went silent"
    assert agent.description.startswith(
        "Main Agent has been silent since 22:14:07 (Asia/Hong_Kong): no beat for 90 s."
    )


def test_an_unknown_time_zone_is_shown_as_utc() -> None:
    assert "since 14:14:07 (UTC)" in compose(timezone="Mars/Olympus").description


def test_causes_that_differ_are_explained_differently() -> None:
    causes = [
        "refused",
        "timeout",
        "http-500",
        "http-404",
        "oom-killed",
        "dns-not-found",
        "tls-expired",
        "auth-failed",
    ]

    explained = {compose(cause=cause).description for cause in causes}
    advised = {compose(cause=cause).recommendations for cause in causes}

    assert len(explained) == len(causes)
    assert len(advised) == len(causes)


def test_evidence_is_the_newest_lines_one_line_each() -> None:
    text = compose(
        evidence=("first", *(f"line {number}\nrest" for number in range(20)), "\x1b[31mlast\u202e")
    )

    assert len(text.evidence) == 12
    assert text.evidence[0] == "line 9 rest"
    assert text.evidence[-1] == "[31mlast"


def test_what_was_seen_before_the_first_action_follows_the_evidence() -> None:
    text = compose(
        event=AlertKind.RECOVERY_FAILED,
        evidence=("connection refused",),
        snapshot=("docker logs gateway:", "the queue\x1b[1m is full", "load 0.10"),
    )

    assert text.evidence == (
        "connection refused", "docker logs gateway:", "the queue [1m is full", "load 0.10",
    )  # fmt: skip


def test_without_evidence_the_summary_is_the_evidence() -> None:
    assert compose(evidence=()).evidence == ("connection refused by localhost:8000",)


# --- beyond up and down --------------------------------------------------------------------------------


def test_flapping_is_told_with_its_figures_and_what_is_not_told() -> None:
    text = compose(
        event=AlertKind.FLAPPING, state="up", falls=3, duration_s=720.0, summary="HTTP 200", recovery=""
    )

    assert text.description == (
        "Main Agent has failed and come back 3 times since 22:14:07 (Asia/Hong_Kong), in 12 min. It is well now: "
        "HTTP 200. As long as this goes on you hear of it once in a quarter of an hour, and not of each fall and "
        "return; how it ends is told in any case."
    )
    assert text.recommendations[0].startswith("Look for what comes and goes with it")


@pytest.mark.parametrize(("state", "family", "severity"), [
    ("up", "service", "info"), ("degraded", "database", "info"), ("fault", "service", "high"),
    ("fault", "database", "severe"), ("unreachable", "service", "high"),
])  # fmt: skip
def test_the_end_of_flapping_is_as_pressing_as_how_it_ends(state: str, family: str, severity: str) -> None:
    assert compose(event=AlertKind.SETTLED, state=state, family=family).severity == severity


def test_a_fault_that_ends_the_flapping_says_what_defib_does() -> None:
    text = compose(event=AlertKind.SETTLED, state="fault", falls=7)

    assert "it is at fault: connection refused by localhost:8000." in text.description
    assert text.description.endswith("Defib will run: systemctl restart openclaw-main.")


def test_a_stop_on_purpose_is_left_alone() -> None:
    text = compose(
        event=AlertKind.STOPPED, state="stopped", facts={"unit": "web.service"}, summary="exited 0"
    )

    assert text.description == (
        "Main Agent was stopped on purpose at 22:14:07 (Asia/Hong_Kong) and is still stopped: exited 0. Defib leaves "
        "it stopped, and says so when it is back."
    )
    assert (
        text.recommendations[0]
        == "If nobody meant to, see who did it: `journalctl -u web.service -n 50 --no-pager`"
    )


def test_labels_of_a_fault_are_explained() -> None:
    assert "It does not fail at every look, but now and then." in compose(label="intermittent").description
    assert "Defib itself was not well when it saw this" in compose(label="unverified").description


def member(name: str, after_s: float = 0.0, **more: Any) -> Together:
    known: dict[str, Any] = {
        "monitor": MonitorId(name.lower()), "name": name, "family": "service", "summary": "connection refused",
        "since": NOW - timedelta(seconds=72 - after_s), "recovery": "Defib will run: systemctl restart it",
    }  # fmt: skip
    return Together(**{**known, **more})


# --- people ----------------------------------------------------------------------------------------

MIDNIGHT = datetime(2026, 1, 3, 16, tzinfo=UTC)
THEN = "Until that ends nobody is told of it or reminded; then it is looked at afresh, and its end is told."
SINCE = "Main Agent has been failing since 22:14:07 (Asia/Hong_Kong): connection refused by localhost:8000. "
MEANS = "Its host answers, but nothing listens on the port: the process is gone or still starting. "
PLAN = "Defib will run: systemctl restart openclaw-main."


@pytest.mark.parametrize(
    ("facts", "description"),
    [
        ({"event": AlertKind.REMINDER, "reminders": 1},
         f"{SINCE}It has been open for 1 min 12 s, and nobody has taken it on. {MEANS}{PLAN}"),
        ({"event": AlertKind.REMINDER, "reminders": 3},
         f"{SINCE}It has been open for 1 min 12 s, and nobody has taken it on. This is reminder 3. {MEANS}{PLAN}"),
        ({"event": AlertKind.ESCALATED, "level": 2},
         f"{SINCE}It has been open for 1 min 12 s, and nobody has taken it on. You are called because those before "
         f"you did not answer (level 2). {MEANS}{PLAN}"),
        ({"event": AlertKind.ESCALATED, "level": 1, "step": 4},
         f"{SINCE}It has been open for 1 min 12 s, and nobody has taken it on. You are called once more because nobody "
         f"has answered so far (level 1). {MEANS}{PLAN}"),
        ({"event": AlertKind.REMINDER, **LET_GO},
         f"{SINCE}It has been open for 1 min 12 s: Anna took it on at 22:14:19 (Asia/Hong_Kong), and it still fails. "
         f"{MEANS}{PLAN}"),
        ({"event": AlertKind.UNACKNOWLEDGED, "actor": "Ben"},
         f"Ben took the acknowledgement back at 22:15:19 (Asia/Hong_Kong). {SINCE}"
         "Calls and reminders go on until somebody takes it on."),
        ({"event": AlertKind.UNACKNOWLEDGED},
         f"The acknowledgement was taken back at 22:15:19 (Asia/Hong_Kong). {SINCE}"
         "Calls and reminders go on until somebody takes it on."),
        ({"event": AlertKind.ACKNOWLEDGED, "actor": "Anna", "note": "cleaning up!"},
         f"Anna took it on at 22:15:19 (Asia/Hong_Kong). Note: “cleaning up!”. {SINCE}"
         "Nobody else is called, and nobody is reminded, for the time being."),
        ({"event": AlertKind.ACKNOWLEDGED},
         f"Somebody took it on at 22:15:19 (Asia/Hong_Kong). {SINCE}"
         "Nobody else is called, and nobody is reminded, for the time being."),
        ({"event": AlertKind.SET_ASIDE, "state": "maintenance", "actor": "Anna", "note": "new disk", "until": MIDNIGHT},
         f"Maintenance has begun until Sun 4 Jan 00:00 (Asia/Hong_Kong), by Anna. Note: “new disk”. {SINCE}{THEN}"),
        ({"event": AlertKind.SET_ASIDE, "state": "paused", "actor": "Anna", "until": MIDNIGHT},
         f"Anna paused it until Sun 4 Jan 00:00 (Asia/Hong_Kong). {SINCE}{THEN}"),
        ({"event": AlertKind.SET_ASIDE, "state": "paused", "actor": "Anna"},
         f"Anna paused it until somebody resumes it. {SINCE}{THEN}"),
        ({"event": AlertKind.UNWATCHED, "recovery": "the monitor was removed"},
         f"{SINCE}The monitor was removed. This is the last that you hear of it."),
        ({"event": AlertKind.CHANNEL_BROKEN, "summary": "no answer in time", "recovery": ""},
         "It has taken no message since 22:14:07 (Asia/Hong_Kong): no answer in time."),
        ({"event": AlertKind.CHANNEL_WORKS, "summary": "accepted", "recovery": "", "duration_s": 72.0},
         "It takes messages again; it had taken none since 22:14:07 (Asia/Hong_Kong), for 1 min 12 s."),
    ],
)  # fmt: skip
def test_people_are_told_who_has_to_do_something(facts: dict[str, Any], description: str) -> None:
    assert compose(**facts).description == description


def test_who_is_called_is_told_first_how_to_take_it_on() -> None:
    for event in (AlertKind.REMINDER, AlertKind.ESCALATED, AlertKind.UNACKNOWLEDGED):
        assert compose(event=event).recommendations[0] == (
            "Take it on, so that nobody else is called: `defib ack main`"
        )


@pytest.mark.parametrize(
    ("by", "name", "why"),
    [
        (Hold.SILENCE, "deploy", "the silence “deploy” lasted until 22:15."),
        (Hold.SILENCE, "", "a silence lasted until 22:15."),
        (Hold.MAINTENANCE, "new disks", "of the maintenance “new disks” until 22:15."),
        (Hold.PAUSE, "", "it was paused until 22:15."),
        (Hold.DEPENDENCY, "db", "db, which it requires, was not well until 22:15."),
        (Hold.INHIBITION, "host", "host explained it until 22:15."),
        (Hold.OBSERVER, "", "Defib could not see it clearly until 22:15."),
        (Hold.QUIET_HOURS, "", "of the quiet hours until 22:15."),
        (Hold.CALM, "", "it had to last until 22:15 first."),
    ],
)
def test_what_was_held_back_says_why(by: Hold, name: str, why: str) -> None:
    told = compose(held=Held(by=by, name=name, until=NOW)).description

    assert told == f"{SINCE}{MEANS}{PLAN} You hear of it only now because {why}"


def test_every_hold_has_its_words() -> None:
    for by in Hold:
        assert "You hear of it only now" in compose(held=Held(by=by, until=NOW)).description


def test_a_message_that_comes_late_says_so() -> None:
    told = compose(late_since=NOW - timedelta(hours=1)).description

    assert told.endswith("This message comes late: the channel did not accept it at 21:15.")


# --- digests -----------------------------------------------------------------------------------------


def digest_of(*members: Together, **facts: Any) -> AlertText:
    return compose(event=AlertKind.DIGEST, together=members, recovery="", monitor=MonitorId(""), **facts)


OPEN = {"severity": Severity.HIGH, "cause": "refused"}
OVER = {**OPEN, "is_over": True, "duration_s": 61.0}


def test_a_digest_tells_what_is_open_first_and_the_worst_of_it_on_top() -> None:
    text = digest_of(
        member("Shop", **OVER),
        member(
            "Nas", event=AlertKind.DEGRADED, severity=Severity.LOW, cause="disk", summary="disk / at 91 %"
        ),
        member("Web", 9.0, **OPEN),
        member("Api", 3.0, **OPEN),
        member("Db", 20.0, **{**OPEN, "severity": Severity.SEVERE}, family="database"),
        member("Job", event=AlertKind.RECOVERED, severity=Severity.INFO, cause="ok", duration_s=30.0),
    )

    assert (text.kind, text.severity) == ("digest", "severe")
    assert text.title == "6 alerts, 4 still open: Db, Api, Web, Nas"
    assert text.description == (
        "This is what came together since 22:14:07 (Asia/Hong_Kong), in one message instead of 6. "
        "Still open: 1 severe, 2 high, 1 low. 2 are over and need nothing."
    )
    assert text.evidence == (
        "22:14 SEVERE Db is down: connection refused",
        "22:14 HIGH Api is down: connection refused",
        "22:14 HIGH Web is down: connection refused",
        "22:14 LOW Nas is running out of disk space: disk / at 91 %",
        "22:14 OVER Shop is down: connection refused (for 1 min 1 s)",
        "22:14 OVER Job has recovered (for 30 s)",
    )


@pytest.mark.parametrize(
    ("members", "title", "severity"),
    [
        ((member("A", **OVER),), "1 alert, over by now: A", "info"),
        ((member("A", **OVER), member("B", **OVER)), "2 alerts, all over by now: A, B", "info"),
        ((member("A", **OPEN),), "1 alert, still open: A", "high"),
        (tuple(member(f"S{n}", n, **OPEN) for n in range(30)),
         "30 alerts, all still open: S0, S1, S2 and 27 more", "high"),
        ((member("A", **OPEN), member("A", 1.0, **OPEN), member("B", 2.0, **OVER)), "3 alerts, 2 still open: A",
         "high"),
    ],
)  # fmt: skip
def test_a_digest_counts(members: tuple[Together, ...], title: str, severity: str) -> None:
    text = digest_of(*members)

    assert (text.title, text.severity) == (title, severity)


def test_a_digest_after_quiet_hours_says_why_it_comes_now() -> None:
    text = digest_of(member("A", **OPEN), held=Held(by=Hold.QUIET_HOURS, until=NOW))

    assert text.description.endswith(
        "Still open: 1 high. You hear of it only now because of the quiet hours until 22:15."
    )


def test_a_digest_of_what_is_over_says_that_nothing_is_open() -> None:
    assert digest_of(member("A", **OVER)).description.endswith(
        "1 is over and needs nothing. Nothing is open any more."
    )


def test_a_very_long_digest_ends_with_how_many_more_there_are() -> None:
    text = digest_of(*(member(f"S{n}", **OPEN) for n in range(100)))

    assert len(text.evidence) == 41
    assert text.evidence[-1] == "and 60 more"


# --- several at once -----------------------------------------------------------------------------------


def test_what_fell_together_is_one_message() -> None:
    text = compose(together=(member("Gate"), member("Shop", 2.4), member("Web", 3.6)), family="service")

    assert text.title == "3 services failed together: Gate, Shop, Web"
    assert (text.kind, text.severity) == ("service_down", "high")
    assert text.description == (
        "Gate, Shop, Web have been failing since 22:14:07 (Asia/Hong_Kong), and fell within 4 s of each other. What "
        "fails together mostly has one cause. Defib will run: systemctl restart it."
    )
    assert text.evidence == (
        "22:14:07 Gate: connection refused", "22:14:09 Shop: connection refused", "22:14:10 Web: connection refused",
    )  # fmt: skip
    assert text.recommendations[0].startswith("Look first at what they have in common")


def test_what_is_on_a_silent_host_is_told_as_its_trouble() -> None:
    text = compose(
        together=(member("Gate"), member("Shop", 2.4), member("Web", 3.6)), silent_host="box", silent=7
    )

    assert text.title == "Nothing on box answers: 3 services failed together"
    assert "Not answered since, and not told one by one either: 7 more on box." in text.description


@pytest.mark.parametrize(
    ("facts", "title", "in_description", "advice"),
    [
        ({"event": AlertKind.REMINDER, "reminders": 2}, "Still open: 2 services failed together: Gate, Shop",
         "It has been open for 1 min 12 s, and nobody has taken it on. This is reminder 2.", "Take it on"),
        ({"event": AlertKind.ESCALATED, "level": 2}, "Nobody has taken it on: 2 services failed together: Gate, Shop",
         "You are called because those before you did not answer (level 2).", "Take it on"),
        ({"event": AlertKind.ACKNOWLEDGED, "actor": "Anna"}, "Anna has taken on Gate, Shop",
         "Anna took it on at 22:15:19 (Asia/Hong_Kong). Gate, Shop have been failing since", ""),
        ({"event": AlertKind.UNACKNOWLEDGED, "actor": "Anna"}, "Nobody sees to Gate, Shop any more",
         "Anna took the acknowledgement back at 22:15:19 (Asia/Hong_Kong). Gate, Shop have been failing since",
         "Take it on"),
        ({"event": AlertKind.SET_ASIDE, "state": "maintenance", "actor": "Anna", "until": MIDNIGHT},
         "2 services are in maintenance now: Gate, Shop", "Maintenance has begun until", ""),
        ({"event": AlertKind.SET_ASIDE, "state": "paused", "actor": "Anna"},
         "2 services are paused now: Gate, Shop", "Anna paused it until somebody resumes it. Gate, Shop have", ""),
        ({"event": AlertKind.UNWATCHED, "recovery": "the monitor was removed"},
         "2 services are no longer watched: Gate, Shop", "The monitor was removed. This is the last", ""),
        ({"event": AlertKind.ESCALATED, "level": 2, **LET_GO},
         "Taken on by Anna, and still failing: 2 services failed together: Gate, Shop",
         "Anna took it on at 22:14:19 (Asia/Hong_Kong), and it still fails.", "Take it on"),
    ],
)  # fmt: skip
def test_what_fell_together_is_reminded_of_and_taken_on_together(
    facts: dict[str, Any], title: str, in_description: str, advice: str
) -> None:
    text = compose(together=(member("Gate"), member("Shop", 2.4)), **facts)

    assert (text.title, text.kind) == (title, str(facts["event"]))
    assert in_description in text.description
    assert [line[:10] for line in text.recommendations[:1]] == ([advice] if advice else [])
    assert text.evidence[0] == "22:14:07 Gate: connection refused"


def test_several_sorts_are_monitors_and_each_is_repaired_in_its_own_way() -> None:
    text = compose(together=(member("Gate"), member("Db", family="database", recovery="Defib will not act")))

    assert text.title == "2 monitors failed together: Gate, Db"
    assert text.kind == "several_down"
    assert text.description.endswith("Defib does for each of them what is configured, one after the other.")


def test_many_are_named_in_part() -> None:
    text = compose(together=tuple(member(f"S{number}") for number in range(30)))

    assert text.title == "30 services failed together: S0, S1, S2, S3 and 26 more"
    assert len(text.evidence) == 13
    assert text.evidence[-1] == "and 18 more"


def test_those_that_are_back_say_how_long_each_was_gone() -> None:
    back = (
        member("Gate", duration_s=48.0, recovery="recovered by itself"),
        member("Shop", duration_s=130.0, recovery="restart helped"),
    )
    text = compose(event=AlertKind.RECOVERED, together=back)

    assert text.title == "2 services have recovered: Gate, Shop"
    assert (text.kind, text.severity) == ("recovered", "info")
    assert text.description.endswith("The longest of them was at fault for 2 min 10 s.")
    assert text.evidence[1] == "22:14:07 Shop: at fault for 2 min 10 s. Restart helped."
    assert text.recommendations == ()


# --- recommendations -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "recommendations"),
    [
        (
            {},
            (
                "See whether it runs: `systemctl status openclaw-main`",
                "Read its last words: `journalctl -u openclaw-main -n 50 --no-pager`",
                "See on its host who listens there: `ss -ltnp 'sport = :8000'`",
                "Try a restart: `systemctl restart openclaw-main`",
                "Check the way to it from here: `curl -v --max-time 10 http://localhost:8000/health`",
            ),
        ),
        (
            {
                "recovery": "will run: docker restart -t 10 gateway",
                "cause": "http-500",
                "summary": "HTTP 500 in 12 ms",
            },
            (
                "Read its last words: `docker logs --tail 50 gateway`",
                "Ask it yourself: `curl -i --max-time 10 http://localhost:8000/health`",
                "Check what it depends on: database, disk, other services.",
                "Try a restart: `docker restart gateway`",
                "See whether it runs: `docker ps -a --filter name=gateway`",
            ),
        ),
        (
            {"cause": "unheard-of", "recovery": ""},
            (
                "See whether its process runs.",
                "Read the end of its log.",
                "Try a restart; `defib recover main --dry-run` shows what Defib would do.",
                "Check the way to it from here: `curl -v --max-time 10 http://localhost:8000/health`",
            ),
        ),
        (
            {"event": AlertKind.DEGRADED, "cause": "slow", "recovery": ""},
            (
                "Look at what it uses: `top -o %CPU`, `top -o %MEM`",
                "Tune the size of the agent's model.",
                "Look for what is busy on its host: `top -o %CPU`, `free -h`, `vmstat 1 5`",
            ),
        ),
        (
            {
                "family": "database",
                "monitor_kind": "postgres",
                "target": "127.0.0.1:5432/openclaw",
                "cause": "auth-failed",
                "recovery": "",
            },
            (
                "Check the user and the password of Defib's configuration (`dsn`) against the server's.",
                "See which rule refused: the server's log names the line of `pg_hba.conf`.",
                "Was a password or token rotated? Then rotate it for Defib too.",
            ),
        ),
        (
            {
                "family": "docker",
                "monitor_kind": "docker",
                "target": "gateway at 10.0.0.5",
                "cause": "unhealthy",
            },
            (
                "Read what the check says: `docker inspect -f '{{json .State.Health}}' gateway`",
                "Read its last words: `journalctl -u openclaw-main -n 50 --no-pager`",
                "Try a restart: `systemctl restart openclaw-main`",
                "See how it ended: `docker inspect -f '{{json .State}}' gateway`",
                "Look at what it uses: `docker stats --no-stream gateway`",
            ),
        ),
        (
            {
                "event": AlertKind.DEGRADED,
                "family": "host",
                "monitor_kind": "host",
                "target": "this machine",
                "cause": "disk",
                "summary": "disk /var/lib data at 91.2 % (limit 85 %)",
                "recovery": "",
            },
            (
                "Find what takes the space: `du -xh --max-depth=2 / | sort -h | tail -n 20`",
                "Clean what is safe: `journalctl --vacuum-size=500M`, `docker system df`, old packages and backups.",
                "If there is space but files cannot be made, the inodes are used up: `df -i`",
            ),
        ),
        (
            {"event": AlertKind.RECOVERY_FAILED},
            (
                "See whether it runs: `systemctl status openclaw-main`",
                "Read its last words: `journalctl -u openclaw-main -n 50 --no-pager`",
                "See on its host who listens there: `ss -ltnp 'sport = :8000'`",
                "Once it is repaired, Defib sees that by itself; `defib check main` looks at once.",
                "See every decision and its reason: `defib explain main`",
            ),
        ),
        (
            {
                "event": AlertKind.RECOVERED,
                "family": "docker",
                "monitor_kind": "docker",
                "target": "gateway",
                "recovery": "",
            },
            (
                "Find the cause while the trail is fresh: `docker logs --since 2026-01-03T14:13:07Z gateway`",
                "See every decision and its reason: `defib explain main`",
            ),
        ),
    ],
    ids=["refused", "500", "unknown", "slow", "auth", "unhealthy", "disk", "needs-human", "recovered"],
)
def test_recommendations_are_concrete_and_best_first(
    facts: dict[str, Any], recommendations: tuple[str, ...]
) -> None:
    assert compose(**facts).recommendations == recommendations


@pytest.mark.parametrize(
    ("recovery", "name", "value"),
    [
        ("Defib will run: docker restart -t 10 gateway", "container", "gateway"),
        (
            "Defib will run: docker --host tcp://10.0.0.5:2375 kill gateway; docker start gateway",
            "container",
            "gateway",
        ),
        ("Defib would run: docker kill --signal HUP pg_1 (recovery is in dry-run mode)", "container", "pg_1"),
        (
            "recovered by Defib in 6.4 s: systemctl restart -- openclaw-main.service",
            "unit",
            "openclaw-main.service",
        ),
        ("Defib will run: systemctl --user restart -- web@1.service", "unit", "web@1.service"),
        (
            "Defib will run: systemctl reset-failed -- a.service; systemctl restart -- a.service",
            "unit",
            "a.service",
        ),
        ("will run: systemctl restart main.", "unit", "main"),
        ("Defib will run: /usr/share/defib/restart.sh main", "unit", None),
    ],
)
def test_the_recovery_ladder_names_what_is_behind_an_address(
    recovery: str, name: str, value: str | None
) -> None:
    assert known_names(make_facts(recovery=recovery)).get(name) == value


def test_the_full_partition_is_named() -> None:
    text = compose(
        family="host", event=AlertKind.DEGRADED, cause="disk", summary="disk /data at 91.2 % (limit 85 %)"
    )

    assert (
        text.recommendations[0]
        == "Find what takes the space: `du -xh --max-depth=2 /data | sort -h | tail -n 20`"
    )


def test_a_hostile_name_cannot_leave_its_command() -> None:
    text = compose(facts={"container": "x`; rm -rf / #\nnext"}, recovery="", cause="http-500")

    assert text.recommendations[0] == "Read its last words: `docker logs --tail 50 'x; rm -rf / # next'`"


def test_an_address_that_cannot_be_read_names_nothing() -> None:
    names = known_names(make_facts(target="http://[broken/health", recovery=""))

    assert "host" not in names
    assert "port" not in names


def every_line() -> list[Line]:
    """Each line of the tables, and those that take its place where too little is known."""
    lines = [line for row in CAUSES for line in row.lines]
    lines += [line for table in (WHEN_DOWN, WHEN_DEGRADED) for rows in table.values() for line in rows]
    lines += [
        line
        for name, rows in vars(advice).items()
        if name.startswith("WHEN_")
        for line in rows
        if isinstance(line, Line)
    ]
    lines += advice.NEEDS_HUMAN
    for line in lines:
        if line.otherwise is not None:
            lines.append(line.otherwise)
    return lines


def commands_of(line: Line) -> list[str]:
    return [
        part for command in line.commands for part in ((command,) if isinstance(command, str) else command)
    ]


def test_lines_name_nothing_but_what_facts_can_tell() -> None:
    facts = dict.fromkeys(("container", "unit", "process", "path"), "x")
    known = set(known_names(make_facts(facts=facts)))

    assert {
        name for line in every_line() for command in commands_of(line) for name in needed(command)
    } <= known


def test_lines_read_like_one_hand_wrote_them() -> None:
    for line in every_line():
        assert line.text[0].isupper(), line
        assert line.text.endswith((".", "{command}", "?")), line
        assert line.text.count("`") % 2 == 0, line
        assert ("{command}" in line.text) == bool(line.commands), line
        assert not any(set("`\n") & set(command) for command in commands_of(line)), line


def test_a_line_is_never_lost_for_want_of_a_name() -> None:
    for line in every_line():
        last = line
        while last.otherwise is not None:
            last = last.otherwise
        rest = last.commands[-1:] and (last.commands[-1],)
        assert all(needed(part) <= {"monitor", "name"} for part in commands_of(Line("", rest))), last


def test_every_row_can_be_reached() -> None:
    for row in CAUSES:
        codes = [code.replace("*", "x").replace("?", "0") for code in row.causes]
        families = row.families or (
            "agent",
            "check",
            "docker",
            "database",
            "host",
            "network",
            "job",
            "service",
        )
        reached = [advice_for(code, family) is row for code in codes for family in families]
        assert any(reached), row.causes


def test_every_cause_of_a_built_in_monitor_is_explained() -> None:
    """A monitor that tells a cause which no row knows gets its family's advice only: add a row to causes/."""
    known = [code for row in CAUSES for code in row.causes if code != "*"]

    told = {cause for file in PLUGINS.rglob("*.py") for cause in causes_told(ast.parse(file.read_text()))}

    assert {"refused", "timeout", "unit-failed"} <= told
    assert sorted(cause for cause in told if not any(fnmatchcase(cause, code) for code in known)) == []


def causes_told(tree: ast.Module) -> set[str]:
    """First arguments, written out, of what makes evidence of a fault or a degradation."""
    makers = {"fail", "_fail", "degraded", "degrade"}
    return {
        argument.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).split(".")[-1] in makers
        for argument in (node.args[0],)
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


# --- whatever comes --------------------------------------------------------------------------------

any_text = st.text(max_size=400)
any_fact = st.one_of(any_text, st.integers(), st.floats(), st.booleans(), st.none())


@given(
    event=st.sampled_from(AlertKind),
    family=st.one_of(st.sampled_from([family.value for family in Family]), any_text),
    kind=st.sampled_from(["http", "docker", "systemd", "process", "postgres", "odd"]),
    cause=st.one_of(st.sampled_from([code for row in CAUSES for code in row.causes]), any_text),
    words=st.lists(any_text, min_size=5, max_size=5),
    evidence=st.lists(any_text, max_size=30),
    facts=st.dictionaries(st.sampled_from(["container", "unit", "host", "port", "path", "x"]), any_fact),
    duration_s=st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
)
def test_any_facts_make_a_text_of_bounded_lines(
    event: AlertKind,
    family: str,
    kind: str,
    cause: str,
    words: list[str],
    evidence: list[str],
    facts: dict[str, Any],
    duration_s: float | None,
) -> None:
    name, target, summary, recovery, healed_by = words
    text = compose(
        event=event, family=family, monitor_kind=kind, cause=cause, monitor_name=name, target=target, summary=summary,
        recovery=recovery, healed_by=healed_by, evidence=tuple(evidence), facts=facts, duration_s=duration_s,
    )  # fmt: skip

    lines = [text.title, text.description, *text.evidence, *text.recommendations]
    assert all(line.isprintable() for line in lines)
    assert len(text.title) <= 160
    assert len(text.description) <= 1500
    assert len(text.evidence) <= 12
    assert len(text.recommendations) <= 5


# --- wording ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0.0 s"), (0, "0.0 s"), (6.44, "6.4 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"),
        (72, "1 min 12 s"), (3599.9, "1 h"), (7500, "2 h 5 min"), (86_400, "1 d"), (273_600, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_a_time_carries_its_day_and_its_zone() -> None:
    evening = datetime(2026, 1, 2, 15, 59, 59, tzinfo=UTC)

    assert full_time(evening, "Europe/Berlin") == "Fri 2 Jan 2026, 16:59:59 (Europe/Berlin)"
    assert "since Fri 2 Jan 23:59:59 (Asia/Hong_Kong)" in compose(since=evening).description
    assert "since 00:00:00 (Asia/Hong_Kong)" in compose(since=evening + timedelta(seconds=1)).description


@given(any_text, st.integers(min_value=1, max_value=50))
def test_one_line_is_one_printable_line_of_bounded_length(text: str, limit: int) -> None:
    line = one_line(text, limit)

    assert len(line) <= limit
    assert line.isprintable()
    assert re.search(r"\s\s|^\s|\s$", line) is None


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("", ""),
        (" . ", ""),
        ("will run: x", "Will run: x."),
        ("Done.", "Done."),
        ("really?", "Really?"),
        ("cut…", "Cut…"),
    ],
)
def test_sentences_begin_large_and_end_once(text: str, closed: str) -> None:
    assert sentence(text) == closed


@pytest.mark.parametrize(
    ("event", "recovery", "description"),
    [
        (AlertKind.RECOVERY_LATE, "1 attempt so far; Defib is at it: verifying",
         "Main Agent has been failing since 22:14:07 (Asia/Hong_Kong): connection refused by localhost:8000. "
         "Defib has not brought it back so far. "
         "Its host answers, but nothing listens on the port: the process is gone or still starting. "
         "1 attempt so far; Defib is at it: verifying."),
        (AlertKind.RECOVERY_BLOCKED, "Defib has been held back for 10 min: another action runs on db1",
         "Main Agent has been failing since 22:14:07 (Asia/Hong_Kong): connection refused by localhost:8000. "
         "Its host answers, but nothing listens on the port: the process is gone or still starting. "
         "Defib has been held back for 10 min: another action runs on db1."),
        (AlertKind.RELAPSED, "Defib tries again after a short wait",
         "Main Agent had recovered, and soon fell again: connection refused by localhost:8000. It is the same trouble "
         "as before, since 22:14:07 (Asia/Hong_Kong). Defib tries again after a short wait."),
    ],
)  # fmt: skip
def test_what_recovery_tells_on_its_way_says_that_it_goes_on(
    event: AlertKind, recovery: str, description: str
) -> None:
    assert compose(event=event, recovery=recovery).description == description

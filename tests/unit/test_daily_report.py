"""The daily report: its figures, its sentences, and its four renderings."""

import json
import re
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defib.plugin import (
    AlertKind,
    Attempt,
    AttemptOutcome,
    DefibError,
    Incident,
    IncidentId,
    Period,
    Severity,
    Span,
)
from defib_reports import daily
from defib_reports.daily.columns import width
from defib_reports.daily.wording import plain
from report_samples import (
    BERLIN,
    DAY,
    MIDNIGHT,
    NO_TIME,
    REFERENCE,
    PageText,
    alert,
    at,
    attempt,
    data_of,
    day,
    documented_day,
    fallen,
    incident,
    monitor,
    rows,
    seconds,
    still_open,
    summary,
    text_of,
    unseen,
    write,
)

# --- the plugin ----------------------------------------------------------------------------------------


def test_the_plugin_offers_a_report_of_a_day_of_a_week_and_of_a_month() -> None:
    assert {report.kind: report.span for report in daily.defib_reports()} == {
        "daily": "day", "weekly": "week", "monthly": "month",
    }  # fmt: skip


def test_the_document_repeats_what_identifies_the_period() -> None:
    document = write(day(monitor()))

    assert (document.id, document.name) == ("report_20261120", "daily")
    assert (document.start, document.end) == (MIDNIGHT, MIDNIGHT + DAY)


def test_writing_the_same_period_twice_gives_the_same_document() -> None:
    assert write(documented_day()) == daily.create().write(documented_day())


# --- figures -------------------------------------------------------------------------------------------


def test_heartbeats_are_all_observations_and_the_healthy_ones_are_a_share_of_them() -> None:
    overall = data_of(
        day(
            monitor("a", counts={"healthy": 90, "unhealthy": 4, "error": 5, "unknown": 1}),
            monitor("b", counts={"healthy": 100}),
        )
    )["overall"]

    assert overall["heartbeats"] == 200
    assert overall["heartbeats_healthy"] == 190
    assert overall["healthy_share"] == 0.95


def test_the_average_response_weighs_each_component_by_its_healthy_answers() -> None:
    overall = data_of(
        day(
            monitor("a", counts={"healthy": 300, "error": 900}, latency_mean_ms=10.0),
            monitor("b", counts={"healthy": 100}, latency_mean_ms=50.0),
            monitor("job", counts={"healthy": 50}, latency_mean_ms=None, latencies_ms=None),
        )
    )["overall"]

    assert overall["response_mean_ms"] == 20.0


def test_availability_is_shared_time_with_bounds_from_the_shortest_and_longest_outage() -> None:
    overall = data_of(day(fallen(down=864, lo=0, hi=1728), monitor("b")))["overall"]

    assert overall["availability"] == 0.995
    assert overall["availability_lo"] == 0.99
    assert overall["availability_hi"] == 1.0


def test_availability_weighs_components_by_their_observed_time() -> None:
    hour = timedelta(hours=1)
    short = monitor("short", up=hour / 2, down=hour / 2, down_lo=hour / 2, down_hi=hour / 2)

    assert data_of(day(short, monitor("long", up=4 * hour)))["overall"]["availability"] == 0.9


def test_the_published_day_of_transitions_has_its_exact_availability() -> None:
    row = monitor(up=seconds(84_210), down=seconds(90), down_lo=seconds(90), down_hi=seconds(90))

    assert data_of(day(row))["components"][0]["availability"] == 0.998932384341637


def test_the_trend_compares_p95_with_the_period_before() -> None:
    rows = data_of(day(monitor("a", previous_p95_ms=32.0), monitor("b", previous_p95_ms=None)))["components"]

    assert [row["p95_change"] for row in rows] == [0.25, None]


def test_detecting_and_healing_add_up_to_the_outage() -> None:
    told = data_of(day(fallen(), incidents=(incident(),)))["incidents"][0]

    assert (told["detect_s"], told["heal_s"], told["duration_s"]) == (12.0, 6.4, 18.4)


def test_means_are_taken_over_the_incidents_that_were_opened_in_the_period() -> None:
    from_yesterday = incident("i0", opened_at=at(-5), fault_lo=at(-5), fault_hi=at(-5), closed_at=at(1))
    by_itself = incident(
        "i2", opened_at=at(5, 0, 20), fault_lo=at(5), fault_hi=at(5), closed_at=at(5, 1), healed_by="itself"
    )
    overall = data_of(day(fallen(), incidents=(from_yesterday, incident(), by_itself)))["overall"]

    assert overall["mttd_s"] == 16.0  # of 12 and 20
    assert overall["mttr_s"] == 39.2  # of 18.4 and 60
    assert overall["mean_heal_s"] == 6.4
    assert overall["incidents"] == {"defib": 2, "itself": 1, "otherwise": 0, "open": 0}


def test_an_open_incident_lasts_until_the_report_is_made() -> None:
    told = data_of(day(fallen(), incidents=(still_open(),)))

    assert told["incidents"][0]["duration_s"] == 29 * 3600 + 2
    assert told["incidents"][0]["heal_s"] is None
    assert told["overall"]["mttr_s"] is None


def test_an_incident_that_neither_defib_nor_time_ended_says_why_it_was_closed() -> None:
    document = write(
        day(fallen(), incidents=(incident(healed_by=None, resolution="the monitor was removed"),))
    )

    assert json.loads(document.data)["incidents"][0]["ending"] == "otherwise"
    assert "closed: the monitor was removed" in document.text


def test_components_come_worst_first() -> None:
    order = data_of(
        day(
            monitor("well-a"),
            monitor("well-b", counts={"healthy": 2879, "error": 1}),
            fallen("worse", down=900),
            fallen("bad", down=90, lo=90, hi=90),
            unseen("unseen"),
            fallen("broken-now", down=5, lo=5, hi=5),
            incidents=(still_open(of="broken-now"),),
        )
    )["components"]

    assert [row["id"] for row in order] == ["broken-now", "worse", "bad", "unseen", "well-b", "well-a"]


def test_how_long_defib_watched_is_measured_against_what_has_passed_of_the_period() -> None:
    told = data_of(day(monitor(), generated_at=at(12), observed=timedelta(hours=9)))

    observer = told["observer"]
    assert (observer["due_s"], observer["watched_s"], observer["watched_share"]) == (43_200.0, 32_400.0, 0.75)
    assert told["complete"] is False


# --- subject and sentences -----------------------------------------------------------------------------


def test_the_subject_names_the_day_its_availability_and_what_became_of_the_incidents() -> None:
    period = day(fallen(down=604.8, lo=600, hi=610), monitor("b"), incidents=(incident("i1"), incident("i2")))

    assert write(period).subject == "[Defib] Daily report 2026-11-20 · 99.65 % · 2 incidents healed, 0 open"


@pytest.mark.parametrize(
    ("incidents", "ending"),
    [
        ((), "100 % · no incidents"),
        ((incident(),), "1 incident healed, 0 open"),
        ((incident(), incident("i2", healed_by="itself")), "1 incident healed, 1 over by itself, 0 open"),
        ((still_open(),), "1 incident: 1 open"),
        ((incident("i1", healed_by="itself"), incident("i2", healed_by="itself")),
         "2 incidents: 2 over by themselves, 0 open"),
    ],
)  # fmt: skip
def test_the_subject_tells_how_incidents_ended(incidents: tuple[Incident, ...], ending: str) -> None:
    assert write(day(monitor(), incidents=incidents)).subject.endswith(f"· {ending}")


def test_the_subject_of_an_unfinished_day_says_so() -> None:
    subject = write(day(monitor(), generated_at=at(12), observed=timedelta(hours=12))).subject

    assert subject == "[Defib] Daily report 2026-11-20 so far · 100 % · no incidents"


def test_a_quiet_day_says_so() -> None:
    assert summary(day(monitor("a"), monitor("b"))) == [
        "Over 2 components, availability was 100 %.",
        "A quiet day: nothing failed, so there was nothing to heal.",
        "Nothing needs a person.",
    ]


def test_a_day_with_trouble_says_what_failed_what_was_healed_and_what_needs_a_person() -> None:
    period = day(
        fallen("main", name="Main Agent"),
        fallen("chat", name="Chat Agent", down=20, lo=10, hi=30),
        fallen("weather", name="Weather Agent", down=75_600, lo=75_590, hi=75_610, state="fault"),
        monitor("db"),
        incidents=(incident(), incident("i2", "chat", healed_by="itself"), still_open("i3", "weather")),
        attempts=(
            attempt(),
            attempt("a2", "weather", incident=IncidentId("i3"), outcome=AttemptOutcome.FAILED),
        ),
    )

    assert summary(period) == [
        "Over 4 components, availability was 77.86 %, and 1 of them had no downtime.",
        "There were 3 incidents: Defib healed 1 (Main Agent in 6.4 s); 1 ended by itself (Chat Agent); "
        "1 is still open (Weather Agent).",
        "Weather Agent needs a person.",
    ]


def test_one_incident_is_told_without_counting() -> None:
    told = summary(day(fallen(name="Main Agent"), incidents=(incident(),)))

    assert told[1] == "There was 1 incident: Defib healed it (Main Agent in 6.4 s)."


def test_many_incidents_are_named_up_to_three() -> None:
    broken = [f"agent-{n}" for n in range(5)]
    told = summary(
        day(*(fallen(id) for id in broken), incidents=tuple(still_open(f"i-{id}", id) for id in broken))
    )

    assert told[1] == "There were 5 incidents: 5 are still open (agent-0, agent-1, agent-2 and 2 more)."
    assert told[2] == "agent-0, agent-1, agent-2 and 2 more need a person."


def test_failed_heartbeats_without_an_incident_are_not_called_nothing() -> None:
    told = summary(day(monitor(counts={"healthy": 2877, "error": 3})))

    assert told[1] == "All was quiet: 3 heartbeats failed, but no incident came of it."


def test_downtime_without_an_incident_is_not_called_quiet() -> None:
    assert summary(day(fallen(incidents=0)))[1] == "No incident was recorded."


def test_a_day_that_defib_slept_through_is_not_called_quiet() -> None:
    told = summary(day(monitor(up=timedelta(hours=6)), observed=timedelta(hours=6)))

    assert told == [
        "Over 1 component, availability was 100 %, as far as Defib was watching (25.00 % of the day).",
        "No incident was recorded.",
        "Nothing needs a person; worth a look: Defib.",
    ]


def test_no_monitors_at_all_is_told_gracefully() -> None:
    document = write(day())

    assert json.loads(document.data)["summary"] == [
        "No component is being watched: there are no monitors.",
        "No incident was recorded.",
        "Nothing needs a person.",
    ]
    assert document.subject == "[Defib] Daily report 2026-11-20 · nothing observed · no incidents"
    assert rows(document) == []


def test_monitors_without_observations_are_told_gracefully() -> None:
    told = data_of(day(unseen("a"), unseen("b"), observed=NO_TIME, recorded_from=at(-24)))

    assert told["summary"] == [
        "No observed time counts towards availability, over 2 components.",
        "No incident was recorded.",
        "Nothing needs a person; worth a look: a, b and Defib.",
    ]
    assert told["overall"]["availability"] is None
    assert told["overall"]["healthy_share"] is None


def test_a_report_before_its_period_began_is_told_gracefully() -> None:
    document = write(day(unseen(), generated_at=at(-1), observed=NO_TIME))

    assert json.loads(document.data)["observer"]["watched_share"] is None
    assert "The period has not begun." in document.text


# --- what needs a person -------------------------------------------------------------------------------


def concern(period: Period) -> tuple[str, str, str]:
    """Urgency, topic and text of the only one."""
    [only] = data_of(period)["concerns"]
    return only["urgency"], only["topic"], only["text"]


@pytest.mark.parametrize(
    ("attempts", "efforts"),
    [
        ((), "No recovery was tried in this period."),
        ((attempt(outcome=AttemptOutcome.FAILED),), "1 attempt in this period brought no lasting success."),
        ((attempt(outcome=AttemptOutcome.DRY_RUN),), "Recovery is on dry-run: nothing was executed."),
    ],
)
def test_an_open_incident_needs_a_person_and_tells_what_defib_did(
    attempts: tuple[Attempt, ...], efforts: str
) -> None:
    urgency, topic, text = concern(day(fallen(), incidents=(still_open(),), attempts=attempts))

    assert (urgency, topic) == ("act", "open-incident")
    assert text == f"connection refused; open since 02:59:58, for 1 d 5 h. {efforts}"


def test_an_exhausted_recovery_is_told_as_given_up() -> None:
    failed = tuple(attempt(f"a{n}", number=n, outcome=AttemptOutcome.FAILED) for n in (1, 2, 3))
    gave_up = alert(event=AlertKind.RECOVERY_FAILED, kind="recovery_failed")
    _, _, text = concern(day(fallen(), incidents=(still_open(),), attempts=failed, alerts=(gave_up,)))

    assert text.endswith("Defib gave up after 3 attempts in this period.")


def test_a_fresh_incident_is_left_to_defib_for_five_minutes() -> None:
    fresh = still_open()
    so_far = day(fallen(), incidents=(fresh,), generated_at=at(3, 4), observed=timedelta(hours=3, minutes=4))

    assert concern(so_far)[0] == "look"
    assert (
        concern(replace(so_far, generated_at=at(3, 5, 10), observed=timedelta(hours=3, minutes=6)))[0]
        == "act"
    )


def test_a_fresh_incident_that_nothing_recovers_needs_a_person_at_once() -> None:
    watched = timedelta(hours=3, minutes=4)
    left_alone = fallen(recovers=False)
    so_far = day(left_alone, incidents=(still_open(),), generated_at=at(3, 4), observed=watched)

    assert concern(so_far)[0] == "act"
    assert data_of(so_far)["summary"][2] == "main needs a person."


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "No recovery was tried in this period. ana took it on at 03:20:00."),
        ("zh-Hant", "ana 已於 03:20:00 接手處理。"),
        ("tr", "ana, 03:20:00 itibarıyla üstlendi."),
    ],
)
def test_an_open_incident_says_who_took_it_on(language: str, said: str) -> None:
    taken_on = still_open(acked_at=at(3, 20), acked_by="ana")

    assert concern(day(fallen(), incidents=(taken_on,), language=language))[2].endswith(said)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Defib was not watching yet: its records begin on Saturday, 21 November 2026."),
        ("zh-Hant", "當時 Defib 尚未開始監看：其紀錄始於 2026年11月21日 星期六。"),
        ("tr", "Defib henüz izlemiyordu: kayıtları 21 Kasım 2026 Cumartesi günü başlıyor."),
    ],
)
def test_before_anything_was_watched_there_is_one_sentence_and_no_concern(language: str, said: str) -> None:
    earlier = day(unseen(), observed=NO_TIME, recorded_from=at(24), language=language)
    data = data_of(earlier)

    assert (data["summary"], data["concerns"]) == ([said], [])


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Nothing has been watched so far: 2 monitors are configured, and none of them has been looked at yet."),
        ("zh-Hant", "至今尚未監看任何項目：已設定 2 個監看項目，都還沒有檢查過。"),
        ("tr", "Şimdiye dek hiçbir şey izlenmedi: 2 monitör yapılandırılmış, hiçbirine henüz bakılmadı."),
    ],
)  # fmt: skip
def test_where_nothing_was_ever_watched_the_report_says_so_and_how_to_begin(language: str, said: str) -> None:
    never = day(unseen(), unseen("shop", name="Shop"), observed=NO_TIME, language=language)
    document = write(never)

    assert (data_of(never)["summary"][0], data_of(never)["concerns"]) == (said, [])
    assert "defib serve" in document.text
    for row in ("Shop", "MTTR", "0 %", "–"):  # nothing but the sentences: no rows without figures
        assert row not in document.text.partition("\n\n")[2]
    assert "Shop" not in document.html


def test_a_component_that_nobody_has_seen_yet_is_worth_a_look_beside_those_that_are_watched() -> None:
    assert concern(day(monitor(), unseen("shop", name="Shop")))[1] == "unobserved"


def test_a_refused_action_needs_a_person_even_when_the_incident_is_over() -> None:
    refused = attempt(outcome=AttemptOutcome.REFUSED, detail="restart.sh is writable by everybody")

    assert concern(day(fallen(), incidents=(incident(healed_by="itself"),), attempts=(refused,))) == (
        "act",
        "refused-recovery",
        "recovery was refused: systemctl restart main (restart.sh is writable by everybody).",
    )


def test_a_component_degraded_at_the_end_is_worth_a_look() -> None:
    slow = alert(event=AlertKind.DEGRADED, kind="agent_slow", severity=Severity.LOW)

    assert concern(day(monitor(state="degraded"), alerts=(slow,))) == (
        "look", "degraded", "degraded at the end: connection refused.",
    )  # fmt: skip


def test_notices_that_were_given_up_are_worth_a_look() -> None:
    assert concern(day(monitor(), deliveries={"ops-chat": {"delivered": 4, "dead": 2}})) == (
        "look", "undelivered", "2 notices could not be delivered.",
    )  # fmt: skip


def test_paused_components_are_nobodys_concern() -> None:
    assert data_of(day(monitor(), unseen("laptop", state="paused")))["concerns"] == []


# --- local time ----------------------------------------------------------------------------------------


def test_times_are_shown_in_the_zone_of_the_report() -> None:
    text = write(day(fallen(), incidents=(incident(),), attempts=(attempt(),), alerts=(alert(),))).text

    assert "02:59:58 (± 2.0 s) – 03:00:16, 18 s · noticed after 12 s" in text
    assert "Friday, 20 November 2026" in text


def test_a_time_outside_the_day_carries_its_date() -> None:
    overnight = incident(closed_at=MIDNIGHT + DAY + timedelta(minutes=3))

    assert (
        "02:59:58 (± 2.0 s) – 21 Nov 00:03:00, 21 h 3 min"
        in write(day(fallen(), incidents=(overnight,))).text
    )


def long_day(**changes: Any) -> Period:
    """25 October 2026 in Berlin: at 03:00 the clocks went back to 02:00."""
    start, end = datetime(2026, 10, 25, tzinfo=BERLIN), datetime(2026, 10, 26, tzinfo=BERLIN)
    defaults = {"timezone": "Europe/Berlin", "start": start, "end": end, "generated_at": end + timedelta(hours=8),
                "observed": timedelta(hours=25)}  # fmt: skip
    return day(monitor(up=timedelta(hours=25)), **{**defaults, **changes})


def test_a_day_of_25_hours_is_measured_by_instants_not_by_wall_clocks() -> None:
    first, second = (
        datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
    )
    hour_long = incident(opened_at=first, fault_lo=first, fault_hi=first, closed_at=second)
    document = write(long_day(incidents=(hour_long,)))
    told = json.loads(document.data)

    observer = told["observer"]
    assert (observer["due_s"], observer["watched_s"], observer["watched_share"]) == (90_000.0, 90_000.0, 1.0)
    assert told["incidents"][0]["duration_s"] == 3600.0
    assert told["incidents"][0]["opened_at"] == "2026-10-25T02:30:00+02:00"
    assert told["incidents"][0]["closed_at"] == "2026-10-25T02:30:00+01:00"
    assert "02:30:00 CEST – 02:30:00 CET, 1 h" in document.text
    assert "Europe/Berlin · the clocks changed: 25 hours" in document.text


def test_a_week_is_told_by_its_days() -> None:
    week = day(
        monitor(up=7 * DAY),
        name="weekly",
        span=Span.WEEK,
        start=MIDNIGHT - 6 * DAY,
        observed=7 * DAY,
        incidents=(incident(),),
    )
    document = write(week)

    assert document.subject.startswith("[Defib] Weekly report 2026-11-14 – 2026-11-20 · 100 %")
    assert "14 – 20 November 2026" in document.text
    assert "20 Nov 02:59:58" in plain(document.text)


def test_an_unknown_time_zone_is_refused_with_a_remedy() -> None:
    with pytest.raises(
        DefibError, match=r"report_20261120: the time zone 'Mars/Base' is unknown; write a name such"
    ):
        write(day(monitor(), timezone="Mars/Base"))


# --- renderings ----------------------------------------------------------------------------------------


def test_every_rendering_tells_the_same() -> None:
    document = write(documented_day())
    page, text = PageText(document.html).text, text_of(documented_day())

    for told in (
        *json.loads(document.data)["summary"],
        "02:59:58 (± 2.0 s) – 03:00:16, 18 s · noticed after 12 s",
        "connection refused (refused)",
        "healed by Defib in 6.4 s",
        "systemctl restart main",
        "ran 1.2 s · well after 5.4 s",
        "main is down",
        "agent_down · al1",
        "2 delivered",
        "report_20261120 · made 21 Nov 08:00:00 by Defib 0.1.0",
    ):
        assert told in page
        assert told in text


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = PageText(write(replace(documented_day(), public_url="https://health.example.com")).html)

    assert page.links == ["https://health.example.com/reports/report_20261120", "https://health.example.com"]
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "svg", "form", "base"})
    assert "url(" not in write(documented_day()).html
    assert "@import" not in write(documented_day()).html


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", ""])
def test_only_web_addresses_become_links(url: str) -> None:
    assert PageText(write(day(monitor(), public_url=url)).html).links == []


HOSTILE = "\"'><script>alert(1)</script>\u202e\n=1+1"


def hostile_day(count: int = 1) -> Period:
    """Foreign strings wherever they can come in from outside."""
    ids = [f"m{n}" for n in range(count)]
    return day(
        *(fallen(id, name=HOSTILE + id, kind=HOSTILE, family=HOSTILE, state=HOSTILE, tags=(HOSTILE,)) for id in ids),
        incidents=tuple(still_open(f"i{id}", id, summary=HOSTILE * 9, cause=HOSTILE * 9) for id in ids),
        attempts=tuple(
            attempt(f"a{id}", id, description=HOSTILE * 9, detail=HOSTILE * 9, actor=HOSTILE,
                    incident=IncidentId(f"i{id}"), outcome=AttemptOutcome.FAILED)
            for id in ids
        ),
        alerts=tuple(alert(f"al{id}", of=id, title=HOSTILE * 9, kind=HOSTILE) for id in ids),
        deliveries={f"{HOSTILE}{id}": {"dead": 1, HOSTILE: 2} for id in ids},
        version=HOSTILE,
    )  # fmt: skip


def test_foreign_strings_cannot_become_markup_lines_or_directions() -> None:
    document = write(hostile_day())

    assert "script" not in PageText(document.html).tags
    assert "\u202e" not in document.html + document.text + document.csv
    assert "\n" not in document.subject


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    document = write(day(monitor(name='=HYPERLINK("http://evil.example")', tags=("@x",))))

    assert rows(document)[0]["name"] == '\'=HYPERLINK("http://evil.example")'
    assert rows(document)[0]["tags"] == "'@x"


def test_strings_that_utf8_cannot_carry_do_not_stop_the_report() -> None:
    document = write(day(monitor(name="a\udcffb"), incidents=(incident(summary="\udcff"),)))

    for part in (document.html, document.text, document.data, document.csv, document.subject):
        part.encode("utf-8")


def test_what_is_bad_is_told_without_colour() -> None:
    page = PageText(write(day(fallen(state="fault"), monitor("db"), incidents=(still_open(),))).html).text

    for told in ("■ needs a person", "■ fault", "● up", "■ still open"):
        assert told in page


def test_small_installations_are_shown_in_full() -> None:
    document = write(day(*(monitor(f"agent-{n:02}") for n in range(40))))

    assert all(f"agent-{n:02}" in document.text for n in range(40))
    assert "without any trouble" not in document.text


def test_of_many_components_those_with_trouble_are_shown_and_the_healthy_ones_summed_up() -> None:
    many = [monitor(f"agent-{n:04}") for n in range(990)] + [fallen(f"broken-{n}") for n in range(10)]
    document = write(day(*many))
    page = PageText(document.html).text

    assert all(f"broken-{n}" in page for n in range(10))
    assert "agent-0000" not in page
    assert "990 more components without any trouble, 2,851,200 heartbeats together." in page
    assert len(rows(document)) == 1000


def test_of_many_healthy_components_a_few_stand_for_all() -> None:
    text = text_of(day(*(monitor(f"agent-{n:04}") for n in range(1000))))

    assert text.count("2,880 healthy") == 8
    assert "992 more components without any trouble, 2,856,960 heartbeats together." in text


def test_trouble_that_does_not_fit_is_counted() -> None:
    text = text_of(day(*(fallen(f"broken-{n:03}") for n in range(100)), monitor()))

    assert (
        "60 more components with trouble (in the CSV and JSON) and 1 more component without any trouble"
        in text
    )


def test_the_page_stays_below_100_kb_with_1000_components_in_the_worst_shape() -> None:
    document = write(hostile_day(1000))

    assert 50_000 < len(document.html.encode()) <= 100_000
    assert len(json.loads(document.data)["incidents"]) == 1000


def test_a_report_over_1000_monitors_takes_less_than_half_a_second() -> None:
    period = day(
        *(fallen(f"m{n}") if n % 20 == 0 else monitor(f"m{n}") for n in range(1000)),
        incidents=tuple(incident(f"i{n}", f"m{n}") for n in range(0, 1000, 20)),
        attempts=tuple(attempt(f"a{n}", f"m{n}") for n in range(0, 1000, 20)),
        alerts=tuple(alert(f"al{n}", of=f"m{n}") for n in range(0, 1000, 20)),
    )
    writer = daily.create()

    began = time.process_time()
    writer.write(period)
    assert time.process_time() - began < 0.5


def test_the_text_part_keeps_to_72_columns_also_with_wide_characters() -> None:
    long = day(fallen(name="備份" * 20), monitor("b" * 90), incidents=(incident(summary="無法連線" * 30),))

    assert max(width(line) for line in write(long).text.splitlines()) == 72


TAGS = {
    "body", "br", "code", "div", "h1", "h2", "head", "html", "meta", "p", "span", "strong", "style", "table", "tbody",
    "td", "th", "thead", "title", "tr",
}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=200), min_size=6, max_size=6))
def test_any_strings_keep_the_text_in_shape_and_the_page_free_of_tags(texts: list[str]) -> None:
    name, kind, summary, what, title, channel = texts
    document = write(
        day(
            fallen(name=name, kind=kind, state=kind),
            incidents=(incident(summary=summary, cause=title),),
            attempts=(attempt(description=what, detail=summary),),
            alerts=(alert(title=title, kind=kind),),
            deliveries={channel: {kind: 3, "dead": 1}},
        )
    )

    assert all(width(line) <= 72 for line in document.text.split("\n"))
    assert PageText(document.html).tags == TAGS
    assert json.loads(document.data)["components"][0]["kind"] == kind.encode("utf-8", "replace").decode()
    assert len(rows(document)) == 1


def test_the_table_has_one_row_per_component_with_all_numbers() -> None:
    first, second = rows(write(documented_day()))

    assert first == {
        "report": "report_20261120", "date": "2026-11-20", "id": "main", "name": "Main Agent", "kind": "http",
        "family": "agent", "state": "up", "tags": "agents",
        "availability": "0.9997870370370371", "availability_lo": "0.9997638888888889",
        "availability_hi": "0.9998101851851852",
        "up_s": "86381.6", "down_s": "18.4", "down_lo_s": "16.4", "down_hi_s": "20.4",
        "healthy": "2878", "unhealthy": "0", "error": "2", "unknown": "0",
        "mean_ms": "15.0", "p50_ms": "12.0", "p95_ms": "40.0", "p99_ms": "80.0", "previous_p95_ms": "32.0",
        "p95_change": "0.25", "incidents": "1", "open_incidents": "0", "falls": "0", "availability_before": "",
        "availability_week_before": "", "p95_week_before_ms": "", "slo": "", "budget_spent_share": "", "burn_rate": "",
    }  # fmt: skip
    assert (second["id"], second["previous_p95_ms"], second["p95_change"]) == ("db", "", "")


# --- the reference -------------------------------------------------------------------------------------


def fenced(language: str) -> list[Any]:
    """The JSON in the reference's code blocks of a kind."""
    return [
        json.loads(block)
        for block in re.findall(rf"```{language}\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    ]


@pytest.fixture(scope="module")
def schema() -> Any:
    [only] = fenced("json schema")
    jsonschema.Draft202012Validator.check_schema(only)
    return only


def strictly(schema: Any) -> Any:
    """The schema with every key it does not name forbidden, and every key it names required."""
    match schema:
        case {"properties": properties}:
            rest = {key: strictly(value) for key, value in schema.items()}
            return {"additionalProperties": False, "required": list(properties), **rest}
        case dict():
            return {key: strictly(value) for key, value in schema.items()}
        case _:
            return schema


def test_the_example_in_the_reference_is_what_the_report_writes() -> None:
    [example] = fenced("json")

    assert data_of(documented_day()) == example


PERIODS = [
    pytest.param(documented_day(), id="documented"),
    pytest.param(day(), id="no-monitors"),
    pytest.param(day(unseen(), observed=NO_TIME), id="nothing-observed"),
    pytest.param(hostile_day(), id="hostile"),
    pytest.param(long_day(incidents=(still_open(),)), id="25-hours"),
    pytest.param(day(monitor(), alerts=(alert(monitor=None, incident=None),)), id="alert-of-nobody"),
]


@pytest.mark.parametrize("period", PERIODS)
def test_every_key_that_is_written_is_in_the_reference(period: Period, schema: Any) -> None:
    jsonschema.validate(
        data_of(period),
        strictly(schema),
        jsonschema.Draft202012Validator,
        format_checker=jsonschema.FormatChecker(),
    )


@pytest.mark.parametrize(
    ("events", "end"),
    [
        ((AlertKind.FLAPPING,), "it still does"),
        ((AlertKind.FLAPPING, AlertKind.STILL_FLAPPING), "it still does"),
        ((AlertKind.FLAPPING, AlertKind.SETTLED), "it has settled since"),
    ],
)
def test_what_went_up_and_down_is_worth_a_look(events: tuple[AlertKind, ...], end: str) -> None:
    alerts = tuple(alert(f"al{number}", event) for number, event in enumerate(events))
    incidents = tuple(incident(f"i{number}") for number in range(4))

    period = day(monitor(), alerts=alerts, incidents=incidents)

    assert concern(period) == ("look", "flapping", f"went up and down: 4 incidents; {end}.")


def test_the_noisiest_of_those_that_flap_comes_first() -> None:
    alerts = (alert("al1", AlertKind.FLAPPING, of="quiet"), alert("al2", AlertKind.FLAPPING, of="noisy"))
    incidents = (incident("i1", of="quiet"), incident("i2", of="noisy"), incident("i3", of="noisy"))

    found = data_of(day(monitor("quiet"), monitor("noisy"), alerts=alerts, incidents=incidents))["concerns"]

    assert [item["text"] for item in found] == [
        "went up and down: 2 incidents; it still does.", "went up and down: 1 incident; it still does.",
    ]  # fmt: skip

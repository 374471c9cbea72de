"""What a busy day's report says beside its figures: what is ahead, what came and went, what was held back, in words."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from defib.plugin import Missed, MonitorId, Past, Period, Span
from defib_reports.daily.wording import plain
from report_days import busy_day
from report_samples import DAY, alert, at, data_of, day, incident, monitor, seconds, text_of, write


def concerns(period: Period) -> dict[str, tuple[str, str]]:
    """By topic: urgency and text."""
    return {c["topic"]: (c["urgency"], f"{c['subject']}: {c['text']}") for c in data_of(period)["concerns"]}


def test_what_ends_or_is_full_within_a_week_needs_a_person_and_what_is_farther_away_only_stands_ahead() -> (
    None
):
    busy = busy_day()
    [forecast] = busy.forecasts
    now = busy.generated_at
    soon = replace(
        forecast,
        full_at=now + timedelta(days=6, hours=1),
        full_lo=now + timedelta(days=4),
        full_hi=now + timedelta(days=9),
    )

    found = concerns(replace(busy, forecasts=(soon,)))

    assert found["certificate"] == (
        "act",
        "Web shop: its certificate ends in 5 days, on Thursday, 26 November 2026.",
    )
    assert found["filling-up"] == (
        "act",
        "Host hk-1: the disk is 87 % full and will be full in about 6 days (between 4 and 9; +0.8 % a day).",
    )
    assert "filling-up" not in concerns(busy)
    assert (
        "the disk is 87 % full and will be full in about 16 days (between 12 and 21; +0.8 % a day)"
        in text_of(busy)
    )


def test_a_spent_budget_is_worth_a_look() -> None:
    assert concerns(busy_day())["budget-spent"] == (
        "look", "Weather Agent: its error budget is spent: 4 h 11 min of 3 h 36 min downtime in 30 days.",
    )  # fmt: skip


def test_budgets_come_with_the_least_left_first() -> None:
    text = write(busy_day()).text

    assert text.index("117 % spent") < text.index("40 % spent")
    assert "99.9 % over 30 days · 17 min 14 s of 43 min 12 s · burn rate 1.5×" in plain(text)


@pytest.mark.parametrize(
    ("missed", "said"),
    [
        (Missed(monitor=MonitorId("backup"), times=1, is_missing=True), "missed 1 report, and has not reported since."),
        (Missed(monitor=MonitorId("backup"), times=2, is_missing=False), "missed 2 reports."),
        (Missed(monitor=MonitorId("backup"), times=3, is_missing=False, next_due=at(27, 30)),
         "missed 3 reports; it has reported since, and is due again by 21 Nov 03:30:00."),
    ],
)  # fmt: skip
def test_jobs_that_did_not_report_are_told_with_what_is_next(missed: Missed, said: str) -> None:
    assert f"Nightly backup: {said}" in text_of(busy_day(missed=(missed,)))


def test_outages_that_come_and_go_in_the_same_way_are_told_as_one() -> None:
    text = text_of(busy_day())

    assert text.count("Gateway: ") == 2  # once as a concern
    assert (
        "Gateway: 6 times: ended by themselves 10:00:00 – 10:26:10, 7 min in all · noticed after 9.0 s on average "
        "gateway runs, but its health check fails: 502 (unhealthy)" in text
    )
    assert len(data_of(busy_day())["incidents"]) == 10  # programs get each of them


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("no answer within 5 s, while connecting (timeout)", "HTTP 500 in 12 ms (http-500)",
                "gateway runs, but its health check fails: 502 (unhealthy)",
                "no beat by 03:30:00; they come every 1 d, none ever came (missed-beat)",
                "Defib's event loop has been held up for 2.1 s.")),
        ("zh-Hant", ("5 秒內沒有回應，當時正在建立連線 (timeout)", "HTTP 500，耗時 12 毫秒 (http-500)",
                     "gateway 執行中，但健康檢查失敗：502 (unhealthy)",
                     "到 03:30:00 仍未收到心跳；每 1 天一次，從未收到過 (missed-beat)",
                     "Defib 的事件迴圈已卡住 2.1 秒。")),
        ("tr", ("5 sn içinde yanıt yok, o sırada bağlantı kuruluyordu (timeout)", "HTTP 500, 12 ms (http-500)",
                "gateway çalışıyor ama sağlık denetimi başarısız: 502 (unhealthy)",
                "03:30:00 itibarıyla bildirim yok; sıklığı: her 1 gün, hiç gelmedi (missed-beat)",
                "Defib'in olay döngüsü 2,1 sn boyunca takıldı.")),
    ],
)  # fmt: skip
def test_what_was_seen_is_told_in_the_readers_language(language: str, said: tuple[str, ...]) -> None:
    text = text_of(busy_day(language))

    assert [sentence for sentence in said if sentence not in text] == []


def test_two_of_a_kind_are_told_one_by_one() -> None:
    twice = day(monitor(), incidents=(incident("i1"), incident("i2", opened_at=at(5), closed_at=at(6))))

    assert text_of(twice).count("main: healed by Defib") == 2


def test_an_incident_with_attempts_has_its_timeline() -> None:
    text = text_of(busy_day())

    assert (
        "03:00:10 decided that it is a fault 03:00:11 systemctl restart main: worked 03:00:16 seen well again"
        in text
    )
    assert "21:40:00 acknowledged by ayse" in text


def test_the_noisiest_are_those_that_fell_most_often() -> None:
    assert data_of(busy_day())["noisiest"] == [
        {"component": "gateway", "incidents": 6, "falls": 6, "alerts": 2},
        {"component": "main", "incidents": 2, "falls": 2, "alerts": 2},
    ]


def test_an_alert_that_was_held_back_says_by_what() -> None:
    held = next(item for item in data_of(busy_day())["alerts"] if item["held"])

    assert held["id"] == "al3"
    assert held["held"] == [
        {
            "stage": "mute",
            "ruling": "held",
            "reason": "quiet hours until 07:00",
            "until": "2026-11-20T07:00:00+08:00",
        }
    ]
    assert "ALERTS (1 was held back)" in write(busy_day()).text
    assert "held back by quiet hours until 07:00:00" in text_of(busy_day())


def test_defib_tells_its_own_gaps_sick_spells_lateness_and_size() -> None:
    text = text_of(busy_day())

    assert "Gap: 06:02:00 – 06:20:00, 18 min." in text
    assert (
        "From 15:01:00 to 15:03:20 it could not judge: Defib's event loop has been held up for 2.1 s." in text
    )
    assert "Of the newest looks 99 % began within 34 ms of their time." in text
    assert "Its store takes 13.4 MB." in text


@pytest.mark.parametrize(
    ("span", "length", "said"),
    [
        (Span.DAY, 1, "the day before"),
        (Span.WEEK, 7, "the week before"),
        (Span.MONTH, 30, "the month before"),
    ],
)
def test_the_first_sentence_compares_with_the_period_before_where_that_was_different(
    span: Span, length: int, said: str
) -> None:
    well = day(monitor(up=length * DAY), span=span, end=day().start + length * DAY, observed=length * DAY,
               generated_at=day().start + (length + 1) * DAY)  # fmt: skip

    def first(before: float) -> str:
        return str(data_of(replace(well, before=Past(availability=before)))["summary"][0])

    assert first(0.9971) == f"Over 1 component, availability was 100 %, against 99.71 % {said}."
    assert first(1.0) == "Over 1 component, availability was 100 %."


def test_wide_bounds_stand_in_the_first_sentence() -> None:
    down: dict[str, Any] = {
        "down": seconds(864),
        "down_lo": seconds(0),
        "down_hi": seconds(1728),
        "up": DAY - seconds(864),
    }

    assert data_of(day(monitor(**down)))["summary"][0] == (
        "Over 1 component, availability was 99.00 % (at least 98.00 %, at most 100 %)."
    )


def test_the_same_weekday_a_week_before_stands_beside_the_day_before() -> None:
    text = text_of(busy_day())

    assert (
        "Availability (between 97.66 % and 97.68 %, the day before 99.97 %, a week before 99.991 %)" in text
    )
    assert "p99 180 ms · a week before: p95 55 ms" in text


SUMMARIES = {
    "en": [
        "Over 8 components, availability was 97.67 %, against 99.97 % the day before, and 4 of them had no downtime, "
        "as far as Defib was watching (98.75 % of the day).",
        "There were 10 incidents: Defib healed 2 (Main Agent ×2); 7 ended by themselves (Nightly backup and Gateway ×6)"
        "; 1 is still open (Weather Agent).",
        "Weather Agent and Web shop need a person; worth a look: Gateway, Host hk-1, ops-chat and 1 more.",
    ],
    "zh-Hant": [
        "8 個元件的可用率為 97.67%，前一日為 99.97%，其中 4 個未曾停機（以 Defib 監看到的為準：當日的 98.75%）。",
        "共 10 起事故：Defib 修復 2 起（Main Agent ×2）；7 起自行恢復（Nightly backup 與 Gateway ×6）；"
        "1 起仍未解決（Weather Agent）。",
        "Weather Agent 與 Web shop 需要人工處理；值得留意：Gateway、Host hk-1、ops-chat 與 另外 1 個。",
    ],
    "tr": [
        "8 bileşen için erişilebilirlik %97,67, önceki gün %99,97, 4 tanesi hiç kesintiye uğramadı; Defib’in izlediği "
        "kadarıyla (günün %98,75 kadarı).",
        "10 olay oldu: 2 tanesini Defib onardı (Main Agent ×2); 7 tanesi kendiliğinden bitti (Nightly backup ve "
        "Gateway ×6); 1 tanesi hâlâ açık (Weather Agent).",
        "Birine ihtiyacı olan: Weather Agent ve Web shop; göz atmaya değer: Gateway, Host hk-1, ops-chat ve "
        "1 tane daha.",
    ],
}  # fmt: skip


@pytest.mark.parametrize("language", SUMMARIES)
def test_the_three_sentences_in_each_language(language: str) -> None:
    assert data_of(busy_day(language))["summary"] == SUMMARIES[language]


@pytest.mark.parametrize(
    ("language", "heading", "section"),
    [
        ("en", "Daily report · Friday, 20 November 2026", "NEEDS A PERSON"),
        ("zh-Hant", "每日報告 · 2026年11月20日 星期五", "需要人工處理"),
        ("tr", "Günlük rapor · 20 Kasım 2026 Cuma", "BİRİNE İHTİYACI VAR"),  # the i keeps its dot
    ],
)
def test_dates_and_headings_are_those_of_the_language(language: str, heading: str, section: str) -> None:
    text = write(busy_day(language)).text

    assert heading in text
    assert f"\n{section}\n" in text


def test_programs_read_the_same_numbers_whatever_the_language() -> None:
    def numbers(language: str) -> dict[str, Any]:
        words = ("subject", "summary", "concerns", "language")
        return {key: value for key, value in data_of(busy_day(language)).items() if key not in words}

    assert numbers("zh-Hant") == numbers("tr") == numbers("en")
    assert write(busy_day("tr")).csv == write(busy_day()).csv


def test_a_report_with_a_name_of_its_own_says_it() -> None:
    document = write(replace(day(monitor(), tags=("agents", "prod")), name="team-a"))

    assert document.subject.startswith("[Defib] Daily report · team-a 2026-11-20 · 100 %")
    assert "Asia/Hong_Kong · agents, prod" in document.text
    assert json.loads(document.data)["tags"] == ["agents", "prod"]


def test_a_title_that_was_written_in_english_is_told_in_the_reports_language() -> None:
    text = text_of(
        day(monitor(name="Main Agent"), alerts=(alert(title="Main Agent is down"),), language="tr")
    )

    assert "Main Agent: çalışmıyor" in text
    assert "is down" not in text

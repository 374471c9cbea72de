"""A beat that stays away, told by the readers' clock and in their language."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alert_samples import make_alert, make_facts
from defib.plugin import Askable, Beat, BuildContext, Evidence, MonitorId, PushedMonitor, Signal
from defib.rules.delivering.local_time import stamped
from defib_alerts.details import details_of
from defib_alerts.texts import StandardTexts
from defib_alerts.wording import Voice
from defib_plugins import agent, heartbeat

HEARD = datetime(2026, 1, 3, 14, 10, tzinfo=UTC)  # 22:10 in Hong Kong, on the day of the samples


def pushed(kinds: Any, **options: Any) -> PushedMonitor:
    (kind,) = kinds
    created = kind.create(kind.options.model_validate(options), BuildContext(base=Path("/")))
    assert isinstance(created, PushedMonitor)
    return created


JOB = pushed(heartbeat.defib_monitors(), every="30s", misses=2)
AGENT = pushed(agent.defib_monitors())
PROBED = [
    pushed(agent.defib_monitors(), probe="http://127.0.0.1:9/health"),
    pushed(heartbeat.defib_monitors(), every="30s", probe="http://127.0.0.1:9/health"),
]
RUN = pushed(heartbeat.defib_monitors(), every="1h", max_runtime="5m")


def silent(monitor: PushedMonitor, signal: Signal = Signal.ALIVE) -> Evidence:
    """What the first deadline after one beat comes to."""
    beat = Beat(monitor=MonitorId("job"), signal=signal, received_at=HEARD, protocol="ping")
    memory = monitor.fold({}, beat).memory
    deadline = monitor.deadline(memory)
    assert deadline is not None
    evidence = monitor.missed(memory, deadline).evidence
    assert evidence is not None
    return evidence


@pytest.mark.parametrize(
    ("monitor", "signal", "raw", "english", "chinese", "turkish"),
    [
        (JOB, Signal.ALIVE,
         "the beat expected at 2026-01-03 14:10:30 UTC is more than 3s late; every 30s, 2 in a row, the last came at "
         "2026-01-03 14:10:00 UTC",
         "the beat expected at 22:10:30 is more than 3 s late; every 30 s, 2 in a row, the last came at 22:10:00",
         "預期於 22:10:30 的心跳已遲到超過 3 秒；每 30 秒一次，連續 2 次，最近一次於 22:10:00",
         "22:10:30 için beklenen bildirim 3 sn süresinden fazla gecikti; her 30 sn, art arda 2, sonuncusu 22:10:00 "
         "itibarıyla geldi"),
        (RUN, Signal.START,
         "the run that began at 2026-01-03 14:10:00 UTC has not ended within 5m",
         "the run that began at 22:10:00 has not ended within 5 min",
         "於 22:10:00 開始的執行未在 5 分鐘內結束",
         "22:10:00 itibarıyla başlayan çalışma 5 dk içinde bitmedi"),
    ],
)  # fmt: skip
def test_what_is_said_of_beats_is_said_anew(
    monitor: PushedMonitor, signal: Signal, raw: str, english: str, chinese: str, turkish: str
) -> None:
    evidence = silent(monitor, signal)
    facts = make_facts(summary=evidence.summary, facts=evidence.facts)

    assert evidence.summary == raw
    assert Voice.of(facts, "en").told(evidence.summary) == english
    assert Voice.of(facts, "zh-Hant").told(evidence.summary) == chinese
    assert Voice.of(facts, "tr").told(evidence.summary) == turkish


def test_an_agents_silence_has_no_clock_but_the_readers() -> None:
    evidence = silent(AGENT)
    seen = (stamped("22:15:19", evidence.summary),)
    facts = make_facts(summary=evidence.summary, facts=evidence.facts, cause=evidence.cause, evidence=seen)
    alert = StandardTexts().compose(facts)

    assert "UTC" in evidence.summary
    assert "the last came at 22:10:00" in alert.description
    assert "UTC" not in alert.description + " ".join(alert.evidence)


@pytest.mark.parametrize("monitor", PROBED)
@pytest.mark.parametrize("look", [Evidence.ok("200 in 3 ms"), Evidence.fail("refused", "connection refused")])
def test_an_answer_to_a_question_is_recognised_too(monitor: PushedMonitor, look: Evidence) -> None:
    assert isinstance(monitor, Askable)
    beat = Beat(monitor=MonitorId("job"), signal=Signal.ALIVE, received_at=HEARD, protocol="ping")
    evidence = monitor.answered(monitor.fold({}, beat).memory, (look,))
    assert evidence is not None
    facts = make_facts(summary=evidence.summary, facts=evidence.facts)

    assert Voice.of(facts, "en").told(evidence.summary).endswith("came at 22:10:00")
    assert Voice.of(facts, "zh-Hant").told(evidence.summary).endswith("於 22:10:00")


def test_a_sentence_that_does_not_know_what_it_is_made_of_stays_as_it_is() -> None:
    text = str(silent(JOB).summary)
    facts = make_facts(summary=text)

    assert Voice.of(facts, "tr").told(text) == text


def test_instants_among_the_details_are_local() -> None:
    alert = make_alert(facts={"last_beat_at": (HEARD + timedelta(seconds=7)).isoformat(), "host": "T-1"})

    details = dict(details_of(alert))
    assert details["Last beat at"] == "Sat 3 Jan 2026, 22:10:07 (Asia/Hong_Kong)"
    assert details["Host"] == "T-1"

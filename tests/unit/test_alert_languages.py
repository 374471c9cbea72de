"""Alerts in Chinese and Turkish, and the lines that lock screens show."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alert_samples import make_alert, make_facts
from defib.engine_words import SAID, spoken
from defib.plugin import LANGUAGES, AlertKind, catalogue
from defib_alerts.rendering import Templates, alert_words
from defib_alerts.samples import SAMPLES, sample_alert
from defib_alerts.subjects import subject_of
from defib_alerts.texts import StandardTexts
from defib_alerts.wording import words_in


def description(language: str, **facts: Any) -> str:
    return StandardTexts().compose(make_facts(**facts), language).description


# --- whole messages ----------------------------------------------------------------------------------


def test_a_fault_in_chinese() -> None:
    text = StandardTexts().compose(make_facts(), "zh-Hant")

    assert text.title == "Main Agent 故障"
    assert text.description == (
        "Main Agent 自 22:14:07（Asia/Hong_Kong）起持續異常：connection refused by localhost:8000。"
        "它的主機有回應，但連接埠上沒有程式在監聽：行程已消失，或還在啟動。"
        "Defib 將執行：systemctl restart openclaw-main。"
    )
    assert text.recommendations[0] == "看看它是否在執行：`systemctl status openclaw-main`"


def test_a_fault_in_turkish() -> None:
    text = StandardTexts().compose(make_facts(), "tr")

    assert text.title == "Main Agent çalışmıyor"
    assert text.description == (
        "Main Agent, 22:14:07 (Asia/Hong_Kong) anından beri hata veriyor: connection refused by localhost:8000. "
        "Makinesi yanıt veriyor, ama portu dinleyen yok: süreç yok olmuş ya da hâlâ başlıyor. "
        "Defib şunu çalıştıracak: systemctl restart openclaw-main."
    )
    assert text.recommendations[0] == "Çalışıp çalışmadığına bakın: `systemctl status openclaw-main`"


@pytest.mark.parametrize("name", SAMPLES)
def test_kind_severity_and_commands_are_the_same_in_every_language_and_all_else_is_not(name: str) -> None:
    english, *others = (sample_alert(name, language) for language in LANGUAGES)

    for other in others:
        assert (other.kind, other.severity) == (english.kind, english.severity)
        assert commands(other.recommendations) == commands(english.recommendations)
        assert other.title != english.title
        assert other.description != english.description
        told, quoted = len(english.evidence) - len(english.facts.snapshot), len(english.facts.snapshot)
        assert len(other.evidence) == told + quoted
        assert not {line[8:] for line in other.evidence[:told]} & {
            line[8:] for line in english.evidence[:told]
        }
        assert other.evidence[told:] == english.evidence[told:]


def commands(lines: tuple[str, ...]) -> list[list[str]]:
    return [re.findall(r"`[^`]*`", line) for line in lines]


def test_an_unheard_of_language_is_told_in_english() -> None:
    assert StandardTexts().compose(make_facts(), "tlh").title == "Main Agent is down"


def test_every_kind_of_alert_has_a_sample() -> None:
    assert {facts["event"] for facts in SAMPLES.values()} == set(AlertKind)


# --- what the engine says ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "chinese", "turkish"),
    [
        ("Defib would run: docker restart gateway (recovery is in dry-run mode)",
         "Defib 原本會執行：docker restart gateway（修復處於演練模式）",
         "Defib şunu çalıştırırdı: docker restart gateway (onarım prova kipinde)"),
        ("recovered by Defib in 6.4 s: systemctl restart -- web",
         "Defib 在 6.4 秒內修復：systemctl restart -- web",
         "Defib 6,4 sn içinde onardı: systemctl restart -- web"),
        ("2 attempts so far; Defib goes on: attempt 2 failed (not well 30 s after the action); next one in 40 s",
         "目前已嘗試 2 次；Defib 會繼續：第 2 次嘗試失敗（動作後 30 秒仍未恢復）；40 秒後再試",
         "Şimdiye kadar 2 deneme; Defib sürdürüyor: 2. deneme başarısız (işlemden 30 sn sonra iyi değildi); "
         "sonraki 40 sn sonra"),
        ("3 failed attempts within 30 min: needs a human", "30 分鐘內嘗試失敗 3 次：需要人工處理",
         "30 dakikada 3 başarısız deneme: bir insan gerekiyor"),
        ("Defib goes on trying, and sends alerts through ops-chat instead",
         "Defib 會繼續嘗試，並改由 ops-chat 送出警示",
         "Defib denemeyi sürdürüyor ve uyarıları ops-chat üzerinden gönderiyor"),
        ("something that nobody has translated", "something that nobody has translated",
         "something that nobody has translated"),
    ],
)  # fmt: skip
def test_what_the_engine_says_is_recognised_and_said_anew(said: str, chinese: str, turkish: str) -> None:
    assert spoken(said, words_in("en")) == said
    assert spoken(said, words_in("zh-Hant")) == chinese
    assert spoken(said, words_in("tr")) == turkish


@pytest.mark.parametrize("message", SAID)
def test_every_sentence_of_the_engine_is_recognised_as_itself(message: str) -> None:
    """None is taken for another one that stands before it."""
    values = {name: f"{name}7" for name in re.findall(r"\{(\w+)\}", message)}

    said = spoken(message.format_map(values), words_in("zh-Hant"))

    assert said == catalogue("defib", "zh-Hant").gettext(message).format_map(values)


KERNEL = Path(__file__).parents[2] / "orchestrator/defib"
UNSAID = {"detector crashed: 7", "asked again"}
"""What no alert says."""
WITH_PLURALS = {
    "7 of the group 7 7 in recovery already": "2 of the group web are in recovery already",
    "7 other recover7 first, at most 7 at once": "1 other recovery acts or goes first, at most 3 at once",
}
"""What has forms inside, and one of them."""


def test_every_plan_and_reason_of_the_engine_is_recognised() -> None:
    """A sentence that is new stays English until it stands in engine_words.py."""
    files = [*(KERNEL / "rules/recovery").glob("*.py"), *(KERNEL / "engine").rglob("*.py")]

    said = {text for file in files for text in reasons(ast.parse(file.read_text(encoding="utf-8")))}

    assert "no recovery ladder is configured" in said
    said = {WITH_PLURALS.get(text, text) for text in said - UNSAID}
    unknown = {text for text in said if spoken(text, words_in("tr")) == text}
    assert sorted(unknown) == []


def reasons(tree: ast.AST) -> Iterator[str]:
    """What is written out as a plan or a reason, 7 in the place of what it is filled with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in MAKERS:
            for keyword in node.keywords:
                if keyword.arg in ("reason", "recovery", "resolution", "effect", "detail"):
                    yield from (text for text in written_out(keyword.value) if " " in text)


MAKERS = {"Shut", "Page", "replace", "_facts", "Trouble", "Case"}


def written_out(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts)
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*written_out(body), *written_out(orelse))


# --- subjects ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "english", "chinese", "turkish"),
    [
        ("down", "[SEVERE] Orders is down: connection refused (since 18:10)",
         "[嚴重] Orders 故障：連線遭拒（02:10 起）",
         "[KRİTİK] Orders çalışmıyor: bağlantı reddedildi (başlangıç 21:10)"),
        ("down-http-500", "[HIGH] Shop is down: HTTP 500 (since 18:10)",
         "[高] Shop 故障：HTTP 500（02:10 起）",
         "[YÜKSEK] Shop çalışmıyor: HTTP 500 (başlangıç 21:10)"),
        ("down-oom", "[HIGH] Gateway is down: killed for want of memory (since 18:10)",
         "[高] Gateway 故障：因記憶體不足被終止（02:10 起）",
         "[YÜKSEK] Gateway çalışmıyor: bellek yetmediği için sonlandırıldı (başlangıç 21:10)"),
        ("degraded",
         "[LOW] nas is running out of disk space: disk /srv/backup at 91.2 % (limit 85 %) (since 18:10)",
         "[低] nas 的磁碟空間快用完了：磁碟 /srv/backup：91.2%（上限 85%）（02:10 起）",
         "[DÜŞÜK] nas: disk alanı tükeniyor: /srv/backup diski: %91,2 (sınır %85) (başlangıç 21:10)"),
        ("recovered", "[RECOVERED] Orders has recovered (after 2 min 35 s)",
         "[已恢復] Orders 已恢復（歷時 2 分 35 秒）", "[DÜZELDİ] Orders düzeldi (2 dk 35 sn sonra)"),
        ("escalated", "[SEVERE] Nobody has taken it on: Orders is down: connection refused (since 18:02)",
         "[嚴重] 還沒有人接手：Orders 故障：連線遭拒（02:02 起）",
         "[KRİTİK] Kimse üstlenmedi: Orders çalışmıyor: bağlantı reddedildi (başlangıç 21:02)"),
        ("digest", "[SEVERE] 6 alerts, 4 still open: Orders, Shop, Gateway, nas",
         "[嚴重] 6 則警示，4 則還沒解決：Orders、Shop、Gateway、nas",
         "[KRİTİK] 6 uyarı, 4 tanesi hâlâ açık: Orders, Shop, Gateway, nas"),
        ("test", "[INFO] Test: this channel works", "[資訊] 測試：這個管道可以使用",
         "[BİLGİ] Deneme: bu kanal çalışıyor"),
    ],
)  # fmt: skip
def test_a_subject_is_understood_on_a_lock_screen(
    name: str, english: str, chinese: str, turkish: str
) -> None:
    said = [subject_of(sample_alert(name, language), language) for language in LANGUAGES]

    assert said == [english, chinese, turkish]


def test_the_day_stands_in_the_subject_when_it_was_another() -> None:
    since = make_facts().since.replace(day=2)

    assert (
        subject_of(make_alert(since=since))
        == "[HIGH] Main Agent is down: connection refused (since Fri 2 Jan 22:14)"
    )


def test_a_long_name_leaves_a_subject_of_one_line() -> None:
    assert len(subject_of(make_alert(monitor_name="Main " * 60))) == 150


# --- text parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_text_mail_fits_its_columns_but_for_what_is_to_be_copied(name: str, language: str) -> None:
    from defib_alerts.layout import width

    words = alert_words(
        sample_alert(name, language), product_url="https://defib.example.com", language=language
    )
    text = Templates().render("alert.txt.j2", words).text

    too_long = [
        line for line in text.splitlines() if width(line) > 72 and "`" not in line and "://" not in line
    ]
    assert too_long == []
    assert "\n\n\n" not in text

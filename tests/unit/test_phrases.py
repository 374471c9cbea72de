"""Sentences that know what they are made of: their English, their form in the store, and in other languages."""

import copy
import json
import pickle
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from defib.languages import catalogue
from defib.model.phrase import Lapse, Moment, Phrases, Said, Several, Size, glossary, made_again, made_of
from defib.retelling import retell

phrase = Phrases("defib_plugins")
AT = datetime(2026, 1, 3, 14, 10, tzinfo=UTC)
REFUSED = phrase("connection refused by {address}", address="db:5432")


@pytest.mark.parametrize(
    ("said", "english"),
    [
        (REFUSED, "connection refused by db:5432"),
        (phrase("no answer within {limit}, while {phase}", limit=Lapse(90), phase=phrase("connecting")),
         "no answer within 1m30s, while connecting"),
        (phrase("{what} at {share:.1f} %", what=phrase("CPU"), share=97.34), "CPU at 97.3 %"),
        (phrase("pid {pid} with {memory}", pid=1200, memory=Size(52_428_800)), "pid 1200 with 52.4 MB"),
        (phrase("the last came at {last_beat_at}", last_beat_at=Moment(AT, "Asia/Hong_Kong")),
         "the last came at 2026-01-03 22:10:00 HKT"),
        (phrase("{readings}", readings=Several((REFUSED, "b"), "; ")), "connection refused by db:5432; b"),
    ],
)  # fmt: skip
def test_a_sentence_is_its_english_and_comes_back_from_json_with_its_parts(said: str, english: str) -> None:
    parts = json.loads(json.dumps(made_of(said)))
    again = made_again(english, parts)

    assert said == english
    assert isinstance(again, Said)
    assert again == english
    assert made_of(again) == made_of(said)


def test_copies_and_pickles_keep_the_parts() -> None:
    for again in (copy.deepcopy(REFUSED), copy.copy(REFUSED), pickle.loads(pickle.dumps(REFUSED))):
        assert made_of(again) == made_of(REFUSED)


@pytest.mark.parametrize(
    "parts",
    [
        None,
        {
            "message": "connection refused by {address}",
            "package": "defib_plugins",
            "values": {"address": "web:80"},
        },
        {"message": "connection refused by {address}", "package": "defib_plugins", "values": {}},
        {"message": "{address}", "package": "defib_plugins", "values": {"address": {"future": 1}}},
        {
            "message": "{at}",
            "package": "p",
            "values": {"at": {"moment": AT.isoformat(), "zone": "Mars/Olympus"}},
        },
        {"message": "x"},
    ],
)
def test_parts_that_do_not_make_the_sentence_leave_it_as_it_is(parts: dict[str, object] | None) -> None:
    again = made_again("connection refused by db:5432", parts)

    assert again == "connection refused by db:5432"
    assert not isinstance(again, Said)


def test_a_glossary_holds_what_knows_its_parts() -> None:
    assert list(glossary((REFUSED, "said by somebody else"))) == ["connection refused by db:5432"]


# --- in other languages ------------------------------------------------------------------------------


def local(at: datetime) -> str:
    return f"{at:%H:%M}"


@pytest.mark.parametrize(
    ("said", "english", "chinese", "turkish"),
    [
        (REFUSED, "connection refused by db:5432", "db:5432 拒絕連線", "db:5432 bağlantıyı reddetti"),
        (phrase("no answer within {limit}, while {phase}", limit=Lapse(1.5), phase=phrase("connecting")),
         "no answer within 1.5 s, while connecting", "1.5 秒內沒有回應，當時正在建立連線",
         "1,5 sn içinde yanıt yok, o sırada bağlantı kuruluyordu"),
        (phrase("no answer within {limit}, while {phase}", limit=Lapse(0.35), phase=phrase("running the query")),
         "no answer within 350 ms, while running the query", "350 毫秒內沒有回應，當時正在執行查詢",
         "350 ms içinde yanıt yok, o sırada sorgu çalışıyordu"),
        (phrase("{reading} (limit {limit})", reading=phrase("{what} at {share:.1f} %", what=phrase("memory"),
                share=91.26), limit=phrase("{share} %", share=85)),
         "memory at 91.3 % (limit 85 %)", "記憶體：91.3%（上限 85%）", "bellek: %91,3 (sınır %85)"),
        (phrase("{n} processes with {memory}", n=4, memory=Size(1_234_000)),
         "4 processes with 1.23 MB", "4 個行程，使用記憶體 1.23 MB", "4 süreç, bellek 1,23 MB"),
        (phrase("the last came at {last_beat_at}", last_beat_at=Moment(AT, "Asia/Hong_Kong")),
         "the last came at 14:10", "最近一次於 14:10", "sonuncusu 14:10 itibarıyla geldi"),
        (phrase("{complaints}", complaints=Several(("a", phrase("its body is not JSON")), "; ")),
         "a; its body is not JSON", "a；內容不是 JSON", "a; gövdesi JSON değil"),
        (phrase("{figures}", figures=Several((phrase("CPU {share:.0f} %", share=12.4),
                phrase("load {load:.2f}", load=0.5)))),
         "CPU 12 %, load 0.50", "CPU 12%、負載 0.50", "CPU %12, yük 0,50"),
    ],
)  # fmt: skip
def test_it_is_said_anew_with_figures_as_each_language_writes_them(
    said: str, english: str, chinese: str, turkish: str
) -> None:
    told = [retell(said, catalogue("defib_alerts", language), local) for language in ("en", "zh-Hant", "tr")]

    assert told == [english, chinese, turkish]


def test_what_was_said_by_others_is_told_as_it_is() -> None:
    assert retell("LDAP bind failed: 49", catalogue("defib_alerts", "tr")) == "LDAP bind failed: 49"


def test_braces_in_foreign_words_are_no_places() -> None:
    said = phrase("the query failed: {error}", error="syntax error at {x}")

    assert retell(said, catalogue("defib_alerts", "tr")) == "sorgu başarısız: syntax error at {x}"


@pytest.mark.parametrize("package", ["defib_that_is_gone", "defib_gone.inner", "os.path.nowhere"])
def test_a_package_that_is_gone_leaves_the_english_and_is_not_imported(package: str) -> None:
    said = Phrases(package)("no answer for {span}", span=Lapse(1.5))

    assert retell(said, catalogue("defib_alerts", "tr")) == "no answer for 1,5 sn"
    assert package not in sys.modules


def test_a_plugin_of_anybody_brings_its_own_translations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "acme_ldap" / "locale" / "tr" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (tmp_path / "acme_ldap" / "__init__.py").write_text("raise RuntimeError('words need no import')")
    (folder / "messages.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        'msgid "bind refused for {user}"\nmsgstr "{user} için bağlanma reddedildi"\n',
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    said = Phrases("acme_ldap")("bind refused for {user}", user="cn=monitor")

    assert retell(said, catalogue("defib_alerts", "tr")) == "cn=monitor için bağlanma reddedildi"
    assert retell(said, catalogue("defib_alerts", "zh-Hant")) == "bind refused for cn=monitor"

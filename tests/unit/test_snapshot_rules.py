"""What witnesses tell, brought into bounds: size, secrets, control characters, and the few lines for a message."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.model.ids import IncidentId, MonitorId
from defib.model.snapshot import Snapshot
from defib.rules.snapshots import DIGEST_LINES, MOST_BYTES, digest, fitted, shortened

texts = st.text(st.characters(), max_size=300)


def size(parts: dict[str, str]) -> int:
    return sum(len(heading.encode()) + len(text.encode()) for heading, text in parts.items())


def test_what_fits_stays_as_it_is() -> None:
    assert fitted({"docker logs gateway": "one\ntwo\n", "load": "0.1"}) == {
        "docker logs gateway": "one\ntwo",
        "load": "0.1",
    }


def test_what_is_too_long_loses_its_middle_and_says_how_much() -> None:
    text = "".join(f"line {number:06d}\n" for number in range(20_000))

    (short,) = fitted({"log": text}).values()

    assert short.startswith("line 000000\nline 000001\n")
    assert short.endswith("line 019998\nline 019999")
    assert "bytes left out …]" in short
    assert 65_000 < size({"log": short}) <= MOST_BYTES


def test_short_parts_stay_whole_beside_a_long_one() -> None:
    parts = fitted({"log": "x" * 1_000_000, "load": "0.1 0.2 0.3", "disks": "y" * 5_000})

    assert parts["load"] == "0.1 0.2 0.3"
    assert parts["disks"] == "y" * 5_000
    assert list(parts) == ["log", "load", "disks"]
    assert 65_000 < size(parts) <= MOST_BYTES


def test_two_long_parts_share_what_there_is() -> None:
    parts = fitted({"a": "x" * 500_000, "b": "y" * 100_000})

    assert [len(text.encode()) for text in parts.values()] == [32_767, 32_767]


@given(st.dictionaries(texts, st.one_of(texts, texts.map(lambda text: text * 2_000)), max_size=60))
def test_no_snapshot_is_ever_larger_than_64_kib(parts: dict[str, str]) -> None:
    found = fitted(parts)

    assert size(found) <= 65_536
    for heading, text in found.items():
        assert len(heading) <= 100
        assert all(
            character.isprintable() or character in "\n\xa0" or ord(character) > 159 for character in text
        )


@given(texts, st.integers(0, 400))
def test_shortening_keeps_to_its_limit_and_to_whole_characters(text: str, most: int) -> None:
    clean = text.encode(errors="ignore").decode()

    assert len(shortened(clean, most).encode()) <= most


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("\x1b[31mred\x1b[0m alert", "red alert"),
        ("\x1b]0;title\x07text", "text"),
        ("one\r\ntwo", "one\ntwo"),
        ("over\rwritten", "overwritten"),
        ("nul\0 bell\x07 c1\x9b31m", "nul bell c131m"),
        ("tab\there", "tab    here"),
        ("line\u2028separator", "lineseparator"),
    ],
)
def test_nothing_in_it_can_play_with_a_terminal(said: str, kept: str) -> None:
    assert fitted({"log": said}) == {"log": kept}


def test_secrets_are_gone_by_their_values_and_by_their_looks() -> None:
    said = {
        "log": "login with hunter2 ok\npassword=swordfish\npostgresql://app:opensesame@db/x",
        "inspect": '"Env": ["API_TOKEN=abc123", "MODE=live"]',
        "hunter2": "the name of a part",
    }

    found = fitted(said, {"hunter2"})

    told = "\n".join((*found, *found.values()))
    for secret in ("swordfish", "opensesame", "abc123"):
        assert secret not in told
    assert "hunter2" not in told
    assert "MODE=live" in told


def test_a_secret_that_escapes_broke_apart_is_masked_all_the_same() -> None:
    assert fitted({"log": "hun\x1b[1mter2"}, {"hunter2"}) == {"log": "***"}


# --- a few lines for a message -------------------------------------------------------------------------


def snapshot(**parts: str) -> Snapshot:
    return Snapshot(
        incident=IncidentId("inc-1"), monitor=MonitorId("gateway"), taken_at=datetime(2026, 1, 5, tzinfo=UTC),
        took=timedelta(0), parts=parts,
    )  # fmt: skip


def test_the_digest_is_the_end_of_the_targets_own_first_part_with_load_and_the_fullest_disk() -> None:
    log = "\n".join(f"line {number}" for number in range(50))

    found = digest(
        snapshot(empty=" \n", log=log, inspect="{}", load="load 1\nbig", disks="97% full: /\n3% full: /boot")
    )

    assert found == (
        "log:", "line 44", "line 45", "line 46", "line 47", "line 48", "line 49", "load 1", "97% full: /",
    )  # fmt: skip


def test_a_digest_of_nothing_is_empty() -> None:
    assert digest(snapshot()) == ()


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=2_000)))
def test_a_digest_is_never_longer_than_ten_short_lines(parts: dict[str, str]) -> None:
    lines = digest(snapshot(**parts))

    assert len(lines) <= DIGEST_LINES == 10
    assert all(len(line) <= 160 for line in lines)

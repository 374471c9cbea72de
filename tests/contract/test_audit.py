"""The audit log over both stores: whatever is done to it behind Defib's back is found, and named by its first row."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from defib.errors import StoreError
from defib.model.changes import Changes, Forget
from defib.model.recovery import AuditEntry
from defib.store import Database, Reader, Writer, open_database
from defib.store.audit import Verdict, digest
from defib.store.lock import OwnerLock

T = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/defib.db"
    else:
        url = request.getfixturevalue("postgres_database").dsn
    database = open_database(url)
    yield database
    database.close()


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    with OwnerLock(database, role="a test") as lock:
        writer = Writer(database, lock.term)
        yield writer
        writer.close()


def entry(number: int) -> AuditEntry:
    facts = {"n": number, "share": number / 3, "text": "Gerät „é“\n", "none": None, "yes": True}
    return AuditEntry(
        at=T + timedelta(seconds=number), actor="auto", event="recovery.ended", subject="main", facts=facts
    )


def write(writer: Writer, count: int, *, first: int = 1) -> None:
    for number in range(first, first + count):
        writer.submit(Changes(audit=(entry(number),))).result(10)


def behind_its_back(database: Database, *statements: str) -> Verdict:
    with database.engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    return Reader(database).verify_audit()


def test_a_log_that_nobody_touched_holds(database: Database, writer: Writer) -> None:
    reader = Reader(database)
    assert reader.verify_audit() == Verdict(rows=0, head="0" * 64)
    write(writer, 3)
    verdict = reader.verify_audit()
    assert (verdict.rows, verdict.broken) == (3, None)
    assert [item.facts["n"] for item in reader.audit()] == [3, 2, 1]
    assert reader.audit()[0] == entry(3)


def test_the_digest_is_that_of_the_documented_form() -> None:
    row = {
        "id": 1, "at": 1795176000123456, "actor": "auto", "event": "recovery.intent", "subject": "main",
        "facts": {"n": 1, "a": "é"}, "epoch": 7, "prev_sha256": "0" * 64, "sha256": "left out",
    }  # fmt: skip
    # printf '%s' '{"actor":"auto",…}' | sha256sum
    assert digest(row) == "ebb506bd40d2fc830c338d46ba5e1c6d7d128e802b641f9ca4826a75a6b729b5"


def test_entries_of_one_transaction_follow_one_another(database: Database, writer: Writer) -> None:
    writer.submit(Changes(audit=tuple(entry(number) for number in range(1, 6)))).result(10)
    write(writer, 1, first=6)
    verdict = Reader(database).verify_audit()
    assert (verdict.rows, verdict.broken) == (6, None)


def test_an_entry_is_written_with_what_it_records_or_not_at_all(database: Database, writer: Writer) -> None:
    bad = Changes(audit=(entry(1),), settings=(("key", "value"), ("other", object())))  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        writer.submit(bad).result(10)
    assert Reader(database).audit() == []
    assert Reader(database).settings() == {}
    write(writer, 2)
    assert Reader(database).verify_audit().rows == 2


CHANGES = [
    ("UPDATE audit SET actor = 'nobody' WHERE id = 4", 4, "its content is not what was written"),
    ("UPDATE audit SET at = at + 1 WHERE id = 1", 1, "its content is not what was written"),
    ("UPDATE audit SET epoch = 99 WHERE id = 6", 6, "its content is not what was written"),
    ("UPDATE audit SET facts = '{\"n\": 5}' WHERE id = 3", 3, "its content is not what was written"),
    ("UPDATE audit SET sha256 = prev_sha256 WHERE id = 2", 2, "its content is not what was written"),
    ("DELETE FROM audit WHERE id = 4", 4, "it is missing"),
    ("DELETE FROM audit WHERE id < 4", 1, "it is missing, and so is every row before 4"),
    ("DELETE FROM audit WHERE id > 4", 5, "it and all behind it are missing; row 6 was the newest"),
    ("DELETE FROM audit", 1, "it and all behind it are missing; row 6 was the newest"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "row", "what"), CHANGES)
def test_a_change_is_found_at_its_first_row(
    database: Database, writer: Writer, statement: str, row: int, what: str
) -> None:
    write(writer, 6)
    verdict = behind_its_back(database, statement)
    assert verdict.broken is not None
    assert (verdict.broken.row, verdict.broken.what) == (row, what)
    assert verdict.rows == row - 1


def test_rows_that_changed_places_are_found(database: Database, writer: Writer) -> None:
    write(writer, 6)
    verdict = behind_its_back(
        database,
        "UPDATE audit SET id = 100 WHERE id = 3",
        "UPDATE audit SET id = 3 WHERE id = 4",
        "UPDATE audit SET id = 4 WHERE id = 100",
    )
    assert str(verdict.broken) == "audit row 3: its content is not what was written"


def test_a_row_that_was_put_in_is_found_also_with_a_digest_of_its_own(
    database: Database, writer: Writer
) -> None:
    write(writer, 2)
    row = {
        "id": 3, "at": 1795176000123456, "actor": "auto", "event": "recovery.ended", "subject": "main", "facts": {},
        "epoch": 1, "prev_sha256": Reader(database).verify_audit().head,
    }  # fmt: skip
    verdict = behind_its_back(
        database,
        "INSERT INTO audit (id, at, actor, event, subject, facts, epoch, prev_sha256, sha256) VALUES (3, "
        f"{row['at']}, 'auto', 'recovery.ended', 'main', '{{}}', 1, '{row['prev_sha256']}', '{digest(row)}')",
    )
    assert str(verdict.broken) == "audit row 3: it was not written by Defib; row 2 was the newest"


def test_a_chain_that_was_forged_in_its_middle_breaks_behind_it(database: Database, writer: Writer) -> None:
    write(writer, 4)
    with database.engine.connect() as connection:
        found = connection.execute(sa.text("SELECT prev_sha256 FROM audit WHERE id = 2")).scalar_one()
    forged = {
        "id": 2, "at": 1795176000123456, "actor": "auto", "event": "recovery.ended", "subject": "main", "facts": {},
        "epoch": 1, "prev_sha256": found,
    }  # fmt: skip
    verdict = behind_its_back(
        database,
        f"UPDATE audit SET at = {forged['at']}, facts = '{{}}', sha256 = '{digest(forged)}' WHERE id = 2",
    )
    assert str(verdict.broken) == "audit row 3: it does not follow row 2: one of them was put here"


def test_forgetting_history_leaves_the_log_whole(database: Database, writer: Writer) -> None:
    write(writer, 4)
    for events in (False, True):
        writer.submit(Changes(forget=(Forget(before=T + timedelta(days=9), events=events),))).result(10)
    write(writer, 2, first=5)
    verdict = Reader(database).verify_audit()
    assert (verdict.rows, verdict.broken) == (6, None)


def test_the_log_goes_on_over_a_restart(database: Database, writer: Writer) -> None:
    write(writer, 2)
    again = Writer(database, None)
    write(again, 2, first=3)
    again.close()
    assert Reader(database).verify_audit().rows == 4


def test_ten_thousand_rows_are_verified_within_seconds(database: Database, writer: Writer) -> None:
    writer.submit(Changes(audit=tuple(entry(number) for number in range(1, 10_001)))).result(60)
    began = time.process_time()
    verdict = Reader(database).verify_audit()
    took = time.process_time() - began
    assert (verdict.rows, verdict.broken) == (10_000, None)
    assert took < 5.0, f"{took:.2f} s of CPU"

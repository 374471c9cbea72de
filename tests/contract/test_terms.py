"""Terms of office over both stores: who has been replaced, however that came, writes nothing any more."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from defib.errors import StaleEpochError, StoreBusyError
from defib.model.changes import Changes
from defib.model.recovery import AuditEntry
from defib.store import Reader, Writer, open_database
from defib.store.lock import OwnerLock

T = datetime(2026, 11, 20, 12, tzinfo=UTC)
ENTRY = AuditEntry(at=T, actor="auto", event="recovery.intent", subject="main")
TAKEN_OVER = "another Defib has taken over the store .*ours was 1.*; this Defib decides and acts no more"


class Defib:
    """What one process holds of a store."""

    def __init__(self, url: str) -> None:
        self.database = open_database(url)
        self.reader = Reader(self.database)
        try:
            self.lock = OwnerLock(self.database, role="the daemon")
        except BaseException:
            self.database.close()
            raise
        self.writer = Writer(self.database, self.lock.term)

    def write(self, text: str) -> None:
        self.writer.submit(Changes(settings=(("text", text),), audit=(ENTRY,))).result(20)

    def text(self) -> str | None:
        return self.reader.settings().get("text")

    def close(self) -> None:
        self.writer.close()
        self.lock.release()
        self.database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/defib.db"
    dsn: str = request.getfixturevalue("postgres_database").dsn
    return dsn


@pytest.fixture
def start() -> Iterator[Callable[[str], Defib]]:
    """Start Defibs, ended afterwards, the last one first."""
    started: list[Defib] = []

    def start(url: str) -> Defib:
        started.append(Defib(url))
        return started[-1]

    yield start
    for defib in reversed(started):
        defib.close()


def test_each_owner_has_a_higher_epoch_than_the_last(url: str) -> None:
    epochs = []
    for _ in range(3):
        defib = Defib(url)
        epochs.append(defib.writer.epoch)
        defib.close()
    assert epochs == [1, 2, 3]


def test_audit_rows_carry_the_epoch(url: str, start: Callable[[str], Defib]) -> None:
    Defib(url).close()
    defib = start(url)
    defib.write("a")
    with defib.database.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT epoch FROM audit")).scalar_one() == 2


def test_the_leader_is_named(url: str, start: Callable[[str], Defib]) -> None:
    defib = start(url)
    defib.write("a")
    leader = defib.reader.leader()
    assert leader.epoch == 1
    assert leader.owner.startswith(f"the daemon (process {os.getpid()} on ")
    assert leader.taken_at <= leader.renewed_at
    assert abs((leader.renewed_at - datetime.now(UTC)).total_seconds()) < 60
    with pytest.raises(StoreBusyError, match=rf"in use by the daemon \(process {os.getpid()} on "):
        start(url)


def refuse_everything(former: Defib, present: Defib) -> None:
    """The former leader, who believes in its lock, writes nothing; the present one goes on."""
    present.write("present")
    rows = len(present.reader.audit())
    for _ in range(2):
        with pytest.raises(StaleEpochError, match=TAKEN_OVER):
            former.write("former")
    assert former.writer.stale is not None
    assert present.text() == "present"
    present.write("present again")
    assert len(present.reader.audit()) == rows + 1
    assert present.reader.verify_audit().broken is None


# --- SQLite: how a lock gets lost ----------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "defib.db"


def test_who_lost_its_lock_file_is_refused_once_another_began(
    path: Path, start: Callable[[str], Defib]
) -> None:
    former = start(f"sqlite:///{path}")
    former.write("first")
    Path(f"{path}.lock").unlink()
    former.write("nobody else is here yet")
    refuse_everything(former, start(f"sqlite:///{path}"))


def test_where_locks_reach_only_one_machine_the_first_is_refused(
    path: Path, start: Callable[[str], Defib], tmp_path: Path
) -> None:
    """A volume that two containers share: the lock file of each is another one to the kernel."""
    former = start(f"sqlite:///{path}")
    elsewhere = tmp_path / "other"
    elsewhere.write_bytes(b"")
    elsewhere.replace(f"{path}.lock")
    refuse_everything(former, start(f"sqlite:///{path}"))


@pytest.mark.parametrize("how", ["moved", "removed"])
def test_a_store_that_was_replaced_or_removed_is_written_no_more(
    path: Path, start: Callable[[str], Defib], tmp_path: Path, how: str
) -> None:
    former = start(f"sqlite:///{path}")
    former.write("first")
    if how == "moved":
        shutil.copy(path, tmp_path / "copy")
        os.replace(tmp_path / "copy", path)
    else:
        path.unlink()
    with pytest.raises(StaleEpochError, match="the store was removed or replaced while Defib ran"):
        former.write("second")


def test_a_backup_with_the_same_epoch_is_not_mistaken_for_the_store(
    path: Path, start: Callable[[str], Defib], tmp_path: Path
) -> None:
    url = f"sqlite:///{path}"
    open_database(url).close()
    shutil.copy(path, tmp_path / "backup")
    former = start(url)
    former.write("first")
    with closing(sqlite3.connect(tmp_path / "backup")) as backup, closing(sqlite3.connect(path)) as store:
        backup.backup(store)  # what ".restore" does: into the same file, under the eyes of who has it open
    Path(f"{path}.lock").unlink()
    present = start(url)
    assert (former.writer.epoch, present.writer.epoch) == (1, 1)
    refuse_everything(former, present)


# --- PostgreSQL: how a session gets lost ---------------------------------------------------------------


@pytest.fixture
def dsn(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue("postgres_database").dsn
    return found


def execute(url: str, statement: str) -> None:
    database = open_database(url)
    with database.engine.begin() as connection:
        connection.execute(sa.text(statement))
    database.close()


def test_who_was_cut_off_from_the_server_is_refused_once_another_began(
    dsn: str, start: Callable[[str], Defib]
) -> None:
    former = start(dsn)
    former.write("first")
    execute(dsn, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    former.write("nobody else is here yet")
    refuse_everything(former, start(dsn))


def test_a_lease_that_ran_out_may_be_ended_though_its_session_lives(
    dsn: str, start: Callable[[str], Defib]
) -> None:
    former = start(dsn)
    former.write("first")
    with pytest.raises(StoreBusyError, match="last seen 0 s ago"):
        start(dsn)
    execute(dsn, "UPDATE leader SET renewed_at = renewed_at - 31000000")  # it was stopped for half a minute
    present = start(dsn)
    refuse_everything(former, present)
    with pytest.raises(StoreBusyError, match="in use"):
        start(dsn)  # the lock that the former one still holds hinders nobody, and opens nothing


def test_the_lock_of_a_term_that_is_over_hinders_nobody(dsn: str, start: Callable[[str], Defib]) -> None:
    former = start(dsn)
    former.write("first")
    execute(dsn, "UPDATE leader SET renewed_at = renewed_at - 31000000")
    start(dsn).lock.release()
    assert start(dsn).writer.epoch == 3

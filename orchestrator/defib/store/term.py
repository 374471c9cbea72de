"""Terms of office: who may write a store, proven in every transaction.

Each owner begins a term with a number of its own, the *epoch*, one more than the last. Every transaction of the
writer first renews the term; where another one has begun meanwhile, there is nothing to renew, and nothing is
written. So a Defib that was stopped, suspended or cut off, and goes on later, cannot decide or act any more,
whatever it still believes to hold: it cannot commit the intent that comes before every action.

Source: M. Kleppmann, "How to do distributed locking", 2016 (fencing tokens).
"""

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import sqlalchemy as sa

from defib.errors import StaleEpochError
from defib.store.database import Database
from defib.store.schema import leader

LEASE = timedelta(seconds=30)
"""A term on a PostgreSQL server that was not renewed for so long may be ended by another Defib."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One term of office."""

    epoch: int
    holder: str  #: random: after a backup was put back, two terms may have the same number
    place: str  #: of the store, for messages
    file: tuple[int, int] | None  #: device and inode of an SQLite file

    def renew(self, connection: sa.Connection) -> None:
        """Prove that this term lasts. First thing in a transaction: it takes the lock that orders the writers.

        :raises StaleEpochError: another term has begun, or the store is not the one it began on.
        """
        if self.file is not None and _identity(self.place) != self.file:
            raise StaleEpochError(
                f"{self.place}: the store was removed or replaced while Defib ran; "
                "this Defib decides and acts no more: start it again"
            )
        dialect = connection.dialect.name
        term: dict[str, object] = {"given_epoch": self.epoch, "given_holder": self.holder}
        if dialect == "sqlite":
            term["given_now"] = datetime.now(UTC)
        if connection.execute(_renewal(dialect), term).rowcount == 0:
            found = connection.execute(sa.select(leader.c.epoch, leader.c.owner)).first()
            other = f"{found.owner or 'nobody'}, epoch {found.epoch}" if found else "nobody"
            raise StaleEpochError(
                f"{self.place}: another Defib has taken over the store ({other}; ours was {self.epoch}); "
                "this Defib decides and acts no more"
            )


def begin(connection: sa.Connection, database: Database, owner: str) -> Term:
    """Begin the next term; the caller commits.

    :param owner: who begins it, for the message that others get.
    """
    holder = secrets.token_hex(16)
    instant = now(connection)
    term = {"holder": holder, "owner": owner, "taken_at": instant, "renewed_at": instant}
    connection.execute(leader.update().values(epoch=leader.c.epoch + 1, **term))
    epoch = connection.execute(sa.select(leader.c.epoch)).scalar_one()
    file = _identity(database.place) if database.folder is not None else None
    return Term(epoch=epoch, holder=holder, place=database.place, file=file)


def now(connection: sa.Connection) -> sa.ColumnElement[datetime]:
    """The time of the store: of this machine, or of the server that two machines share."""
    if connection.dialect.name == "sqlite":
        return sa.literal(datetime.now(UTC), leader.c.renewed_at.type)
    return _SERVER_TIME


_SERVER_TIME: sa.ColumnElement[datetime] = sa.type_coerce(
    sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()) * 1_000_000, sa.BigInteger),
    leader.c.renewed_at.type,
)


@cache
def _renewal(dialect: str) -> sa.Update:
    """The statement of every transaction, made once. SQLite has no time of its own: it is given."""
    given = sa.bindparam("given_now", type_=leader.c.renewed_at.type)
    return (
        leader.update()
        .where(leader.c.epoch == sa.bindparam("given_epoch"), leader.c.holder == sa.bindparam("given_holder"))
        .values(renewed_at=given if dialect == "sqlite" else _SERVER_TIME)
    )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino

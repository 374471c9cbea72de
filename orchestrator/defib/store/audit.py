"""The audit log: rows that are only ever appended, each of which seals the one before it.

A row's ``sha256`` is the digest of its content and of its predecessor's digest; the newest one is noted with the
leader. So a row that was changed, removed, put in or moved is found, and so is an end that was cut off. Who can
write the store can also make the whole chain anew: only a digest that was noted elsewhere tells that.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from defib.model.recovery import AuditEntry
from defib.store import schema

BEGINNING = "0" * 64
"""What the first row follows."""
_CHUNK = 1000
_CONTENT = ("id", "at", "actor", "event", "subject", "facts", "epoch", "prev_sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """The first row at which the log is not what was written."""

    row: int  #: its id
    what: str

    def __str__(self) -> str:
        return f"audit row {self.row}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a look at the whole log showed."""

    rows: int  #: that hold, from the first one on
    head: str  #: digest of the last of them
    broken: Break | None = None


def digest(row: Mapping[str, Any]) -> str:
    """SHA-256 of a row's content: its columns but ``sha256`` as JSON, keys sorted, without spaces, in UTF-8.

    :param row: with ``at`` in microseconds since 1970.
    """
    content = {name: row[name] for name in _CONTENT}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def append(connection: sa.Connection, entries: Sequence[AuditEntry], epoch: int) -> None:
    """Write ``entries`` behind the newest row; the caller commits and holds the write lock."""
    if not entries:
        return
    table, leader = schema.audit, schema.leader
    found = connection.execute(
        sa.select(table.c.id, table.c.sha256).order_by(table.c.id.desc()).limit(1)
    ).first()
    number, before = (found.id, found.sha256) if found else (0, BEGINNING)
    written = []
    for entry in entries:
        number += 1
        row = {
            "id": number, "at": (entry.at - schema.EPOCH) // schema.MICROSECOND, "actor": entry.actor,
            "event": entry.event, "subject": entry.subject, "facts": dict(entry.facts), "epoch": epoch,
            "prev_sha256": before,
        }  # fmt: skip
        before = digest(row)
        written.append(row | {"at": entry.at, "sha256": before})
    connection.execute(table.insert(), written)
    connection.execute(leader.update().values(audit_id=number, audit_sha256=before))


def verify(connection: sa.Connection) -> Verdict:
    """Walk the log from its first row on, up to the first break. It may grow meanwhile."""
    leader = schema.leader
    number, before, is_longer = 0, BEGINNING, True
    while is_longer:
        is_longer = False
        for row in _rows(connection, number):
            broken = _fault(row, number, before)
            if broken is not None:
                return Verdict(rows=number, head=before, broken=broken)
            number, before, is_longer = row["id"], row["sha256"], True
        head = connection.execute(sa.select(leader.c.audit_id, leader.c.audit_sha256)).first()
        is_longer = is_longer and head is not None and head.audit_id > number
    if head is None:
        broken = Break(row=number + 1, what="the note of the newest row is missing")
    elif head.audit_id > number:
        broken = Break(
            row=number + 1, what=f"it and all behind it are missing; row {head.audit_id} was the newest"
        )
    elif (head.audit_id, head.audit_sha256) != (number, before):
        broken = Break(
            row=head.audit_id + 1, what=f"it was not written by Defib; row {head.audit_id} was the newest"
        )
    else:
        broken = None
    return Verdict(rows=number, head=before, broken=broken)


def _rows(connection: sa.Connection, behind: int) -> Iterator[dict[str, Any]]:
    """All rows behind one, or all at 0, by id, some at a time, with ``at`` as it is stored."""
    table, last = schema.audit, behind or None
    columns = [column for column in table.c if column.name != "at"]
    at = sa.type_coerce(table.c.at, sa.BigInteger).label("at")
    while True:
        query = sa.select(*columns, at).order_by(table.c.id).limit(_CHUNK)
        found = connection.execute(query if last is None else query.where(table.c.id > last)).mappings().all()
        yield from (dict(row) for row in found)
        if len(found) < _CHUNK:
            return
        last = found[-1]["id"]


def _fault(row: Mapping[str, Any], number: int, before: str) -> Break | None:
    """What is wrong with the row behind ``number``, whose digest is ``before``."""
    expected = number + 1
    if row["id"] > expected:
        through = "" if row["id"] == expected + 1 else f", and so is every row before {row['id']}"
        return Break(row=expected, what=f"it is missing{through}")
    if row["id"] < expected:
        return Break(row=row["id"], what="it was not written by Defib: the first row is 1")
    if row["sha256"] != digest(row):
        return Break(row=expected, what="its content is not what was written")
    if row["prev_sha256"] != before:
        return Break(row=expected, what=f"it does not follow row {number}: one of them was put here")
    return None

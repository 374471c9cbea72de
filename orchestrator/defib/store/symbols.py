"""Numbers for names that long tables repeat: of monitors, and of metrics."""

from collections.abc import Iterable, Mapping
from threading import Lock

import sqlalchemy as sa

from defib.store.schema import symbol


class Symbols:
    """Both ways between a name and its number. A number is never given to another name."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ids: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._newest = 0

    def number(self, connection: sa.Connection, text: str) -> int | None:
        """The number of a name; None when it has none."""
        if text not in self._ids:
            self._learn(connection)
        return self._ids.get(text)

    def name(self, connection: sa.Connection, number: int) -> str:
        """The name of a number.

        :raises KeyError: it has none.
        """
        if number not in self._texts:
            self._learn(connection)
        return self._texts[number]

    def names(self, connection: sa.Connection) -> Mapping[int, str]:
        """The name of every number."""
        self._learn(connection)
        return self._texts

    def _learn(self, connection: sa.Connection) -> None:
        query = sa.select(symbol.c.id, symbol.c.text).where(symbol.c.id > self._newest).order_by(symbol.c.id)
        found = connection.execute(query).all()
        with self._lock:
            for number, text in found:
                self._ids[text], self._texts[number] = number, text
                self._newest = max(self._newest, number)


class Numbering:
    """Gives numbers to names that have none; of the writer alone."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def numbers(self, connection: sa.Connection, texts: Iterable[str]) -> dict[str, int]:
        """A number for each of ``texts``, in the transaction of ``connection``."""
        ids = self._ids
        missing = [text for text in dict.fromkeys(texts) if text not in ids]
        if missing:
            ids.update(self._stored(connection, missing))
            if new := [text for text in missing if text not in ids]:
                connection.execute(symbol.insert(), [{"text": text} for text in new])
                ids.update(self._stored(connection, new))
        return ids

    def forget(self) -> None:
        """The transaction did not come to its end: what it gave may not be there."""
        self._ids.clear()

    @staticmethod
    def _stored(connection: sa.Connection, texts: list[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for place in range(0, len(texts), 500):
            query = sa.select(symbol.c.text, symbol.c.id).where(symbol.c.text.in_(texts[place : place + 500]))
            found.update((row.text, row.id) for row in connection.execute(query))
        return found

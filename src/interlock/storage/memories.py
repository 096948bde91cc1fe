"""What the gateway remembers of agents (`risk/memory.py`): `state/memories.sqlite`.

INVARIANT: `keep` returns once it is on disk. One row for each thing, the latest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from interlock.storage.database import Database

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS memory (
  agent TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY (agent, kind, name)
) STRICT;
"""
#: Read at once; the latest. What is left out counts as new.
ROWS_MAX: Final = 200_000
Row = tuple[str, str, str, str, int]


class MemoryStore:
    """The database. Not shared between threads; processes share the file."""

    def __init__(self, path: str) -> None:
        """Open it. Raises `HostError`."""
        self._database = Database(path, schema=_SCHEMA, name="database of memories")
        self._read = 0

    @property
    def version(self) -> int:
        """Differs when another process has written. Raises `HostError`."""
        return self._database.version

    def keep(self, row: Row) -> None:
        """Have it on disk. Raises `HostError` when it is not there after all."""
        self._database.change("INSERT OR REPLACE INTO memory VALUES (?, ?, ?, ?, ?)", row)

    def keep_all(self, rows: Iterable[Row]) -> None:
        """The same of several, all or none. Raises `HostError`."""
        with self._database.transaction():
            for row in rows:
                self.keep(row)

    def news(self) -> list[Row]:
        """What was written since this was asked last, the oldest first; at first everything. Raises `HostError`."""
        # The last row is read again: one that replaces it may have got its number.
        statement = "SELECT rowid, * FROM memory WHERE rowid >= ? ORDER BY rowid DESC LIMIT ?"
        found = self._database.rows(statement, (self._read, ROWS_MAX))
        if found:
            self._read = int(found[0][0] or 0)
        return [(str(a), str(k), str(n), str(v), int(at or 0)) for _, a, k, n, v, at in reversed(found)]

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

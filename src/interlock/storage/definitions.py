"""What connectors say that their tools are, as rows: taken (`pinned`), or held until a person has looked at it. What a
row means is `gateway/definitions.py`'s.

INVARIANT: what a method changed is on disk when it returns. Gateways, `interlock mcp` and the command line share the
file.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS definition (
  connector TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, text TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pinned', 'held')), why TEXT NOT NULL, by TEXT, at_ms INTEGER NOT NULL,
  told INTEGER NOT NULL,
  PRIMARY KEY (connector, kind, name, digest)
) STRICT;
CREATE TABLE IF NOT EXISTS begun (connector TEXT NOT NULL, kind TEXT NOT NULL, PRIMARY KEY (connector, kind)) STRICT;
"""
#: Statements hold no text but ours.
_COLUMNS: Final = "connector, kind, name, digest, text, state, why, by, at_ms, told"
_ONE: Final = "connector = ? AND kind = ? AND name = ?"
_PUT: Final = f"INSERT OR IGNORE INTO definition ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)"  # noqa: S608
_DROP_OLDEST: Final = (
    f"DELETE FROM definition WHERE state = 'held' AND {_ONE} AND rowid NOT IN ("  # noqa: S608
    f"SELECT rowid FROM definition WHERE state = 'held' AND {_ONE} ORDER BY rowid DESC LIMIT ?)"
)
_TAKE: Final = (
    "UPDATE definition SET state = 'pinned', by = ?, at_ms = ?, told = 0 "  # noqa: S608
    f"WHERE state = 'held' AND {_ONE} AND digest = ?"
)
_DROP_FORMER: Final = f"DELETE FROM definition WHERE state = 'pinned' AND {_ONE} AND digest != ?"  # noqa: S608
#: Held versions of one entry: a server that makes up a new one at each look fills nothing.
HELD_MAX: Final = 4
#: Characters of the name under which a person approves one.
ID_CHARACTERS: Final = 12


class Definition(NamedTuple):
    """One definition of an entry of a connector's lists: `digest` is of its `text` (canonical JSON), `why` says why it
    is held, `by` who took it (`first use`, `uid:…`), `told` whether the gateway's log has it."""

    connector: str
    kind: str
    name: str
    digest: str
    text: str
    state: str
    why: str
    by: str | None
    at_ms: int
    told: int = 0

    @property
    def id(self) -> str:
        """What a person calls it: of this entry and this text, so that a yes to it is to nothing else."""
        whole = "\0".join((self.connector, self.kind, self.name, self.digest))
        return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:ID_CHARACTERS]


class DefinitionStore:
    """The database. Not shared between threads."""

    def __init__(self, path: str) -> None:
        """Open it. Raises `HostError`, as every method does."""
        self._database = Database(path, schema=_SCHEMA, name="database of definitions")

    @property
    def version(self) -> int:
        """Differs when another process has written."""
        return self._database.version

    def whole(self) -> AbstractContextManager[None]:
        """One transaction."""
        return self._database.transaction()

    def has_begun(self, connector: str, kind: str) -> bool:
        """Whether a list of this kind was seen: only before that anything is taken because it is the first."""
        found = self._database.rows("SELECT 1 FROM begun WHERE connector = ? AND kind = ?", (connector, kind))
        return bool(found)

    def begin(self, connector: str, kind: str) -> None:
        """A list of this kind was seen."""
        self._database.change("INSERT OR IGNORE INTO begun VALUES (?, ?)", (connector, kind))

    def of(self, connector: str, kind: str) -> list[Definition]:
        """Every definition of a kind that is known of a connector, the oldest first."""
        statement = f"SELECT {_COLUMNS} FROM definition WHERE connector = ? AND kind = ? ORDER BY at_ms"  # noqa: S608
        return list(map(_definition, self._database.rows(statement, (connector, kind))))

    def held(self) -> list[Definition]:
        """Everything that waits for a person."""
        statement = f"SELECT {_COLUMNS} FROM definition WHERE state = 'held' ORDER BY connector, kind, name, at_ms"  # noqa: S608
        return list(map(_definition, self._database.rows(statement)))

    def names(self, kind: str) -> list[tuple[str, str]]:
        """Connector and name of everything of a kind that was taken."""
        statement = "SELECT DISTINCT connector, name FROM definition WHERE kind = ? AND state = 'pinned'"
        return [(str(connector), str(name)) for connector, name in self._database.rows(statement, (kind,))]

    def put(self, rows: Iterable[Definition]) -> None:
        """Keep them; of one entry the newest few that are held."""
        for each in rows:
            self._database.change(_PUT, each)
            self._database.change(_DROP_OLDEST, (*each[:3], *each[:3], HELD_MAX))

    def approve(self, one: Definition, *, by: str, at_ms: int, beside: bool = False) -> bool:
        """Take one that is held, in the place of what was taken of that entry before, or `beside` it. False where it is
        not held any more."""
        changed = self._database.change(_TAKE, (by, at_ms, *one[:4]))
        if changed and not beside:
            self._database.change(_DROP_FORMER, one[:4])
        return changed == 1

    def note_told(self, one: Definition) -> None:
        """The log has it."""
        statement = "UPDATE definition SET told = 1 WHERE connector = ? AND kind = ? AND name = ? AND digest = ?"
        self._database.change(statement, one[:4])

    def forget(self, connector: str) -> None:
        """The connector is there no more: another of its name is seen for the first time."""
        for table in ("definition", "begun"):
            self._database.change(f"DELETE FROM {table} WHERE connector = ?", (connector,))  # noqa: S608

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _definition(row: tuple[object, ...]) -> Definition:
    connector, kind, name, digest, text, state, why, by, at_ms, told = row
    return Definition(
        connector=str(connector),
        kind=str(kind),
        name=str(name),
        digest=str(digest),
        text=str(text),
        state=str(state),
        why=str(why),
        by=None if by is None else str(by),
        at_ms=at_ms if isinstance(at_ms, int) else 0,
        told=1 if told else 0,
    )

"""Questions as rows: put in once, settled once, forgotten long after. What a row means is the inbox's
(`approvals/inbox.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from interlock.storage.database import Database

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS question (
  id TEXT PRIMARY KEY, session TEXT NOT NULL, asker TEXT NOT NULL, agent TEXT, digest TEXT NOT NULL, likeness TEXT
  NOT NULL,
  action TEXT NOT NULL, decision TEXT NOT NULL, asked_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
  process TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'answered', 'withdrawn')),
  answer TEXT, approver TEXT, reason TEXT, answered_ms INTEGER, taken INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS question_by_state ON question (state, session);
"""
_ASKED: Final = "id, session, asker, agent, digest, likeness, action, decision, asked_ms, expires_ms, process"
_COLUMNS: Final = f"{_ASKED}, state, answer, approver, reason, answered_ms, taken"
_INSERT: Final = f"INSERT INTO question ({_ASKED}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 - columns of our own
_PENDING: Final = (
    f"SELECT {_COLUMNS} FROM question "  # noqa: S608 - as above
    "WHERE state = 'pending' AND (? IS NULL OR session = ?) ORDER BY asked_ms, id"
)
_BY_PREFIX: Final = f"SELECT {_COLUMNS} FROM question WHERE substr(id, 1, ?) = ? LIMIT 2"  # noqa: S608 - as above
_SETTLE: Final = (
    "UPDATE question SET state = ?, answer = ?, approver = ?, reason = ?, answered_ms = ? "
    "WHERE state = 'pending' AND expires_ms > ? AND "
)
_TIME_OUT: Final = (
    "UPDATE question SET state = 'answered', answer = 'timeout', answered_ms = ? "
    "WHERE state = 'pending' AND expires_ms <= ?"
)
_ASKER_ENDED: Final = (
    "UPDATE question SET state = 'withdrawn', answer = 'withdrawn', reason = 'the asker ended', answered_ms = ? "
    "WHERE state = 'pending' AND process = ?"
)


class Asked(NamedTuple):
    """A question as it is put in: action and decision as JSON, `process` by which an asker that died is known."""

    id: str
    session: str
    asker: str
    agent: str | None
    digest: str
    likeness: str
    action: str
    decision: str
    asked_ms: int
    expires_ms: int
    process: str


class Settled(NamedTuple):
    """What became of a question: `state` is `pending`, `answered` or `withdrawn`; a row that waits has no `word`."""

    state: str
    word: str | None
    approver: str | None
    reason: str | None
    answered_ms: int | None
    taken: int


class Settling(NamedTuple):
    """How a question is settled."""

    word: str
    approver: str | None
    reason: str | None


class Questions:
    """See the module. Methods that change something belong inside `whole`."""

    def __init__(self, path: str) -> None:
        """Open the file. Raises `HostError`, as every method does."""
        self._database = Database(path, schema=_SCHEMA, name="inbox")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def whole(self) -> AbstractContextManager[None]:
        """One transaction."""
        return self._database.transaction()

    @property
    def version(self) -> int:
        """See `Database`."""
        return self._database.version

    def put(self, asked: Asked) -> None:
        """One more question waits."""
        self._database.change(_INSERT, asked)

    def pending(self, session: str | None) -> list[Asked]:
        """What waits, oldest first; of one session if named."""
        return [_row(row)[0] for row in self._database.rows(_PENDING, (session, session))]

    def beginning_with(self, prefix: str) -> list[tuple[Asked, Settled]]:
        """Questions whose id begins so: two at most."""
        return [_row(row) for row in self._database.rows(_BY_PREFIX, (len(prefix), prefix))]

    def settle(self, identity: str, settling: Settling, now_ms: int) -> int:
        """Settle a question that waits; how many were."""
        return self._settle("id = ?", (identity,), settling, now_ms)

    def settle_alike(self, session: str, likeness: str, settling: Settling, now_ms: int) -> int:
        """Settle every question of a session that waits for the same act; how many were."""
        return self._settle("session = ? AND likeness = ?", (session, likeness), settling, now_ms)

    def note_taken(self, identity: str) -> None:
        """The asker has its answer."""
        self._database.change("UPDATE question SET taken = 1 WHERE id = ?", (identity,))

    def time_out(self, now_ms: int) -> None:
        """Settle what is past its deadline."""
        self._database.change(_TIME_OUT, (now_ms, now_ms))

    def askers(self) -> list[str]:
        """The processes whose questions wait."""
        statement = "SELECT DISTINCT process FROM question WHERE state = 'pending'"
        return [str(process) for (process,) in self._database.rows(statement)]

    def asker_ended(self, process: str, now_ms: int) -> None:
        """Withdraw what a process that is gone asked."""
        self._database.change(_ASKER_ENDED, (now_ms, process))

    def forget(self, before_ms: int) -> None:
        """Drop what was settled before."""
        self._database.change("DELETE FROM question WHERE state != 'pending' AND answered_ms < ?", (before_ms,))

    def waiting(self, session: str) -> tuple[int, int]:
        """How many questions wait: of all sessions, and of this one."""
        statement = "SELECT count(*), coalesce(sum(session = ?), 0) FROM question WHERE state = 'pending'"
        return cast("tuple[int, int]", self._database.rows(statement, (session,))[0])

    def alike(self, session: str, likeness: str, but: str) -> int:
        """How many questions of a session wait for the same act, but for one."""
        return self._count("state = 'pending' AND session = ? AND likeness = ? AND id != ?", (session, likeness, but))

    def refused_since(self, session: str, likeness: str, *, no_ms: int, timeout_ms: int) -> bool:
        """Whether the same act got a no, or no answer, each after a time."""
        refused = "(answer = 'no' AND answered_ms > ? OR answer = 'timeout' AND answered_ms > ?)"
        where = f"session = ? AND likeness = ? AND {refused}"
        return self._count(where, (session, likeness, no_ms, timeout_ms)) > 0

    def _count(self, where: str, values: tuple[str | int, ...]) -> int:
        return cast("int", self._database.rows(f"SELECT count(*) FROM question WHERE {where}", values)[0][0])  # noqa: S608

    def _settle(self, where: str, values: tuple[str, ...], settling: Settling, now_ms: int) -> int:
        state = "withdrawn" if settling.word == "withdrawn" else "answered"
        return self._database.change(f"{_SETTLE}{where}", (state, *settling, now_ms, now_ms, *values))


def _row(row: tuple[object, ...]) -> tuple[Asked, Settled]:
    width = len(Asked._fields)
    return Asked._make(cast("tuple[str]", row[:width])), Settled._make(cast("tuple[str]", row[width:]))

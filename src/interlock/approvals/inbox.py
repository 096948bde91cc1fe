"""The inbox: pending questions in one SQLite file, answered once, by a human outside every jail.

`pending` → `answered` (yes or no) | `withdrawn`; there is no way back and no second answer. A question past its
deadline is a no,
whoever looks. Rows are written whole when asked and only their state changes, so what is shown is what is answered.
It leaves out who may be asked how (channels) and what a grant means (the engine).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.errors import EXIT_FAILED, HostError, OperatorError
from interlock.vocabulary.question import Answer, AnswerWord, Grant, Question, likeness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from interlock.vocabulary.json_value import JsonObject

#: Questions that may wait at once: over all, and of one session. More are denied at once, and said so.
PENDING_MAX: Final = 200
PENDING_PER_SESSION_MAX: Final = 32
#: The longest time a question may wait, whatever a policy says, in milliseconds.
WAIT_MS_MAX: Final = 24 * 3_600_000
#: A no holds for identical acts of the session that follow within this time.
NO_LASTS_MS: Final = 30_000
#: Answered questions are kept this long for `approvals show`; the ledger keeps them for good.
KEPT_MS: Final = 7 * 24 * 3_600_000
#: How often a waiting asker looks for its answer, in seconds.
POLL_SECONDS: Final = 0.05
_BUSY_SECONDS: Final = 5.0

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
_COLUMNS: Final = "id, session, asker, agent, digest, action, decision, asked_ms, expires_ms"
_PENDING: Final = (
    f"SELECT {_COLUMNS} FROM question "  # noqa: S608 - column names of our own
    "WHERE state = 'pending' AND (? IS NULL OR session = ?) ORDER BY asked_ms, id"
)
_BY_PREFIX: Final = (
    f"SELECT {_COLUMNS}, state, answer, approver, reason, answered_ms FROM question "  # noqa: S608
    "WHERE substr(id, 1, ?) = ? LIMIT 2"
)
_TIME_OUT: Final = (
    "UPDATE question SET state = 'answered', answer = 'timeout', answered_ms = ? "
    "WHERE state = 'pending' AND expires_ms <= ?"
)
_ASKER_ENDED: Final = (
    "UPDATE question SET state = 'withdrawn', answer = 'withdrawn', reason = 'the asker ended', answered_ms = ? "
    "WHERE state = 'pending' AND process = ?"
)


class InboxFullError(OperatorError):
    """Too many questions wait already: the act is denied without asking."""


class NotPendingError(OperatorError):
    """The question does not exist, was answered, was withdrawn or is past its deadline."""


class Inbox:
    """One connection to the inbox file. Not shared between threads; every method is one transaction."""

    def __init__(self, path: str, *, clock_ms: Callable[[], int] | None = None) -> None:
        """Open the file at `path`, made 0600 when missing. Raises `HostError` when it cannot be opened or is
        damaged.
        """
        self._clock_ms = clock_ms or _wall_clock_ms
        try:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise HostError(
                f"cannot open the inbox `{path}`: {error}",
                hint="`interlock doctor` checks the state directory",
                exit_code=EXIT_FAILED,
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def ask(self, question: Question) -> Question:
        """Put a question in the inbox, and return it as it waits: from now on, for WAIT_MS_MAX at most.

        Raises `InboxFullError` or `HostError` (a question of this name is there already): then the act is to be
        denied. The question is withdrawn by itself when this process ends.
        """
        now = self._clock_ms()
        waits_ms = max(0, min(question.expires_ms - question.asked_ms, WAIT_MS_MAX))
        asked = dataclasses.replace(question, asked_ms=now, expires_ms=now + waits_ms)
        with self._transaction():
            self._sweep(now)
            self._check_room(asked.session)
            self._database.execute(
                f"INSERT INTO question ({_COLUMNS}, likeness, process) VALUES (?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
                (
                    asked.id,
                    asked.session,
                    asked.asker,
                    asked.agent,
                    asked.digest,
                    json.dumps(asked.action),
                    json.dumps(asked.decision),
                    now,
                    asked.expires_ms,
                    asked.likeness,
                    process_identity(os.getpid()),
                ),
            )
        return asked

    def pending(self, session: str | None = None) -> list[Question]:
        """What waits for an answer now, oldest first; of one session if named. Askers that died are swept first."""
        with self._transaction():
            self._sweep(self._clock_ms())
            rows = self._database.execute(_PENDING, (session, session)).fetchall()
        return [_question(row) for row in rows]

    def get(self, identity: str) -> tuple[Question, Answer | None]:
        """A question by id (a prefix that fits one only will do) and what became of it. Raises `NotPendingError` if
        unknown.
        """
        with self._transaction():
            self._sweep(self._clock_ms())
            rows = self._database.execute(_BY_PREFIX, (len(identity), identity)).fetchall()
        if len(rows) != 1 or not identity:
            what = "fits more than one question" if rows else "is not a question"
            raise NotPendingError(f"`{identity}` {what}", hint="see: interlock approvals list")
        row = rows[0]
        question = _question(row[:9])
        answer = None if row[9] == "pending" else _answer(question.id, question.digest, row[10:])
        return question, answer

    def answer(self, identity: str, *, yes: bool, approver: str, reason: str | None = None) -> Question:
        """Answer a pending question, once. A no also answers every pending question that differs in nothing but its
        nonce.

        Raises `NotPendingError` when it is too late or somebody else was first.
        """
        question, found = self.get(identity)
        now = self._clock_ms()
        if found is not None:
            by = f" by {found.approver}" if found.approver else ""
            raise NotPendingError(
                f"`{question.id}` is settled already: {found.word}{by}", hint="see: interlock approvals list"
            )
        with self._transaction():
            changed = self._settle(
                "id = ?", (question.id,), now=now, word="yes" if yes else "no", approver=approver, reason=reason
            )
            if changed != 1:
                raise NotPendingError(
                    f"`{question.id}` was settled in this moment", hint="see: interlock approvals list"
                )
            if not yes:
                alike = (question.session, likeness(question.action))
                self._settle(
                    "session = ? AND likeness = ?", alike, now=now, word="no", approver=approver, reason=reason
                )
        return question

    def take(self, identity: str) -> Answer | None:
        """The answer for the asker, once: None while the question waits. Raises `NotPendingError` when it was taken
        before.
        """
        with self._transaction():
            self._sweep(self._clock_ms())
            row = self._database.execute(
                "SELECT state, digest, taken, answer, approver, reason, answered_ms FROM question WHERE id = ?",
                (identity,),
            ).fetchone()
            if row is None or row[2]:
                raise NotPendingError(f"`{identity}` has no answer left to take")
            if row[0] == "pending":
                return None
            self._database.execute("UPDATE question SET taken = 1 WHERE id = ?", (identity,))
        return _answer(identity, row[1], row[3:])

    def withdraw(self, identities: Iterable[str], reason: str) -> None:
        """Take questions back: nobody needs their answer any more. Settled ones stay as they are."""
        now = self._clock_ms()
        with self._transaction():
            for identity in identities:
                self._settle("id = ?", (identity,), now=now, word="withdrawn", approver=None, reason=reason)

    def alike(self, question: Question) -> int:
        """How many other questions of the session wait for exactly the same act."""
        row = self._database.execute(
            "SELECT count(*) FROM question WHERE state = 'pending' AND session = ? AND likeness = ? AND id != ?",
            (question.session, question.likeness, question.id),
        ).fetchone()
        return int(row[0])

    async def wait(self, identity: str) -> Answer:
        """Wait for the answer without holding up an event loop. Cancelling the wait withdraws the question."""
        import asyncio

        try:
            while (answer := self.take(identity)) is None:
                await asyncio.sleep(POLL_SECONDS)
        except asyncio.CancelledError:
            self.withdraw([identity], "the asker went away")
            raise
        return answer

    def recent_no(self, session: str, action: JsonObject) -> bool:
        """Whether this act was refused, or waited for in vain, a moment ago: then asking again is nagging.

        A shell tries every PATH entry after a refusal, and a program retries; each would open another prompt.
        """
        row = self._database.execute(
            "SELECT count(*) FROM question WHERE session = ? AND likeness = ? "
            "AND answer IN ('no', 'timeout') AND answered_ms > ?",
            (session, likeness(action), self._clock_ms() - NO_LASTS_MS),
        ).fetchone()
        return bool(row[0])

    def changes(self) -> int:
        """A number that differs when another connection wrote: cheap to ask often (PRAGMA data_version)."""
        return int(self._database.execute("PRAGMA data_version").fetchone()[0])

    def _check_room(self, session: str) -> None:
        total, own = self._database.execute(
            "SELECT count(*), coalesce(sum(session = ?), 0) FROM question WHERE state = 'pending'", (session,)
        ).fetchone()
        if total >= PENDING_MAX or own >= PENDING_PER_SESSION_MAX:
            raise InboxFullError(
                f"{own} questions of this session wait already", hint="answer some: interlock approvals list"
            )

    def _settle(
        self,
        where: str,
        values: tuple[str, ...],
        *,
        now: int,
        word: AnswerWord,
        approver: str | None,
        reason: str | None,
    ) -> int:
        state = "withdrawn" if word == "withdrawn" else "answered"
        cursor = self._database.execute(
            "UPDATE question SET state = ?, answer = ?, approver = ?, reason = ?, answered_ms = ? "  # noqa: S608
            f"WHERE state = 'pending' AND expires_ms > ? AND {where}",
            (state, word, approver, reason, now, now, *values),
        )
        return cursor.rowcount

    def _sweep(self, now: int) -> None:
        """Deadlines and dead askers: both are denials. What was settled long ago is forgotten here (the ledger
        remembers).
        """
        self._database.execute(_TIME_OUT, (now, now))
        askers = self._database.execute("SELECT DISTINCT process FROM question WHERE state = 'pending'").fetchall()
        for (process,) in askers:
            if not is_alive(process):
                self._database.execute(_ASKER_ENDED, (now, process))
        self._database.execute("DELETE FROM question WHERE state != 'pending' AND answered_ms < ?", (now - KEPT_MS,))

    @contextlib.contextmanager
    def _transaction(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise HostError(
                f"the inbox failed: {error}", hint="`interlock doctor` checks the state directory"
            ) from error


def process_identity(process: int) -> str:
    """A process by id, start time (proc_pid_stat(5), field 22) and the machine's boot, so that a reused id is another.

    A descriptor of a process cannot be written down, and the start is counted from the boot.
    """
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
    except OSError:
        return f"{process}:gone"
    return f"{process}:{fields[19].decode()}:{boot}"


def is_alive(identity: str) -> bool:
    """Whether the process of `process_identity` still is that process."""
    process = identity.partition(":")[0]
    return process.isdigit() and process_identity(int(process)) == identity and not identity.endswith(":gone")


def _question(row: tuple[str, str, str, str | None, str, str, str, int, int]) -> Question:
    return Question(row[0], row[1], row[2], row[3], row[4], json.loads(row[5]), json.loads(row[6]), row[7], row[8])


def _answer(identity: str, digest: str, row: tuple[str, str | None, str | None, int]) -> Answer:
    """The answer in a row. A yes is its grant: one that names nobody is none."""
    word, approver, reason, answered_ms = row
    if word != "yes":
        return Answer(word, approver, None, reason, answered_ms)
    if approver is None:
        return Answer("nobody", None, None, reason, answered_ms)
    grant = Grant.to(identity, digest, approver=approver, answered_ms=answered_ms)
    return Answer(word, approver, grant, reason, answered_ms)


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000

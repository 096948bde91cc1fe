"""The inbox: pending questions in one file, answered once, by a human outside every jail.

`pending` → `answered` (yes or no) | `withdrawn`; there is no way back and no second answer. A question past its
deadline is a no, whoever looks. Rows are written whole when asked and only their state changes, so what is shown is
what is answered. Left out: how a row is stored (`storage/questions.py`), who may be asked how (channels), and what a
grant means (the engine).
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from typing import TYPE_CHECKING, Final, cast

from interlock.storage.questions import Asked, Questions, Settled, Settling
from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.question import Answer, AnswerWord, Grant, Meant, Question, likeness, reach_of

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
#: A person's no to a connection holds longer: who reports on its user tries again every minute, for as long as it runs.
NO_TO_PLACE_LASTS_MS: Final = 10 * 60_000
#: Answered questions are kept this long for `approvals show`; the ledger keeps them for good.
KEPT_MS: Final = 7 * 24 * 3_600_000
#: How often a waiting asker looks for its answer, in seconds.
POLL_SECONDS: Final = 0.05
#: What was meant, as it is kept. A reader that does not know a word takes it for no yes.
_FOR_SESSION: Final = "yes for the session"
_WORDS: Final[dict[Meant, str]] = {"once": "yes", "session": _FOR_SESSION, "no": "no"}


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
        self._rows = Questions(path)

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    def ask(self, question: Question) -> Question:
        """Put a question in the inbox, and return it as it waits: from now on, for WAIT_MS_MAX at most.

        Raises `InboxFullError` or `HostError` (a question of this name is there already): then the act is to be
        denied. The question is withdrawn by itself when this process ends.
        """
        now = self._clock_ms()
        waits_ms = max(0, min(question.expires_ms - question.asked_ms, WAIT_MS_MAX))
        asked = dataclasses.replace(question, asked_ms=now, expires_ms=now + waits_ms)
        with self._rows.whole():
            self._sweep(now)
            self._check_room(asked.session)
            self._rows.put(
                Asked(
                    asked.id,
                    asked.session,
                    asked.asker,
                    asked.agent,
                    asked.digest,
                    asked.likeness,
                    json.dumps(asked.action),
                    json.dumps(asked.decision),
                    now,
                    asked.expires_ms,
                    process_identity(os.getpid()),
                )
            )
        return asked

    def pending(self, session: str | None = None) -> list[Question]:
        """What waits for an answer now, oldest first; of one session if named. Askers that died are swept first."""
        with self._rows.whole():
            self._sweep(self._clock_ms())
            return [_question(row) for row in self._rows.pending(session)]

    def get(self, identity: str) -> tuple[Question, Answer | None]:
        """A question by id (a prefix that fits one only will do) and what became of it. Raises `NotPendingError` if
        unknown.
        """
        with self._rows.whole():
            self._sweep(self._clock_ms())
            rows = self._rows.beginning_with(identity)
        if len(rows) != 1 or not identity:
            what = "fits more than one question" if rows else "is not a question"
            raise NotPendingError(f"`{identity}` {what}", hint="see: interlock approvals list")
        asked, settled = rows[0]
        return _question(asked), _answer(asked, settled)

    def answer(self, identity: str, *, meant: Meant, approver: str, reason: str | None = None) -> Question:
        """Answer a pending question, once. A no also answers every pending question that differs in nothing but its
        nonce.

        Raises `NotPendingError` when it is too late or somebody else was first, and `OperatorError` for a yes for the
        session to an act that goes nowhere.
        """
        question, found = self.get(identity)
        if meant == "session" and reach_of(question.action) is None:
            raise OperatorError(
                f"a yes to `{question.id}` is good once: it is no connection to a place outside of the session",
                hint=f"interlock approvals approve {question.id}",
            )
        now = self._clock_ms()
        if found is not None:
            by = f" by {found.approver}" if found.approver else ""
            raise NotPendingError(
                f"`{question.id}` is settled already: {found.word}{by}", hint="see: interlock approvals list"
            )
        with self._rows.whole():
            settling = Settling(_WORDS[meant], approver, reason)
            if self._rows.settle(question.id, settling, now) != 1:
                raise NotPendingError(
                    f"`{question.id}` was settled in this moment", hint="see: interlock approvals list"
                )
            if meant == "no":
                self._rows.settle_alike(question.session, likeness(question.action), settling, now)
        return question

    def take(self, identity: str) -> Answer | None:
        """The answer for the asker, once: None while the question waits. Raises `NotPendingError` when it was taken
        before.
        """
        with self._rows.whole():
            self._sweep(self._clock_ms())
            found = [row for row in self._rows.beginning_with(identity) if row[0].id == identity]
            if not found or found[0][1].taken:
                raise NotPendingError(f"`{identity}` has no answer left to take")
            answer = _answer(*found[0])
            if answer is not None:
                self._rows.note_taken(identity)
        return answer

    def withdraw(self, identities: Iterable[str], reason: str) -> None:
        """Take questions back: nobody needs their answer any more. Settled ones stay as they are."""
        now = self._clock_ms()
        with self._rows.whole():
            for identity in identities:
                self._rows.settle(identity, Settling("withdrawn", None, reason), now)

    def alike(self, question: Question) -> int:
        """How many other questions of the session wait for exactly the same act."""
        return self._rows.alike(question.session, question.likeness, question.id)

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
        now = self._clock_ms()
        lasts = NO_LASTS_MS if reach_of(action) is None else NO_TO_PLACE_LASTS_MS
        alike = likeness(action)
        return self._rows.refused_since(session, alike, no_ms=now - lasts, timeout_ms=now - NO_LASTS_MS)

    def changes(self) -> int:
        """A number that differs when another connection wrote: cheap to ask often (PRAGMA data_version)."""
        return self._rows.version

    def _check_room(self, session: str) -> None:
        total, own = self._rows.waiting(session)
        if total >= PENDING_MAX or own >= PENDING_PER_SESSION_MAX:
            raise InboxFullError(
                f"{own} questions of this session wait already", hint="answer some: interlock approvals list"
            )

    def _sweep(self, now: int) -> None:
        """Deadlines and dead askers: both are denials. What was settled long ago is forgotten here (the ledger
        remembers).
        """
        self._rows.time_out(now)
        for process in self._rows.askers():
            if not is_alive(process):
                self._rows.asker_ended(process, now)
        self._rows.forget(now - KEPT_MS)


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


def _question(row: Asked) -> Question:
    action, decision = json.loads(row.action), json.loads(row.decision)
    return Question(
        row.id, row.session, row.asker, row.agent, row.digest, action, decision, row.asked_ms, row.expires_ms
    )


def _answer(asked: Asked, settled: Settled) -> Answer | None:
    """The answer to a question, if it has one. A yes is its grant: one that names nobody is none."""
    word, answered_ms = settled.word, settled.answered_ms
    if settled.state == "pending" or word is None or answered_ms is None:
        return None
    if word not in ("yes", _FOR_SESSION):
        return Answer(cast("AnswerWord", word), settled.approver, None, settled.reason, answered_ms)
    if settled.approver is None:
        return Answer("nobody", None, None, settled.reason, answered_ms)
    grant = Grant.to(asked.id, asked.digest, approver=settled.approver, answered_ms=answered_ms)
    reach = reach_of(json.loads(asked.action)) if word == _FOR_SESSION else None
    return Answer("yes", settled.approver, grant.for_session(reach) if reach else grant, settled.reason, answered_ms)


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000

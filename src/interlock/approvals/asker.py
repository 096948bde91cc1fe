"""Between the supervisor's questions and the inbox: each question goes in, each answer comes out once, as a message
to send down.

The inbox opens with the first question, so that a session without any pays nothing. What cannot be asked (full
inbox, broken file,
nobody to ask) is answered at once with no grant, and the reason.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from interlock.vocabulary.errors import InterlockError

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.approvals.inbox import Inbox
    from interlock.approvals.terminal import TerminalPrompt
    from interlock.vocabulary.question import Question

Message = dict[str, Any]


class InboxAsker:
    """Asks for one session. `headless`: nobody is there, so every question is a denial."""

    def __init__(
        self, *, inbox: str, session: str, agent: str | None, phrase: Callable[[], str], headless: bool
    ) -> None:
        self._path = inbox
        self._session = session
        self._agent = agent
        self._phrase = phrase
        self._headless = headless
        self._inbox: Inbox | None = None
        self._open: dict[str, Question] = {}
        self._ready: list[Message] = []

    @property
    def waiting(self) -> bool:
        """Whether any question is open or any answer lies ready."""
        return bool(self._open or self._ready)

    def ask(self, message: Message) -> None:
        """Take a `question` of the supervisor."""
        identity = str(message["id"])
        if self._headless:
            self._ready.append(_no(identity, "nobody is there to ask"))
            return
        try:
            if self._opened().recent_no(self._session, message["action"]):
                self._ready.append(_no(identity, "refused a moment ago"))
                return
            self._open[identity] = self._opened().ask(self._question(identity, message))
        except InterlockError as error:
            self._ready.append(_no(identity, str(error)))

    def withdrawn(self, message: Message) -> None:
        """The supervisor no longer needs this answer."""
        question = self._open.pop(str(message["id"]), None)
        if question is not None:
            self._opened().withdraw([question.id], str(message.get("reason") or "withdrawn"))

    def answers(self) -> list[Message]:
        """`answer` messages ready to go down: from any channel, deadlines included."""
        ready, self._ready = self._ready, []
        for identity, question in list(self._open.items()):
            message = self._answer(identity, question)
            if message is not None:
                del self._open[identity]
                ready.append(message)
        return ready

    def is_open(self, identity: str) -> bool:
        """Whether this question still waits."""
        return identity in self._open

    def next_prompt(self) -> TerminalPrompt | None:
        """The oldest open question, for the terminal."""
        from interlock.approvals.terminal import TerminalPrompt

        for identity, question in self._open.items():
            return TerminalPrompt(
                identity,
                question,
                phrase=self._phrase(),
                alike=self._opened().alike(question),
                now_ms=time.time_ns() // 1_000_000,
            )
        return None

    def decide(self, identity: str, *, yes: bool, reason: str | None) -> None:
        """The human answered on the terminal; it counts only if nobody was quicker."""
        question = self._open.get(identity)
        if question is None:
            return
        try:
            self._opened().answer(question.id, yes=yes, approver=f"uid:{os.getuid()}", reason=reason)
        except InterlockError:
            return  # settled elsewhere or too late: `answers` brings what counts

    def close(self) -> None:
        """Withdraw what is open."""
        if self._inbox is not None:
            self._inbox.withdraw([question.id for question in self._open.values()], "the session ended")
            self._inbox.close()
            self._inbox = None
        self._open.clear()

    def _answer(self, identity: str, question: Question) -> Message | None:
        try:
            answer = self._opened().take(question.id)
        except InterlockError as error:
            return _no(identity, str(error))
        if answer is None:
            return None
        if answer.grant is None:
            return _no(identity, answer.reason or answer.word)
        from dataclasses import asdict

        return {"type": "answer", "id": identity, "grant": asdict(answer.grant), "reason": answer.reason}

    def _question(self, identity: str, message: Message) -> Question:
        from interlock.vocabulary.question import Question

        now_ms = time.time_ns() // 1_000_000
        return Question(
            id=identity,
            session=self._session,
            asker="run",
            agent=self._agent,
            digest=str(message["digest"]),
            action=message["action"],
            decision=message["decision"],
            asked_ms=now_ms,
            expires_ms=now_ms + int(message["timeout_ms"]),
        )

    def _opened(self) -> Inbox:
        if self._inbox is None:
            from interlock.approvals.inbox import Inbox

            self._inbox = Inbox(self._path)
        return self._inbox


def _no(identity: str, reason: str) -> Message:
    return {"type": "answer", "id": identity, "grant": None, "reason": reason}

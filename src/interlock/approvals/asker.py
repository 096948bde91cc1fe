"""Between the supervisor's questions and the inbox: each question goes in, each answer comes out once, as a message
to send down.

The inbox opens with the first question, so that a session without any pays nothing. What cannot be asked (full
inbox, broken file,
nobody to ask) is answered at once with no grant, and the reason.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from interlock.vocabulary.errors import InterlockError
from interlock.vocabulary.supervision import Answered

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.approvals.inbox import Inbox
    from interlock.approvals.terminal import TerminalPrompt
    from interlock.vocabulary.question import Meant, Question
    from interlock.vocabulary.supervision import Asked, Withdrawn


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
        self._ready: list[Answered] = []

    @property
    def waiting(self) -> bool:
        """Whether any question is open or any answer lies ready."""
        return bool(self._open or self._ready)

    def ask(self, asked: Asked) -> None:
        """Take a question of the supervisor."""
        if self._headless:
            self._ready.append(Answered(asked.id, "nobody is there to ask"))
            return
        try:
            if self._opened().recent_no(self._session, asked.action):
                self._ready.append(Answered(asked.id, "refused a moment ago"))
                return
            self._open[asked.id] = self._opened().ask(self._question(asked))
        except InterlockError as error:
            self._ready.append(Answered(asked.id, str(error)))

    def withdrawn(self, withdrawn: Withdrawn) -> None:
        """The supervisor no longer needs this answer."""
        question = self._open.pop(withdrawn.id, None)
        if question is not None:
            self._opened().withdraw([question.id], withdrawn.reason)

    def answers(self) -> list[Answered]:
        """Those ready to go down: from any channel, deadlines included."""
        ready, self._ready = self._ready, []
        for identity, question in list(self._open.items()):
            answered = self._answer(identity, question)
            if answered is not None:
                del self._open[identity]
                ready.append(answered)
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

    def decide(self, identity: str, *, meant: Meant, reason: str | None) -> None:
        """The human answered on the terminal; it counts only if nobody was quicker."""
        question = self._open.get(identity)
        if question is None:
            return
        try:
            self._opened().answer(question.id, meant=meant, approver=f"uid:{os.getuid()}", reason=reason)
        except InterlockError:
            return  # settled elsewhere or too late: `answers` brings what counts

    def close(self) -> None:
        """Withdraw what is open."""
        if self._inbox is not None:
            self._inbox.withdraw([question.id for question in self._open.values()], "the session ended")
            self._inbox.close()
            self._inbox = None
        self._open.clear()

    def _answer(self, identity: str, question: Question) -> Answered | None:
        try:
            answer = self._opened().take(question.id)
        except InterlockError as error:
            return Answered(identity, str(error))
        if answer is None:
            return None
        if answer.grant is None:
            return Answered(identity, answer.reason or answer.word)
        return Answered(identity, answer.reason, answer.grant.as_value())

    def _question(self, asked: Asked) -> Question:
        from interlock.vocabulary.question import Question

        now_ms = time.time_ns() // 1_000_000
        return Question(
            id=asked.id,
            session=self._session,
            asker="run",
            agent=self._agent,
            digest=asked.digest,
            action=asked.action,
            decision=asked.decision,
            asked_ms=now_ms,
            expires_ms=now_ms + asked.timeout_ms,
        )

    def _opened(self) -> Inbox:
        if self._inbox is None:
            from interlock.approvals.inbox import Inbox

            self._inbox = Inbox(self._path)
        return self._inbox

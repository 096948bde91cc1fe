"""The human's inbox behind the port of the line."""

from __future__ import annotations

from interlock.approvals.inbox import Inbox
from interlock.mediate.json_text import object_at, text_at
from interlock.mediate.values import Answer, Question


class GatewayInbox:
    """Implements `mediate.ports.Inbox` on `state/inbox.sqlite`, which `interlock approvals` and the terminal share."""

    def __init__(self, inbox: Inbox, session: str) -> None:
        self._inbox = inbox
        self._session = session

    async def ask(self, question: Question) -> Answer:
        """See `Inbox`. The question is withdrawn when the wait is cancelled or this process ends."""
        asked = self._inbox.ask(
            identity=question.id,
            session=self._session,
            asker="gateway",
            agent=text_at(object_at(question.action, "subject"), "agent"),
            digest=question.digest,
            action=question.action,
            decision=question.decision,
            timeout_ms=question.timeout_ms,
        )
        answer = await self._inbox.wait(asked.id)
        grant = answer.grant(asked)
        word = "nobody" if answer.word == "yes" and grant is None else answer.word
        return Answer(word, answer.approver, grant, answer.reason)

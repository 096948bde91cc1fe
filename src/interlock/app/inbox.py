"""Opens the human's inbox for people, and refuses to from inside a session; a question as JSON."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from interlock.app.run import outer_session
from interlock.storage.home import Home
from interlock.vocabulary.errors import EXIT_REFUSED, OperatorError

if TYPE_CHECKING:
    from interlock.approvals.inbox import Inbox
    from interlock.vocabulary.json_value import JsonObject
    from interlock.vocabulary.question import Answer, Question


def open_inbox() -> Inbox:
    """The inbox, checked. Raises `OperatorError` (124) inside a session: there the wall denies the file as well."""
    if outer_session() is not None:
        raise OperatorError(
            "approvals are answered outside the session they belong to",
            hint="use another terminal, one that no `interlock run` holds",
            exit_code=EXIT_REFUSED,
        )
    from interlock.approvals.inbox import Inbox

    home = Home.from_environment()
    home.ensure(home.state)
    for path in (home.inbox, f"{home.inbox}-wal", f"{home.inbox}-shm"):
        home.check_file(path)
    return Inbox(home.inbox)


def approver() -> str:
    """Who answers, as the grant names them."""
    return f"uid:{os.getuid()}"


def as_value(question: Question, answer: Answer | None) -> JsonObject:
    """A question as JSON: the whole action as it is decided on, and the answer if there is one."""
    return {
        "id": question.id,
        "state": "pending" if answer is None else answer.word,
        "session": question.session,
        "asker": question.asker,
        "agent": question.agent,
        "digest": question.digest,
        "action": question.action,
        "decision": question.decision,
        "asked_ms": question.asked_ms,
        "expires_ms": question.expires_ms,
        "approver": answer.approver if answer else None,
        "reason": answer.reason if answer else None,
        "answered_ms": answer.answered_ms if answer else None,
    }

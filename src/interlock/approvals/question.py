"""A question to a human and its answer: values only. The inbox stores them, channels show them, a grant is made from
a yes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, Literal

Action = dict[str, Any]
Decision = dict[str, Any]
State = Literal["pending", "answered", "withdrawn"]
AnswerWord = Literal["yes", "no", "timeout", "nobody", "withdrawn"]

#: How long a yes may wait for the asker to use it, in milliseconds. The asker is waiting, so this is generous.
GRANT_LIFE_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class Question:
    """One act that waits: everything a person needs to judge it. `digest` is the Action's own (spec/action.md),
    nonce included.
    """

    id: str
    session: str
    asker: str
    agent: str | None
    digest: str
    action: Action
    decision: Decision
    asked_ms: int
    expires_ms: int

    @property
    def likeness(self) -> str:
        """The same for acts that differ in nothing but nonce and id: these share a prompt, never a yes."""
        return likeness(self.action)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a question. Only `yes` carries a grant; every other word is a denial."""

    word: AnswerWord
    approver: str | None
    reason: str | None
    answered_ms: int

    def grant(self, question: Question) -> dict[str, Any] | None:
        """The Grant of spec/action.md for a yes: this digest, once, soon. None for anything else."""
        if self.word != "yes" or self.approver is None:
            return None
        return {
            "id": f"g-{question.id.removeprefix('q-')}",
            "digest": question.digest,
            "approver": self.approver,
            "expires_ms": self.answered_ms + GRANT_LIFE_MS,
            "uses": 1,
        }


def likeness(action: Action) -> str:
    """SHA-256 over the action without what makes each asking unique: id, nonce, and the process that asks."""
    same = {key: value for key, value in action.items() if key not in ("id", "nonce", "subject")}
    return hashlib.sha256(json.dumps(same, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

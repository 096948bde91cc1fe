"""A question to a human, the answer, and the grant that a yes is: values only. The line asks, the inbox keeps,
channels show."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final, Literal

from interlock.vocabulary.json_value import JsonObject

AnswerWord = Literal["yes", "no", "timeout", "nobody", "withdrawn"]

#: How long a yes may wait for the asker to use it, in milliseconds. The asker is waiting, so this is generous.
GRANT_LIFE_MS: Final = 30_000
_WITHOUT_A_REASON: Final = {"no": "refused", "timeout": "nobody answered in time", "withdrawn": "the caller is gone"}


@dataclass(frozen=True, slots=True)
class Question:
    """One act that waits: everything a person needs to judge it.

    `id` names it everywhere (inbox, records, grant), `asker` is the program that asks, `digest` the Action's own
    (spec/action.md), nonce included: what a grant binds to.
    """

    id: str
    session: str
    asker: str
    agent: str | None
    digest: str
    action: JsonObject
    decision: JsonObject
    asked_ms: int
    expires_ms: int

    @property
    def likeness(self) -> str:
        """The same for acts that differ in nothing but nonce and id: these share a prompt, never a yes."""
        return likeness(self.action)

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that ask."""
        rules = self.decision.get("rules")
        return tuple(map(str, rules)) if isinstance(rules, list) else ()

    @property
    def because(self) -> str:
        """Why they ask; empty when they do not say."""
        return str(self.decision.get("because") or "")


@dataclass(frozen=True, slots=True)
class Grant:
    """A human's yes to one question, as spec/action.md has it: this digest, so often, until then."""

    id: str
    digest: str
    approver: str
    expires_ms: int
    uses: int = 1

    @classmethod
    def to(cls, question: str, digest: str, *, approver: str, answered_ms: int) -> Grant:
        """The grant of a yes to the question of this id: this digest, once, soon."""
        return cls(f"g-{question.removeprefix('q-')}", digest, approver, answered_ms + GRANT_LIFE_MS)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a question. Only a yes carries a grant; everything else is a denial."""

    word: str
    approver: str | None = None
    grant: Grant | None = None
    reason: str | None = None
    answered_ms: int | None = None

    @property
    def granted(self) -> tuple[Grant, ...]:
        """The yeses in it."""
        return (self.grant,) if self.word == "yes" and self.grant is not None else ()

    @property
    def why_not(self) -> str:
        """Why there is no yes, in words."""
        if self.word == "yes":
            return "the grant does not cover it"
        return self.reason or _WITHOUT_A_REASON.get(self.word, "nobody said yes")


def likeness(action: JsonObject) -> str:
    """SHA-256 over the action without what makes each asking unique: id, nonce, and the process that asks."""
    same = {key: value for key, value in action.items() if key not in ("id", "nonce", "subject")}
    return hashlib.sha256(json.dumps(same, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

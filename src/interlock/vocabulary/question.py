"""A question to a human, the answer, and the grant that a yes is: values only. The line asks, the inbox keeps,
channels show."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Final, Literal

from interlock.vocabulary.json_value import JsonObject

AnswerWord = Literal["yes", "no", "timeout", "nobody", "withdrawn"]
#: What a person means: yes to this act, yes to its place for the session, no.
Meant = Literal["once", "session", "no"]

#: How long a yes may wait for the asker to use it, in milliseconds. The asker is waiting, so this is generous.
GRANT_LIFE_MS: Final = 30_000
#: How long a yes for the session holds at most, in milliseconds, and how often it is used.
SESSION_GRANT_LIFE_MS: Final = 12 * 3_600_000
SESSION_GRANT_USES: Final = 1_000_000
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
    #: The place that it covers besides, in the session that asked: as the engine reads it.
    reach: JsonObject | None = None

    @classmethod
    def to(cls, question: str, digest: str, *, approver: str, answered_ms: int) -> Grant:
        """The grant of a yes to the question of this id: this digest, once, soon."""
        return cls(f"g-{question.removeprefix('q-')}", digest, approver, answered_ms + GRANT_LIFE_MS)

    def for_session(self, reach: JsonObject) -> Grant:
        """The same for as long as the session lasts, but 12 hours at most: all that goes to this place."""
        expires_ms = self.expires_ms - GRANT_LIFE_MS + SESSION_GRANT_LIFE_MS
        return replace(self, expires_ms=expires_ms, uses=SESSION_GRANT_USES, reach=reach)

    def as_value(self) -> JsonObject:
        """As the engine reads it."""
        value = {"id": self.id, "digest": self.digest, "approver": self.approver, "expires_ms": self.expires_ms}
        reach = {} if self.reach is None else {"reach": self.reach}
        return {**value, "uses": self.uses, **reach}


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


def reach_of(action: JsonObject) -> JsonObject | None:
    """The place that a yes for the session to this act would be about (spec/action.md); none where it would be about
    the act alone.
    """
    target, subject = action.get("target"), action.get("subject")
    if action.get("verb") not in ("net.connect", "net.send") or not isinstance(target, dict):
        return None
    session = subject.get("session") if isinstance(subject, dict) else None
    if session is None or target.get("to") != "outside" or target.get("protocol") not in ("tcp", "udp"):
        return None
    place = {key: target[key] for key in ("protocol", "host", "address", "port") if target.get(key) is not None}
    return {"session": session, "verb": action["verb"], **place}

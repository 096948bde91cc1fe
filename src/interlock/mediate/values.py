"""What the line carries between its ports: Decision, Question, Answer, and how an operation ended. Frozen.

Action and Facts stay JSON objects (spec/action.md): the engine reads exactly what the ledger keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, TypeVar

from interlock.mediate.json_text import JsonObject, is_object, text_at

T = TypeVar("T")

APPROVAL_TIMEOUT_MS_DEFAULT: Final = 120_000


_WITHOUT_A_REASON: Final = {"no": "refused", "timeout": "nobody answered in time", "withdrawn": "the caller is gone"}


class Says(StrEnum):
    """What a policy may say."""

    ALLOW = "allow"
    STEER = "steer"
    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """The engine's answer, whole, as `document` keeps it for the record, with the parts that are acted on."""

    says: Says
    rules: tuple[str, ...]
    because: str | None
    timeout_ms: int
    record: str
    document: JsonObject = field(repr=False)

    @classmethod
    def read(cls, document: JsonObject) -> Decision:
        """Read spec/action.md's Decision. Raises `ValueError` for anything that is not one: the caller denies."""
        timeout_ms = document.get("timeout_ms")
        obligations = document.get("obligations")
        rules = document.get("rules")
        if not isinstance(rules, list) or not all(isinstance(rule, str) for rule in rules):
            raise ValueError("a decision without its rules")
        duties: JsonObject = obligations if is_object(obligations) else {}
        unknown = sorted(set(duties) - {"record"})
        if unknown:
            raise ValueError(f"an obligation that cannot be honoured here: `{unknown[0]}`")
        return cls(
            says=Says(text_at(document, "decision") or ""),
            rules=tuple(rules),
            because=text_at(document, "because"),
            timeout_ms=timeout_ms if isinstance(timeout_ms, int) else APPROVAL_TIMEOUT_MS_DEFAULT,
            record=text_at(duties, "record") or "durable",
            document=document,
        )

    @classmethod
    def own_denial(cls, because: str) -> Decision:
        """A denial that no rule said: a fault, or input that never came as far as the policy."""
        document: JsonObject = {
            "decision": "deny",
            "rules": [],
            "layers": [],
            "because": because,
            "timeout_ms": None,
            "steer": None,
            "obligations": {},
            "spoke": False,
            "errors": [because],
        }
        return cls(Says.DENY, (), because, 0, "durable", document)


    def settled_as_denial(self, because: str) -> Decision:
        """What the decision comes to when it cannot be enacted as it stands: a denial by the same rules."""
        document: JsonObject = {
            **self.document,
            "decision": "deny",
            "because": because,
            "timeout_ms": None,
            "steer": None,
            "obligations": {"record": "ordered"},
        }
        return Decision(Says.DENY, self.rules, because, 0, "ordered", document)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a human: the question's name, the Action with its nonce, the digest a grant binds to, and until
    when."""

    id: str
    action: JsonObject
    digest: str
    decision: JsonObject
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A human's answer, or that there was none: `yes` always carries its grant, nothing else ever does."""

    answer: str
    approver: str | None = None
    grant: JsonObject | None = None
    reason: str | None = None

    @property
    def why_not(self) -> str:
        """Why there is no yes, in words."""
        if self.answer == "yes":
            return "the grant does not cover it"
        return self.reason or _WITHOUT_A_REASON.get(self.answer, "nobody said yes")


class Effect(StrEnum):
    """How far an operation came: the three words that agent, human and ledger (`action.enacted`) are told.

    An agent repeats what it is told was not done, so `NOT_SENT` is said only where it is certain: no byte of the
    request has left. `DONE` is a valid answer. Everything between is `UNKNOWN`.
    """

    NOT_SENT = "not sent"
    DONE = "done"
    UNKNOWN = "unknown"


class Passage:
    """How far one operation has come, told by whoever carries it. INVARIANT: it never goes back to `NOT_SENT`."""

    def __init__(self) -> None:
        self._effect = Effect.NOT_SENT

    @property
    def effect(self) -> Effect:
        """What is certain now, should nothing more be heard."""
        return self._effect

    def leaves(self) -> None:
        """The next thing done is to write the request's first byte."""
        self._effect = Effect.UNKNOWN


@dataclass(frozen=True, slots=True)
class Enacted(Generic[T]):
    """How an operation that was let through ended: the outcome to hand back, and what its record says of it."""

    outcome: T
    effect: Effect
    status: str | None = None
    result: JsonObject | None = None
    withheld: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A denial as a value: who said it, why, and in which record it stands (none when recording itself failed).

    `effect` is more than `NOT_SENT` only where an operation had been let through and the record of its end failed.
    """

    decision: Decision
    reason: str
    answer: Answer | None = None
    record: int | None = None
    effect: Effect = Effect.NOT_SENT

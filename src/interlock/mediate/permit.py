"""What goes into an enactor and what comes out: the Permit, what an enactor can honour, and how an operation
ended. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec import Struct

from interlock.vocabulary.decision import Decision, Obligations, Verdict
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.facts import Facts
from interlock.vocabulary.json_value import JsonObject
from interlock.vocabulary.question import Answer

T = TypeVar("T")


class Permit(Struct, frozen=True):
    """Leave to enact: made by the line alone, once the decision stands in the log.

    `action` is what is to be done (what a steer leads to, where the verdict is one), `facts` those that it was
    decided with, `record` the number of the record that says so.
    """

    action: JsonObject
    verdict: Verdict
    obligations: Obligations
    facts: Facts
    record: int


@dataclass(frozen=True, slots=True)
class Honours:
    """What an enactor can do beside the act as it stands: kinds of steers, and kinds of obligations. All else that a
    policy says is a denial."""

    steers: frozenset[str] = frozenset()
    obligations: frozenset[str] = frozenset()


class Enacted(Struct, Generic[T], frozen=True):
    """How an operation that was let through ended: the outcome to hand back, and what its record says of it."""

    outcome: T
    effect: Effect
    status: str | None = None
    result: JsonObject | None = None
    withheld: str | None = None
    #: What else its record says.
    noted: JsonObject | None = None
    #: What was handed on, for who keeps in mind what its agent has read.
    said: object = None


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
    #: How the call was scored, where a rule asked for that.
    risk: JsonObject | None = None


class Attribution(Struct, frozen=True):
    """What the records of one operation say beside it: agent (with assurance), prompt reference, trace, and who
    stands above."""

    agent: JsonObject
    prompt: str | None = None
    trace: JsonObject | None = None
    parent: str | None = None

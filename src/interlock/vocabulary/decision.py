"""A Decision: what a policy says of an Action; and a Verdict: what may be enacted of it.

An approval is a question, not a Verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from interlock.vocabulary.reading import Fields, Json, Malformed

__all__ = ["Decision", "Obligations", "Outcome", "RecordClass", "Verdict", "decision_from_json", "decision_to_json"]

Outcome: TypeAlias = Literal["allow", "steer", "approve", "deny"]
Verdict: TypeAlias = Literal["allow", "steer", "deny"]
RecordClass: TypeAlias = Literal["routine", "ordered", "durable"]


@dataclass(frozen=True, slots=True)
class Obligations:
    """What must be kept to when the act is let through; one that cannot be honoured is a denial."""

    record: RecordClass = "routine"
    limit: tuple[tuple[str, int], ...] = ()
    mask: frozenset[str] = frozenset()
    inject: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says, with the rules that said it.

    Arguments:
        decision: the answer.
        rules: `layer/id` of each rule that said it, sorted; empty for a default denial.
        layers: names of the layers that said it, sorted.
        because: why, for the person and the agent.
        timeout_ms: how long to wait for a human, with `approve` only.
        steer: what to do instead, with `steer` only.
        obligations: what must be kept to.
        spoke: whether any layer had something to say.
        errors: rules that could not be evaluated, and why, sorted.
    """

    decision: Outcome
    rules: tuple[str, ...]
    layers: tuple[str, ...]
    because: str
    timeout_ms: int | None = None
    steer: Json = None
    obligations: Obligations = field(default_factory=Obligations)
    spoke: bool = True
    errors: tuple[str, ...] = ()

    def verdict(self) -> Verdict | None:
        """What may be enacted; None while it is a question."""
        return None if self.decision == "approve" else self.decision


def decision_from_json(value: Json) -> Decision:
    """Reads a Decision strictly. Raises `reading.Malformed`."""
    fields = Fields(value, "a decision")
    decision = Decision(
        decision=fields.one("decision", _outcome),
        rules=fields.texts("rules"),
        layers=fields.texts("layers"),
        because=fields.text("because"),
        timeout_ms=fields.optional_integer("timeout_ms"),
        steer=fields.value("steer"),
        obligations=fields.one("obligations", _obligations),
        spoke=fields.claim("spoke", default=True),
        errors=fields.texts("errors"),
    )
    fields.end()
    return decision


def decision_to_json(decision: Decision) -> dict[str, Json]:
    """The Decision as the JSON of spec/action.md."""
    obligations: dict[str, Json] = {"record": decision.obligations.record}
    if decision.obligations.limit:
        obligations["limit"] = dict[str, Json](decision.obligations.limit)
    if decision.obligations.mask:
        obligations["mask"] = list[Json](sorted(decision.obligations.mask))
    if decision.obligations.inject is not None:
        obligations["inject"] = decision.obligations.inject
    return {
        "decision": decision.decision,
        "rules": list[Json](decision.rules),
        "layers": list[Json](decision.layers),
        "because": decision.because,
        "timeout_ms": decision.timeout_ms,
        "steer": decision.steer,
        "obligations": obligations,
        "spoke": decision.spoke,
        "errors": list[Json](decision.errors),
    }


def _outcome(value: Json) -> Outcome:
    if value not in ("allow", "steer", "approve", "deny"):
        raise Malformed(f"`{value}` is no decision")
    return cast(Outcome, value)


def _obligations(value: Json) -> Obligations:
    fields = Fields(value, "obligations")
    record = fields.text("record") if fields.has("record") else "routine"
    if record not in ("routine", "ordered", "durable"):
        raise Malformed(f"`{record}` is no record class")
    obligations = Obligations(
        record=cast(RecordClass, record),
        limit=fields.optional("limit", _limit) or (),
        mask=frozenset(fields.texts("mask")) if fields.has("mask") else frozenset(),
        inject=fields.optional_text("inject"),
    )
    fields.end()
    return obligations


def _limit(value: Json) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, dict):
        raise Malformed("`limit` is not an object")
    fields = Fields(value, "limit")
    return tuple((name, fields.integer(name)) for name in sorted(value))

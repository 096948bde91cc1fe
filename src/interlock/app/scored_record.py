"""A recorded call with its score, and the same call scored again by what its record keeps (`interlock risk`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from interlock.ledger.reader import entries, find
from interlock.risk.score import Known, score, seen
from interlock.risk.settings import scorings
from interlock.storage.home import Home
from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.json_value import JsonObject, object_at
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interlock.policy.compiled_form import CompiledPolicy


@dataclass(frozen=True, slots=True)
class ScoredRecord:
    """The parts of an `action.decided` that tell of a score."""

    name: str
    action: JsonObject
    decision: JsonObject
    risk: JsonObject


def scored_record(text: str) -> ScoredRecord:
    """The record `LOG:NUMBER`. Raises `OperatorError` when there is none, or it tells of no score."""
    name, _, number = text.rpartition(":")
    if not name or not (number.isascii() and number.isdigit() and len(number) < 16):
        hint = "LOG:NUMBER, as `interlock ledger query` has them"
        raise OperatorError(f"`{printable(text)}` names no record", hint=hint)
    log = find(Home.from_environment().state, name)
    found = next((each for each in entries(log.path) if each.number == int(number)), None) if log is not None else None
    if log is None or found is None:
        raise OperatorError(f"no record is called `{printable(text)}`", hint="see: interlock ledger query")
    document = found.event.document
    if "risk" not in document:
        hint = "calls at the gateway are scored where a layer of its policy says `risk:`"
        raise OperatorError(f"record {number} of `{log.name}` tells of no score", hint=hint)
    parts = (object_at(document, key) for key in ("action", "decision", "risk"))
    return ScoredRecord(f"{log.name}:{number}", *parts)


def rescored(found: ScoredRecord, policies: Sequence[str]) -> JsonObject:
    """The same call scored by its record and these layers alone. Raises `OperatorError` and `PolicyError`."""
    from interlock.app.gateway_policy import call_policy

    policy, _ = call_policy(policies, None, Home.from_environment())
    return rescored_by(found, policy)


def rescored_by(found: ScoredRecord, policy: CompiledPolicy) -> JsonObject:
    """As `rescored`, of a compiled policy. Raises `OperatorError` where the record does not hold what is needed."""
    arguments = object_at(object_at(found.action, "target"), "arguments")
    if set(arguments) == {"digest", "bytes"}:
        hint = "of arguments beyond 24 KiB a record keeps digest and size"
        raise OperatorError("the record does not hold the call's arguments", hint=hint)
    try:
        known = msgspec.convert(object_at(found.risk, "known"), Known)
    except msgspec.ValidationError as error:
        raise OperatorError(f"the record's `known` cannot be read: {error}") from error
    again = score(scorings(policy), found.action, seen(found.action), known)
    made: JsonObject = msgspec.to_builtins(again)
    return made

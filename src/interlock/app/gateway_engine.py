"""The engine behind the gateway's port: the native Policy, and the same policy relaxed for lists.

The relaxed policy answers "could this ever be allowed?": conditions that only a call decides (arguments, `when`) are
taken from what allows, and rules that deny under such conditions are left out. It is never asked about an act.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from interlock._native import Policy, action_digest
from interlock.mediate.json_text import JsonObject, encode, is_object, parse
from interlock.mediate.values import Decision

_DECIDED_AT_THE_CALL = ("arguments",)


class NativeEngine:
    """Implements `mediate.ports.Engine`."""

    def __init__(self, compiled: Mapping[str, Any]) -> None:
        """`compiled`: spec/policy.md. Raises `interlock._native.PolicyError` for what is not a compiled policy."""
        self._policy = Policy(json.dumps(compiled))
        self._relaxed = Policy(json.dumps(relaxed(compiled)))

    @property
    def policy(self) -> str:
        """See `Engine`."""
        return self._policy.digest

    def decide(self, action: JsonObject, facts: JsonObject) -> Decision:
        """See `Engine`."""
        return _decision(self._policy.decide(encode(action).decode(), encode(facts).decode()))

    def possible(self, action: JsonObject) -> Decision:
        """See `Engine`."""
        return _decision(self._relaxed.decide(encode(action).decode(), None))

    def digest(self, action: JsonObject) -> str:
        """See `Engine`."""
        try:
            return action_digest(encode(action).decode())
        except Exception as error:  # the native module's errors share no root with ours
            raise ValueError(str(error)) from error


def relaxed(compiled: Mapping[str, Any]) -> dict[str, Any]:
    """The compiled policy with every condition of the call resolved in favour of allowing."""
    layers = [{key: value for key, value in layer.items() if key != "digest"} for layer in compiled["layers"]]
    for layer in layers:
        layer["rules"] = [relaxed_rule for rule in layer["rules"] if (relaxed_rule := _relaxed_rule(rule)) is not None]
    return {"interlock": compiled["interlock"], "layers": layers}


def _relaxed_rule(rule: Mapping[str, Any]) -> dict[str, Any] | None:
    match = rule.get("match", {})
    conditional = rule.get("when") is not None or any(key in match for key in _DECIDED_AT_THE_CALL)
    if not conditional:
        return dict(rule)
    if rule["decision"] == "deny":
        return None
    return {
        **rule,
        "when": None,
        "match": {key: value for key, value in match.items() if key not in _DECIDED_AT_THE_CALL},
    }


def _decision(text: str) -> Decision:
    document = parse(text.encode())
    if not is_object(document):
        raise ValueError("the engine's answer is not an object")
    return Decision.read(document)

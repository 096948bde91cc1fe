"""The flows of a policy at the gateway: which calls are which ends of which flows, asked of the engine itself, and
what each agent has from where (`risk/flows.py`), as findings of their layers."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import json as msgspec_json

from interlock.policy.engine import native
from interlock.risk.flows import Flow, Flows, Origin
from interlock.risk.score import agent_of
from interlock.vocabulary.facts import Finding
from interlock.vocabulary.json_text import JsonObject, encode, object_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.policy.compiled_form import CompiledPolicy, CompiledRule
    from interlock.policy.flows import CompiledEnd
    from interlock.risk.memory import Keeper
    from interlock.risk.settings import Declared

#: The ends of a flow, as the rules that stand for them are named.
_ENDS: Final = ("source", "sink", "tool")
_NAMES: Final = ("connector", "tool", "operation")
#: What may be a part of a result's origin in the words of its call.
_CHARACTERS_MAX: Final = 1_024
ORIGINS_KEPT_MAX: Final = 4_096


class FlowEnds:
    """Each end is a rule of its own, so that it matches calls exactly as rules do. What cannot be matched surely counts
    as a source and a sink, and declassifies nothing."""

    def __init__(self, flows: tuple[Flow, ...], declared: Declared | None) -> None:
        self._flows = {flow.name: flow for flow in flows}
        self._declared = declared
        self._policies = {
            end: native().Policy(json.dumps({"interlock": 1, "layers": _layers(flows, end)})) for end in _ENDS
        }
        self.sources = lru_cache(ORIGINS_KEPT_MAX)(self._sources)
        self.declassifiers = lru_cache(ORIGINS_KEPT_MAX)(self._declassifiers)

    def sinks(self, action: JsonObject) -> frozenset[str]:
        """The flows that a call is a sink of."""
        return self._matching("sink", encode(action).decode())

    def origin(self, action: JsonObject) -> str:
        """Where a call's result will come from."""
        target, text = object_at(action, "target"), encode(action).decode()
        connector, tool, operation = (str(target.get(key) or "")[:_CHARACTERS_MAX] for key in _NAMES)
        narrow = [name for name in sorted(self._matching("source", text)) if self._narrows(name, "source")]
        narrow += [f"+{name}" for name in sorted(self._matching("tool", text)) if self._narrows(name, "tool")]
        return Origin(connector, tool, operation, tuple(narrow)).text

    def _sources(self, origin: str) -> frozenset[str]:
        return self._of(origin, "source", "")

    def _declassifiers(self, origin: str) -> frozenset[str]:
        return self._of(origin, "tool", "+")

    def _of(self, origin: str, end: str, sign: str) -> frozenset[str]:
        """The flows of which what came from there is this end: those with conditions on arguments by what was kept of
        its call, the others by its names."""
        parts = msgspec_json.decode(origin, type=Origin)
        by_name: set[str] = set()
        for verb in ("tool.call", "resource.read", "prompt.get"):
            by_name |= self._matching(end, encode(_named(verb, parts)).decode())
        kept = {name for name in self._flows if f"{sign}{name}" in parts.flows}
        found = {name for name in by_name | kept if name in kept or not self._narrows(name, end)}
        labels = set(self._declared.of(parts.connector, parts.tool)) if self._declared is not None else set()
        return frozenset(name for name in found if end != "source" or self._is_labelled(name, labels))

    def _is_labelled(self, name: str, labels: set[str]) -> bool:
        asked = self._flows[name].compiled["labels"]
        return not asked or bool(labels.intersection(asked))

    def _narrows(self, name: str, end: str) -> bool:
        """Whether that end has conditions on arguments."""
        compiled = self._flows[name].compiled[end]  # type: ignore[literal-required]  # `end` is one of `_ENDS`
        return compiled is not None and "arguments" in compiled["match"]

    def _matching(self, end: str, action: str) -> frozenset[str]:
        decision = json.loads(self._policies[end].decide(action))
        in_doubt = {error.partition(": ")[0] for error in decision["errors"]} if end == "tool" else set()
        return frozenset(name for name in decision["rules"] if name not in in_doubt)


class PolicyFlows:
    """See the module. Belongs to the running loop."""

    def __init__(self, policy: CompiledPolicy, declared: Declared | None, keeper: Keeper) -> None:
        self._flows = flows_of(policy)
        self._layers = tuple(layer["name"] for layer in policy["layers"] if "flows" in layer)
        self._ends = FlowEnds(self._flows, declared)
        self.memory = Flows(self._flows, self._ends, keeper)

    def findings(self, action: JsonObject, now_ms: int) -> Mapping[str, tuple[Finding, ...]]:
        """What the layers with flows say of a call: a finding for each flow that it would be."""
        found: dict[str, tuple[Finding, ...]] = dict.fromkeys(self._layers, ())
        for each in self.memory.broken(agent_of(action), action, self._ends.sinks(action), now_ms):
            found[each.flow.layer] += (finding_of(each.flow, each.because),)
        return found

    def let_through(self, action: JsonObject, now_ms: int) -> None:
        """A call is about to be sent."""
        self.memory.let_through(agent_of(action), action, self._ends.origin(action), now_ms)

    def returned(self, action: JsonObject, said: object, now_ms: int) -> None:
        """Its result goes to its agent."""
        self.memory.returned(agent_of(action), self._ends.origin(action), said, now_ms)


def flows_of(policy: CompiledPolicy) -> tuple[Flow, ...]:
    """Those of all layers."""
    return tuple(Flow(layer["name"], each) for layer in policy["layers"] for each in layer.get("flows", ()))


def finding_of(flow: Flow, because: str) -> Finding:
    """What a flow says of a call that it would be."""
    compiled = flow.compiled
    finds, timeout_ms = ("approve", compiled["timeout_ms"]) if compiled["person"] else ("deny", None)
    return Finding(finds, compiled["id"], because, timeout_ms)


def _layers(flows: tuple[Flow, ...], end: str) -> list[JsonObject]:
    """The layers, each flow's end as a rule of its name that denies what it matches."""
    found: dict[str, list[CompiledRule]] = {}
    for flow in flows:
        compiled: CompiledEnd | None = flow.compiled[end]  # type: ignore[literal-required]  # `end` is one of `_ENDS`
        if compiled is not None:
            found.setdefault(flow.layer, []).append(_rule(flow, compiled))
    return [{"name": name, "origin": "user", "closed": False, "rules": rules} for name, rules in found.items()]


def _rule(flow: Flow, compiled: CompiledEnd) -> CompiledRule:
    return {
        "id": flow.compiled["id"],
        "decision": "deny",
        "verbs": compiled["verbs"],
        "because": None,
        "match": compiled["match"],
        "when": None,
        "timeout_ms": None,
        "steer": None,
        "obligations": {},
        "best_effort": False,
        "source": {"file": flow.layer, "line": 1, "column": 1},
    }


def _named(verb: str, parts: Origin) -> JsonObject:
    target: JsonObject = {
        "connector": parts.connector,
        "tool": parts.tool,
        "operation": parts.operation,
        "arguments": {},
        "definition": None,
    }
    subject: JsonObject = {"agent": None, "session": "flow", "task": None, "process": None}
    return {"id": "flow/0", "plane": "gateway", "verb": verb, "target": target, "subject": subject}

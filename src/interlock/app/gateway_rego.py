"""What a policy's layers find beside their rules, behind the port of the line (`mediate/consulting.py`): their Rego,
each entry an evaluator or a server, all of them asked at once; and their flows, which came with the score."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from interlock.mediate.consulting import Consulting, Unconsulted
from interlock.policy.faults import Fault, Place, PolicyError
from interlock.rego.document import document
from interlock.rego.evaluator import Child, Evaluator, Unheard
from interlock.rego.server import Server
from interlock.vocabulary.facts import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interlock.mediate.permit import Attribution
    from interlock.mediate.ports import Clock
    from interlock.mediate.scoring import Scored
    from interlock.policy.compiled_form import CompiledPolicy
    from interlock.policy.rego import CompiledRego
    from interlock.vocabulary.json_value import JsonObject


class Layers:
    """See the module. Belongs to the running loop."""

    def __init__(self, policy: CompiledPolicy, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._voices = {
            layer["name"]: [_voice(each) for each in layer["rego"]] for layer in policy["layers"] if "rego" in layer
        }
        self._flowing = frozenset(layer["name"] for layer in policy["layers"] if "flows" in layer)

    async def findings(
        self, layers: Sequence[str], action: JsonObject, attribution: Attribution, scored: Scored
    ) -> Mapping[str, tuple[Finding, ...]]:
        """See `Consulting`."""
        found = {name: self._carried(name, scored) for name in layers}
        asked = [(name, voice) for name in layers for voice in self._voices.get(name, ())]
        if not asked:
            return found
        text = document(action, attribution, scored, self._now_ms())
        answers = await asyncio.gather(*(voice.findings(text) for _, voice in asked))
        for (name, _), findings in zip(asked, answers, strict=True):
            found[name] += findings
        return found

    def _carried(self, layer: str, scored: Scored) -> tuple[Finding, ...]:
        """What the flows of a layer find. INVARIANT: flows that nobody looked at are an error, which denies."""
        if layer not in self._flowing:
            return ()
        found = (scored.flows or {}).get(layer)
        return (Finding("error", "flows", "nobody looked at what flows"),) if found is None else found

    def close(self) -> None:
        """End their processes."""
        for voice in (each for voices in self._voices.values() for each in voices):
            voice.close()


def consulting_of(policy: CompiledPolicy, clock: Clock) -> Layers | None:
    """What the layers of a policy find; none where they have neither Rego nor flows."""
    found = any("rego" in layer or "flows" in layer for layer in policy["layers"])
    return Layers(policy, clock.now_ms) if found else None


def check(policy: CompiledPolicy) -> None:
    """Load each module as it would be when it is asked. Raises `PolicyError` with each that cannot be."""
    faults: list[Fault] = []
    for layer in policy["layers"]:
        for entry in layer.get("rego", ()):
            modules = entry.get("modules", [])
            if not modules:
                continue
            try:
                Child(entry).end()
            except Unheard as unheard:
                hint = "an OPA server evaluates what this cannot: `server: http://127.0.0.1:8181` (docs/rego.md)"
                place = Place(modules[0]["name"])
                faults.append(Fault(place, f"the Rego of layer `{layer['name']}` cannot be used: {unheard}", hint))
    if faults:
        raise PolicyError(faults)


def _voice(compiled: CompiledRego) -> Evaluator | Server:
    return Server(compiled) if "server" in compiled else Evaluator(compiled)


def consulting(layers: Layers | None) -> Consulting:
    """Behind the port."""
    return Unconsulted() if layers is None else layers

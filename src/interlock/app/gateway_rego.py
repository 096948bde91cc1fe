"""The Rego of a policy's layers behind the port of the line (`mediate/consulting.py`): each entry an evaluator or a
server, all of them asked at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from interlock.mediate.consulting import Consulting, Unconsulted
from interlock.policy.faults import Fault, Place, PolicyError
from interlock.rego.document import document
from interlock.rego.evaluator import Child, Evaluator, Unheard
from interlock.rego.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interlock.mediate.permit import Attribution
    from interlock.mediate.ports import Clock
    from interlock.mediate.scoring import Scored
    from interlock.policy.compiled_form import CompiledPolicy
    from interlock.policy.rego import CompiledRego
    from interlock.vocabulary.facts import Finding
    from interlock.vocabulary.json_value import JsonObject


class Layers:
    """See the module. Belongs to the running loop."""

    def __init__(self, policy: CompiledPolicy, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._voices = {
            layer["name"]: [_voice(each) for each in layer["rego"]] for layer in policy["layers"] if "rego" in layer
        }

    async def findings(
        self, layers: Sequence[str], action: JsonObject, attribution: Attribution, scored: Scored
    ) -> Mapping[str, tuple[Finding, ...]]:
        """See `Consulting`."""
        text = document(action, attribution, scored, self._now_ms())
        asked = [(name, voice) for name in layers for voice in self._voices[name]]
        answers = await asyncio.gather(*(voice.findings(text) for _, voice in asked))
        found: dict[str, tuple[Finding, ...]] = dict.fromkeys(layers, ())
        for (name, _), findings in zip(asked, answers, strict=True):
            found[name] += findings
        return found

    def close(self) -> None:
        """End their processes."""
        for voice in (each for voices in self._voices.values() for each in voices):
            voice.close()


def consulting_of(policy: CompiledPolicy, clock: Clock) -> Layers | None:
    """The Rego of a policy; none where it has none."""
    return Layers(policy, clock.now_ms) if any("rego" in layer for layer in policy["layers"]) else None


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

"""The input that Rego is given about one call (docs/rego.md). Stable: keys are added, none changes its meaning.

Everything that the decision rests on is in it, so the same input gives the same findings: no policy needs a clock or
the network for who asks, what, how risky it is, and what its agent has read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.vocabulary.json_text import JsonObject, encode, object_at, text_at

if TYPE_CHECKING:
    from interlock.mediate.permit import Attribution
    from interlock.mediate.scoring import Scored

VERSION = 1


def document(action: JsonObject, attribution: Attribution, scored: Scored, now_ms: int) -> bytes:
    """As JSON."""
    target, subject = object_at(action, "target"), object_at(action, "subject")
    told = scored.told or {}
    return encode(
        {
            "interlock": VERSION,
            "verb": action["verb"],
            "connector": target.get("connector"),
            "tool": target.get("tool"),
            "operation": target.get("operation"),
            "arguments": target.get("arguments", {}),
            "answers": object_at(target, "beside").get("inputResponses"),
            "definition": target.get("definition"),
            "agent": {
                "name": text_at(subject, "agent"),
                "assurance": text_at(attribution.agent, "assurance"),
                "session": text_at(attribution.agent, "session"),
            },
            "prompt": attribution.prompt,
            "risk": {"score": told.get("score"), "signals": told.get("signals", []), "mode": told.get("mode")},
            "labels": sorted((scored.labels or {}).get("context", ())),
            "flows": _flows(scored),
            "now_ms": now_ms,
        }
    )


def _flows(scored: Scored) -> list[JsonObject]:
    """The flows that the call would be, of all layers."""
    found = ((layer, each) for layer, flows in sorted((scored.flows or {}).items()) for each in flows)
    return [{"flow": f"{layer}/{each.id}", "because": each.because} for layer, each in found]

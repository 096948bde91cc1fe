"""`when` of a rule: the Facts that must be so for it to speak, each with what is wanted of it."""

# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock.policy import labels, risk, values
from interlock.policy.document import Mapping, Node
from interlock.policy.faults import Fault, meant, quoted
from interlock.policy.language import FACTS, GATEWAY_VERBS

if TYPE_CHECKING:
    from interlock.policy.layer import When

#: What only calls at the gateway have. A list is no call: it shows what could be called.
SCORED: Final = ("risk", "labels")
SCORED_VERBS: Final = frozenset(GATEWAY_VERBS) - {"tool.list"}
KNOWN: Final = (*FACTS, *SCORED)


def when(node: Node, field: str, faults: list[Fault]) -> When | None:
    """`{origin: session}`, `{history: [none, session]}`, `{risk: {at_least: 60}}`, `{labels: {context: untrusted}}`."""
    if not isinstance(node, Mapping):
        faults.append(Fault(node.place, f"`{field}` is a mapping", "write `when: {origin: session}`"))
        return None
    if not node.entries:
        faults.append(Fault(node.place, "`when` says nothing", "write `when: {origin: session}`, or leave it out"))
    named = []
    for key, value in node.entries:
        if key.value in KNOWN:
            named.append((key.value, _wanted(key.value, value, faults)))
        else:
            hint = meant(key.value, KNOWN, f"known here: {', '.join(KNOWN)}")
            faults.append(Fault(key.place, f"unknown key {quoted(key.value)} in `when`", hint))
    return tuple((fact, wanted) for fact, wanted in named if wanted is not None) or None


def _wanted(
    fact: str, node: Node, faults: list[Fault]
) -> str | int | tuple[str, ...] | tuple[tuple[str, tuple[str, ...]], ...] | None:
    match fact:
        case "risk":
            return risk.at_least(node, faults)
        case "labels":
            return labels.any_of(node, faults)
        case "history":
            return values.choices(node, fact, faults, FACTS[fact][0])
        case _:
            return values.choice(node, fact, faults, FACTS[fact][0])

"""`flows:` of a layer: what may not get from where to where (docs/flows.md), and what lifts that.

    flows:
      - id: whither
        from: {labels: untrusted}
        to: {connector: [mail, bank], argument: [/to, /recipient]}
        carries: named
        declassify: {connector: directory, tool: lookup, person: true}

Both ends, and the tools that declassify, are selectors of calls as a rule's are. Left out: what was read when, and what
of it a call carries (`interlock.risk.flows`).
"""

# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

from interlock.policy import values
from interlock.policy.document import Mapping, Node, Sequence, Text
from interlock.policy.faults import Fault, meant, quoted
from interlock.policy.language import SELECTORS
from interlock.policy.when import SCORED_VERBS
from interlock.vocabulary.label_places import LABEL_PLACES

if TYPE_CHECKING:
    from interlock.policy.compiled_form import Match

FLOWS_MAX: Final = 100
#: What has to get there → in words.
CARRIES: Final[dict[str, str]] = {
    "anything": "whatever the call says, from the moment that its agent has read a source",
    "named": "a value that its agent met first in what a source answered",
    "unknown": "a value that nothing but a source, or its agent itself, has named, once a source was read",
}
TIMEOUT_MS_DEFAULT: Final = 300_000
KEYS: Final = ("id", "from", "to", "carries", "declassify", "because", "timeout")
_CALL_KEYS: Final = ("connector", "tool", "operation", "arguments")
FROM_KEYS: Final = (*_CALL_KEYS, "labels")
TO_KEYS: Final = (*_CALL_KEYS, "argument")
DECLASSIFY_KEYS: Final = (*_CALL_KEYS, "prompt", "person")


class CompiledEnd(TypedDict):
    """Which calls: what a rule would match, and with which verbs."""

    verbs: list[str]
    match: Match


class CompiledFlow(TypedDict):
    """One flow. `labels` narrows its sources, `argument` says where in a sink's arguments; `tool` declassifies."""

    id: str
    carries: str
    source: CompiledEnd
    labels: list[str]
    sink: CompiledEnd
    argument: list[str]
    tool: CompiledEnd | None
    prompt: bool
    person: bool
    timeout_ms: int
    because: str | None


def flows(node: Node, field: str, faults: list[Fault]) -> tuple[CompiledFlow, ...] | None:
    """Read them. Faults go to the list."""
    if not isinstance(node, Sequence) or not node.items:
        return _wrong(faults, node, f"`{field}` is a list", "each flow begins with `- id: …`")
    if len(node.items) > FLOWS_MAX:
        return _wrong(faults, node, f"more than {FLOWS_MAX} flows", "use patterns such as `tool: read_*`")
    found: dict[str, CompiledFlow] = {}
    for item in node.items:
        made = _flow(item, faults)
        if made is None:
            continue
        if made["id"] in found:
            _wrong(faults, item, f"the id `{made['id']}` is used twice", "decisions and records cite it")
        found[made["id"]] = made
    return tuple(found.values())


def _flow(node: Node, faults: list[Fault]) -> CompiledFlow | None:
    if not isinstance(node, Mapping):
        return _wrong(faults, node, "a flow is a mapping", "write `- id: …`, `from: …`, `to: …`")
    found = _entries(node, KEYS, "flows", faults)
    lacking = [key for key in ("id", "from", "to") if key not in found]
    if lacking:
        return _wrong(faults, node, f"the flow has no `{lacking[0]}`", "it has `id`, `from` and `to`")
    sources, labels = _source(found["from"], faults)
    sinks, argument = _sink(found["to"], faults)
    carries = values.choice(found["carries"], "carries", faults, tuple(CARRIES)) if "carries" in found else None
    tools, prompt, person = _declassifiers(found.get("declassify"), carries or "anything", faults)
    timeout_ms = values.duration(found["timeout"], "timeout", faults) if "timeout" in found else None
    if "timeout" in found and not person:
        _wrong(faults, found["timeout"], "`timeout` without a person who is asked", "add `declassify: {person: true}`")
    return {
        "id": values.name(found["id"], "id", faults) or "unnamed",
        "carries": carries or "anything",
        "source": sources,
        "labels": labels,
        "sink": sinks,
        "argument": argument,
        "tool": tools,
        "prompt": prompt,
        "person": person,
        "timeout_ms": timeout_ms or TIMEOUT_MS_DEFAULT,
        "because": values.text(found["because"], "because", faults) if "because" in found else None,
    }


def _source(node: Node, faults: list[Fault]) -> tuple[CompiledEnd, list[str]]:
    example = "write `from: {labels: untrusted}`, or name a connector"
    if not isinstance(node, Mapping) or not node.entries:
        _wrong(faults, node, "`from` is a mapping that names sources", example)
        return _NOTHING, []
    found = _entries(node, FROM_KEYS, "from", faults)
    words = values.choices(found["labels"], "labels", faults, LABEL_PLACES["context"]) if "labels" in found else None
    return _end(found, faults), list(words or ())


def _sink(node: Node, faults: list[Fault]) -> tuple[CompiledEnd, list[str]]:
    if not isinstance(node, Mapping) or not node.entries:
        _wrong(faults, node, "`to` is a mapping that names sinks", "write `to: {connector: mail, argument: /to}`")
        return _NOTHING, []
    found = _entries(node, TO_KEYS, "to", faults)
    listed = values.items(found["argument"], "argument", faults) or () if "argument" in found else ()
    for item in listed:
        if not item.text.startswith("/"):
            hint = "it begins with `/`, as in `/to` (RFC 6901)"
            faults.append(Fault(item.place, f"{quoted(item.text)} is not a JSON pointer", hint))
    return _end(found, faults), list(dict.fromkeys(item.text for item in listed))


def _declassifiers(node: Node | None, carries: str, faults: list[Fault]) -> tuple[CompiledEnd | None, bool, bool]:
    if node is None:
        return None, False, False
    if not isinstance(node, Mapping) or not node.entries:
        _wrong(faults, node, "`declassify` is a mapping", "write `declassify: {person: true}`, or name a tool")
        return None, False, False
    found = _entries(node, DECLASSIFY_KEYS, "declassify", faults)
    prompt, person = (key in found and values.flag(found[key], key, faults) is True for key in ("prompt", "person"))
    if prompt and carries == "anything":
        hint = "a prompt names values: it lifts `carries: named` and `carries: unknown`"
        _wrong(faults, found["prompt"], "`prompt` lifts nothing of a flow that carries anything", hint)
    named = {key: value for key, value in found.items() if key in _CALL_KEYS}
    if named and "tool" not in named:
        hint = "name each tool: what declassifies is trusted with everything that goes through it"
        _wrong(faults, node, "`declassify` names no `tool`", hint)
    return _end(named, faults) if named else None, prompt, person


def _end(found: dict[str, Node], faults: list[Fault]) -> CompiledEnd:
    """What a rule of the same selectors would match."""
    match: Match = {}
    if "connector" in found:
        match["connector"] = list(values.globs(found["connector"], "connector", faults) or ())
    if "tool" in found:
        match["tool"] = list(values.globs(found["tool"], "tool", faults) or ())
    if "operation" in found:
        match["operation"] = list(values.operations(found["operation"], "operation", faults) or ())
    if "arguments" in found:
        conditions = values.conditions(found["arguments"], "arguments", faults) or ()
        match["arguments"] = [{"at": each.at, "test": each.test, "value": each.value} for each in conditions]
    selectors = [SELECTORS[key] for key in match]
    verbs = [verb for verb in sorted(SCORED_VERBS) if all(verb in each for each in selectors)]
    return {"verbs": verbs, "match": match}


_NOTHING: Final[CompiledEnd] = {"verbs": [], "match": {}}


def _entries(node: Mapping, known: tuple[str, ...], field: str, faults: list[Fault]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for key, value in node.entries:
        if key.value in known:
            found[key.value] = value
        else:
            hint = meant(key.value, known, f"known here: {', '.join(known)}")
            _wrong(faults, key, f"unknown key {quoted(key.value)} in `{field}`", hint)
    return found


def _wrong(faults: list[Fault], node: Node | Text, message: str, hint: str | None) -> None:
    faults.append(Fault(node.place, message, hint))

"""`labels:` of a layer: what the results of tools are (docs/risk.md, Labels). Declared by the operator, never found by
looking at them: a detector would be the thing to get around.

    labels:
      - connector: mail
        tool: [read_*, search]
        integrity: untrusted
        confidentiality: private
"""

# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

from typing import Final, TypedDict

from interlock.policy.document import Mapping, Node, Sequence, Text
from interlock.policy.faults import Fault, meant, quoted
from interlock.policy.risk import globs
from interlock.policy.values import text
from interlock.vocabulary.label_places import LABEL_PLACES

DECLARED_MAX: Final = 500
#: What a declaration may say → the words, and those that are no label.
_SAYS: Final[dict[str, tuple[str, ...]]] = {
    "integrity": ("trusted", "untrusted"),
    "confidentiality": ("public", "private", "secret"),
}
_KEYS: Final = ("connector", "tool", *_SAYS)


class CompiledLabels(TypedDict):
    """Whose results are what."""

    connector: list[str]
    tool: list[str]
    labels: list[str]


def labels(node: Node, field: str, faults: list[Fault]) -> tuple[CompiledLabels, ...] | None:
    """Read them. Faults go to the list."""
    if not isinstance(node, Sequence) or not node.items:
        return _wrong(faults, node, f"`{field}` is a list", "write `- {connector: mail, integrity: untrusted}`")
    if len(node.items) > DECLARED_MAX:
        return _wrong(faults, node, f"more than {DECLARED_MAX} declarations", "use patterns such as `tool: read_*`")
    return tuple(made for item in node.items if (made := _declared(item, faults)) is not None)


def any_of(node: Node, faults: list[Fault]) -> tuple[tuple[str, tuple[str, ...]], ...] | None:
    """`{integrity: [untrusted]}` of `when: {labels: …}`: one of these at each place that is named."""
    example = "write `when: {labels: {context: [untrusted]}}`"
    if not isinstance(node, Mapping) or not node.entries:
        return _wrong(faults, node, "`labels` in `when` is a mapping", example)
    found: dict[str, tuple[str, ...]] = {}
    for key, value in node.entries:
        if key.value not in LABEL_PLACES:
            hint = meant(key.value, LABEL_PLACES, f"known here: {', '.join(LABEL_PLACES)}")
            _wrong(faults, key, f"unknown key {quoted(key.value)} in `labels`", hint)
            continue
        words = value.items if isinstance(value, Sequence) else (value,)
        found[key.value] = tuple(_label(word, LABEL_PLACES[key.value], faults) for word in words)
        if not words:
            _wrong(faults, value, f"`{key.value}` lists no label, so the rule can never match", example)
    return tuple(found.items())


def _label(node: Node, known: tuple[str, ...], faults: list[Fault]) -> str:
    word = text(node, "labels", faults)
    if word is not None and word not in known:
        _wrong(faults, node, f"unknown label {quoted(word)}", meant(word, known, f"one of {', '.join(known)}"))
    return word or known[0]


def _declared(node: Node, faults: list[Fault]) -> CompiledLabels | None:
    if not isinstance(node, Mapping):
        return _wrong(faults, node, "a declaration is a mapping", "write `{connector: mail, integrity: untrusted}`")
    found: dict[str, Node] = {}
    for key, value in node.entries:
        if key.value in _KEYS:
            found[key.value] = value
        else:
            hint = meant(key.value, _KEYS, f"known here: {', '.join(_KEYS)}")
            _wrong(faults, key, f"unknown key {quoted(key.value)} in `labels`", hint)
    if "connector" not in found:
        return _wrong(faults, node, "the declaration names no `connector`", 'write `connector: "*"` for all of them')
    said = [_said(key, found[key], faults) for key in _SAYS if key in found]
    if not said:
        return _wrong(faults, node, "the declaration says nothing of the results", f"one of {', '.join(_SAYS)}")
    return {
        "connector": globs(found["connector"], "connector", faults),
        "tool": globs(found["tool"], "tool", faults) if "tool" in found else ["*"],
        "labels": sorted(word for word in said if word in LABEL_PLACES["context"]),
    }


def _said(key: str, node: Node, faults: list[Fault]) -> str | None:
    word = text(node, key, faults)
    if word is not None and word not in _SAYS[key]:
        _wrong(
            faults, node, f"unknown {key} {quoted(word)}", meant(word, _SAYS[key], f"one of {', '.join(_SAYS[key])}")
        )
    return word


def _wrong(faults: list[Fault], node: Node | Text, message: str, hint: str | None) -> None:
    faults.append(Fault(node.place, message, hint))

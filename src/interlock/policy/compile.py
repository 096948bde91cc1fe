"""A layer and its context to the compiled form of `spec/policy.md`, before links and hard links are looked up
(`place.py`).

Pure: the same text and context give the same bytes on any machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interlock.policy.expand import Expander
from interlock.policy.faults import Fault, quoted
from interlock.policy.pattern import covers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from interlock.policy.context import Context
    from interlock.policy.layer import Command, Keys, Layer, Rule
    from interlock.vocabulary.json_value import JsonObject


def compile_layer(layer: Layer, context: Context, faults: list[Fault]) -> dict[str, Any]:
    """The layer as a JSON object, without `digest`. Faults go to the list given; with any, the object is not to be
    used."""
    expander = Expander(layer, context, faults)
    for name, items in layer.sets.items():
        _check_set(name, items, expander, faults)
    if layer.workspace is not None and layer.workspace.text != context.workspace:
        hint = "it is loaded by itself where it belongs; to use its rules here, copy them into a layer of their own"
        meant = quoted(layer.workspace.text)
        message = f"this layer is for the workspace {meant}, and this one is {quoted(context.workspace)}"
        faults.append(Fault(layer.workspace.place, message, hint))
    return {
        "name": layer.name,
        "origin": str(layer.origin),
        "closed": layer.closed,
        "rules": [each for rule in layer.rules for each in _rules(rule, layer, expander, faults)],
    }


def _check_set(name: str, items: Any, expander: Expander, faults: list[Fault]) -> None:
    """A set that no rule uses is still checked, as what its first member looks like."""
    first = items[0].text
    looks_like_path = first.startswith(("/", "~", "$", "**/"))
    if looks_like_path:
        expander.patterns(items, name)


def _rules(
    rule: Rule, layer: Layer, expander: Expander, faults: list[Fault]
) -> Iterator[Mapping[str, object]]:
    """The rule. One that masks what is read is a steer to the masked view, so that it holds by every name of the file,
    as a denial does; and the file keeps its name, for under another it could be read whole tomorrow.
    """
    found = _rule(rule, layer, expander, faults)
    if rule.mask is None:
        yield found
        return
    yield found | {"decision": "steer", "steer": "masked"}
    yield found | {
        "id": f"{rule.id}-stays",
        "decision": "deny",
        "verbs": ["file.rename", "file.link"],
        "because": "under another name it could be read whole",
        "obligations": {},
    }


def _rule(rule: Rule, layer: Layer, expander: Expander, faults: list[Fault]) -> dict[str, Any]:
    obligations = {"record": rule.record} if rule.record else {}
    _check_words(rule, faults)
    return {
        "id": rule.id,
        "decision": rule.decision,
        "verbs": list(rule.verbs),
        "because": rule.because,
        "match": _match(rule, expander, faults),
        "when": dict(rule.when) if rule.when is not None else None,
        "timeout_ms": rule.timeout_ms,
        "steer": None,
        "obligations": obligations,
        "best_effort": rule.best_effort,
        "source": {"file": layer.file, "line": rule.place.line, "column": rule.place.column},
    }


def _match(rule: Rule, expander: Expander, faults: list[Fault]) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if rule.path is not None:
        match["path"] = list(expander.patterns(rule.path, "path"))
        if rule.except_ is not None:
            match["except"] = list(expander.patterns(rule.except_, "except"))
            _check_except(rule, match, faults)
    if rule.keys is not None:
        match["keys"] = _keys(rule.keys, expander)
    if rule.address is not None:
        match["address"] = list(expander.addresses(rule.address))
    if rule.port is not None:
        match["port"] = [list(each) for each in rule.port]
    if rule.command is not None:
        match["command"] = _command(rule.command, expander, faults)
    if rule.arguments is not None:
        match["arguments"] = [{"at": each.at, "test": each.test, "value": each.value} for each in rule.arguments]
    if rule.to is not None:
        match["to"] = rule.to
    lists = ("protocol", "signal", "connector", "tool", "operation")
    match.update({name: list(value) for name in lists if (value := getattr(rule, name)) is not None})
    return match


def _keys(keys: Keys, expander: Expander) -> JsonObject:
    key, listed = ("named", keys.named) if keys.named else ("except", keys.excepted)
    return {"format": keys.format, key: list(expander.keys(listed))}


def _check_except(rule: Rule, match: dict[str, Any], faults: list[Fault]) -> None:
    if not match["path"] or not match["except"] or rule.except_ is None:
        return
    if all(any(covers(wide, narrow) for wide in match["except"]) for narrow in match["path"]):
        message = "`except` takes away everything that `path` names, so the rule can never match"
        faults.append(Fault(rule.except_[0].place, message, "narrow `except`, or remove the rule"))


def _command(command: Command, expander: Expander, faults: list[Fault]) -> dict[str, Any]:
    programs: list[str] = []
    for item in command.program:
        programs.extend(expander.patterns((item,), "program") if "/" in item.text else (item.text,))
    found: dict[str, Any] = {}
    if programs:
        found["program"] = programs
    if command.words:
        found["words"] = list(command.words)
    if command.any_flag:
        found["any_flag"] = list(command.any_flag)
    return found


def _check_words(rule: Rule, faults: list[Fault]) -> None:
    """On all but `allow`, `words` are held against arguments that do not begin with `-`: a flag among them never
    matches."""
    if rule.command is None or rule.decision == "allow":
        return
    for word in rule.command.words:
        if word.startswith("-"):
            faults.append(
                Fault(
                    rule.place,
                    f"the word {quoted(word)} of rule `{rule.id}` can never match",
                    "list it under `any_flag`",
                )
            )

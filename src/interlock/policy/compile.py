"""A layer and its context to the compiled form of `spec/policy.md`, before links and hard links are looked up
(`place.py`).

Pure: the same text and context give the same bytes on any machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock.policy.expand import Expander
from interlock.policy.faults import Fault, quoted
from interlock.policy.layer import Instead
from interlock.policy.pattern import covers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.policy.compiled_form import (
        ArgumentMatch,
        CommandMatch,
        CompiledLayer,
        CompiledRule,
        KeysMatch,
        Match,
        SqlMatch,
        SteerTo,
    )
    from interlock.policy.context import Context
    from interlock.policy.layer import Command, Condition, Item, Keys, Layer, Rule, Sql


_MASKED: Final = Instead("masked")
_STAYS: Final = (
    "it is shown without its credentials: moved it could be read whole, and what was written back would lack them; "
    "change it outside"
)
#: What a file that is shown masked is kept from. A file that is not there may be made: nothing of it is shown.
_CHANGES: Final = (
    "file.write",
    "file.delete",
    "file.rename",
    "file.link",
    "file.chmod",
    "file.chown",
    "file.truncate",
    "file.xattr",
    "file.utime",
    "process.exec",
)


def compile_layer(layer: Layer, context: Context, faults: list[Fault]) -> CompiledLayer:
    """The layer, without `digest`. Faults go to the list given; with any, the layer is not to be used."""
    expander = Expander(layer, context, faults)
    for name, items in layer.sets.items():
        _check_set(name, items, expander, faults)
    if layer.workspace is not None and layer.workspace.text != context.workspace:
        hint = "it is loaded by itself where it belongs; to use its rules here, copy them into a layer of their own"
        meant = quoted(layer.workspace.text)
        message = f"this layer is for the workspace {meant}, and this one is {quoted(context.workspace)}"
        faults.append(Fault(layer.workspace.place, message, hint))
    compiled: CompiledLayer = {
        "name": layer.name,
        "origin": str(layer.origin),
        "closed": layer.closed,
        "rules": [each for rule in layer.rules for each in _rules(rule, layer, expander, faults)],
    }
    if layer.risk is not None:
        compiled["risk"] = layer.risk
    if layer.labels is not None:
        compiled["labels"] = list(layer.labels)
    if layer.rego is not None:
        compiled["rego"] = list(layer.rego)
    if layer.flows is not None:
        compiled["flows"] = list(layer.flows)
        _check_flows(layer, faults)
    return compiled


def _check_flows(layer: Layer, faults: list[Fault]) -> None:
    """What decisions cite is one thing."""
    rules = {rule.id: rule for rule in layer.rules}
    for flow in layer.flows or ():
        if flow["id"] in rules:
            message = f"the id `{flow['id']}` is a flow's and a rule's"
            faults.append(Fault(rules[flow["id"]].place, message, "decisions and records cite it: name one otherwise"))


def _check_set(name: str, items: tuple[Item, ...], expander: Expander, faults: list[Fault]) -> None:
    """A set that no rule uses is still checked, as what its first member looks like."""
    first = items[0].text
    if first.startswith(("/", "~", "$", "**/")):
        expander.patterns(items, name)


def _rules(rule: Rule, layer: Layer, expander: Expander, faults: list[Fault]) -> Iterator[CompiledRule]:
    """The rule. One that masks what is read is a steer to the masked view, so that it holds by every name of the file,
    as a denial does. And the file stays as it is: under another name it could be read whole tomorrow, and what a
    program writes back has lost what it was not shown.
    """
    found = _rule(rule, layer, expander, faults)
    if rule.mask is None and rule.steer != _MASKED:
        yield found
        return
    yield {**found, "decision": "steer", "steer": "masked"}
    yield {
        **found,
        "id": f"{rule.id}-stays",
        "decision": "deny",
        "verbs": [verb for verb in _CHANGES if not (verb == "process.exec" and "history" in (found["when"] or {}))],
        "because": _STAYS,
        "steer": None,
        "obligations": {},
    }


def _rule(rule: Rule, layer: Layer, expander: Expander, faults: list[Fault]) -> CompiledRule:
    _check_words(rule, faults)
    _check_keys(rule, faults)
    compiled: CompiledRule = {
        "id": rule.id,
        "decision": rule.decision,
        "verbs": list(rule.verbs),
        "because": rule.because,
        "match": _match(rule, expander, faults),
        "when": dict(_fact(*each) for each in rule.when) if rule.when is not None else None,
        "timeout_ms": rule.timeout_ms,
        "steer": _steer(rule, faults),
        "obligations": {"record": rule.record} if rule.record else {},
        "best_effort": rule.best_effort,
        "source": {"file": layer.file, "line": rule.place.line, "column": rule.place.column},
    }
    if rule.unless_allowed:
        _check_unless_allowed(rule, faults)
        compiled["unless_allowed"] = True
    return compiled


def _check_keys(rule: Rule, faults: list[Fault]) -> None:
    """What is signed for no host in particular is good for anybody."""
    if rule.decision == "allow" and "key.use" in rule.verbs and rule.host is None:
        message = f"the rule `{rule.id}` lets keys be used at any host"
        faults.append(Fault(rule.place, message, "add `host:`; or ask each time: `approve: key.use`"))


def _check_unless_allowed(rule: Rule, faults: list[Fault]) -> None:
    """What may not be read may not be moved either, which a question that another rule silences could not hold."""
    if not all(verb.startswith(("net.", "key.")) for verb in rule.verbs):
        message = f"`unless_allowed` of the rule `{rule.id}` is about the network and keys alone"
        faults.append(Fault(rule.place, message, "put other verbs into a rule of their own"))


def _fact(name: str, wanted: object) -> tuple[str, object]:
    """By the name that the engine knows."""
    if name == "risk":
        return "risk_at_least", wanted
    if name == "labels" and isinstance(wanted, tuple):
        return "labels_any", dict(wanted)
    return name, wanted


def _match(rule: Rule, expander: Expander, faults: list[Fault]) -> Match:
    match: Match = {}
    if rule.path is not None:
        match["path"] = list(expander.patterns(rule.path, "path"))
        if rule.except_ is not None:
            match["except"] = list(expander.patterns(rule.except_, "except"))
            _check_except(rule.except_[0], match["path"], match["except"], faults)
        if rule.except_within is not None:
            match["except_within"] = list(expander.patterns(rule.except_within, "except_within"))
            _check_within(rule, match["path"], faults)
    if rule.keys is not None:
        match["keys"] = _keys(rule.keys, expander)
    if rule.address is not None:
        match["address"] = list(expander.addresses(rule.address))
    if rule.host is not None:
        match["host"] = list(expander.hosts(rule.host))
        if rule.private:
            match["private"] = True
    if rule.port is not None:
        match["port"] = [list(each) for each in rule.port]
    if rule.user is not None:
        match["user"] = list(rule.user)
    if rule.command is not None:
        match["command"] = _command(rule.command, expander)
    if rule.arguments is not None:
        match["arguments"] = _conditions(rule.arguments)
    if rule.answers is not None:
        match["answers"] = _conditions(rule.answers)
    if rule.sql is not None:
        match["sql"] = _sql(rule, rule.sql, faults)
    if rule.to is not None:
        match["to"] = rule.to
    if rule.protocol is not None:
        match["protocol"] = list(rule.protocol)
    if rule.signal is not None:
        match["signal"] = list(rule.signal)
    if rule.connector is not None:
        match["connector"] = list(rule.connector)
    if rule.tool is not None:
        match["tool"] = list(rule.tool)
    if rule.operation is not None:
        match["operation"] = list(rule.operation)
    return match


def _sql(rule: Rule, sql: Sql, faults: list[Fault]) -> SqlMatch:
    found = {key: list(listed) for key, listed in sql.globs}
    if rule.decision == "allow" and "tables" not in found and ("columns" in found or "changed" in found):
        message = "an allow that names columns, or what is changed, leaves open which tables may be used"
        faults.append(Fault(rule.place, message, "name all of them with `tables` as well"))
    made: SqlMatch = {**found, **({} if sql.where is None else {"where": sql.where})}  # type: ignore[typeddict-item]
    return made


def _conditions(conditions: tuple[Condition, ...]) -> list[ArgumentMatch]:
    return [{"at": each.at, "test": each.test, "value": each.value} for each in conditions]


def _steer(rule: Rule, faults: list[Fault]) -> SteerTo | None:
    command = rule.command
    match rule.steer:
        case None:
            return None
        case Instead("trash", None) if ("origin", "before") not in (rule.when or ()):
            message = "`trash` keeps what was there before, and the rule speaks of what the session makes, too"
            faults.append(Fault(rule.place, message, "add `when: {origin: before}`"))
            return None
        case Instead(kind, None):
            return kind
        case Instead("replace_flag", flag):
            if command is None or not command.any_flag:
                message = "`replace_flag` says with what, and the rule does not say which flags"
                faults.append(Fault(rule.place, message, "name them: `command: {program: …, any_flag: [--force, -f]}`"))
                return None
            return {"replace_flag": {"flags": list(command.any_flag), "with": flag}}
        case Instead("add_flag", flag):
            behind = {"behind": command.words[-1]} if command is not None and command.words else {}
            return {"add_flag": {"flag": flag, **behind}}
        case Instead(kind, tuple() as changes):
            return {kind: [{"at": each.at, "change": each.change, "value": each.value} for each in changes]}
        case Instead(kind, text):
            return {kind: text}


def _keys(keys: Keys, expander: Expander) -> KeysMatch:
    if keys.named:
        return {"format": keys.format, "named": list(expander.keys(keys.named))}
    return {"format": keys.format, "except": list(expander.keys(keys.excepted))}


def _check_except(first: Item, path: list[str], excepted: list[str], faults: list[Fault]) -> None:
    if path and all(any(covers(wide, narrow) for wide in excepted) for narrow in path):
        message = "`except` takes away everything that `path` names, so the rule can never match"
        faults.append(Fault(first.place, message, "narrow `except`, or remove the rule"))


def _check_within(rule: Rule, patterns: list[str], faults: list[Fault]) -> None:
    if not patterns or not rule.except_within:
        return
    if not any(pattern.startswith(("**/", "/**/")) for pattern in patterns):
        message = "`except_within` takes nothing away: no pattern of `path` begins with `**/`"
        faults.append(Fault(rule.except_within[0].place, message, "use `except`"))


def _command(command: Command, expander: Expander) -> CommandMatch:
    programs: list[str] = []
    for item in command.program:
        programs.extend(expander.patterns((item,), "program") if "/" in item.text else (item.text,))
    found: CommandMatch = {}
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

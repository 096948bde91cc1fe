"""Policy text to a `Layer`: each key checked against the table of `fields.py`, every fault of the file collected.

Left out: variables, sets and patterns are expanded and checked in `expand.py`, where their values are known; values
of single fields are typed in `values.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

from interlock.policy import flows, labels, rego, risk, statement, steers, values
from interlock.policy.document import Mapping, Node, Sequence, Text, read_document
from interlock.policy.faults import Fault, Place, meant, quoted
from interlock.policy.fields import DECISIONS, INSTEAD, RULE, TIMEOUT_MS_DEFAULT, TOP, Field
from interlock.policy.language import FACTS, GROUPS, SELECTORS, VERBS, VERBS_LATER, in_groups
from interlock.policy.layer import Instead, Item, Layer, Origin, Rule
from interlock.policy.limits import RULES_MAX
from interlock.policy.rego import CompiledRego
from interlock.policy.when import SCORED, SCORED_VERBS, when

_Value = TypeVar("_Value")
#: Why a verb has no such Fact.
_LACKS: Final = {
    "origin": "what it is about was made by nobody",
    "history": "no repository has it",
    "risk": "only calls at the gateway are scored",
    "labels": "only calls at the gateway have a context",
}
_TIGHTENS: Final = {"risk": "a score can only tighten", "labels": "what an agent has read can only tighten"}


def parse_layer(data: bytes, *, file: str, origin: Origin, faults: list[Fault]) -> Layer | None:
    """Parse one file.

    Arguments: `data`, its bytes; `file`, its name in messages; `origin`, who wrote it; `faults`, to which every
        mistake is added.
    Returns the layer, complete only if no fault was added, or None when there is nothing to go on with.
    """
    root = read_document(data, file, faults)
    if root is None:
        return None
    if not isinstance(root, Mapping):
        faults.append(Fault(root.place, "a policy is a mapping of keys", "start with `interlock: 1` and `name: …`"))
        return None
    return _LayerParser(file, origin, faults).parse(root)


class _LayerParser:
    def __init__(self, file: str, origin: Origin, faults: list[Fault]) -> None:
        self._file = file
        self._origin = origin
        self._faults = faults

    def parse(self, root: Mapping) -> Layer:
        found = self._known(root, TOP, "top-level key")
        for required, example in (("interlock", "interlock: 1"), ("name", "name: my-policy"), ("rules", "rules:")):
            if required not in found:
                self._fault(root.place, f"`{required}` is missing", f"add `{example}`")
        if "interlock" in found:
            values.version(found["interlock"], self._faults)
        name = values.name(found["name"], "name", self._faults) if "name" in found else None
        return Layer(
            name=name or "unnamed",
            origin=self._origin,
            file=self._file,
            description=(values.text(found["description"], "description", self._faults) or "")
            if "description" in found
            else "",
            closed=bool(values.flag(found["closed"], "closed", self._faults)) if "closed" in found else False,
            variables=self._variables(found.get("variables")),
            sets=self._sets(found.get("sets")),
            rules=self._rules(found.get("rules")),
            workspace=values.folder(found["workspace"], "workspace", self._faults) if "workspace" in found else None,
            risk=risk.risk(found["risk"], "risk", self._faults) if "risk" in found else None,
            rego=self._rego(found["rego"]) if "rego" in found else None,
            labels=labels.labels(found["labels"], "labels", self._faults) if "labels" in found else None,
            flows=flows.flows(found["flows"], "flows", self._faults) if "flows" in found else None,
        )

    def _known(self, node: Mapping, table: dict[str, Field], what: str) -> dict[str, Node]:
        """The entries whose key is in the table; a fault for each that is not, or that nothing enforces yet."""
        found: dict[str, Node] = {}
        for key, value in node.entries:
            field = table.get(key.value)
            if field is None:
                names = [name for name, known in table.items() if not known.later]
                hint = meant(key.value, [*table, *DECISIONS], f"known here: {', '.join(names)}")
                self._fault(key.place, f"unknown {what} {quoted(key.value)}", hint)
            elif field.later:
                self._fault(key.place, f"`{key.value}` is not enforced yet", INSTEAD.get(key.value))
            else:
                found[key.value] = value
        return found

    def _rego(self, node: Node) -> tuple[CompiledRego, ...] | None:
        if self._origin is Origin.WORKSPACE:
            hint = "what the agent can edit is not evaluated; put this into your own policy folder"
            self._fault(node.place, "`rego` in a layer found in the workspace", hint)
        return rego.rego(node, "rego", self._faults)

    def _variables(self, node: Node | None) -> dict[str, Item]:
        if node is None or not self._is_mapping(node, "variables", "name: text"):
            return {}
        assert isinstance(node, Mapping)
        found: dict[str, Item] = {}
        for key, value in node.entries:
            name = values.name(key, "variable", self._faults)
            text = values.text(value, key.value, self._faults)
            if name is not None and text is not None:
                found[name] = Item(text, value.place)
        return found

    def _sets(self, node: Node | None) -> dict[str, tuple[Item, ...]]:
        if node is None or not self._is_mapping(node, "sets", 'name: ["pattern", …]'):
            return {}
        assert isinstance(node, Mapping)
        found: dict[str, tuple[Item, ...]] = {}
        for key, value in node.entries:
            name = values.name(key, "set", self._faults)
            items = values.items(value, "set", self._faults)
            if name is not None and items is not None:
                found[name] = items
        return found

    def _rules(self, node: Node | None) -> tuple[Rule, ...]:
        if node is None:
            return ()
        if isinstance(node, Text) and not node.value:
            return ()
        if not isinstance(node, Sequence):
            self._fault(node.place, "`rules` is a list", "each rule begins with `- id: …`")
            return ()
        if len(node.items) > RULES_MAX:
            self._fault(node.place, f"more than {RULES_MAX} rules in one layer", "split it, or use sets")
            return ()
        rules: list[Rule] = []
        seen: dict[str, Place] = {}
        for item in node.items:
            rule = self._rule(item, seen)
            if rule is not None:
                rules.append(rule)
        return tuple(rules)

    def _rule(self, node: Node, seen: dict[str, Place]) -> Rule | None:
        if not isinstance(node, Mapping):
            self._fault(
                node.place, "a rule is a mapping of keys", "write `- id: my-rule`, then a decision such as `allow:`"
            )
            return None
        said = [(key, value) for key, value in node.entries if key.value in DECISIONS]
        instead = None
        rest = Mapping(node.place, tuple(entry for entry in node.entries if entry not in said), node.flow)
        if any(key.value == "steer" for key, _ in said):
            instead = next((value for key, value in rest.entries if key.value == "to"), None)
            rest = Mapping(node.place, tuple(entry for entry in rest.entries if entry[0].value != "to"), node.flow)
        found = self._known(rest, RULE, "key in a rule")
        identity = self._identity(node, found, seen)
        decision, verbs = self._decision(node, said)
        if decision is None:
            return None
        fitting = {name: value for name, value in found.items() if name == "id" or self._fits(name, decision, node)}
        rule = self._with_fields(Rule(identity or "unnamed", decision, verbs or (), node.place), fitting)
        self._selectors(node, found, verbs)
        if rule.when is not None:
            self._facts_narrow(node, [fact for fact, _ in rule.when], verbs)
            self._only_tightens(node, [fact for fact, _ in rule.when], decision)
        if rule.mask is not None:
            self._masks(node, found, verbs)
        if decision == "steer":
            rule = replace(rule, steer=self._steer(node, instead, verbs or ()))
        return None if verbs is None or identity is None else rule

    def _with_fields(self, rule: Rule, found: dict[str, Node]) -> Rule:
        """The rule, with what each of its keys says. One that cannot be read is a fault, and stands as if left out."""

        def read(name: str, reader: Callable[[Node, str, list[Fault]], _Value | None]) -> _Value | None:
            return reader(found[name], name, self._faults) if name in found else None

        timeout_ms = read("timeout", values.duration)
        return replace(
            rule,
            because=read("because", values.text),
            path=read("path", values.items),
            except_=read("except", values.items),
            except_within=read("except_within", values.items),
            keys=read("keys", values.keys),
            address=read("address", values.items),
            host=read("host", values.items),
            private=read("private", values.flag) is True,
            port=read("port", values.ports),
            user=read("user", values.globs),
            protocol=read("protocol", values.protocols),
            to=read("to", values.side),
            signal=read("signal", values.signals),
            command=read("command", values.command),
            when=read("when", when),
            connector=read("connector", values.globs),
            tool=read("tool", values.globs),
            operation=read("operation", values.operations),
            arguments=read("arguments", values.conditions),
            answers=read("answers", values.conditions),
            sql=read("sql", statement.sql),
            timeout_ms=TIMEOUT_MS_DEFAULT if rule.decision == "approve" and "timeout" not in found else timeout_ms,
            record=read("record", values.record),
            mask=read("mask", values.mask),
            unless_allowed=read("unless_allowed", values.flag) is True,
            best_effort=read("best_effort", values.flag) is True,
        )

    def _identity(self, node: Mapping, found: dict[str, Node], seen: dict[str, Place]) -> str | None:
        if "id" not in found:
            self._fault(node.place, "the rule has no `id`", "add `id: short-name`; decisions and records cite it")
            return None
        place = found["id"].place
        identity = values.name(found["id"], "id", self._faults)
        if identity is not None and identity in seen:
            where = seen[identity]
            self._fault(
                place, f"the id `{identity}` is used twice", f"the rule at {where.line}:{where.column} has it already"
            )
        elif identity is not None:
            seen[identity] = place
        return identity

    def _decision(self, node: Mapping, said: list[tuple[Text, Node]]) -> tuple[str | None, tuple[str, ...] | None]:
        if not said:
            hint = "add `allow:`, `deny:`, `approve:` or `steer:` with a verb"
            self._fault(node.place, "the rule decides nothing", hint)
            return None, None
        if len(said) > 1:
            keys = " and ".join(f"`{key.value}`" for key, _ in said)
            self._fault(said[1][0].place, f"the rule has {keys}", "make two rules: each rule has one decision")
            return None, None
        key, value = said[0]
        if self._origin is Origin.WORKSPACE and key.value in ("allow", "steer"):
            self._fault(
                key.place,
                "a layer found in the workspace may only deny and approve",
                "what the agent can edit must not loosen anything; put this rule into your own policy folder",
            )
        return key.value, self._verbs(value)

    def _verbs(self, node: Node) -> tuple[str, ...] | None:
        listed = values.items(node, "verb", self._faults)
        if listed is None:
            return None
        verbs: dict[str, None] = {}
        bad = False
        for item in listed:
            expanded = GROUPS.get(item.text) or ((item.text,) if item.text in VERBS else None)
            if expanded is None:
                bad = True
                self._unknown_verb(item)
            else:
                verbs.update(dict.fromkeys(expanded))
        return None if bad else tuple(verb for verb in VERBS if verb in verbs)

    def _unknown_verb(self, item: Item) -> None:
        if item.text in VERBS_LATER:
            self._fault(item.place, f"the verb {quoted(item.text)} is not enforced yet", "leave it out")
            return
        hint = meant(
            item.text, [*GROUPS, *VERBS], f"groups: {', '.join(GROUPS)}; `interlock policy schema` lists every verb"
        )
        self._fault(item.place, f"unknown verb {quoted(item.text)}", hint)

    def _fits(self, name: str, decision: str, node: Mapping) -> bool:
        field = RULE[name]
        if decision in field.decisions:
            return True
        allowed = " or ".join(f"`{word}`" for word in field.decisions)
        place = next(key.place for key, _ in node.entries if key.value == name)
        self._fault(place, f"`{name}` means nothing on a rule that says `{decision}`", f"it belongs to {allowed}")
        return False

    def _selectors(self, node: Mapping, found: dict[str, Node], verbs: tuple[str, ...] | None) -> None:
        """A selector that one of the rule's verbs does not have would make the rule silent for that verb: refuse it."""
        for key, _ in node.entries:
            takes = SELECTORS.get(key.value)
            if takes is None or key.value not in found or not verbs:
                continue
            without = [verb for verb in verbs if verb not in takes]
            if not without:
                continue
            able = ", ".join(in_groups(takes))
            if len(without) == len(verbs):
                message = f"`{key.value}` can never match here: `{verbs[0]}` has none"
            else:
                message = f"`{key.value}` does not narrow `{without[0]}`, which this rule names as well"
            self._fault(key.place, message, f"`{key.value}` is for {able}; make a rule of its own for the other verbs")
        if "keys" in found and "path" not in found:
            place = next(key.place for key, _ in node.entries if key.value == "keys")
            self._fault(place, "`keys` without `path`", "add `path:`; `keys` says which keys of those files are meant")
        if "private" in found and "host" not in found:
            place = next(key.place for key, _ in node.entries if key.value == "private")
            hint = "add `host:`; what an `address` names is meant, private or not"
            self._fault(place, "`private` without `host`", hint)
        for key, _ in node.entries:
            if key.value in ("except", "except_within") and key.value in found and "path" not in found:
                hint = f"add `path:`; `{key.value}` takes away from it"
                self._fault(key.place, f"`{key.value}` without `path`", hint)

    def _facts_narrow(self, node: Mapping, facts: list[str], verbs: tuple[str, ...] | None) -> None:
        """As with a selector: what has no such Fact would make the rule err for that verb."""
        for fact in facts:
            able = SCORED_VERBS if fact in SCORED else FACTS[fact][1]
            without = [verb for verb in verbs or () if verb not in able]
            if without:
                place = next(key.place for key, _ in node.entries if key.value == "when")
                lacks = _LACKS[fact]
                message = f"`when: {{{fact}: …}}` does not narrow `{without[0]}`: {lacks}"
                hint = f"it is for {', '.join(in_groups(able))}; make a rule of its own for the other verbs"
                self._fault(place, message, hint)

    def _only_tightens(self, node: Mapping, facts: list[str], decision: str) -> None:
        """What depends on a score or on labels opens nothing."""
        scored = [fact for fact in facts if fact in SCORED]
        if scored and decision == "allow":
            place = next(key.place for key, _ in node.entries if key.value == "when")
            message = f"`when: {{{scored[0]}: …}}` on an allow: {_TIGHTENS[scored[0]]}"
            self._fault(place, message, "allow without it, and let a rule that asks or denies have the condition")

    def _masks(self, node: Mapping, found: dict[str, Node], verbs: tuple[str, ...] | None) -> None:
        """Only what is read can be shown otherwise; and without a path everything would be."""
        place = next(key.place for key, _ in node.entries if key.value == "mask")
        without = [verb for verb in verbs or () if verb != "file.read"]
        if without:
            self._fault(place, f"`mask` means nothing for `{without[0]}`", "make a rule of its own for `file.read`")
        elif "path" not in found:
            self._fault(place, "`mask` without `path`", "add `path:` with the configurations that are meant")

    def _steer(self, node: Mapping, instead: Node | None, verbs: tuple[str, ...]) -> Instead | None:
        if instead is None:
            self._fault(node.place, "a rule that steers says what is done instead", f"add `to:`; {steers.EXAMPLE}")
            return None
        read = steers.steer(instead, verbs, self._faults)
        if read is not None and read.kind == "masked" and all(key.value != "path" for key, _ in node.entries):
            self._fault(instead.place, "`masked` without `path`", "add `path:` with the files that are meant")
        return read

    def _is_mapping(self, node: Node, what: str, example: str) -> bool:
        if isinstance(node, Mapping):
            return True
        self._fault(node.place, f"`{what}` is a mapping", f"write `{example}` lines below it")
        return False

    def _fault(self, place: Place, message: str, hint: str | None) -> None:
        self._faults.append(Fault(place, message, hint))

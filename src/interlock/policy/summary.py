"""A policy in sum: what is allowed, asked and denied, as its rules are written, with one row for the rules of a kind.

Pure: from the layers as parsed to rows. What enforces them is `coverage`'s, how a row looks is the command line's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.policy.language import GROUPS, SIGNALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interlock.policy.flows import CompiledFlow
    from interlock.policy.layer import Command, Instead, Keys, Layer, Rule, Sql

#: Patterns of one selector that a row names; the rest is counted.
PATTERNS_MAX: Final = 3
#: Layers that are said in one line: they are the same under every policy.
_OWN: Final = ("guard", "base")
_WORDS: Final = {
    "file.read": "read",
    "process.exec": "run",
    "process.signal": "signal",
    "process.ptrace": "trace",
    "net.connect": "connect",
    "net.send": "send",
    "net.bind": "bind",
    "net.listen": "listen",
    "unix.connect": "local sockets",
    "key.use": "use keys",
    "tool.call": "call tools",
    "tool.list": "list tools",
    "resource.read": "read resources",
    "prompt.get": "get prompts",
    "log.level": "set log levels",
}
_SIGNAL_NAMES: Final = {number: name for name, number in SIGNALS.items()}


class Row(NamedTuple):
    """Rules that say the same of the same verbs, for the same reason: each with what it is about."""

    decision: str
    because: str | None
    verbs: str
    rules: tuple[tuple[str, str], ...]


class Own(NamedTuple):
    """A layer of Interlock's own: its name, what it says of itself, and how many rules it has."""

    name: str
    description: str
    rules: int


def rows(layers: Sequence[Layer]) -> list[Row]:
    """The rows of all layers but Interlock's own, in the order of their first rules."""
    others = shown(layers)
    found: dict[tuple[str, str | None, str], list[tuple[str, str]]] = {}
    for layer in others:
        for rule in layer.rules:
            name = rule.id if len(others) == 1 else f"{layer.name}/{rule.id}"
            verbs = in_short(rule.verbs) + (" (masked)" if rule.mask else "")
            found.setdefault((rule.decision, rule.because, verbs), []).append((name, target(rule)))
        for flow in layer.flows or ():
            name = flow["id"] if len(others) == 1 else f"{layer.name}/{flow['id']}"
            decision = "approve" if flow["person"] else "deny"
            found.setdefault((decision, flow["because"], "flow"), []).append((name, _flow(flow)))
    return [Row(*key, tuple(rules)) for key, rules in found.items()]


def shown(layers: Sequence[Layer]) -> list[Layer]:
    """The layers that have rows."""
    return [layer for layer in layers if layer.name not in _OWN]


def own(layers: Sequence[Layer]) -> list[Own]:
    """Interlock's own layers among them."""
    return [Own(layer.name, layer.description, len(layer.rules)) for layer in layers if layer.name in _OWN]


def in_short(verbs: Sequence[str]) -> str:
    """`read, change, run` for the verbs of a rule."""
    left, words = list(verbs), []
    if set(GROUPS["file.change"]) <= set(left):
        left = [verb for verb in left if verb not in GROUPS["file.change"]]
        words = ["change"]
    if set(GROUPS["net.*"]) <= set(left):
        left = [verb for verb in left if verb not in GROUPS["net.*"]]
        words.append("network")
    for verb in left:
        words.append(_WORDS.get(verb, verb.partition(".")[2]))
    return ", ".join(sorted(dict.fromkeys(words), key=lambda word: (word != "read", word != "change")))


def target(rule: Rule) -> str:
    """What a rule is about, as it is written: the first patterns, how many more, and whether it has exceptions. Nothing
    where it is about all."""
    parts = [_listed([item.text for item in items]) for items in (rule.path, rule.host, rule.address) if items]
    parts += ["private addresses as well"] if rule.private else []
    parts += [_command(rule.command)] if rule.command else []
    parts += [f"port {_ports(rule.port)}"] if rule.port else []
    parts += [f"as {_listed(rule.user)}"] if rule.user else []
    parts += [_listed(texts) for texts in (rule.protocol, rule.connector, rule.tool, rule.operation) if texts]
    parts += [_keys(rule.keys)] if rule.keys else []
    parts += [f"{len(rule.arguments)} conditions on arguments"] if rule.arguments else []
    parts += [f"{len(rule.answers)} conditions on answers"] if rule.answers else []
    parts += [_statement(rule.sql)] if rule.sql else []
    parts += [_listed([_SIGNAL_NAMES.get(number, str(number)) for number in rule.signal])] if rule.signal else []
    parts += [f"{rule.to} the session"] if rule.to else []
    parts += _scored(rule)
    parts += ["unless another rule allows it"] if rule.unless_allowed else []
    parts += ["with exceptions"] if rule.except_ or rule.except_within else []
    about = ", ".join(parts)
    return f"{about}: {_instead(rule.steer)}".removeprefix(": ") if rule.steer else about


def _flow(flow: CompiledFlow) -> str:
    """A flow as it is written: from where to where, what it carries, and what lifts it besides a person."""
    ends = []
    for word, end, more in (("from", flow["source"], flow["labels"]), ("to", flow["sink"], flow["argument"])):
        match = end["match"]
        named = [
            _listed(texts) for texts in (match.get("connector"), match.get("tool"), match.get("operation")) if texts
        ]
        named += [f"{len(match['arguments'])} conditions on arguments"] if "arguments" in match else []
        ends.append(f"{word} {' '.join([*named, *([_listed(more)] if more else [])]) or 'anywhere'}")
    tool = flow["tool"]
    lifts = ["the prompt"] if flow["prompt"] else []
    lifts += [_listed(tool["match"].get("tool", []))] if tool is not None else []
    return ", ".join([*ends, f"carrying {flow['carries']}", *([f"unless by {' or '.join(lifts)}"] if lifts else [])])


def _scored(rule: Rule) -> list[str]:
    """What a rule wants of a call's score, and of what its agent has read."""
    found: list[str] = []
    for fact, wanted in rule.when or ():
        if fact == "risk":
            found.append(f"with a score of {wanted} or more")
        elif fact == "labels" and isinstance(wanted, tuple):
            found += [f"after reading what is {' or '.join(each[1])}" for each in wanted]
    return found


def _statement(sql: Sql) -> str:
    parts = [f"{key} {_listed(list(globs))}" for key, globs in sql.globs]
    parts += [] if sql.where is None else ["with a WHERE" if sql.where else "without a WHERE"]
    return f"statements: {', '.join(parts)}"


def _keys(keys: Keys) -> str:
    if keys.named:
        return f"keys {_listed([item.text for item in keys.named])}"
    return f"keys but {_listed([item.text for item in keys.excepted])}"


def _instead(steer: Instead) -> str:
    """What a rule has done in the place of what it is about, as it is written."""
    if steer.value is None:
        return f"to {steer.kind}"
    if isinstance(steer.value, str):
        return f"to {steer.kind} {steer.value}"
    return f"to {steer.kind} {_listed([f'{each.at} {each.change} {each.value}' for each in steer.value])}"


def _command(command: Command) -> str:
    programs = "|".join(item.text for item in command.program[:PATTERNS_MAX])
    more = len(command.program) - PATTERNS_MAX
    named = f"{programs} and {more} more" if more > 0 else programs
    return " ".join([named, *command.words, *command.any_flag])


def _ports(ports: Sequence[tuple[int, int]]) -> str:
    return _listed([str(first) if first == last else f"{first}-{last}" for first, last in ports])


def _listed(texts: Sequence[str]) -> str:
    first = ", ".join(texts[:PATTERNS_MAX])
    more = len(texts) - PATTERNS_MAX
    return f"{first} and {more} more" if more > 0 else first

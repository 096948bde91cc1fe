"""The compiled form of `spec/policy.md`, key by key: what the loader writes and the engine reads. Types only.

What is a key of the written language and not of the compiled form (sets, variables) is `layer.py`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NotRequired, TypedDict

if TYPE_CHECKING:
    from interlock.policy.flows import CompiledFlow
    from interlock.policy.labels import CompiledLabels
    from interlock.policy.rego import CompiledRego
    from interlock.policy.risk import CompiledRisk
    from interlock.vocabulary.json_value import JsonObject


class CommandMatch(TypedDict, total=False):
    """Which command lines a rule is about. A key that is absent does not narrow."""

    program: list[str]
    words: list[str]
    any_flag: list[str]


class ArgumentMatch(TypedDict):
    """A condition on one argument of a tool call."""

    at: str
    test: str
    value: object


#: What a statement does that a rule is about.
class SqlMatch(TypedDict, total=False):
    verb: list[str]
    tables: list[str]
    changed: list[str]
    columns: list[str]
    functions: list[str]
    where: bool

#: Which keys of a structured file a rule is about: those named, or all but those excepted.
KeysMatch = TypedDict("KeysMatch", {"format": str, "named": NotRequired[list[str]], "except": NotRequired[list[str]]})

#: What a rule is about. A selector that is absent does not narrow. (Written so since `except` is a word of Python.)
Match = TypedDict(
    "Match",
    {
        "path": list[str],
        "except": list[str],
        "except_within": list[str],
        "inodes": list["JsonObject"],
        "keys": KeysMatch,
        "address": list[str],
        "host": list[str],
        "private": bool,
        "port": list[list[int]],
        "user": list[str],
        "protocol": list[str],
        "to": str,
        "signal": list[int],
        "command": CommandMatch,
        "connector": list[str],
        "tool": list[str],
        "operation": list[str],
        "arguments": list[ArgumentMatch],
        "answers": list[ArgumentMatch],
        "sql": SqlMatch,
    },
    total=False,
)


#: What is done instead: a word, or one word with what it needs.
SteerTo = str | dict[str, object]


class WrittenAt(TypedDict):
    """Where a rule was written."""

    file: str
    line: int
    column: int


class CompiledRule(TypedDict):
    """One rule: its verbs one by one, its patterns expanded."""

    id: str
    decision: str
    verbs: list[str]
    because: str | None
    match: Match
    when: dict[str, object] | None
    timeout_ms: int | None
    steer: SteerTo | None
    obligations: dict[str, str]
    unless_allowed: NotRequired[bool]
    best_effort: bool
    source: WrittenAt


class CompiledLayer(TypedDict):
    """One layer. It has its digest once it is placed."""

    name: str
    digest: NotRequired[str]
    origin: str
    closed: bool
    risk: NotRequired[CompiledRisk]
    labels: NotRequired[list[CompiledLabels]]
    rego: NotRequired[list[CompiledRego]]
    flows: NotRequired[list[CompiledFlow]]
    rules: list[CompiledRule]


class CompiledPolicy(TypedDict):
    """All layers, as the engine takes them."""

    interlock: int
    digest: NotRequired[str]
    layers: list[CompiledLayer]


class NamedRule(NamedTuple):
    """A rule by the name that decisions and records cite, `layer/id`."""

    name: str
    rule: CompiledRule


def named_rules(policy: CompiledPolicy) -> list[NamedRule]:
    """Every rule, in the order of the layers."""
    return [NamedRule(f"{layer['name']}/{rule['id']}", rule) for layer in policy["layers"] for rule in layer["rules"]]

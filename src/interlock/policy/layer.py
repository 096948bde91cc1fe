"""A layer as written: typed, frozen, each pattern with its place; variables and sets not yet expanded (`expand.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock.policy.faults import Place
from interlock.policy.origin import Origin

if TYPE_CHECKING:
    from interlock.policy.flows import CompiledFlow
    from interlock.policy.labels import CompiledLabels
    from interlock.policy.rego import CompiledRego
    from interlock.policy.risk import CompiledRisk

__all__ = ["Change", "Command", "Condition", "Instead", "Item", "Keys", "Layer", "Origin", "Rule", "When"]

#: What a rule wants of Facts: of each that is named, a word, words, a score, or labels at their places.
When = tuple[tuple[str, "str | int | tuple[str, ...] | tuple[tuple[str, tuple[str, ...]], ...]"], ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One text of a list, where it stands."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Command:
    """Which command lines an exec rule is about (`spec/action.md`, Matching)."""

    program: tuple[Item, ...]
    words: tuple[str, ...]
    any_flag: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on one argument of a tool call: JSON pointer, test, and the value it is held against."""

    at: str
    test: str
    value: object


@dataclass(frozen=True, slots=True)
class Sql:
    """What a statement does that a rule is about: each key with its patterns, and whether it has a WHERE."""

    globs: tuple[tuple[str, tuple[str, ...]], ...]
    where: bool | None


@dataclass(frozen=True, slots=True)
class Keys:
    """Which keys of a structured file a rule is about: those `named`, or all but the `excepted`; one of the two."""

    format: str
    named: tuple[Item, ...]
    excepted: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a tool's arguments: JSON pointer, what is done there, and with what."""

    at: str
    change: str
    value: object


@dataclass(frozen=True, slots=True)
class Instead:
    """What is done instead of an act: its kind, and what the kind needs."""

    kind: str
    value: str | tuple[Change, ...] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as written. A selector that is None does not narrow."""

    id: str
    decision: str
    verbs: tuple[str, ...]
    place: Place
    because: str | None = None
    path: tuple[Item, ...] | None = None
    except_: tuple[Item, ...] | None = None
    except_within: tuple[Item, ...] | None = None
    keys: Keys | None = None
    address: tuple[Item, ...] | None = None
    host: tuple[Item, ...] | None = None
    private: bool = False
    port: tuple[tuple[int, int], ...] | None = None
    user: tuple[str, ...] | None = None
    protocol: tuple[str, ...] | None = None
    to: str | None = None
    signal: tuple[int, ...] | None = None
    command: Command | None = None
    when: When | None = None
    connector: tuple[str, ...] | None = None
    tool: tuple[str, ...] | None = None
    operation: tuple[str, ...] | None = None
    arguments: tuple[Condition, ...] | None = None
    sql: Sql | None = None
    answers: tuple[Condition, ...] | None = None
    timeout_ms: int | None = None
    record: str | None = None
    mask: str | None = None
    steer: Instead | None = None
    unless_allowed: bool = False
    best_effort: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """One policy file."""

    name: str
    origin: Origin
    file: str
    description: str
    closed: bool
    variables: dict[str, Item]
    sets: dict[str, tuple[Item, ...]]
    rules: tuple[Rule, ...]
    workspace: Item | None = None
    risk: CompiledRisk | None = None
    labels: tuple[CompiledLabels, ...] | None = None
    rego: tuple[CompiledRego, ...] | None = None
    flows: tuple[CompiledFlow, ...] | None = None

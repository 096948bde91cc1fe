"""The table of the policy language, as the engine prints it: verbs and their groups, selectors, the words that may
stand where one of a few must.

Everything the loader checks about them comes from here, so the loader accepts just what the engine reads.
Left out: what only the loader knows (`fields.py`), and what a verb or selector means (the engine, `spec/action.md`).
"""

from __future__ import annotations

import json
from typing import Final, TypedDict

from interlock.policy.engine import native


class _Planes(TypedDict):
    host: list[str]
    gateway: list[str]


class _Selector(TypedDict):
    name: str
    takes: str
    verbs: list[str]


class _Fact(TypedDict):
    """What a rule may say of a Fact, and of the acts of which verbs."""

    words: list[str]
    verbs: list[str]


class _Steer(TypedDict):
    name: str
    verbs: list[str]


class _Table(TypedDict):
    verbs: _Planes
    groups: dict[str, list[str]]
    selectors: list[_Selector]
    steers: list[_Steer]
    changes: list[str]
    masks: list[str]
    formats: list[str]
    records: list[str]
    protocols: list[str]
    sides: list[str]
    origins: _Fact
    histories: _Fact
    operations: list[str]
    command_keys: list[str]
    condition_tests: list[str]
    sql_keys: list[str]


_TABLE: Final[_Table] = json.loads(native().policy_language())

HOST_VERBS: Final[tuple[str, ...]] = tuple(_TABLE["verbs"]["host"])
GATEWAY_VERBS: Final[tuple[str, ...]] = tuple(_TABLE["verbs"]["gateway"])
VERBS: Final = (*HOST_VERBS, *GATEWAY_VERBS)
#: Word that stands for several verbs → the verbs.
GROUPS: Final[dict[str, tuple[str, ...]]] = {name: tuple(verbs) for name, verbs in _TABLE["groups"].items()}
_WRITTEN: Final = [selector for selector in _TABLE["selectors"] if selector["takes"] != "inodes"]
#: Selector → the verbs it can narrow.
SELECTORS: Final[dict[str, frozenset[str]]] = {selector["name"]: frozenset(selector["verbs"]) for selector in _WRITTEN}
#: Selector → what it takes.
TAKES: Final[dict[str, str]] = {selector["name"]: selector["takes"] for selector in _WRITTEN}
OPERATIONS: Final[tuple[str, ...]] = tuple(_TABLE["operations"])
COMMAND_KEYS: Final[tuple[str, ...]] = tuple(_TABLE["command_keys"])
SQL_KEYS: Final[tuple[str, ...]] = tuple(_TABLE["sql_keys"])
CONDITION_TESTS: Final[tuple[str, ...]] = tuple(_TABLE["condition_tests"])
PROTOCOLS: Final[tuple[str, ...]] = tuple(_TABLE["protocols"])
SIDES: Final[tuple[str, ...]] = tuple(_TABLE["sides"])
ORIGINS: Final[tuple[str, ...]] = tuple(_TABLE["origins"]["words"])
#: The verbs whose acts are upon an object that somebody has made.
ORIGIN_VERBS: Final[frozenset[str]] = frozenset(_TABLE["origins"]["verbs"])
HISTORIES: Final[tuple[str, ...]] = tuple(_TABLE["histories"]["words"])
#: What `when` may name → the words for it, and the verbs that have such a thing.
FACTS: Final[dict[str, tuple[tuple[str, ...], frozenset[str]]]] = {
    "origin": (ORIGINS, ORIGIN_VERBS),
    "history": (HISTORIES, frozenset(_TABLE["histories"]["verbs"])),
}
#: How a file may be written whose keys a rule names.
FORMATS: Final[tuple[str, ...]] = tuple(_TABLE["formats"])
#: What a rule may ask for: `routine` is nobody's wish.
RECORDS: Final[tuple[str, ...]] = tuple(record for record in _TABLE["records"] if record != "routine")
#: What may be done instead of an act → the verbs of the acts that it can stand in for.
STEERS: Final[dict[str, frozenset[str]]] = {steer["name"]: frozenset(steer["verbs"]) for steer in _TABLE["steers"]}
#: What may be done to an argument of a tool call.
CHANGES: Final[tuple[str, ...]] = tuple(_TABLE["changes"])
#: What can be left out of a configuration that is read.
MASKS: Final[tuple[str, ...]] = tuple(_TABLE["masks"])

#: Named by the design, enforced by nothing yet.
VERBS_LATER: Final = frozenset({"net.resolve"})

_SIGNAL_NAMES: Final = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU "
    "URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)
#: signal(7), the numbers of x86, ARM and RISC-V.
SIGNALS: Final[dict[str, int]] = {name: number for number, name in enumerate(_SIGNAL_NAMES.split(), start=1)}


def in_groups(verbs: frozenset[str]) -> list[str]:
    """Verbs for a person: by the word that stands for several where all of those are meant."""
    several = [name for name in GROUPS if name != "file.change" and len(GROUPS[name]) > 1]
    whole = [name for name in several if verbs.issuperset(GROUPS[name])]
    covered = {verb for name in whole for verb in GROUPS[name]}
    return [*whole, *(verb for verb in VERBS if verb in verbs and verb not in covered)]


def is_gateway(verb: str) -> bool:
    """Whether the verb belongs to the gateway plane."""
    return verb in GATEWAY_VERBS

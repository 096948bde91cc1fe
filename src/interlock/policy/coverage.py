"""Coverage: for each rule of a compiled policy, what enforces it, whether it can be raced, what it costs, and what
it does not do.

Costs are the measured orders of magnitude of `docs/benchmarks.md`, not promises. What this machine has is
`interlock doctor`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from interlock.policy.engine import engine
from interlock.policy.language import is_gateway

if TYPE_CHECKING:
    from interlock.policy.loading import Compiled

WALL: Final = "wall"
DOOR: Final = "door"
GATEWAY: Final = "gateway"

_COST: Final = {
    WALL: "under 1 µs an open; nothing else",
    DOOR: "20 µs and more for each call of its kind (docs/benchmarks.md)",
    GATEWAY: "part of each tool call",
}


_SENDS: Final = ("sendmsg", "sendmmsg")


@dataclass(frozen=True, slots=True)
class Coverage:
    """Where one rule is enforced. `raceable` is a sentence about who could change what was checked, or None."""

    rule: str
    decision: str
    verbs: tuple[str, ...]
    enforced_by: tuple[str, ...]
    raceable: str | None
    cost: str
    notes: tuple[str, ...]


def coverage(document: dict[str, Any]) -> list[Coverage]:
    """The coverage of every rule, in the order of the layers."""
    return [
        _of(f"{layer['name']}/{rule['id']}", rule, document) for layer in document["layers"] for rule in layer["rules"]
    ]


def untrapped(compiled: Compiled) -> tuple[str, ...]:
    """Calls that this policy leaves to the kernel, which others have the door look at (docs/adr/0025)."""
    return _SENDS if engine(compiled).sends_are_plain else ()


def _of(name: str, rule: dict[str, Any], document: dict[str, Any]) -> Coverage:
    verbs = tuple(rule["verbs"])
    mechanisms = sorted({_mechanism(verb, rule, document) for verb in verbs}, key=(WALL, DOOR, GATEWAY).index)
    raceable = None
    if "process.exec" in verbs and rule["decision"] != "allow":
        raceable = "no: path and arguments are checked again on the new image, before its first instruction"
    return Coverage(
        name, rule["decision"], verbs, tuple(mechanisms), raceable, _COST[mechanisms[-1]], tuple(_notes(rule, verbs))
    )


def _mechanism(verb: str, rule: dict[str, Any], document: dict[str, Any]) -> str:
    if is_gateway(verb):
        return GATEWAY
    if rule["decision"] == "allow" and verb in ("file.read", "process.exec") and _is_tree(rule, verb):
        return DOOR if _narrowed(verb, document) else WALL
    return DOOR


def _is_tree(rule: dict[str, Any], verb: str) -> bool:
    """Whether Landlock can say it: whole trees, no exceptions, no conditions."""
    match = rule["match"]
    if set(match) - {"path"} or rule["obligations"] or rule["when"]:
        return False
    bases = [pattern.removesuffix("/**") for pattern in match.get("path", ())]
    return bool(bases) and not any(character in base for base in bases for character in "*?[\\")


def _narrowed(verb: str, document: dict[str, Any]) -> bool:
    """Whether some rule denies or asks within what is allowed: then each call of the family goes through the door."""
    return any(
        rule["decision"] != "allow" and verb in rule["verbs"] for layer in document["layers"] for rule in layer["rules"]
    )


def _notes(rule: dict[str, Any], verbs: tuple[str, ...]) -> list[str]:
    match = rule["match"]
    notes = []
    if rule["decision"] != "allow" and "file.read" in verbs:
        notes.append(
            "names and metadata (ls, stat) stay visible; what may not be read may not be renamed or linked either"
        )
    if "process.exec" in verbs and rule["decision"] != "allow":
        notes.append(
            "a copy of the program under another name is another program: exec rules steer, files and network contain"
        )
    if "inodes" in match:
        notes.append(f"{len(match['inodes'])} files are matched by inode as well (they have other hard links)")
    if any(verb.startswith("net.") for verb in verbs):
        notes.append("judged by literal address and port; host names are not enforced yet")
    if rule["when"]:
        notes.append("asked of each object by its file handle; without one it was there before")
    if rule["best_effort"]:
        notes.append("best effort: a machine that cannot enforce it starts anyway and says PARTIAL")
    return notes

"""Coverage: for each rule of a compiled policy, what enforces it and how far, whether it can be raced, and what it does
not do; and what each mechanism costs.

Costs are the measured orders of magnitude of `docs/benchmarks.md`, not promises. Reading is never left to the wall
(docs/adr/0001): a mode in which it is (`reads: wall`) does not exist yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock.policy.compiled_form import named_rules
from interlock.policy.engine import engine
from interlock.policy.flows import CARRIES
from interlock.policy.language import is_gateway
from interlock.vocabulary import words
from interlock.vocabulary.enforcement import Enforcement, Fully

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.policy.compiled_form import CompiledPolicy, CompiledRule
    from interlock.policy.flows import CompiledFlow
    from interlock.policy.loading import Compiled

DOOR: Final = "door"
GATEWAY: Final = "gateway"

#: What each mechanism costs, and when.
COSTS: Final = {
    DOOR: "20 µs and more a call, of the kinds that rules speak of (docs/benchmarks.md)",
    GATEWAY: "part of each tool call",
}
#: What the door looks at only where a rule needs it to.
_SENDS: Final = ("sendmsg", "sendmmsg")


@dataclass(frozen=True, slots=True)
class Coverage:
    """Where one rule is enforced, and how far. `raceable` is a sentence about who could change what was checked, or
    None.
    """

    rule: str
    decision: str
    verbs: tuple[str, ...]
    enforced_by: tuple[str, ...]
    enforcement: Enforcement
    raceable: str | None
    notes: tuple[str, ...]


def coverage(policy: CompiledPolicy, states: Mapping[str, Enforcement]) -> list[Coverage]:
    """The coverage of every rule, in the order of the layers. `states`: of those that are not simply enforced."""
    rules = [_of(name, rule, states.get(name, Fully())) for name, rule in named_rules(policy)]
    return [*rules, *(_of_flow(layer["name"], flow) for layer in policy["layers"] for flow in layer.get("flows", ()))]


def untrapped(compiled: Compiled) -> tuple[str, ...]:
    """Calls that this policy leaves to the kernel, which others have the door look at (docs/adr/0025)."""
    return _SENDS if engine(compiled).sends_are_plain else ()


def _of(name: str, rule: CompiledRule, enforcement: Enforcement) -> Coverage:
    verbs = tuple(rule["verbs"])
    mechanisms = sorted({GATEWAY if is_gateway(verb) else DOOR for verb in verbs})
    raceable = None
    if "process.exec" in verbs and rule["decision"] != "allow":
        raceable = "no: path and arguments are checked again on the new image, before its first instruction"
    return Coverage(name, rule["decision"], verbs, tuple(mechanisms), enforcement, raceable, tuple(_notes(rule, verbs)))


def _of_flow(layer: str, flow: CompiledFlow) -> Coverage:
    decision, verbs = "approve" if flow["person"] else "deny", tuple(flow["sink"]["verbs"])
    notes = [f"carries {flow['carries']}: {CARRIES[flow['carries']]}"]
    notes += ["what is written in another form than docs/flows.md tells is another value"] if flow["argument"] else []
    return Coverage(f"{layer}/{flow['id']}", decision, verbs, (GATEWAY,), Fully(), None, tuple(notes))


def _notes(rule: CompiledRule, verbs: tuple[str, ...]) -> list[str]:
    match = rule["match"]
    notes = []
    if rule["decision"] != "allow" and "file.read" in verbs:
        notes.append(
            "names and metadata (ls, stat) stay visible; what may not be read may not be renamed or linked either"
        )
    if rule["steer"] == "masked":
        notes.append(
            "read as a view without tokens and passwords, once told; a form that is not understood is refused; "
            "what needs a token is done outside the session"
        )
    if rule["decision"] == "steer" and rule["steer"] != "masked":
        notes.append(f"done instead: {words.instead(rule['steer'])}; decided again as that, and denied if not allowed")
    if rule["steer"] == "this_machine":
        notes.append("getsockname tells the address that was asked for; it answers at the loopback addresses alone")
    if "process.exec" in verbs and rule["decision"] != "allow":
        notes.append(
            "a copy of the program under another name is another program: exec rules steer, files and network contain"
        )
    if "keys" in match:
        notes.append(
            "what is written in place goes to a private copy, and is decided when nobody has it open for writing any "
            "more; what cannot be read is denied; readers find the old content or the new"
        )
    if "inodes" in match:
        notes.append(f"{len(match['inodes'])} files are matched by inode as well (they have other hard links)")
    if any(verb.startswith("net.") for verb in verbs):
        by_name = "judged by the name that was asked for and the address reached; the session answers names itself"
        notes.append(by_name if "host" in match else "judged by address and port")
    if "key.use" in verbs:
        notes.append(
            "by the session's key agent: a login at a host whose own key signed for that connection and is in your "
            "known_hosts; what is bound to no host is asked about each time, or refused"
        )
    if "origin" in (rule["when"] or {}):
        notes.append("asked of each object by its file handle; without one it was there before")
    if "history" in (rule["when"] or {}):
        notes.append("compared with what the repository around the workspace had when the session began")
    if rule.get("unless_allowed"):
        notes.append("asks only about what no rule of any layer lets through")
    if rule["best_effort"]:
        notes.append("best effort: where it is not enforced fully, a session starts all the same and says PARTIAL")
    return notes

"""The escape closure: for what a policy denies, the routes around it that the same policy leaves open.

Each finding names the rule that opens the route. Routes that the engine closes by itself are not searched for:
renaming or linking what may not be read, renaming a parent, hard links that exist at start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock.policy.compiled_form import named_rules
from interlock.policy.language import GROUPS
from interlock.policy.pattern import covers, literal_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from interlock.policy.compiled_form import CompiledPolicy, CompiledRule, NamedRule

FINDINGS_MAX: Final = 100
_CHANGES: Final = frozenset(GROUPS["file.change"])
_REPLACES: Final = ("file.rename", "file.link")
#: Sockets behind which a program outside acts on request.
_OUTSIDE_HANDS: Final = (
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/dbus/system_bus_socket",
    "/run/user/1000/bus",
    "/run/user/1000/podman/podman.sock",
    "/run/user/1000/systemd/private",
    "/tmp/tmux-1000/default",  # noqa: S108 - a pattern
    "/tmp/.X11-unix/X0",  # noqa: S108 - a pattern
)


@dataclass(frozen=True, slots=True)
class Route:
    """A way around `rule` that `opened_by` leaves: as a sentence, and the `way` by itself, the same for each rule that
    it leads around.
    """

    rule: str
    opened_by: str
    message: str
    way: str


def routes(policy: CompiledPolicy) -> list[Route]:
    """Every route found, at most `FINDINGS_MAX`."""
    named = named_rules(policy)
    allows = [each for each in named if each.rule["decision"] == "allow"]
    found: list[Route] = []
    for name, rule in named:
        if rule["decision"] in ("deny", "approve"):
            found.extend(_replaced(name, rule, allows, named))
            found.extend(_copied(name, rule, allows))
    for name, rule in allows:
        found.extend(_handed_out(name, rule, named))
        found.extend(_too_wide(name, rule))
    return found[:FINDINGS_MAX]


def _replaced(name: str, rule: CompiledRule, allows: list[NamedRule], named: list[NamedRule]) -> Iterator[Route]:
    """Some changes are denied, and a prepared file can be renamed or linked into the place."""
    verbs = set(rule["verbs"])
    if not verbs & (_CHANGES - {*_REPLACES}) or verbs.issuperset(_REPLACES):
        return
    patterns = rule["match"].get("path", [])
    for opener, allowing in allows:
        open_verbs = [verb for verb in _REPLACES if verb in allowing["verbs"] and verb not in verbs]
        if open_verbs and _meets(patterns, allowing["match"].get("path")) and not _denied(open_verbs, patterns, named):
            way = f"`{opener}` allows {open_verbs[0]} there, so a prepared file can take its place"
            yield Route(name, opener, f"`{name}` denies {rule['verbs'][0]}, and {way}; deny `file.change` instead", way)
            return


def _denied(verbs: Sequence[str], patterns: Sequence[str], named: list[NamedRule]) -> bool:
    """Whether other rules deny each of `verbs` on every pattern."""
    denying = [rule for _, rule in named if rule["decision"] != "allow" and set(verbs) <= set(rule["verbs"])]
    wide = [
        pattern
        for rule in denying
        for pattern in rule["match"].get("path", ["/**"])
        if not (rule["match"].get("except") or rule["match"].get("except_within"))
    ]
    return all(any(covers(each, pattern) for each in wide) for pattern in patterns)


def _copied(name: str, rule: CompiledRule, allows: list[NamedRule]) -> Iterator[Route]:
    """A program is denied by name, and copies of it can be made and run."""
    if "process.exec" not in rule["verbs"] or not (rule["match"].get("command") or rule["match"].get("path")):
        return
    if rule["match"].get("path") and len(rule["verbs"]) > 1:
        return
    for opener, allowing in allows:
        if "process.exec" in allowing["verbs"] and {"file.create", "file.write"} & set(allowing["verbs"]):
            way = (
                f"a copy of the program under another name runs, since `{opener}` allows writing and running programs; "
                "file and network rules bound what it does"
            )
            yield Route(name, opener, f"`{name}` is about a program by its name: {way}", way)
            return


def _handed_out(name: str, rule: CompiledRule, named: list[NamedRule]) -> Iterator[Route]:
    """A socket behind which something outside acts for whoever asks."""
    if "unix.connect" not in rule["verbs"] or rule["match"].get("to") == "inside":
        return
    patterns = rule["match"].get("path", ["/**"])
    denied = [
        pattern
        for _, each in named
        if each["decision"] != "allow" and "unix.connect" in each["verbs"]
        for pattern in each["match"].get("path", ["/**"] if not each["match"] else ())
    ]
    for socket in _OUTSIDE_HANDS:
        if any(covers(pattern, socket) for pattern in patterns) and not any(covers(each, socket) for each in denied):
            way = f"what listens at `{socket}` starts programs outside every rule"
            yield Route(name, name, f"`{name}` lets the session reach it: {way}", way)
            return


def _too_wide(name: str, rule: CompiledRule) -> Iterator[Route]:
    """Allows that undo what the plane promises."""
    outside = rule["match"].get("to") != "inside"
    if "process.ptrace" in rule["verbs"]:
        way = "a traced program can be made to run what exec rules refuse"
        yield Route(name, name, f"`{name}` allows ptrace: {way}", way)
    if "process.signal" in rule["verbs"] and outside:
        way = "signals reach processes outside the session"
        yield Route(name, name, f"`{name}`: {way}", way)
    if _CHANGES & set(rule["verbs"]):
        for pattern in rule["match"].get("path", ["/**"]):
            if any(covers(pattern, system) for system in ("/usr/bin/**", "/etc/**", "/usr/lib/**")):
                way = f"programs and settings that others run can be changed, by `{pattern}`"
                yield Route(name, name, f"`{name}`: {way}", way)
                return


def _meets(left: Sequence[str], right: Sequence[str] | None) -> bool:
    """Whether two lists of patterns may have a path in common, judged by their literal fronts."""
    if right is None or not left:
        return True
    return any(_may_meet(one, other) for one in left for other in right)


def _may_meet(one: str, other: str) -> bool:
    first, second = literal_prefix(one)[0], literal_prefix(other)[0]
    shared = min(len(first), len(second))
    return first[:shared] == second[:shared]

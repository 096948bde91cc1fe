"""The escape closure: for what a policy denies, the routes around it that the same policy leaves open.

Each finding names the rule that opens the route. Routes the engine closes by itself are not searched for:
renaming or linking what may
not be read, renaming a parent, hard links that exist at start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from interlock.policy.language import GROUPS
from interlock.policy.pattern import covers, literal_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """A way around `rule` that `opened_by` leaves, in words."""

    rule: str
    opened_by: str
    message: str


def routes(document: dict[str, Any]) -> list[Route]:
    """Every route found, at most `FINDINGS_MAX`."""
    named = [(f"{layer['name']}/{rule['id']}", rule) for layer in document["layers"] for rule in layer["rules"]]
    allows = [(name, rule) for name, rule in named if rule["decision"] == "allow"]
    found: list[Route] = []
    for name, rule in named:
        if rule["decision"] in ("deny", "approve"):
            found.extend(_replaced(name, rule, allows, named))
            found.extend(_copied(name, rule, allows))
    for name, rule in allows:
        found.extend(_handed_out(name, rule, named))
        found.extend(_too_wide(name, rule))
    return found[:FINDINGS_MAX]


def _replaced(name: str, rule: dict[str, Any], allows: list[Any], named: list[Any]) -> Iterator[Route]:
    """Some changes are denied, and a prepared file can be renamed or linked into the place."""
    verbs = set(rule["verbs"])
    if not verbs & (_CHANGES - {*_REPLACES}) or verbs.issuperset(_REPLACES):
        return
    patterns = rule["match"].get("path", ())
    for opener, allowing in allows:
        open_verbs = [verb for verb in _REPLACES if verb in allowing["verbs"] and verb not in verbs]
        if open_verbs and _meets(patterns, allowing["match"].get("path")) and not _denied(open_verbs, patterns, named):
            message = (
                f"denies {rule['verbs'][0]}, while `{opener}` allows {open_verbs[0]} there: a "
                f"prepared file can take its place"
            )
            yield Route(name, opener, f"`{name}` {message}; deny `file.change` instead")
            return


def _denied(verbs: list[str], patterns: list[str], named: list[Any]) -> bool:
    """Whether other rules deny each of `verbs` on every pattern."""
    denying = [rule for _, rule in named if rule["decision"] != "allow" and set(verbs) <= set(rule["verbs"])]
    wide = [
        pattern for rule in denying for pattern in rule["match"].get("path", ["/**"]) if not rule["match"].get("except")
    ]
    return all(any(covers(each, pattern) for each in wide) for pattern in patterns)


def _copied(name: str, rule: dict[str, Any], allows: list[Any]) -> Iterator[Route]:
    """A program is denied by name, and copies of it can be made and run."""
    if "process.exec" not in rule["verbs"] or not (rule["match"].get("command") or rule["match"].get("path")):
        return
    if rule["match"].get("path") and len(rule["verbs"]) > 1:
        return
    for opener, allowing in allows:
        if "process.exec" in allowing["verbs"] and {"file.create", "file.write"} & set(allowing["verbs"]):
            message = (
                f"`{name}` is about a program by its name, while `{opener}` allows writing and "
                f"running programs: a copy under another "
                "name runs; what bounds it are the file and network rules"
            )
            yield Route(name, opener, message)
            return


def _handed_out(name: str, rule: dict[str, Any], named: list[Any]) -> Iterator[Route]:
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
            yield Route(
                name,
                name,
                f"`{name}` lets the session reach `{socket}`: what listens there starts programs outside every rule",
            )
            return


def _too_wide(name: str, rule: dict[str, Any]) -> Iterator[Route]:
    """Allows that undo what the plane promises."""
    outside = rule["match"].get("to") != "inside"
    if "process.ptrace" in rule["verbs"]:
        yield Route(name, name, f"`{name}` allows ptrace: a traced program can be made to run what exec rules refuse")
    if "process.signal" in rule["verbs"] and outside:
        yield Route(name, name, f"`{name}` allows signals to processes outside the session")
    if _CHANGES & set(rule["verbs"]):
        for pattern in rule["match"].get("path", ["/**"]):
            if any(covers(pattern, system) for system in ("/usr/bin/**", "/etc/**", "/usr/lib/**")):
                yield Route(
                    name, name, f"`{name}` allows changes of `{pattern}`: programs and settings that others run"
                )
                return


def _meets(left: list[str], right: list[str] | None) -> bool:
    """Whether two lists of patterns may have a path in common, judged by their literal fronts."""
    if right is None or not left:
        return True
    return any(_may_meet(one, other) for one in left for other in right)


def _may_meet(one: str, other: str) -> bool:
    first, second = literal_prefix(one)[0], literal_prefix(other)[0]
    shared = min(len(first), len(second))
    return first[:shared] == second[:shared]

"""A compiled policy placed on this machine: links in patterns followed, hard links of what is denied found by inode.

Run at every load, never cached: names change between two sessions, and an agent may have changed them.

An `allow` does not follow a link that the policy lets a session make: in one session the agent would plant `out ->
~/.ssh`, in the next an innocent `allow: file.*` on `out/**` would mean the keys. Such a link is named in a warning.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Any, Final

from interlock.policy.pattern import is_literal_path, literal_prefix, to_regex, unescape
from interlock.policy.resolve import Links, Names

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from interlock.policy.context import Context, Filesystem

#: Directory entries looked at for hard links, in one load.
ENTRIES_MAX: Final = 4_096
#: Hard-linked files that one rule names by inode.
INODES_MAX: Final = 1_024
_MAGIC: Final = re.compile(r"[*?\[{\\]")
_MAKES_LINKS: Final = frozenset({"file.create", "file.rename", "file.link"})


def place(layers: list[dict[str, Any]], context: Context, *, aside: list[dict[str, Any]]) -> list[str]:
    """Follow links and collect inodes in place. Returns warnings for the person.

    Arguments: `aside` are layers that decide nothing (`loading.load`): their links are followed with the others', but
    they bring no inodes and no warnings.
    """
    names = Names(context.filesystem)
    warnings = [*_Follower(layers, names).follow(), *_HardLinks(layers, names, context).collect()]
    _Follower(aside, names).follow()
    return warnings


def name_session(layers: list[dict[str, Any]], stand_in: str, context: Context) -> None:
    """Put the session's own folder where the cached layers have `<runtime>/<stand_in>`."""
    before = _escaped(f"{context.runtime}/{stand_in}")
    after = _escaped(context.variables()["session"])
    for layer in layers:
        for rule in layer["rules"]:
            for selector in ("path", "except"):
                patterns = rule["match"].get(selector, ())
                if any(before in pattern for pattern in patterns):
                    rule["match"][selector] = [pattern.replace(before, after) for pattern in patterns]


class _Follower:
    def __init__(self, layers: list[dict[str, Any]], names: Names) -> None:
        self._layers = layers
        self._links = Links(names)
        self._makeable: Callable[[str], bool] | None = None
        self._other_patterns: list[str] = []
        self._plain_roots: tuple[str, ...] = ()
        self._warnings: dict[str, None] = {}

    def follow(self) -> list[str]:
        """Add to each list of patterns the forms that links lead to."""
        self._collect_makeable()
        for layer in self._layers:
            for rule in layer["rules"]:
                for selector in ("path", "except"):
                    patterns = rule["match"].get(selector)
                    if patterns:
                        widens = (rule["decision"] == "allow") == (selector == "path")
                        rule["match"][selector] = self._followed(
                            patterns, f"{layer['name']}/{rule['id']}", widens=widens
                        )
        return list(self._warnings)

    def _followed(self, patterns: list[str], rule: str, *, widens: bool) -> list[str]:
        found: dict[str, None] = {}
        for pattern in patterns:
            found[pattern] = None
            resolved = self._links.resolve(pattern)
            if resolved is None:
                continue
            made = next((link for link in resolved.links if widens and self._could_be_made(link[0])), None)
            if made is None:
                found[resolved.pattern] = None
            else:
                self._warnings[
                    f"`{rule}`: `{pattern}` leads through the link `{made[0]}` -> `{made[1]}`, which "
                    f"a session may make itself; "
                    f"the rule does not follow it (name `{resolved.pattern}` if you mean it)"
                ] = None
        return list(found)

    def _collect_makeable(self) -> None:
        """Where a session may make names: every `allow` of creating, renaming or linking, whatever denies it."""
        patterns = {
            pattern
            for layer in self._layers
            for rule in layer["rules"]
            if rule["decision"] != "deny" and _MAKES_LINKS.intersection(rule["verbs"])
            for pattern in rule["match"].get("path", ["/**"])
        }
        roots: list[str] = []
        others: list[str] = []
        for pattern in sorted(patterns):
            base = pattern.removesuffix("/**")
            (roots if pattern.endswith("/**") and is_literal_path(base or "/") else others).append(pattern)
        self._plain_roots = tuple(unescape(root.removesuffix("/**")) for root in roots)
        self._other_patterns = others

    def _could_be_made(self, path: str) -> bool:
        if any(path == root or path.startswith(f"{root}/") for root in self._plain_roots):
            return True
        if self._makeable is None:
            self._makeable = _matcher(self._other_patterns)
        return self._makeable(path)


class _HardLinks:
    """Other names of a denied file: found by `st_nlink`, matched by inode.

    The logs of Interlock's own sessions are left out: there are ever more of them, and what is changed in one through
    another name is found by `ledger verify`.
    """

    def __init__(self, layers: list[dict[str, Any]], names: Names, context: Context) -> None:
        self._layers = layers
        self._names = names
        self._filesystem: Filesystem = context.filesystem
        self._own = frozenset(f"{path}/**" for path in map(_escaped, context.interlock))
        self._logs = frozenset(f"{context.state}/ledger/{kind}" for kind in ("sessions", "gateway"))
        self._left = ENTRIES_MAX
        self._warnings: dict[str, None] = {}

    def collect(self) -> list[str]:
        """Add `inodes` to each rule that denies or holds named files."""
        for layer in self._layers:
            for rule in layer["rules"]:
                patterns = rule["match"].get("path")
                if patterns and rule["decision"] != "allow" and not rule["verbs"][0].startswith("unix."):
                    self._rule(rule, f"{layer['name']}/{rule['id']}", patterns)
        return list(self._warnings)

    def _rule(self, rule: dict[str, Any], name: str, patterns: list[str]) -> None:
        exceptions: Any = None
        found: dict[tuple[int, int], None] = {}
        for pattern in patterns:
            for path, status in self._files(pattern, name):
                exceptions = exceptions or _matcher(rule["match"].get("except", []))
                if not exceptions(path):
                    found[status.st_dev, status.st_ino] = None
        if len(found) > INODES_MAX:
            message = (
                f"`{name}`: more than {INODES_MAX} denied files have other hard links; the rest is matched by name only"
            )
            self._warnings[message] = None
        if found:
            kept = sorted(found)[:INODES_MAX]
            rule["match"]["inodes"] = [{"device": device, "number": number} for device, number in kept]

    def _files(self, pattern: str, rule: str) -> Iterator[tuple[str, os.stat_result]]:
        """The files of this pattern that have other names."""
        front, rest = literal_prefix(pattern)
        if not front or front[0] in ("proc", "sys", "dev"):
            return
        status = self._names.status(front)
        if status is None:
            return
        base = "/" + "/".join(front)
        wanted = _matcher([pattern])
        if _has_other_names(status) and wanted(base):
            yield base, status
        if rest and stat.S_ISDIR(status.st_mode) and (pattern not in self._own or self._installed_by_links(base)):
            for path, found in self._below(base, rest, rule):
                if wanted(path):
                    yield path, found

    def _below(self, base: str, rest: tuple[str, ...], rule: str) -> Iterator[tuple[str, os.stat_result]]:
        """Files with other names below `base`, wherever the components `rest` could lead."""
        open_from = rest.index("**") if "**" in rest else len(rest)
        fronts = [_literal_start(component) for component in rest[:open_from]]
        waiting = [(base, 0)]
        while waiting:
            directory, depth = waiting.pop()
            for name, is_directory in self._filesystem.entries(directory):
                self._left -= 1
                if self._left < 0:
                    self._warnings[
                        f"`{rule}`: more than {ENTRIES_MAX} files lie below denied names; other hard "
                        f"links of those not looked at "
                        "are matched by name only"
                    ] = None
                    return
                if depth < open_from and not name.startswith(fronts[depth]):
                    continue
                path = f"{directory.rstrip('/')}/{name}"
                if is_directory:
                    if (open_from < len(rest) or depth + 1 < len(rest)) and path not in self._logs:
                        waiting.append((path, depth + 1))
                    continue
                status = self._filesystem.status(path)
                if status is not None and _has_other_names(status):
                    yield path, status

    def _installed_by_links(self, base: str) -> bool:
        """Whether a package installer shared its cache with this folder by hard links (uv does): the first file shows
        it."""
        for name, is_directory in self._filesystem.entries(base):
            if not is_directory:
                status = self._filesystem.status(f"{base}/{name}")
                return status is not None and status.st_nlink > 1
        return False


def _has_other_names(status: os.stat_result) -> bool:
    return status.st_nlink > 1 and stat.S_ISREG(status.st_mode)


def _literal_start(component: str) -> str:
    """What every name that the component matches begins with."""
    magic = _MAGIC.search(component)
    return component[: magic.start()] if magic else component


def _matcher(patterns: list[str]) -> Callable[[str], bool]:
    """Whether a path matches one of the patterns. They are compiled when the first path comes: often none does."""
    # `(?!)` matches nothing, for when there is no pattern.
    compiled: re.Pattern[str] | None = None

    def matches(path: str) -> bool:
        nonlocal compiled
        if compiled is None:
            compiled = re.compile("|".join(map(to_regex, patterns)) or "(?!)")
        return compiled.fullmatch(path) is not None

    return matches


def _escaped(path: str) -> str:
    from interlock.policy.pattern import escape

    return escape(path)

"""Patterns brought to the names the kernel resolves: a symbolic link in the literal front of a pattern is followed at
load.

`/bin/**` means `/usr/bin/**` where `/bin` is a link. The pattern as written stays beside it, for acts on the link's
own name. `/proc` is never entered: its links differ for each process.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.policy.pattern import escape, literal_prefix

if TYPE_CHECKING:
    import os

    from interlock.policy.context import Filesystem

#: Links followed in one pattern (the kernel's own limit, path_resolution(7)).
LINKS_MAX: Final = 40


class Resolved(NamedTuple):
    """A pattern after links, and the links that were followed, outermost first."""

    pattern: str
    links: tuple[tuple[str, str], ...]


class Names:
    """What the machine says of names: each is asked about once in a load, and nothing below one that is not there."""

    def __init__(self, filesystem: Filesystem) -> None:
        self._filesystem = filesystem
        self._statuses: dict[tuple[str, ...], os.stat_result | None] = {(): None}
        self._targets: dict[str, str | None] = {}

    def status(self, names: tuple[str, ...]) -> os.stat_result | None:
        """lstat(2) of `/` and these names; None when there is no such name."""
        if names not in self._statuses:
            is_below_nothing = len(names) > 1 and self.status(names[:-1]) is None
            path = "/" + "/".join(names)
            self._statuses[names] = None if is_below_nothing else self._filesystem.status(path)
        return self._statuses[names]

    def is_link(self, names: tuple[str, ...]) -> bool:
        """Whether the last of these names is a symbolic link."""
        status = self.status(names)
        return status is not None and stat.S_ISLNK(status.st_mode)

    def target(self, path: str) -> str | None:
        """Where the symbolic link `path` leads; None when it is none."""
        if path not in self._targets:
            self._targets[path] = self._filesystem.readlink(path)
        return self._targets[path]


class Links:
    """Follows the links in patterns."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._plain: dict[tuple[str, ...], bool] = {}

    def resolve(self, pattern: str) -> Resolved | None:
        """The pattern with every link in its literal front followed; None where none is, or the links form a loop."""
        front, rest = literal_prefix(pattern)
        if not front or front[0] == "proc":
            return None
        if not self._passes_a_link(front):
            return None
        waiting = list(front[::-1])
        done: list[str] = []
        links: list[tuple[str, str]] = []
        while waiting:
            name = waiting.pop()
            if name == "..":
                del done[-1:]
                continue
            path = "/" + "/".join([*done, name])
            target = self._names.target(path)
            if target is None:
                done.append(name)
                continue
            links.append((path, target))
            if len(links) > LINKS_MAX or target.startswith("/proc/"):
                return None
            if target.startswith("/"):
                done = []
            waiting.extend(part for part in reversed(target.split("/")) if part not in ("", "."))
        if not links:
            return None
        resolved = "/" + "/".join([*(escape(name) for name in done), *rest])
        return Resolved(resolved, tuple(links))

    def _passes_a_link(self, front: tuple[str, ...]) -> bool:
        """Whether any name of the front is a link; each folder is asked about once for all patterns below it."""
        known = self._plain.get(front)
        if known is None:
            above = len(front) > 1 and self._passes_a_link(front[:-1])
            known = above or self._names.is_link(front)
            self._plain[front] = known
        return known

"""Patterns brought to the names the kernel resolves: a symbolic link in the literal front of a pattern is followed at
load.

`/bin/**` means `/usr/bin/**` where `/bin` is a link. The pattern as written stays beside it, for acts on the link's
own name. `/proc` is never entered: its links differ for each process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.policy.pattern import escape, literal_prefix

if TYPE_CHECKING:
    from interlock.policy.context import Filesystem

#: Links followed in one pattern (the kernel's own limit, path_resolution(7)).
LINKS_MAX: Final = 40


class Resolved(NamedTuple):
    """A pattern after links, and the links that were followed, outermost first."""

    pattern: str
    links: tuple[tuple[str, str], ...]


class Links:
    """Follows links, asking the machine once for each name."""

    def __init__(self, filesystem: Filesystem) -> None:
        self._filesystem = filesystem
        self._known: dict[str, str | None] = {}
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
            target = self._target(path)
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
            known = above or self._target("/" + "/".join(front)) is not None
            self._plain[front] = known
        return known

    def _target(self, path: str) -> str | None:
        if path not in self._known:
            self._known[path] = self._filesystem.readlink(path)
        return self._known[path]

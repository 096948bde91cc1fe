"""How many of a person's files a session changed or removed, for one line at its end.

Of what builds and package clients make again, of a repository's own folder and of what lies outside the workspace
nothing is counted. Left out: which they are (`comparing.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.app.before import past_of
from interlock.app.comparing import has_content_of
from interlock.policy.set_caches import BUILT, TREES
from interlock.storage import below
from interlock.storage.journal import kept_paths, lines_bytes, read_journal

if TYPE_CHECKING:
    import os

    from interlock.app.before import Thing
    from interlock.storage.home import Home
    from interlock.storage.journal import Journal

#: A longer journal is only counted, by what it kept: whether a file was changed or removed is not looked up.
_LINES_BYTES_MAX: Final = 4 << 20
#: A file of the same size and another time is read to the end up to this; a larger one counts as changed.
_READ_BYTES_MAX: Final = 1 << 20
_NOT_COUNTED: Final = frozenset({".git", *TREES, *BUILT})


class FilesOfBefore(NamedTuple):
    """How many. `either` are those of which nobody looked which of the two they are."""

    changed: int = 0
    removed: int = 0
    either: int = 0


def files_of_before(home: Home, session: str, workspace: str) -> FilesOfBefore:
    """Count them. Raises `HostError` where the journal cannot be read."""
    folder = home.journal(session)
    if lines_bytes(folder) > _LINES_BYTES_MAX:
        return FilesOfBefore(either=len({path for path in kept_paths(folder) if _is_counted(path, workspace)}))
    journal = read_journal(folder, runs=False)
    if journal is None:
        return FilesOfBefore()
    things = [thing for thing in past_of(journal).things if thing.has_content and _is_counted(thing.before, workspace)]
    states = [_state(thing, journal) for thing in things]
    return FilesOfBefore(changed=states.count("changed"), removed=states.count("removed"))


def _is_counted(path: str, workspace: str) -> bool:
    if not path.startswith(f"{workspace}/"):
        return False
    return _NOT_COUNTED.isdisjoint(path[len(workspace) + 1 :].split("/"))


def _state(thing: Thing, journal: Journal) -> str:
    """`changed`, `removed`, or `same`. What cannot be looked at is changed."""
    try:
        there = next(((path, found) for path, found in map(_looked_up, (thing.before, thing.now)) if found), None)
        if there is None:
            return "removed"
        return "changed" if _is_changed(thing, there, journal) else "same"
    except OSError:
        return "changed"


def _looked_up(path: str | None) -> tuple[str, os.stat_result | None]:
    return path or "", below.found(path) if path is not None else None


def _is_changed(thing: Thing, there: tuple[str, os.stat_result], journal: Journal) -> bool:
    path, found = there
    assert thing.was is not None, "its content is kept"
    if found.st_size != thing.was.size:
        return True
    if found.st_mtime_ns == thing.was.changed_ns:
        return False
    return found.st_size > _READ_BYTES_MAX or not has_content_of(thing, journal, path, found)

"""The git repository around a folder: its top, and what git keeps of it elsewhere.

A linked worktree and a submodule have only a file `.git`, which names a directory elsewhere; a clone may borrow objects
from another repository. A command in the workspace could have written such names for the next session, so a directory
elsewhere counts only if it names the workspace in turn, from a place that belongs to no workspace of its own saying:
`worktrees/ID` of the repository that has it, or `modules/…` of the repository around. Leaves out what may be done there
(`@repository`, `@repository-fixed`, `@borrowed-objects`). Source: gitrepository-layout(5), gitglossary(7).
"""

from __future__ import annotations

import itertools
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.surroundings.git_config import settings
from interlock.surroundings.text import text_of
from interlock.surroundings.workspace import mount_points, parents, too_wide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: How far git itself follows borrowed objects (`link_alt_odb_entries`), and entries taken of one file.
_BORROWED_DEPTH_MAX: Final = 5
_BORROWED_MAX: Final = 64
#: Repositories within one another, as submodules are.
_WITHIN_MAX: Final = 16
#: Submodules taken, and entries of a folder of them.
_SUBMODULES_MAX: Final = 256
_POINTER: Final = "gitdir:"


class Elsewhere(NamedTuple):
    """Directories of a workspace's repository that lie outside of the workspace, resolved.

    Attributes:
        directories: the git directory and the common one.
        objects: object directories that it borrows from.
    """

    directories: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()


def top_around(folder: str, environment: Mapping[str, str]) -> str:
    """The top of the repository around `folder`, or `folder` itself.

    It goes up only while the folders belong to one owner, lie on one mount, are not writable for everyone, and are no
    home and nothing above one. Arguments: `folder` is absolute and resolved; `environment` the human's.
    """
    owner, mounts = _owner(folder), mount_points()
    for place in (folder, *parents(folder)):
        if owner is None or _owner(place) != owner:
            break
        if os.path.lexists(f"{place}/.git"):
            is_ours = _owner(f"{place}/.git") == owner and too_wide(place, environment) is None
            return place if is_ours else folder
        if place in mounts:
            break
    return folder


class Kept(NamedTuple):
    """Where git keeps what it knows of a workspace.

    Attributes:
        git, common: the git directory and the common one, which a linked worktree shares.
        objects: object directories, its own first.
    """

    git: str
    common: str
    objects: tuple[str, ...]


def kept(workspace: str) -> Kept | None:
    """The same for all of it, wherever it lies; None where the workspace is not the top of a repository."""
    directories = _directories(workspace, 0)
    if not directories:
        return None
    objects = f"{directories[-1]}/objects"
    return Kept(directories[0], directories[-1], (objects, *_borrowed(objects, _owner(workspace))))


def submodules(workspace: str) -> tuple[tuple[str, Kept], ...]:
    """The tops of the submodules that are checked out below `workspace`, and what git keeps of each."""
    found = (
        (top, Kept(each, each, (f"{each}/objects",)))
        for directory in _directories(workspace, 0)
        for each in _modules(f"{directory}/modules", 0)
        for top in (os.path.realpath(os.path.join(each, _worktree_of(_text(f"{each}/config")))),)
        if _lies_in(top, workspace) and top != workspace and _directories(top, 0) == (each,)
    )
    return tuple(itertools.islice(found, _SUBMODULES_MAX))


def within(workspace: str) -> tuple[str, ...]:
    """The git directory of `workspace` where it lies in it by another name than `.git`: one that was separated, or the
    workspace itself, where that is a repository without a work tree.
    """
    dot = f"{workspace}/.git"
    text = _text(dot)
    if text.startswith(_POINTER):
        found = os.path.realpath(os.path.join(workspace, text.removeprefix(_POINTER).strip()))
        return (found,) if _lies_in(found, workspace) and _is_repository(found) else ()
    return (workspace,) if not os.path.lexists(dot) and _is_repository(workspace) else ()


def configurations(workspace: str) -> tuple[str, ...]:
    """What git reads as configuration of the repository whose top is `workspace`, and of its submodules."""
    directories = (*_directories(workspace, 0), *within(workspace))
    modules = (each for directory in directories for each in _modules(f"{directory}/modules", 0))
    every = itertools.islice((*directories, *modules), _SUBMODULES_MAX)
    return tuple(f"{place}/{name}" for place in every for name in ("config", "config.worktree"))


def _modules(folder: str, depth: int) -> Iterator[str]:
    """Git directories below `modules`; a submodule's name may have slashes, and it may have submodules of its own."""
    for entry in _entries(folder):
        place = f"{folder}/{entry}"
        if not os.path.isdir(place) or os.path.islink(place) or depth > _WITHIN_MAX:
            continue
        if _is_repository(place):
            yield place
            yield from _modules(f"{place}/modules", depth + 1)
        else:
            yield from _modules(place, depth + 1)


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))[:_SUBMODULES_MAX] if _owner(folder) is not None else []
    except OSError:
        return []


def elsewhere(workspace: str, within: int = 0) -> Elsewhere:
    """What git keeps of the repository whose top is `workspace` (resolved) outside of it."""
    directories = _directories(workspace, within)
    outside = tuple(place for place in directories if not _lies_in(place, workspace))
    objects = _borrowed(f"{directories[-1]}/objects", _owner(workspace)) if directories else []
    return Elsewhere(outside, tuple(place for place in objects if not _lies_in(place, workspace)))


def _directories(top: str, within: int) -> tuple[str, ...]:
    """The git directory of a top, and the common one where it is another; none that does not point back."""
    dot = f"{top}/.git"
    if os.path.isdir(dot):
        return (dot,) if not os.path.islink(dot) else ()
    text = _text(dot)
    if not text.startswith(_POINTER):
        return ()
    found = os.path.realpath(os.path.join(top, text.removeprefix(_POINTER).strip()))
    if _owner(found) is None or _owner(found) != _owner(top) or _lies_in(found, top):
        return ()
    return _of_worktree(found, dot) or _of_submodule(found, top, within)


def _of_worktree(found: str, dot: str) -> tuple[str, ...]:
    """`COMMON/worktrees/ID`, which names the worktree's `.git` and its common directory."""
    listed, common = os.path.dirname(found), os.path.dirname(os.path.dirname(found))
    names = os.path.join(found, _text(f"{found}/gitdir").strip())
    shares = os.path.realpath(os.path.join(found, _text(f"{found}/commondir").strip()))
    is_one = os.path.basename(listed) == "worktrees" and shares == common and _owner(common) == _owner(found)
    return (found, common) if is_one and os.path.realpath(names) == dot and _is_repository(common) else ()


def _of_submodule(found: str, top: str, within: int) -> tuple[str, ...]:
    """`modules/…` of the repository around, whose configuration names the submodule's top."""
    names = os.path.join(found, _worktree_of(_text(f"{found}/config")))
    if within >= _WITHIN_MAX or os.path.realpath(names) != top or not _is_repository(found):
        return ()
    for place in parents(top):
        if os.path.lexists(f"{place}/.git"):
            around = _directories(place, within + 1)
            return (found,) if any(_lies_in(found, f"{each}/modules") for each in around) else ()
    return ()


def _borrowed(objects: str, owner: int | None, depth: int = 0) -> list[str]:
    """The object directories named by `objects`, and by those in turn."""
    found: list[str] = []
    lines = _text(f"{objects}/info/alternates").splitlines()
    for line in [line for line in lines if line and not line.startswith("#")][:_BORROWED_MAX]:
        place = os.path.realpath(os.path.join(objects, line))
        if _owner(place) == owner and os.path.isdir(f"{place}/pack") and place not in found:
            found.append(place)
            found += _borrowed(place, owner, depth + 1) if depth < _BORROWED_DEPTH_MAX else []
    return list(dict.fromkeys(found))[:_BORROWED_MAX]


def _worktree_of(config: str) -> str:
    """`core.worktree` of a configuration; `.` when it has none."""
    found = [each.value for each in settings(config) if (each.section, each.key) == ("core", "worktree")]
    return found[-1] if found else "."


def _is_repository(directory: str) -> bool:
    return all(os.path.exists(f"{directory}/{part}") for part in ("HEAD", "objects", "refs"))


def _lies_in(place: str, folder: str) -> bool:
    return place == folder or place.startswith(f"{folder}/")


def _owner(place: str) -> int | None:
    """Who owns it, unless it is missing, a link, or writable for everyone."""
    try:
        found = os.lstat(place)
    except OSError:
        return None
    everyone = stat.S_ISLNK(found.st_mode) or found.st_mode & stat.S_IWOTH
    return None if everyone else found.st_uid


def _text(path: str) -> str:
    """A plain file's text; empty also when it lies behind a link: rules keep the name, and a link leads to another."""
    return text_of(path) if os.path.realpath(path) == path else ""

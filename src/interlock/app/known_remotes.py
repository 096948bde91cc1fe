"""The remotes of a workspace that a person knows: the members of `@git-remotes`.

A session may write its repository's configuration, so what stands there is believed only as it was before any session
could write it; what came later takes a person's yes (`interlock allow --remotes`). What is believed is kept in
Interlock's state, a file for each workspace, which every session finds or makes before its command starts, whatever
its policy. Left out: which hosts a configuration means (`surroundings/git_remotes.py`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.policy.pattern import expand_braces
from interlock.policy.set_caches import CACHES, TOOL_FOLDERS
from interlock.policy.set_shared import SHARED_PLACES
from interlock.policy.set_startup import AGENT_STATE
from interlock.storage.home import FILE_MODE, Home, user_home
from interlock.surroundings.caches import named_caches
from interlock.surroundings.git_remotes import remote_hosts
from interlock.surroundings.repository import configurations
from interlock.surroundings.workspace import parents
from interlock.vocabulary.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interlock.vocabulary.json_value import JsonObject

#: The folders in which presets let a session make what it wants: of each pattern what stands before its first mark.
_EVERYWHERE: Final = frozenset(
    plain.partition("/*")[0]
    for pattern in (*SHARED_PLACES, *CACHES, *TOOL_FOLDERS, *AGENT_STATE)
    for plain in expand_braces(pattern) or ()
    if plain.endswith("/**") and plain.startswith(("~/", "/"))
)
_DISK_ERRORS: Final = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})

class Remotes(NamedTuple):
    """The hosts of a workspace's remotes now: those that are `known`, and those that nobody said yes to (`new`)."""

    known: tuple[str, ...]
    new: tuple[str, ...]


def remotes(home: Home, workspace: str) -> Remotes:
    """As they are. `workspace` is resolved. Raises `HostError` for a file of the state that cannot be read."""
    found, known = _found(workspace), _read(home.remotes_of(workspace))
    believed = set(_before(home, workspace, found) if known is None else known)
    return Remotes(
        tuple(host for host in found if host in believed), tuple(host for host in found if host not in believed)
    )


def begin(home: Home, workspace: str) -> None:
    """A session is about to begin: from now on what is added takes a yes."""
    path = home.remotes_of(workspace)
    if not os.path.lexists(path):
        believed = _before(home, workspace, _found(workspace))
        home.ensure(home.remotes)
        _write(path, workspace, believed)


def adopt(home: Home, workspace: str, hosts: Iterable[str]) -> None:
    """A person said yes to these."""
    path = home.remotes_of(workspace)
    believed = {*(_read(path) or remotes(home, workspace).known), *hosts}
    home.ensure(home.remotes)
    _write(path, workspace, believed)


def _found(workspace: str) -> tuple[str, ...]:
    return remote_hosts(workspace, os.environ, os.path.realpath(user_home()))


def _before(home: Home, workspace: str, found: tuple[str, ...]) -> tuple[str, ...]:
    """What is believed where no session began yet: all of it, unless a session that began in a folder around it, or
    around the repository's own directory, could have written it. Then what was believed there. Where every session may
    make a repository, none is believed once there was one.
    """
    places = {workspace, *(os.path.dirname(path) for path in configurations(workspace))}
    around = {above for place in places for above in (place, *parents(place)) if above != workspace}
    held = [known for above in sorted(around) if (known := _read(home.remotes_of(above))) is not None]
    is_anybodys = any(_is_everywhere_writable(place) for place in places) and os.path.isdir(home.remotes)
    return found if not held and not is_anybodys else tuple(sorted({host for known in held for host in known}))


def _is_everywhere_writable(folder: str) -> bool:
    """Whether it lies where sessions make what they want, whatever their workspace."""
    own = user_home()
    named = (os.environ.get("TMPDIR", ""), *named_caches(os.environ, workspace=folder))
    places = (*named, *(place.replace("~", own, 1) for place in _EVERYWHERE))
    return any(folder.startswith(f"{os.path.realpath(place)}/") for place in places if place.startswith("/"))


def _read(path: str) -> tuple[str, ...] | None:
    try:
        with open(path, encoding="utf-8") as opened:
            kept = json.load(opened)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unread(path, str(error)) from error
    hosts = kept.get("hosts") if isinstance(kept, dict) else None
    if not isinstance(hosts, list):
        raise _unread(path, "it has no list of hosts")
    return tuple(str(host) for host in hosts)


def _unread(path: str, why: str) -> HostError:
    return HostError(
        f"the remotes that you know cannot be read from `{path}`: {why}",
        hint="remove it: the next session then believes the remotes that stand in the repository's configuration",
    )


def _write(path: str, workspace: str, hosts: Iterable[str]) -> None:
    kept: JsonObject = {"workspace": workspace.encode("utf-8", "replace").decode(), "hosts": sorted(set(hosts))}
    beside = f"{path}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(beside, flags, FILE_MODE), "w", encoding="utf-8") as opened:
            opened.write(json.dumps(kept) + "\n")
        os.rename(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        if error.errno in _DISK_ERRORS:
            raise  # told as it is wherever a disk takes nothing
        raise HostError(f"cannot write `{path}`: {error.strerror}") from error

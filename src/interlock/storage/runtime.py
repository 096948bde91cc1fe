"""The directory of one session's sockets, `runtime/<session>`: held while anybody of the session lives, then cleared.

Who makes it holds a shared lock on it, and so does the supervisor; a lock goes with its process, whoever kills it. What
can be locked alone has no owner any more. Names are looked up below descriptors and symbolic links are never followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.errors import HostError
from interlock.vocabulary.ids import parse_session_id

if TYPE_CHECKING:
    from interlock.storage.home import Home

#: Directories looked at in one clearing: what is left over that takes another start.
LOOKED_AT_MAX: Final = 256
#: Another start may clear a directory just when it is made, and once more.
_TRIES_MAX: Final = 8
_SOCKETS: Final = ("control.sock", "inside.sock")
#: Names the folder that a tool server was given for a home, to be cleared with the session.
_SCRATCH: Final = "scratch"
_SCRATCH_PREFIX: Final = "interlock-server-"
_SCRATCH_BYTES_MAX: Final = 4096
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def hold(home: Home, session: str, *, scratch: str | None = None) -> int:
    """Make the session's directory and hold it until the returned descriptor is closed.

    Arguments: `scratch` is a folder made for this session alone, whose base name begins with `interlock-server-`.
    Raises `OperatorError` and `HostError` as `Home.ensure`.
    """
    path = home.session_runtime(session)
    for _ in range(_TRIES_MAX):
        home.ensure(path)
        try:
            held = os.open(path, _DIRECTORY)
        except FileNotFoundError:
            continue
        fcntl.flock(held, fcntl.LOCK_SH)
        if _is_at(held, path):
            if scratch is not None:
                _note(held, scratch)
            return held
        os.close(held)
    raise HostError(f"`{path}` is taken away as often as it is made")


def clear(home: Home, session: str) -> bool:
    """Take away what is left of a session that nobody holds. Whether nothing is left."""
    with contextlib.ExitStack() as stack:
        try:
            runtime = _opened(stack, home.runtime)
            return _clear(stack, runtime, session)
        except OSError:
            return False


def clear_leftovers(home: Home) -> int:
    """Take away what killed sessions left. How many were cleared."""
    cleared = 0
    with contextlib.ExitStack() as stack:
        try:
            runtime = _opened(stack, home.runtime)
            names = _sessions(runtime)
        except OSError:
            return 0  # No such directory yet, or none that can be read: then nothing is left in it that we could see.
        for name in names:
            with contextlib.ExitStack() as inner, contextlib.suppress(OSError):
                cleared += _clear(inner, runtime, name)
    return cleared


def _opened(stack: contextlib.ExitStack, path: str, *, below: int | None = None) -> int:
    descriptor = os.open(path, _DIRECTORY, dir_fd=below)
    stack.callback(os.close, descriptor)
    return descriptor


def _sessions(runtime: int) -> list[str]:
    found: list[str] = []
    for name in sorted(os.listdir(runtime)):
        with contextlib.suppress(ValueError):
            found.append(parse_session_id(name))
    return found[:LOOKED_AT_MAX]


def _clear(stack: contextlib.ExitStack, runtime: int, session: str) -> bool:
    directory = _opened(stack, session, below=runtime)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    _clear_scratch(directory)
    for name in _SOCKETS:
        if (found := _found(name, directory)) is not None and stat.S_ISSOCK(found.st_mode):
            os.unlink(name, dir_fd=directory)
    os.rmdir(session, dir_fd=runtime)  # refused when anything else is in there: that is not ours to take
    return True


def _note(directory: int, scratch: str) -> None:
    descriptor = os.open(_SCRATCH, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=directory)
    with open(descriptor, "wb") as file:
        file.write(os.fsencode(scratch))


def _clear_scratch(directory: int) -> None:
    """Only what this user owns and what is named as such folders are; `shutil.rmtree` follows no link either."""
    found = _found(_SCRATCH, directory)
    if found is None or not stat.S_ISREG(found.st_mode):
        return
    with open(os.open(_SCRATCH, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory), "rb") as file:
        scratch = os.fsdecode(file.read(_SCRATCH_BYTES_MAX))
    with contextlib.suppress(OSError):
        there = os.lstat(scratch)
        ours = stat.S_ISDIR(there.st_mode) and there.st_uid == os.geteuid()
        if ours and os.path.basename(scratch).startswith(_SCRATCH_PREFIX):
            import shutil

            shutil.rmtree(scratch, ignore_errors=True)
    os.unlink(_SCRATCH, dir_fd=directory)


def _found(name: str, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_at(descriptor: int, path: str) -> bool:
    """Whether the name still leads to what was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False

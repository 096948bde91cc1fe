"""The directory of one session's sockets, `runtime/<session>`: held while anybody of the session lives, then cleared.

Who makes it holds a shared lock on it, and so does the supervisor; a lock goes with its process, whoever kills it. What
can be locked alone has no owner any more. Names are looked up below descriptors and symbolic links are never followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.ids import parse_session_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.storage.home import Home

#: Directories looked at in one clearing: what is left over that takes another start.
LOOKED_AT_MAX: Final = 256
#: A directory has this before its name until it is held, so that nobody clears it in between; and no longer than this.
_FRESH: Final = ".new-"
_FRESH_SECONDS_MAX: Final = 60.0
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
    fresh = f"{home.runtime}/{_FRESH}{session}"
    home.ensure(fresh)
    held = os.open(fresh, _DIRECTORY)
    _lock(held)
    if scratch is not None:
        _note(held, scratch)
    os.rename(fresh, home.session_runtime(session))
    return held


def clear(home: Home, session: str) -> bool:
    """Take away what is left of a session that nobody holds. Whether nothing is left."""
    with contextlib.ExitStack() as stack:
        try:
            runtime = _opened(stack, home.runtime)
            return _clear(stack, runtime, session, lambda directory: True)
        except OSError:
            return False


def clear_leftovers(home: Home) -> int:
    """Take away what killed sessions left, tool servers' folders too, however long it takes. How many were cleared."""
    return _clear_fitting(home, lambda directory: True)


def clear_sockets(home: Home) -> int:
    """As `clear_leftovers`, but for sessions without a folder: for a start that waits for nothing."""
    return _clear_fitting(home, lambda directory: _found(_SCRATCH, directory) is None)


def _clear_fitting(home: Home, fits: Callable[[int], bool]) -> int:
    cleared = 0
    with contextlib.ExitStack() as stack:
        try:
            runtime = _opened(stack, home.runtime)
            names = _sessions(runtime)
        except OSError:
            return 0  # No such directory yet, or none that can be read: then nothing is left in it that we could see.
        for name in names:
            with contextlib.ExitStack() as inner, contextlib.suppress(OSError):
                cleared += _clear(inner, runtime, name, fits)
    return cleared


def _lock(held: int) -> None:
    """A file system without such locks keeps what is left over: what cannot be locked alone is never cleared."""
    with contextlib.suppress(OSError):
        fcntl.flock(held, fcntl.LOCK_SH)


def _opened(stack: contextlib.ExitStack, path: str, *, below: int | None = None) -> int:
    descriptor = os.open(path, _DIRECTORY, dir_fd=below)
    stack.callback(os.close, descriptor)
    return descriptor


def _sessions(runtime: int) -> list[str]:
    """The directories named as sessions, and those that never came to be one because their maker was killed."""
    found: list[str] = []
    for name in sorted(os.listdir(runtime)):
        with contextlib.suppress(ValueError, FileNotFoundError):
            parse_session_id(name.removeprefix(_FRESH))
            if not name.startswith(_FRESH) or time.time() - os.stat(name, dir_fd=runtime).st_mtime > _FRESH_SECONDS_MAX:
                found.append(name)
    return found[:LOOKED_AT_MAX]


def _clear(stack: contextlib.ExitStack, runtime: int, session: str, fits: Callable[[int], bool]) -> bool:
    directory = _opened(stack, session, below=runtime)
    if not fits(directory):
        return False
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

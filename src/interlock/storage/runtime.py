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

from interlock.storage.removal import remove_folder
from interlock.storage.temporary import PREFIX
from interlock.vocabulary.ids import parse_session_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.storage.home import Home

#: Directories looked at in one clearing: what is left over that takes another start.
LOOKED_AT_MAX: Final = 256
#: A directory has this before its name until it is held, so that nobody clears it in between; and no longer than this.
_FRESH: Final = ".new-"
_FRESH_SECONDS_MAX: Final = 60.0
_TRIED_EVERY_S: Final = 0.005
_SOCKETS: Final = ("control.sock", "inside.sock", "agent.sock", "keys.sock", "own-agent.sock")
#: Files that name folders made for the session alone, to be cleared with it, and how such a folder is called: the home
#: of a tool server, the temporary folder.
_FOLDERS: Final = {"scratch": "interlock-server-", "temporary": PREFIX}
_FOLDER_BYTES_MAX: Final = 4096
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def hold(home: Home, session: str, *, scratch: str | None = None, temporary: str | None = None) -> int:
    """Make the session's directory and hold it until the returned descriptor is closed.

    Arguments: `scratch` and `temporary` are folders that are this session's alone, made by now or not; their base names
        begin with `interlock-server-` and `interlock.`.
    Raises `OperatorError` and `HostError` as `Home.ensure`.
    """
    fresh = f"{home.runtime}/{_FRESH}{session}"
    home.ensure(fresh)
    held = os.open(fresh, _DIRECTORY)
    _lock(held)
    for kind, folder in (("scratch", scratch), ("temporary", temporary)):
        if folder is not None:
            _note(held, kind, folder)
    os.rename(fresh, home.session_runtime(session))
    return held


def clear(home: Home, session: str, *, within_s: float = 0.0) -> bool:
    """Take away what is left of a session that nobody holds. Whether nothing is left.

    Arguments: `within_s` is how many seconds it is tried. Who starts programs meanwhile needs some: until a child runs
        its program it has every descriptor of its parent, and with it the lock that the parent has just closed.
    """
    deadline = time.monotonic() + within_s
    while not (cleared := _clear_once(home, session)) and time.monotonic() < deadline:
        time.sleep(_TRIED_EVERY_S)
    return cleared


def _clear_once(home: Home, session: str) -> bool:
    with contextlib.ExitStack() as stack:
        try:
            runtime = _opened(stack, home.runtime)
            return _clear(stack, runtime, session, lambda directory: True)
        except OSError:
            return not os.path.lexists(home.session_runtime(session))


def clear_leftovers(home: Home) -> int:
    """Take away what killed sessions left, their folders too, however long it takes. How many were cleared."""
    return _clear_fitting(home, lambda directory: True)


def clear_sockets(home: Home) -> int:
    """As `clear_leftovers`, but for sessions without a folder: for a start that waits for nothing."""
    return _clear_fitting(home, lambda directory: all(_found(kind, directory) is None for kind in _FOLDERS))


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
    for kind, prefix in _FOLDERS.items():
        _clear_folder(directory, kind, prefix)
    for name in _SOCKETS:
        if (found := _found(name, directory)) is not None and stat.S_ISSOCK(found.st_mode):
            os.unlink(name, dir_fd=directory)
    os.rmdir(session, dir_fd=runtime)  # refused when anything else is in there: that is not ours to take
    return True


def _note(directory: int, kind: str, folder: str) -> None:
    descriptor = os.open(kind, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=directory)
    with open(descriptor, "wb") as file:
        file.write(os.fsencode(folder))


def _clear_folder(directory: int, kind: str, prefix: str) -> None:
    """Only what this user owns and what is named as such folders are."""
    found = _found(kind, directory)
    if found is None or not stat.S_ISREG(found.st_mode):
        return
    with open(os.open(kind, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory), "rb") as file:
        folder = os.fsdecode(file.read(_FOLDER_BYTES_MAX))
    with contextlib.suppress(FileNotFoundError):
        if os.path.basename(folder).startswith(prefix) and os.lstat(folder).st_uid == os.geteuid():
            remove_folder(folder)
    os.unlink(kind, dir_fd=directory)


def _found(name: str, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None

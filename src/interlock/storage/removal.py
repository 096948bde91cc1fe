"""A folder that a session has filled, taken away whole, however deep, wide or shut it is.

What a hostile program leaves may be nested thousands of levels deep and have no permission left on it: nothing here
recurses, holds more than two folders open, or follows a symbolic link. Nobody may still be at work in the folder.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from typing import Final

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ENTRIES_AT_ONCE: Final = 1024
_OWNER_MAY_ALL: Final = 0o700
_TAKEN: Final = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)


def remove_folder(path: str) -> None:
    """Take away the folder and all below it. Raises `OSError` when something of it cannot be taken away."""
    if not _is_folder(path):
        return
    top = _opened(path)
    try:
        names = map(str, itertools.count())
        while entries := _entries(top):
            for name, is_folder in entries:
                _take(name, is_folder=is_folder, top=top, names=names)
    finally:
        os.close(top)
    os.rmdir(path)


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _take(name: str, *, is_folder: bool, top: int, names: itertools.chain[str] | map[str]) -> None:
    """Take away one entry of the top folder. What lies in a folder below is lifted into the top one first, so that the
    tree gets flatter with each step.
    """
    if not is_folder:
        os.unlink(name, dir_fd=top)
        return
    folder = _opened(name, below=top)
    try:
        while entries := _entries(folder):
            for entry, is_below in entries:
                if is_below:
                    _lift(entry, folder, top, names)
                else:
                    os.unlink(entry, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)


def _lift(name: str, folder: int, top: int, names: itertools.chain[str] | map[str]) -> None:
    os.close(_opened(name, below=folder))  # a folder that moves is itself written to
    for fresh in names:
        try:
            os.rename(name, f".lifted-{fresh}", src_dir_fd=folder, dst_dir_fd=top)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            continue  # the session made something of that name
        return


def _opened(path: str, *, below: int | None = None) -> int:
    """The folder, open, with every right for its owner."""
    try:
        found = os.open(path, _DIRECTORY, dir_fd=below)
    except PermissionError:
        os.chmod(path, _OWNER_MAY_ALL, dir_fd=below)
        found = os.open(path, _DIRECTORY, dir_fd=below)
    if os.fstat(found).st_mode & _OWNER_MAY_ALL != _OWNER_MAY_ALL:
        os.fchmod(found, _OWNER_MAY_ALL)
    return found


def _entries(folder: int) -> list[tuple[str, bool]]:
    with os.scandir(folder) as found:
        some = itertools.islice(found, _ENTRIES_AT_ONCE)
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in some]

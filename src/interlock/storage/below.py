"""Objects by their whole names, below descriptors: no symbolic link on the way is followed.

What a session left may lead anywhere. A name of the journal is one that the kernel told, without links, so where a link
stands on the way the name means something else by now: `OSError` (ENOTDIR, ELOOP).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def parent_of(path: str) -> Iterator[tuple[int, str]]:
    """The folder that a name lies in, held, and the last part of the name."""
    folder, _, name = path.rpartition("/")
    held = os.open("/", _FOLDER)
    try:
        for part in filter(None, folder.split("/")):
            below = os.open(part, _FOLDER, dir_fd=held)
            os.close(held)
            held = below
        yield held, name
    finally:
        os.close(held)


def found(path: str) -> os.stat_result | None:
    """What has the name; None where nothing has."""
    try:
        with parent_of(path) as (folder, name):
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == 40:
            return None
        raise


def opened(path: str) -> int:
    """A plain file, open to be read."""
    with parent_of(path) as (folder, name):
        number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(22, "not a plain file", path)
    return number


def held(path: str) -> int:
    """Whatever has the name, as a descriptor that carries no data."""
    with parent_of(path) as (folder, name):
        return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)


def link_of(path: str) -> str:
    """The text of a symbolic link."""
    with parent_of(path) as (folder, name):
        return os.readlink(name, dir_fd=folder)

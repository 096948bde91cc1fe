"""How a file of before takes its name again: itself, or a copy that is whole before it has one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING, Final

from interlock.app.comparing import link_kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.storage.journal import Was

TEMPORARY: Final = ".interlock-restoring-"
_FICLONE: Final = 0x40049409
_COPY_BYTES: Final = 1 << 30
_BY_HAND_BYTES: Final = 1 << 20


def moved(kept: str, folder: int, name: str) -> bool:
    """Put the object itself back. It is copied where it lies on another file system."""
    try:
        os.rename(kept, name, dst_dir_fd=folder)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        raise
    return True


def linked(kept: str | None, folder: int, name: str) -> bool:
    """A file with the content of before takes the name, and has none until then: a session that works in this folder
    could open it by another name than the one that policy knows. False where the file system cannot do that.
    """
    try:
        number = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL):
            return False
        raise
    try:
        copy(kept, number)
        itself = f"/proc/self/fd/{number}"
        try:
            os.link(itself, name, dst_dir_fd=folder, follow_symlinks=True)
        except FileExistsError:
            aside = TEMPORARY + os.urandom(8).hex()
            os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
            try:
                os.link(itself, name, dst_dir_fd=folder, follow_symlinks=True)
            except OSError:
                with contextlib.suppress(OSError):
                    os.link(aside, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
                    os.unlink(aside, dir_fd=folder)
                raise
            os.unlink(aside, dir_fd=folder)
    finally:
        os.close(number)
    return True


def replaced(was: Was, kept: str | None, folder: int, name: str) -> None:
    """The object of before takes the name, whatever has it."""
    temporary = TEMPORARY + os.urandom(8).hex()
    try:
        _made(temporary, folder, was, kept)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _made(name: str, folder: int, was: Was, kept: str | None) -> None:
    if stat.S_ISLNK(was.mode):
        os.symlink(link_kept(kept) if kept is not None else "", name, dir_fd=folder)
    elif stat.S_ISREG(was.mode):
        number = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            copy(kept, number)
        finally:
            os.close(number)
    else:
        os.mknod(name, was.mode, was.special, dir_fd=folder)


@contextlib.contextmanager
def writing(name: str, folder: int) -> Iterator[int]:
    held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    mode = stat.S_IMODE(os.fstat(held).st_mode)
    itself = f"/proc/self/fd/{held}"
    try:
        if not mode & stat.S_IWUSR:
            os.chmod(itself, mode | stat.S_IWUSR)
        number = os.open(itself, os.O_WRONLY | os.O_CLOEXEC)
        try:
            yield number
        finally:
            os.close(number)
    finally:
        os.close(held)


def copy(kept: str | None, goal: int) -> None:
    """The content of before; holes stay holes."""
    if kept is None:
        return
    with open(kept, "rb") as source:
        number = source.fileno()
        with contextlib.suppress(OSError):
            fcntl.ioctl(goal, _FICLONE, number)
            return
        size = os.fstat(number).st_size
        os.truncate(goal, size)
        at = 0
        while at < size:
            try:
                begin = os.lseek(number, at, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return  # nothing but a hole behind it
                begin = at
            at = begin
            end = os.lseek(number, begin, os.SEEK_HOLE) if begin < size else size
            while at < end:
                done = _part(number, goal, min(end - at, _COPY_BYTES), at)
                if done == 0:
                    return
                at += done


def _part(source: int, goal: int, count: int, at: int) -> int:
    """Copy a part; how much of it. By hand, where the kernel does not copy between two file systems."""
    try:
        return os.copy_file_range(source, goal, count, at, at)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    return os.pwrite(goal, os.pread(source, min(count, _BY_HAND_BYTES), at), at)

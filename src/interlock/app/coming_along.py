"""What would come along with a folder that is moved back, and was not in it before the session: it stays where it is.

A session may move a folder away (`.vscode`, with nothing in it that policy speaks of), and make in it under the new
name what it could not make under the old one. Moved back as it is, the folder would bring that to its old name, and no
policy would have been asked. So what was not there before is set aside first, and put back where it was: at the name
that the session gave it. What was there before is known from the journal, or by the kernel's own time of change, which
no program sets and which making, linking and moving set: then a journal that had no more room does not matter either.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final

from interlock.app.comparing import identity_of
from interlock.storage import below

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.app.before import Held
    from interlock.storage.journal import Journal

_OWNER_MAY: Final = 0o700


@contextlib.contextmanager
def left_behind(journal: Journal, held: Held, names: tuple[str, str], aside: str) -> Iterator[None]:
    """While a folder is moved back, from the first of `names` to the second: what was not in it is put `aside`, where
    it stays until all is moved back (`put_back`). `held` is what of before is known to have been in it.
    """
    strangers, (now, before) = _Strangers(journal, held), names
    for name in list(strangers.below(now)):
        _moved(f"{now}/{name}", f"{aside}/{name}")
    yield
    # A session that still runs may have made some between the look and the move.
    for name in list(strangers.below(before)):
        _moved(f"{before}/{name}", f"{aside}/{name}")


def put_back(aside: str, now: str) -> None:
    """What was put aside gets its names again: below the folder's name, whatever has that by now."""
    if below.found(aside) is not None:
        _back(aside, now)


class _Strangers:
    """What of a folder was not in it before."""

    def __init__(self, journal: Journal, held: Held) -> None:
        self.journal, self.held = journal, held

    def below(self, top: str, folder: str = "") -> Iterator[str]:
        """Names relative to the folder, which has the name `top` at this moment. Of a whole folder that was not there,
        its own name alone.
        """
        held = below.held(f"{top}/{folder}".rstrip("/"))
        try:
            with os.scandir(f"/proc/self/fd/{held}") as entries:
                found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        finally:
            os.close(held)
        for name, there in found:
            inner = f"{folder}/{name}" if folder else name
            if not self._was_there(inner, there):
                yield inner
            elif stat.S_ISDIR(there.st_mode):
                yield from self.below(top, inner)

    def _was_there(self, inner: str, there: os.stat_result) -> bool:
        return (identity_of(there), inner) in self.held or self.journal.had_by_then(there.st_ctime_ns)


def _moved(old: str, new: str) -> None:
    _made_folders(new.rpartition("/")[0])
    with below.parent_of(old) as (source, entry), below.parent_of(new) as (goal, name):
        os.rename(entry, name, src_dir_fd=source, dst_dir_fd=goal)


def _made_folders(path: str) -> None:
    if below.found(path) is None:
        _made_folders(path.rpartition("/")[0])
        with below.parent_of(path) as (folder, name):
            os.mkdir(name, _OWNER_MAY, dir_fd=folder)


def _back(aside: str, now: str) -> None:
    """Under the folder's name, where that is free; else what lies aside goes into what has the name."""
    if below.found(now) is None:
        return _moved(aside, now)
    held = below.held(aside)
    try:
        entries = os.listdir(f"/proc/self/fd/{held}")
    finally:
        os.close(held)
    for entry in entries:
        if below.found(f"{now}/{entry}") is None:
            _moved(f"{aside}/{entry}", f"{now}/{entry}")
        else:
            _back(f"{aside}/{entry}", f"{now}/{entry}")
    with below.parent_of(aside) as (folder, name), contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=folder)

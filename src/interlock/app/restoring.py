"""What a session changed, brought back as it was before: names first, then contents, then modes, owners and times.

What somebody changed after the session's end is shown, and stays as it is unless it is asked for by `force`. Nothing
follows a symbolic link: a name leads where it led when it was noted, or nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.app.before import with_held
from interlock.app.coming_along import left_behind, put_back
from interlock.app.comparing import (
    changed_since,
    content_of,
    differs,
    has_content_of,
    identity_of,
    made_of,
)
from interlock.app.taking_names import TEMPORARY, copy, linked, moved, replaced, writing
from interlock.storage import below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from interlock.app.before import Held, Thing
    from interlock.app.comparing import Compared, Item
    from interlock.storage.journal import Moves, Was

_OWNER_MAY: Final = 0o700
_ASIDE: Final = ".interlock-aside-"


class Brought(NamedTuple):
    """What came of it: names brought back and taken away, and those that were not, each with why."""

    restored: list[str]
    removed: list[str]
    left: list[tuple[str, str]]


def restore(found: Compared, *, discard: bool, force: bool) -> Brought:
    """Bring back what is not as it was. `discard`: what the session made is taken away, too. `force`: also where
    somebody has changed it since.
    """
    return _Restoring(found, discard=discard, force=force).done()


class _Restoring:
    def __init__(self, found: Compared, *, discard: bool, force: bool) -> None:
        self.found, self.discard, self.force = found, discard, force
        self.outcome = Brought([], [], [])
        #: Folders that were opened, or in which names were made or taken away, as each was before.
        self.touched = dict(found.opened)
        #: Names that were moved back.
        self.named: set[str] = set()
        self.gone: set[str] = set()  # folders of before that were taken away
        kept_nowhere = (thing for thing in found.past.things if content_of(thing, found.journal) is None)
        self.alone = {thing.identity: thing.before for thing in kept_nowhere}
        self.moving = contextlib.ExitStack()  # what is put back once all is moved

    def done(self) -> Brought:
        wanted = [item for item in self.found.items if item.did != "made" and not self._is_others(item)]
        made = made_of(self.found.past, self.found.journal) if self.discard else []
        folders = [item for item in wanted if item.is_folder]
        fresh = {item.path for item in folders if self._times_are_ours(item)}
        # What the session made goes first: it may stand where something of before stood.
        for item in sorted(made, key=lambda item: -item.path.count("/")):
            if not self._is_others(item):
                self._tried(item, self._taken)
        self.gone = {item.path for item in folders if item.did == "deleted"}
        with self.moving:
            self._moved_back({item.path for item in wanted if item.did == "moved"})
        for item in sorted(folders, key=lambda item: item.path.count("/")):
            self._tried(item, self._folder)
        for item in wanted:
            if not item.is_folder:
                self._tried(item, self._put)
        self._folders_as_before(fresh)
        restored, left = set(self.outcome.restored), dict(self.outcome.left)
        return Brought(
            self.outcome.restored, [path for path in self.outcome.removed if path not in restored], list(left.items())
        )

    def _is_others(self, item: Item) -> bool:
        if item.since and not self.force:
            why = "it is not what the session made" if item.did == "made" else "it was changed after the session's end"
            self.outcome.left.append((item.path, why))
            return True
        return False

    def _tried(self, item: Item, act: Callable[[Item], bool]) -> None:
        try:
            done = act(item)
        except OSError as error:
            self.outcome.left.append((item.path, os.strerror(error.errno or errno.EIO)))
            return
        if done and item.path not in self.named:
            self.outcome.restored.append(item.path)

    # --- names

    def _moved_back(self, wanted: set[str]) -> None:
        """Undo each move of what is wanted, the last first."""
        by_identity = {thing.identity: thing for thing in self.found.past.things}
        for move, held in reversed(list(with_held(self.found.past))):
            thing = by_identity.get(move.what.identity)
            other = by_identity.get(move.other.identity) if move.other is not None else None
            if move.exchanges and thing is not None and other is not None and {thing.before, other.before} <= wanted:
                self._exchanged(move, held)
                continue
            if thing is not None and move.what.was_before and thing.before in wanted:
                self._tried_back(thing, move.to, move.path, held)
            if other is not None and other.before in wanted:
                self._tried_back(other, move.path, move.to, held)

    def _exchanged(self, move: Moves, held: dict[str, Held]) -> None:
        """Both at once: each has the name that the other is to have again."""
        one, other = below.found(move.to), below.found(move.path)
        if one is None or identity_of(one) != move.what.identity:
            return
        if other is None or move.other is None or identity_of(other) != move.other.identity:
            return
        try:
            with (
                self._writable(move.to) as (source, now),
                self._writable(move.path) as (goal, before),
                self._alone(one, held, move.to, move.path),
                self._alone(other, held, move.path, move.to),
            ):
                aside = TEMPORARY + os.urandom(8).hex()
                os.rename(now, aside, src_dir_fd=source, dst_dir_fd=goal)
                try:
                    os.rename(before, now, src_dir_fd=goal, dst_dir_fd=source)
                except OSError:
                    os.rename(aside, now, src_dir_fd=goal, dst_dir_fd=source)
                    raise
                os.rename(aside, before, src_dir_fd=goal, dst_dir_fd=goal)
        except OSError as error:
            self.outcome.left.append((move.path, f"it is at {move.to}: {os.strerror(error.errno or errno.EIO)}"))
            return
        for thing in self.found.past.things:
            if (thing.identity, thing.before) in {(identity_of(one), move.path), (identity_of(other), move.to)}:
                self.named.add(thing.before)
                self.outcome.restored.append(thing.before)

    def _tried_back(self, thing: Thing, now: str, before: str, held: dict[str, Held]) -> None:
        there = below.found(now)
        if there is None or identity_of(there) != thing.identity or now == before:
            return
        try:
            self._folders_gone(before.rpartition("/")[0])
            self._rename(now, before, self._alone(there, held, now, before))
        except OSError as error:
            self.outcome.left.append((before, f"it is at {now}: {os.strerror(error.errno or errno.EIO)}"))
            return
        if before == thing.before:
            self.named.add(before)
            self.outcome.restored.append(before)

    def _folders_gone(self, folder: str) -> None:
        """Make a folder of before that was taken away, since something is to be moved back into it."""
        if folder in self.gone and below.found(folder) is None:
            self._folders_gone(folder.rpartition("/")[0])
            self._made_again(folder)

    def _alone(
        self, there: os.stat_result, held: dict[str, Held], now: str, before: str
    ) -> contextlib.AbstractContextManager[None]:
        """While what is there is moved back: without what came into it."""
        if not stat.S_ISDIR(there.st_mode):
            return contextlib.nullcontext()
        aside = f"{now}{_ASIDE}{os.urandom(8).hex()}"
        self.moving.callback(self._put_back, aside, now)
        return left_behind(self.found.journal, held.get(before, frozenset()), (now, before), aside)

    def _put_back(self, aside: str, now: str) -> None:
        try:
            put_back(aside, now)
        except OSError as error:
            why = f"what came into it is at {aside}: {os.strerror(error.errno or errno.EIO)}"
            self.outcome.left.append((now, why))

    def _rename(self, now: str, before: str, alone: contextlib.AbstractContextManager[None]) -> None:
        occupied = below.found(before)
        if occupied is not None and not self._may_go(before, occupied):
            raise OSError(errno.EEXIST, "something else has its name", before)
        with self._writable(now) as (source, old), self._writable(before) as (goal, new), alone:
            os.rename(old, new, src_dir_fd=source, dst_dir_fd=goal)

    def _may_go(self, path: str, there: os.stat_result) -> bool:
        """Whether what has the name is the session's own, and nobody has changed it since."""
        made = self.found.past.made
        is_ours = path in made and made[path] in (None, identity_of(there))
        return is_ours and (self.force or not changed_since(there, self.found.journal))

    def _taken(self, item: Item) -> bool:
        there = below.found(item.path)
        if there is None:
            return False
        with self._writable(item.path) as (folder, name):
            if item.is_folder:
                try:
                    os.rmdir(name, dir_fd=folder)
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                    self.outcome.left.append((item.path, "something that is not the session's lies in it"))
                    return False
            else:
                os.unlink(name, dir_fd=folder)
        self.outcome.removed.append(item.path)
        return False

    # --- objects

    def _folder(self, item: Item) -> bool:
        thing = item.thing
        assert thing is not None, "a folder of before"
        self._parents_of(item.path)
        there = below.found(item.path)
        if there is None and thing.was is not None:
            with self._writable(item.path) as (folder, name):
                os.mkdir(name, _OWNER_MAY, dir_fd=folder)
            return True
        if there is not None and not stat.S_ISDIR(there.st_mode):
            if not self._may_go(item.path, there):
                raise OSError(errno.EEXIST, "something else has its name", item.path)
            with self._writable(item.path) as (folder, name):
                os.unlink(name, dir_fd=folder)
                os.mkdir(name, _OWNER_MAY, dir_fd=folder)
            return True
        return item.did == "altered"

    def _parents_of(self, path: str) -> None:
        """Make the folders of before that lead to a name, where they are not there: others than that were asked for."""
        folder = path.rpartition("/")[0]
        if not folder or below.found(folder) is not None:
            return
        if any(thing.before == folder and thing.is_folder for thing in self.found.past.things):
            self._parents_of(folder)
            self._made_again(folder)

    def _made_again(self, folder: str) -> None:
        with self._writable(folder) as (parent, name):
            os.mkdir(name, _OWNER_MAY, dir_fd=parent)
        self.outcome.restored.append(folder)

    def _put(self, item: Item) -> bool:
        thing = item.thing
        assert thing is not None, "a thing of before"
        self._parents_of(item.path)
        there = below.found(item.path)
        if thing.was is None:
            return False
        if not thing.has_content:
            is_same = self._is_itself(thing, item.path, there)
        else:
            is_same = there is not None and has_content_of(thing, self.found.journal, item.path, there)
        if not is_same:
            if there is not None and stat.S_ISDIR(there.st_mode):
                raise OSError(errno.EISDIR, "a folder has its name", item.path)
            if not thing.has_content:
                # What stands there is another: it is given nothing of the former one's rights.
                raise OSError(errno.ENOENT, "its content is not in the journal", item.path)
            self._bring(thing, thing.was, item.path, there)
            there = below.found(item.path)
        if there is not None and (differs(thing.was, there) or not is_same):
            self._as_before(thing.was, item.path)
        return True

    def _is_itself(self, thing: Thing, path: str, there: os.stat_result | None) -> bool:
        """Whether what has the name is the object of before, and none of the session's that was given its number."""
        return there is not None and thing.identity == identity_of(there) != self.found.past.made.get(path)

    def _is_of_another(self, path: str, there: os.stat_result) -> bool:
        """Whether it is something of before that is nowhere else, and has another's name."""
        is_ours = self.found.past.made.get(path) == identity_of(there)
        return there.st_nlink == 1 and not is_ours and self.alone.get(identity_of(there), path) != path

    def _bring(self, thing: Thing, was: Was, path: str, there: os.stat_result | None) -> None:
        kept = content_of(thing, self.found.journal)
        itself = kept is not None and any(itself and kept.endswith(f"/{name}") for name, itself in thing.contents)
        if kept is None and (was.size or not stat.S_ISREG(was.mode)):
            raise OSError(errno.ENOENT, "its content is not in the journal", path)
        if there is not None and self._is_of_another(path, there):
            raise OSError(errno.EEXIST, "something else of before has its name", path)
        with self._writable(path) as (folder, name):
            if itself and kept is not None and moved(kept, folder, name):
                return
            is_itself = self._is_itself(thing, path, there)
            if there is not None and is_itself and there.st_nlink > 1 and stat.S_ISREG(there.st_mode):
                # Its other names go on being names of it; those of another object are not touched.
                with writing(name, folder) as goal:
                    os.truncate(goal, 0)
                    copy(kept, goal)
                return
            if not (stat.S_ISREG(was.mode) and linked(kept, folder, name)):
                replaced(was, kept, folder, name)

    def _as_before(self, was: Was, path: str) -> None:
        """Owner, attributes, mode and times, in the order in which each leaves the others as they are."""
        if stat.S_ISLNK(was.mode):
            with below.parent_of(path) as (folder, name):
                with contextlib.suppress(PermissionError):  # it stays whose it can be
                    _given_to(was, name, folder)
                os.utime(name, ns=(was.accessed_ns, was.changed_ns), dir_fd=folder, follow_symlinks=False)
            return
        held = below.held(path)
        try:
            itself = f"/proc/self/fd/{held}"
            with contextlib.suppress(PermissionError):
                _given_to(was, itself, None)
            with contextlib.suppress(OSError):  # a file system without attributes, or those of the kernel's own
                _with_attributes(was.attributes, itself)
            found = os.fstat(held)
            if found.st_mode != was.mode:
                os.chmod(itself, stat.S_IMODE(was.mode))
            if (found.st_atime_ns, found.st_mtime_ns) != (was.accessed_ns, was.changed_ns):
                os.utime(itself, ns=(was.accessed_ns, was.changed_ns))
        finally:
            os.close(held)

    # --- folders

    def _times_are_ours(self, item: Item) -> bool:
        """Whether nobody changed the folder since the session's end: then its times are put back as well."""
        there = self.found.opened.get(item.path) or below.found(item.path)
        return there is None or not changed_since(there, self.found.journal)

    def _folders_as_before(self, fresh: set[str]) -> None:
        """All folders of before that are there, the deepest first: putting something into one changes its times. One
        that is not the session's business any more stays as it was found.
        """
        wanted = {item.path for item in self.found.items}
        things = {thing.before: thing.was for thing in self.found.past.things if thing.is_folder and thing.was}
        for path in sorted(wanted & things.keys() | self.touched.keys(), key=lambda path: -path.count("/")):
            was, there = things.get(path), below.found(path)
            if there is None or not stat.S_ISDIR(there.st_mode):
                continue
            with contextlib.suppress(OSError):
                if was is not None and (path in fresh or path not in wanted or self.force):
                    self._as_before(was, path)
                elif path in self.touched:
                    _as_found(path, self.touched[path])

    @contextlib.contextmanager
    def _writable(self, path: str) -> Iterator[tuple[int, str]]:
        """The folder of a name, held, in which its owner may make names for this moment."""
        with below.parent_of(path) as (folder, name):
            found = os.fstat(folder)
            self.touched.setdefault(path.rpartition("/")[0] or "/", found)
            if found.st_mode & _OWNER_MAY != _OWNER_MAY and found.st_uid == os.geteuid() != 0:
                os.chmod(f"/proc/self/fd/{folder}", stat.S_IMODE(found.st_mode) | _OWNER_MAY)
            yield folder, name


def _as_found(path: str, found: os.stat_result) -> None:
    held = below.held(path)
    try:
        os.chmod(f"/proc/self/fd/{held}", stat.S_IMODE(found.st_mode))
        os.utime(f"/proc/self/fd/{held}", ns=(found.st_atime_ns, found.st_mtime_ns))
    finally:
        os.close(held)


def _given_to(was: Was, name: str, folder: int | None) -> None:
    """To its owner of before. Who is not root can give nothing away: then only its group may have to be put right."""
    follows = folder is None
    found = os.stat(name, dir_fd=folder, follow_symlinks=follows)
    if (found.st_uid, found.st_gid) != (was.user, was.group):
        user = -1 if found.st_uid == was.user else was.user
        os.chown(name, user, was.group, dir_fd=folder, follow_symlinks=follows)


def _with_attributes(attributes: Iterable[tuple[bytes, bytes]] | None, itself: str) -> None:
    if attributes is None:
        return
    wanted = {os.fsdecode(name): value for name, value in attributes}
    for name in os.listxattr(itself):
        if name not in wanted and name.startswith("user."):
            os.removexattr(itself, name)
    for name, value in wanted.items():
        if name not in os.listxattr(itself) or os.getxattr(itself, name) != value:
            os.setxattr(itself, name, value)

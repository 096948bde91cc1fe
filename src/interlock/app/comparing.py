"""What of before is not as it was: each thing of a journal compared with what is there now.

Left out: how it is shown (`cli/session_before.py`), and bringing it back (`restoring.py`).
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.app.before import Past, Thing, past_of
from interlock.storage import below
from interlock.storage.journal import Journal, read_journal
from interlock.vocabulary.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from interlock.storage.home import Home
    from interlock.storage.journal import Identity, Was

_READ_BYTES: Final = 1 << 20
_OWNER_MAY: Final = 0o700
_TYPE: Final = stat.S_IFMT


class Item(NamedTuple):
    """Something that is not as it was before the session.

    `did` is what became of it: `deleted`, `changed` (its content), `moved`, `altered` (mode, owner or times alone), or
    `made`, which was not there. `now` is its name now, where it has one. `since` says that somebody changed what is
    there after the session's end.
    """

    path: str
    did: str
    now: str | None
    thing: Thing | None
    since: bool
    is_folder: bool


class Compared(NamedTuple):
    """All of them, by name; `past` is what the journal tells. `opened` are folders that let nobody in, as they were
    found.
    """

    session: str
    journal: Journal
    past: Past
    items: list[Item]
    opened: dict[str, os.stat_result]


def compared(home: Home, session: str, paths: Sequence[str] = (), *, opens: bool = False) -> Compared:
    """Compare what a session kept with what is there. `paths`: of these alone, and of what lies below them. `opens`:
    the person's own folders that let nobody in are opened to the person; else what lies in them is not told.

    Raises `OperatorError` where the session has no journal.
    """
    from interlock.host.control import running_sessions

    journal = read_journal(home.journal(session), runs=session in running_sessions(home.runtime))
    if journal is None:
        raise OperatorError(
            f"nothing of before is kept for session `{session}`",
            hint="it changed nothing of before, ran with `--journal off`, or is too long ago",
        )
    past = past_of(journal)
    opened = _opened(past) if opens else {}
    places = {thing.before for thing in past.things if thing.was is not None and thing.has_content}
    made = [item for item in made_of(past, journal) if item.path not in places]
    items = [*(_item_of(thing, journal) for thing in past.things if _is_seen(thing.before, thing.now)), *made]
    wanted = [item for item in items if item is not None and _is_wanted(item, paths)]
    return Compared(session, journal, past, sorted(wanted, key=lambda item: item.path), opened)


def _opened(past: Past) -> dict[str, os.stat_result]:
    """Give the person back the right to look into folders of their own, in which something of before is or was: the
    outermost first.
    """
    names = {name for thing in past.things for name in (thing.before, thing.now) if name} | past.made.keys()
    opened: dict[str, os.stat_result] = {}
    for folder in sorted({folder for name in names for folder in _above(name)}, key=lambda folder: folder.count("/")):
        with contextlib.suppress(OSError):
            there = below.found(folder)
            if there is not None and stat.S_ISDIR(there.st_mode) and _is_shut(there):
                _open(folder, there)
                opened[folder] = there
    return opened


def _is_shut(there: os.stat_result) -> bool:
    return there.st_mode & _OWNER_MAY != _OWNER_MAY and there.st_uid == os.geteuid() != 0


def _open(folder: str, there: os.stat_result) -> None:
    held = below.held(folder)
    try:
        if identity_of(os.fstat(held)) == identity_of(there):
            os.chmod(f"/proc/self/fd/{held}", stat.S_IMODE(there.st_mode) | _OWNER_MAY)
    finally:
        os.close(held)


def _above(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name


def _is_seen(*names: str | None) -> bool:
    """Whether it can be said what is at these names."""
    try:
        for name in names:
            below.found(name) if name is not None else None
    except PermissionError:
        return False
    return True


def _is_wanted(item: Item, paths: Sequence[str]) -> bool:
    names = [name for name in (item.path, item.now) if name is not None]
    return not paths or any(name == path or name.startswith(f"{path.rstrip('/')}/") for name in names for path in paths)


def _item_of(thing: Thing, journal: Journal) -> Item | None:
    there = below.found(thing.before)
    now = thing.now if thing.now is not None and _is(below.found(thing.now), thing) else None
    at = now or thing.before
    found = below.found(at)
    did = _did(thing, journal, found, now)
    if did is None:
        return None
    is_sessions = there is not None and not thing.is_folder
    return Item(thing.before, did, now, thing, is_sessions and changed_since(there, journal), thing.is_folder)


def _did(thing: Thing, journal: Journal, found: os.stat_result | None, now: str | None) -> str | None:
    if thing.was is None:
        return None if now in (None, thing.before) else "moved"
    if found is None or (now is None and _TYPE(found.st_mode) != _TYPE(thing.was.mode)):
        return "deleted"
    if now is not None and now != thing.before:
        return "moved"
    if thing.has_content and not has_content_of(thing, journal, now or thing.before, found):
        return "changed"
    return "altered" if differs(thing.was, found) else None


def _is(found: os.stat_result | None, thing: Thing) -> bool:
    return found is not None and identity_of(found) == thing.identity


def identity_of(found: os.stat_result) -> Identity:
    """What makes it one object."""
    return found.st_dev, found.st_ino


def differs(was: Was, found: os.stat_result) -> bool:
    """Whether mode, owner or time of change are not those of before."""
    times = not stat.S_ISLNK(was.mode) and found.st_mtime_ns != was.changed_ns
    return times or (found.st_mode, found.st_uid, found.st_gid) != (was.mode, was.user, was.group)


def changed_since(found: os.stat_result | None, journal: Journal) -> bool:
    """Whether something was changed after the session's end: the kernel's own time of it (ctime), which no program
    sets.
    """
    return found is not None and journal.ended_ns is not None and found.st_ctime_ns > journal.ended_ns


def content_of(thing: Thing, journal: Journal) -> str | None:
    """Where the content of before lies in the journal; None where it was empty, or where the object is in its place.

    What went there itself may have been written to by another of its names. A copy that was made then is what it held.
    """
    kept = [(f"{journal.folder}/{name}", itself) for name, itself in thing.contents]
    there = [each for each in kept if os.path.lexists(each[0])]
    copies = [path for path, itself in there if not itself]
    return next(iter([*copies, *(path for path, _ in there)]), None)


def has_content_of(thing: Thing, journal: Journal, path: str, found: os.stat_result) -> bool:
    """Whether what stands at a name has the content of before."""
    assert thing.was is not None, "its content is kept"
    if _TYPE(found.st_mode) != _TYPE(thing.was.mode):
        return False
    kept = content_of(thing, journal)
    if stat.S_ISLNK(thing.was.mode):
        return kept is None or below.link_of(path) == link_kept(kept)
    if not stat.S_ISREG(thing.was.mode):
        return True
    if kept is None:
        # It was empty; or it was on its way to the journal when the session was killed, and never left.
        return found.st_size == thing.was.size
    if found.st_size != thing.was.size:
        return False
    with open(below.opened(path), "rb") as now, open(kept, "rb") as before:
        while block := before.read(_READ_BYTES):
            if now.read(_READ_BYTES) != block:
                return False
    return True


def link_kept(path: str) -> str:
    """The text of a link of before: the link itself, or a file that holds its text."""
    if os.path.islink(path):
        return os.readlink(path)
    with open(path, "rb") as file:
        return os.fsdecode(file.read())


def made_of(past: Past, journal: Journal) -> list[Item]:
    """Every name that the session made and that is there, also where something of before had it."""
    of_before = {thing.identity for thing in past.things}
    found = [(path, identity, below.found(path)) for path, identity in past.made.items() if _is_seen(path)]
    return [
        Item(
            path, "made", path, None,
            _is_anothers(identity, there) or (changed_since(there, journal) and not stat.S_ISDIR(there.st_mode)),
            stat.S_ISDIR(there.st_mode),
        )
        for path, identity, there in found
        if there is not None and not (_is_anothers(identity, there) and identity_of(there) in of_before)
    ]  # fmt: skip


def _is_anothers(identity: Identity | None, there: os.stat_result) -> bool:
    return identity is not None and identity_of(there) != identity

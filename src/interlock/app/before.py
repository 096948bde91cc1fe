"""What a session did to what was there before it, from its journal: each thing of before with where it was and where it
is, and the names that the session made.

Names are those of the session's own time: a folder that it moved took its names along. Left out: what stands there by
now, and bringing anything back (`restoring.py`).
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, NamedTuple, assert_never

from interlock.storage.journal import Kept, Makes, Moves, Unkept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.storage.journal import End, Identity, Journal, Was


class Thing:
    """One object of before. `before` and `now` are its names; `now` is None once it has none."""

    __slots__ = ("before", "contents", "has_content", "identity", "is_folder", "now", "was")

    def __init__(self, before: str, identity: Identity, *, is_folder: bool) -> None:
        self.before = before
        self.now: str | None = before
        self.identity = identity
        self.is_folder = is_folder
        self.was: Was | None = None
        self.has_content = False
        #: Where its content may lie in the journal's folder, and whether it is the object itself.
        self.contents: list[tuple[str, bool]] = []


#: What of before lies in a folder: each with its name below that.
Held = frozenset[tuple["Identity", str]]


class Past(NamedTuple):
    """All that a journal tells. `moves` are in order; `unkept` is what could not be kept."""

    things: list[Thing]
    made: dict[str, Identity | None]
    moves: list[Moves]
    unkept: list[Unkept]


def past_of(journal: Journal) -> Past:
    """Follow the journal from its beginning to its end."""
    return _Following(journal).followed()


def with_held(past: Past) -> Iterator[tuple[Moves, dict[str, Held]]]:
    """Each move of something of before, with what of before lay in the folder of each old name at that moment: the same
    way again, now that all things are known with their first names.
    """
    at: dict[Thing, str] = {thing: thing.before for thing in past.things}
    known = {thing.identity: thing for thing in reversed(past.things)}
    for act in past.moves:
        held: dict[str, Held] = {}
        goes: dict[Thing, str] = {}
        for end, old, new in _ends(act):
            if end.is_folder:
                inner = {thing: path[len(old) :] for thing, path in at.items() if path.startswith(f"{old}/")}
                held[old] = frozenset((thing.identity, path[1:]) for thing, path in inner.items())
                goes |= {thing: new + path for thing, path in inner.items()}
            if end.was_before and end.identity in known:
                goes[known[end.identity]] = new
        at |= goes
        if act.what.was_before or (act.other is not None and act.other.was_before):
            yield act, held


def _ends(act: Moves) -> list[tuple[End, str, str]]:
    """What is moved, from where and where to."""
    ends = [(act.what, act.path, act.to)]
    if act.exchanges and act.other is not None:
        ends.append((act.other, act.to, act.path))
    return ends


class _Following:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.known: dict[Identity, Thing] = {}
        self.others: list[Thing] = []
        self.made: dict[str, Identity | None] = {}
        self.moves: list[Moves] = []
        self.unkept: list[Unkept] = []
        #: For each move of folders, old and new name of each; and each of those new names that the session made afresh
        #: afterwards, which is no folder of before.
        self.folders: list[list[tuple[str, str]] | str] = []
        self.moved_to: set[str] = set()
        self.replaced: dict[Identity, str] = {}
        #: Things that have lost their name, and whose object lies in the journal: by other names it is written to.
        self.kept_of: dict[Identity, list[Thing]] = {}

    def followed(self) -> Past:
        for act in self.journal.acts:
            match act:
                case Kept():
                    self._kept(act)
                case Makes():
                    self._made(act)
                case Moves():
                    self._moved(act)
                case Unkept():
                    self.unkept.append(act)
                case _:
                    assert_never(act)
        things = [*self.known.values(), *self.others]
        return Past(things, self.made, self.moves, self.unkept)

    def _made(self, act: Makes) -> None:
        self.made[act.path] = act.identity
        if act.path in self.moved_to:
            self.folders.append(act.path)
        if act.linked is not None and act.identity is not None and act.identity not in self.known:
            # Another name of what was there: what becomes of it by this one is done to what has that.
            self._thing(act.identity, self._original(act.linked), is_folder=False).now = act.linked

    def _kept(self, act: Kept) -> None:
        thing = self.known.get(act.was.identity)
        before = self.replaced.pop(act.was.identity, None)
        before = self._first_seen(act.path, act.was.altered_ns) if before is None else before
        is_other = act.path not in self.made  # by a name that the session made it is the same as before
        if thing is not None and thing.has_content and act.has_content and thing.before != before and is_other:
            # Another of its names; or its number was given to another object, which was there before as well.
            self.others.append(thing)
            if any(itself for _, itself in thing.contents) and act.content is not None:
                # What went to the journal itself keeps its number there. A copy that was made of it later, before it
                # was written to by this name, is what it held.
                self.kept_of.setdefault(act.was.identity, []).append(thing)
            if thing.was is not None and thing.was.links > 1:
                act = act._replace(was=thing.was._replace(size=act.was.size))
            thing = None
        if thing is None:
            thing = self._thing(act.was.identity, before, is_folder=stat.S_ISDIR(act.was.mode))
            thing.now = act.path
        if thing.was is None:
            thing.was = act.was
        elif not thing.has_content and act.has_content:
            thing.was = thing.was._replace(size=act.was.size)
        if thing.was.attributes is None and act.was.attributes is not None:
            thing.was = thing.was._replace(attributes=act.was.attributes)  # it was changed by another name than it lost
        thing.has_content |= act.has_content
        if act.content is not None:
            thing.contents.append((act.content, act.itself))
            for other in self.kept_of.get(act.was.identity, ()):
                other.contents.append((act.content, act.itself))

    def _thing(self, identity: Identity, before: str, *, is_folder: bool) -> Thing:
        thing = self.known[identity] = Thing(before, identity, is_folder=is_folder)
        return thing

    def _moved(self, act: Moves) -> None:
        if act.other is not None and act.other.was_before and not act.exchanges:
            # The journal tells of what is replaced after it tells of the move. Until it has it, that stands at the old
            # name: there it is where a kill came in between.
            replaced = self.known.get(act.other.identity)
            if replaced is None:
                before = self._first_seen(act.to, act.other.altered_ns)
                replaced = self._thing(act.other.identity, before, is_folder=act.other.is_folder)
            self.replaced[act.other.identity] = replaced.before
            replaced.now = act.path
        for end, at in ((act.what, act.path), (act.other if act.exchanges else None, act.to)):
            if end is not None and end.was_before and end.identity not in self.known:
                before = self._first_seen(at, end.altered_ns)
                self._thing(end.identity, before, is_folder=end.is_folder).now = at
        self.moves.append(act)
        self._rename(act)

    def _rename(self, act: Moves) -> None:
        """Give everything the name that it has after the move."""
        ends = _ends(act)
        things: list[tuple[Thing, str]] = []
        names: dict[str, Identity | None] = {}
        for end, old, new in ends:
            if end.is_folder:
                things += [(each, new + each.now[len(old) :]) for each in self._below(old) if each.now is not None]
                below = [path for path in self.made if path.startswith(f"{old}/")]
                names |= {new + path[len(old) :]: self.made.pop(path) for path in below}
            if end.was_before:
                things.append((self.known[end.identity], new))
            else:
                self.made.pop(old, None)
                names[new] = end.identity
        for thing, new in things:
            thing.now = new
        if act.what.was_before and not act.exchanges:
            self.made.pop(act.to, None)
        self.made |= names
        folders = [(old, new) for end, old, new in ends if end.is_folder]
        if folders:
            self.folders.append(folders)
            self.moved_to |= {new for _, new in folders}

    def _below(self, folder: str) -> list[Thing]:
        return [each for each in (*self.known.values(), *self.others) if (each.now or "").startswith(f"{folder}/")]

    def _first_seen(self, path: str, altered_ns: int) -> str:
        """The name of before of something that is met here. What came to its name while the session ran, it was not the
        session that put it there: then it is in the folder that it was put in, not in the one of before.
        """
        return self._original(path) if self.journal.had_by_then(altered_ns) else path

    def _original(self, path: str) -> str:
        """The name that something of before had, which has this one now: folders on the way may have been moved."""
        for folders in reversed(self.folders):
            if isinstance(folders, str):
                if path == folders or path.startswith(f"{folders}/"):
                    return path  # there was nothing of the kind before
                continue
            for old, new in folders:
                if path == new or path.startswith(f"{new}/"):
                    path = old + path[len(new) :]
                    break
        return path

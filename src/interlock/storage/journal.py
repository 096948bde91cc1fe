"""The journal of one session, as its supervisor wrote it (`spec/journal.md`): what was there before, and what the
session did to names.

Left out: what became of it all (`app/before.py`). A line that was cut off by a kill speaks of an effect that was never
done, so it is left out; so is what a later line says was not done.
"""

from __future__ import annotations

import contextlib
import json
import os
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict

from interlock.storage.removal import remove_folder
from interlock.vocabulary.errors import HostError
from interlock.vocabulary.printable import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator


#: Sessions of which anything is kept, for how long, and how many bytes of all of them together; and of what would be
#: free without them, which share at most.
KEPT_MAX: Final = 50
KEPT_SECONDS: Final = 14 * 24 * 3600.0
KEPT_BYTES_MAX: Final = 8 << 30
_FREE_SHARE: Final = 2
#: A journal that was written to since then is a running session's.
_RUNNING_SECONDS: Final = 60.0
#: Of a journal that says nothing of its size, files that are looked at; what is beyond counts as much again.
_LOOKED_AT_MAX: Final = 20_000
_END_BYTES_MAX: Final = 512
_LINES: Final = "lines"
#: How a line of kept content is told from others; no string of a line holds it.
_KEPT: Final = b'"did":"kept"'
_NANOSECONDS: Final = 1_000_000_000
#: In st_blocks.
_BLOCK_BYTES: Final = 512
#: A supervisor that was killed had said that it runs at most this long before.
_BEAT_NS: Final = 1_500_000_000
#: File systems write their times down by a coarser clock, which is behind by a tick at most.
_COARSE_NS: Final = 10_000_000

#: What makes an object one: its device and its inode number.
Identity = tuple[int, int]


class _Words(TypedDict):
    """`was` of a line, as it is written."""

    mode: int
    user: int
    group: int
    size: int
    links: int
    accessed: list[int]
    changed: list[int]
    altered: list[int]
    device: int
    inode: int
    special: int


class _Said(TypedDict):
    """One end of a move, as it is written."""

    device: int
    inode: int
    before: bool
    altered: list[int]
    folder: bool


class _Line(TypedDict, total=False):
    """A line as it is written: which keys it has is said by `did`."""

    n: int
    did: str
    at: int
    path: object
    was: _Words
    content: str | None
    itself: bool
    attributes: list[tuple[str, str]]
    of: int
    linked: object
    device: int
    inode: int
    to: object
    what: _Said
    other: _Said | None
    exchanges: bool
    errno: int
    bytes: int


class Was(NamedTuple):
    """What an object was before: all but its content."""

    mode: int
    user: int
    group: int
    size: int
    links: int
    accessed_ns: int
    changed_ns: int
    identity: Identity
    special: int
    #: None where the object kept them itself.
    attributes: tuple[tuple[bytes, bytes], ...] | None
    #: When anything of it was changed last, by the kernel's own time, which no program sets.
    altered_ns: int = 0


class Kept(NamedTuple):
    """An object of before at a name. `has_content` says whether its content is kept, too: as `content` in the journal's
    folder, where it has any; `itself` says that what lies there is the object itself.
    """

    path: str
    was: Was
    has_content: bool
    content: str | None
    itself: bool


class Makes(NamedTuple):
    """A name that the session made, and what it is the name of; None where it was killed at that moment. `linked` is
    another name of the same, where it was made as a second one.
    """

    path: str
    identity: Identity | None
    linked: str | None = None


class End(NamedTuple):
    """What is at one end of a move."""

    identity: Identity
    was_before: bool
    is_folder: bool
    altered_ns: int = 0


class Moves(NamedTuple):
    """A name that the session moved; `other` is what had the new one."""

    path: str
    to: str
    what: End
    other: End | None
    exchanges: bool


class Unkept(NamedTuple):
    """Something of before that could not be kept."""

    path: str
    errno: int


Act = Kept | Makes | Moves | Unkept


class Journal(NamedTuple):
    """All of it. `begun_ns` is when the session began, `ended_ns` when it was over: None while it runs."""

    folder: str
    acts: list[Act]
    ended_ns: int | None
    begun_ns: int = 0

    def had_by_then(self, altered_ns: int) -> bool:
        """Whether what was changed last at this time was as it is when the session began."""
        return altered_ns < self.begun_ns - _COARSE_NS


def read_journal(folder: str, *, runs: bool) -> Journal | None:
    """The journal in `folder`; None where there is none.

    Arguments: `runs` says whether the session still does.
    Raises `HostError` for one that cannot be read.
    """
    path = f"{folder}/{_LINES}"
    try:
        with open(path, "rb") as file:
            lines = [line for line in map(_parsed, file) if line is not None]
            written_ns = os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError(f"the journal `{path}` cannot be read: {error.strerror}") from error
    said = next((line["at"] * 1000 for line in lines if line.get("did") == "end"), None)
    ended_ns = None if runs else said if said is not None else written_ns + _BEAT_NS
    begun_ns = next((line["at"] * 1000 for line in lines if "did" not in line and "at" in line), 0)
    return Journal(folder, list(_acts(lines)), ended_ns, begun_ns)


def lines_bytes(folder: str) -> int:
    """How much there is to read of a journal; 0 where there is none."""
    try:
        return os.stat(f"{folder}/{_LINES}").st_size
    except OSError:
        return 0


def kept_paths(folder: str) -> Iterator[str]:
    """The names by which contents were kept, without what the other lines say. Raises `HostError` as `read_journal`."""
    try:
        with open(f"{folder}/{_LINES}", "rb") as file:
            lines = (_parsed(line) for line in file if _KEPT in line)
            yield from (text_of(line["path"]) for line in lines if line is not None)
    except OSError as error:
        raise HostError(f"the journal `{folder}/{_LINES}` cannot be read: {error.strerror}") from error


def clear_old(journals: str, *, now_s: float) -> None:
    """Give up what is kept of sessions that are long over, of all but the latest, and of the oldest where all of it
    takes too much of the disk: the latest stays, and so does that of a session that runs.
    """
    with contextlib.suppress(OSError):
        found = sorted(((_written_s(f"{journals}/{name}"), name) for name in os.listdir(journals)), reverse=True)
        sizes = {name: _bytes_of(f"{journals}/{name}") for _, name in found}
        room, taken = _room(journals, sum(sizes.values())), 0
        for place, (written_s, name) in enumerate(found):
            taken += sizes[name]
            age_s = now_s - written_s
            is_over = place >= KEPT_MAX or age_s > KEPT_SECONDS or (place > 0 and taken > room)
            if is_over and age_s > _RUNNING_SECONDS:
                with contextlib.suppress(OSError):
                    remove_folder(f"{journals}/{name}")


def _room(journals: str, taken: int) -> int:
    """How much all of them may take, where they take so much now."""
    disk = os.statvfs(journals)
    return min(KEPT_BYTES_MAX, (disk.f_bavail * disk.f_frsize + taken) // _FREE_SHARE)


def _bytes_of(folder: str) -> int:
    """What a journal takes on the disk: its last line says it; else it is counted."""
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
        with open(f"{folder}/{_LINES}", "rb") as file:
            file.seek(-min(_END_BYTES_MAX, os.fstat(file.fileno()).st_size), os.SEEK_END)
            last = json.loads(file.read().splitlines()[-1])
        return int(last["bytes"])
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        some = [entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES for entry in islice(entries, _LOOKED_AT_MAX)]
        return sum(some) * (1 if len(some) < _LOOKED_AT_MAX else 2)
    return 0


def _written_s(folder: str) -> float:
    """When its session last said that it runs."""
    try:
        return os.stat(f"{folder}/{_LINES}").st_mtime
    except OSError:
        return os.stat(folder).st_mtime


def _parsed(line: bytes) -> _Line | None:
    try:
        found: _Line = json.loads(line)
    except ValueError:
        return None  # cut off by a kill
    return found if isinstance(found, dict) else None


def _acts(lines: list[_Line]) -> Iterator[Act]:
    undone = {line["of"] for line in lines if line.get("did") == "nothing"}
    made = {line["of"]: (line["device"], line["inode"]) for line in lines if line.get("did") == "made"}
    for line in lines:
        number = line.get("n")
        if number in undone:
            continue
        match line.get("did"):
            case "kept":
                yield Kept(text_of(line["path"]), _was(line), True, line.get("content"), line["itself"])
            case "noted":
                yield Kept(text_of(line["path"]), _was(line), False, None, False)
            case "makes":
                linked = text_of(line["linked"]) if line.get("linked") is not None else None
                yield Makes(text_of(line["path"]), made.get(-1 if number is None else number), linked)
            case "moves":
                yield _moves(line)
            case "lost":
                yield Unkept(text_of(line["path"]), line["errno"])


def _moves(line: _Line) -> Moves:
    other = line["other"]
    return Moves(
        text_of(line["path"]), text_of(line["to"]), _end(line["what"]), None if other is None else _end(other),
        line["exchanges"],
    )  # fmt: skip


def _end(said: _Said) -> End:
    return End((said["device"], said["inode"]), said["before"], said["folder"], _ns(said["altered"]))


def _was(line: _Line) -> Was:
    was = line["was"]
    said = None if line.get("itself") else line["attributes"]
    attributes = None if said is None else tuple((bytes.fromhex(name), bytes.fromhex(value)) for name, value in said)
    return Was(
        was["mode"], was["user"], was["group"], was["size"], was["links"], _ns(was["accessed"]), _ns(was["changed"]),
        (was["device"], was["inode"]), was["special"], attributes, _ns(was["altered"]),
    )  # fmt: skip


def _ns(said: list[int]) -> int:
    return said[0] * _NANOSECONDS + said[1]

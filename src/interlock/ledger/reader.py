"""The entries of a log as they stand in its segments, for query and for drawing. Judging them is `verifier.py`'s.

A log that is being written may be read at the same time: only what stands before a commit mark is given out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from interlock.ledger.event import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEADER: Final = struct.Struct(">IBI")
_MAC_BYTES: Final = 32
_RECORD, _MARK = b"RC"
_READ_BYTES: Final = 1024 * 1024
#: A session's opening is among its first records.
OPENING_RECORDS_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a log.

    Arguments:
        log: the log's name below the ledger, such as `sessions/s-…`.
        number: its number in that log, from 0.
        raw: its bytes: what the tree's leaf is made of.
        event: what they say.
    """

    log: str
    number: int
    raw: bytes
    event: Event


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading goes on: `segment` number, `offset` in it, `number` of the next entry."""

    segment: int = 0
    offset: int = 0
    number: int = 0


def entries(directory: str | Path) -> Iterator[Entry]:
    """Every entry of one log, in order. A log that is not there has none."""
    for entry, _ in follow(Path(directory), Position()):
        yield entry


def follow(directory: Path, position: Position) -> Iterator[tuple[Entry, Position]]:
    """Every committed entry from `position` on, each with the position behind its batch: enough to go on later."""
    name = f"{directory.parent.name}/{directory.name}" if directory.name != "index" else "index"
    while (path := directory / f"segment-{position.segment:08d}").exists():
        number = position.number
        for batch, end in _batches(path, position.offset):
            position = Position(position.segment, end, number + len(batch))
            for raw in batch:
                yield Entry(name, number, raw, Event.read(raw)), position
                number += 1
        if not (directory / f"segment-{position.segment + 1:08d}").exists():
            return
        position = Position(position.segment + 1, 0, number)


def last(directory: Path) -> Event | None:
    """The last committed event of a log; None when there is none. Reads one segment, and parses no other entry.
    Raises `ValueError` where it cannot be parsed.
    """
    for segment in sorted(directory.glob("segment-*"), reverse=True):
        raw = None
        for batch, _ in _batches(segment, 0):
            raw = batch[-1] if batch else raw
        if raw is not None:
            return Event.read(raw)
    return None


def _batches(path: Path, offset: int) -> Iterator[tuple[list[bytes], int]]:
    """The entries of each batch that has its mark, and where the batch ends."""
    batch: list[bytes] = []
    with path.open("rb", buffering=_READ_BYTES) as file:
        file.seek(offset)
        while len(head := file.read(_HEADER.size)) == _HEADER.size:
            length, kind, _ = _HEADER.unpack(head)
            payload = file.read(length)
            if len(payload) < length:
                return
            if kind in (_RECORD, _MARK) and len(file.read(_MAC_BYTES)) < _MAC_BYTES:
                return
            if kind == _RECORD:
                batch.append(payload)
            elif kind == _MARK:
                yield batch, file.tell()
                batch = []


@dataclass(frozen=True, slots=True)
class Log:
    """A log as the directories show it, before anything in it is read.

    Arguments:
        name: `sessions/<session>` or `gateway/<start>`.
        path: its directory.
        opened: when it was last written, seconds since 1970.
    """

    name: str
    path: Path
    opened: float

    @property
    def session(self) -> str:
        """The session's own name."""
        return self.path.name


def logs(state: str | Path, *kinds: str) -> list[Log]:
    """Logs below `state/ledger`, the oldest first, of `kinds` (`sessions` and `gateway` unless given)."""
    ledger = Path(state) / "ledger"
    found = [
        Log(f"{kind}/{path.name}", path, first.stat().st_mtime)
        for kind in kinds or ("sessions", "gateway")
        for path in sorted((ledger / kind).glob("*"))
        if (first := path / "segment-00000000").exists()
    ]
    return sorted(found, key=lambda log: (_opened(log.path) or "", log.name))


def sessions(state: str | Path) -> list[Log]:
    """The sessions of a user, the oldest first."""
    return logs(state, "sessions")


def _opened(directory: Path) -> str | None:
    """The time in a log's first entry."""
    try:
        return next(entries(directory)).event.time
    except (StopIteration, OSError, ValueError):
        return None


def _is_of_a_server(directory: Path) -> bool:
    """Whether the session was opened under another one (spec/record.md: `session.opened`, `parent`)."""
    opening = opening_of(entry.event for entry in entries(directory))
    return opening is not None and opening.is_of_a_server


def opening_of(events: Iterable[Event]) -> Event | None:
    """The `session.opened` of a session's events, which is among its first; None where it is not there."""
    return next((event for event in islice(events, OPENING_RECORDS_MAX) if event.type == "session.opened"), None)


def find(state: str | Path, name: str) -> Log | None:
    """The log called `name`: a session, `last`, `gateway/…`, or a beginning that fits one only.

    `last` is the session opened last by a person: not one that the gateway opened for a tool server.
    """
    every = logs(state)
    of_sessions = [log for log in every if log.name.startswith("sessions/")]
    if name == "last":
        return next((log for log in reversed(of_sessions) if not _is_of_a_server(log.path)), None)
    exact = [log for log in every if name in (log.name, log.session)]
    if exact:
        return exact[-1]
    begun = [log for log in of_sessions if log.session.startswith(name)]
    return begun[0] if len(begun) == 1 else None

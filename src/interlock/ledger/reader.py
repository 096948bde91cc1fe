"""Records as they stand in a log's segments, for query and for drawing. It judges nothing: `verifier.py` does.

A log that is being written may be read at the same time: only what stands before a commit mark is given out.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER: Final = struct.Struct(">IBI")
_MAC_BYTES: Final = 32
_RECORD, _MARK = b"RC"
_READ_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a log.

    Arguments:
        log: the log's name below the ledger, such as `sessions/s-…`.
        number: its number in that log, from 0.
        raw: its bytes: what the tree's leaf is made of.
        value: the same, parsed (spec/record.md).
    """

    log: str
    number: int
    raw: bytes
    value: dict[str, Any]

    @property
    def type(self) -> str:
        """The record's type, such as `action.decided`."""
        return str(self.value.get("type"))

    @property
    def session(self) -> str:
        """Whose log it is in."""
        return str(self.value.get("session"))


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading goes on: `segment` number, `offset` in it, `number` of the next record."""

    segment: int = 0
    offset: int = 0
    number: int = 0


def records(directory: str | Path) -> Iterator[Record]:
    """Every record of one log, in order. A log that is not there has none."""
    for record, _ in follow(Path(directory), Position()):
        yield record


def follow(directory: Path, position: Position) -> Iterator[tuple[Record, Position]]:
    """Every committed record from `position` on, each with the position behind its batch: enough to go on later."""
    name = f"{directory.parent.name}/{directory.name}" if directory.name != "index" else "index"
    while (path := directory / f"segment-{position.segment:08d}").exists():
        number = position.number
        for batch, end in _batches(path, position.offset):
            position = Position(position.segment, end, number + len(batch))
            for raw in batch:
                yield Record(name, number, raw, json.loads(raw)), position
                number += 1
        if not (directory / f"segment-{position.segment + 1:08d}").exists():
            return
        position = Position(position.segment + 1, 0, number)


def last(directory: Path) -> bytes | None:
    """The last committed record of a log; None when there is none. Reads one segment, and parses nothing."""
    for segment in sorted(directory.glob("segment-*"), reverse=True):
        raw = None
        for batch, _ in _batches(segment, 0):
            raw = batch[-1] if batch else raw
        if raw is not None:
            return raw
    return None


def _batches(path: Path, offset: int) -> Iterator[tuple[list[bytes], int]]:
    """The records of each batch that has its mark, and where the batch ends."""
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


#: A session's opening is among its first records.
OPENING_RECORDS_MAX = 8


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
    """The time in a log's first record."""
    try:
        return str(next(records(directory)).value.get("time"))
    except (StopIteration, OSError, ValueError):
        return None


def _is_of_a_server(directory: Path) -> bool:
    """Whether the session was opened under another one (spec/record.md: `session.opened`, `parent`)."""
    for record, _ in zip(records(directory), range(OPENING_RECORDS_MAX), strict=False):
        if record.value.get("type") == "session.opened":
            return bool(record.value.get("parent"))
    return False


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

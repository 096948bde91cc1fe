"""Server-sent events (WHATWG HTML, "Interpreting an event stream"): bytes in, events out; and
one message as an event. Bounded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from interlock.vocabulary.json_text import TEXT_BYTES_MAX, JsonObject, encode

KIND_BYTES_MAX: Final = 64
RETRY_DIGITS_MAX: Final = 9
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
#: An id that can be sent back in a header; another one is as none.
_SENDABLE: Final = re.compile(rb"[\x21-\x7e]{1,1024}")
#: A byte order mark, which may stand in front of a stream.
_MARK: Final = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """One line or event is larger than any message may be."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event: its kind (`message` where it says none) and its data."""

    kind: bytes
    data: bytes


class EventReader:
    """Feeds on parts of a stream, however they are cut. `last_id` is that of the last event, by which a client comes
    back (given to one that did), `retry_ms` how long it is asked to wait before."""

    def __init__(self, last_id: str | None = None) -> None:
        self.last_id = last_id
        self.retry_ms: int | None = None
        self._rest = bytearray()
        self._kind = b""
        self._data: list[bytes] = []
        self._size = 0
        self._first = True

    def feed(self, part: bytes) -> list[bytes]:
        """The data of each event that this part completes; events without data are none. Raises `EventTooLarge`."""
        return [each.data for each in self.events(part)]

    def events(self, part: bytes) -> list[StreamEvent]:
        """Each event with data that this part completes. Raises `EventTooLarge`. Each byte is looked at once, however
        small the parts are."""
        if self._first or self._rest.endswith(b"\r"):
            part = bytes(self._rest) + part
            self._rest.clear()
        if self._first:
            if part != _MARK and _MARK.startswith(part):
                self._rest += part
                return []
            part = part.removeprefix(_MARK)
            self._first = False
        held = part.endswith(b"\r")  # the other half of a line end may follow
        lines = _LINE_END.split(part[:-1] if held else part)
        rest = lines.pop() + (b"\r" if held else b"")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > TEXT_BYTES_MAX:
            raise EventTooLarge(f"it has more than {TEXT_BYTES_MAX} bytes")
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> StreamEvent | None:
        if not line:
            kind, data = self._kind or b"message", self._data
            self._kind, self._data, self._size = b"", [], 0
            return StreamEvent(kind, b"\n".join(data)) if any(data) else None
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
            if self._size > TEXT_BYTES_MAX:
                raise EventTooLarge(f"it has more than {TEXT_BYTES_MAX} bytes")
        elif name == b"event":
            self._kind = value[:KIND_BYTES_MAX]
        elif name == b"id" and _SENDABLE.fullmatch(value):
            self.last_id = value.decode("ascii")
        elif name == b"retry" and value.isdigit():
            self.retry_ms = int(value[:RETRY_DIGITS_MAX])
        return None


def event(message: JsonObject, identity: str | None = None) -> bytes:
    """One message as an event, with an id where its client may come back for what follows it. JSON holds no raw line
    break, so a message cannot end its event early."""
    named = b"" if identity is None else b"id: " + identity.encode("ascii") + b"\n"
    return b"event: message\n" + named + b"data: " + encode(message) + b"\n\n"


def begins(identity: str | None, retry_ms: int) -> bytes:
    """How a stream begins that its client may come back to, and after how long. With an id it is an event without data,
    as 2025-11-25 has it; older clients would take that for a message."""
    retry = b"retry: " + str(retry_ms).encode() + b"\n"
    if identity is None:
        return b": open\n" + retry + b"\n"
    return b": open\nid: " + identity.encode("ascii") + b"\n" + retry + b"data:\n\n"

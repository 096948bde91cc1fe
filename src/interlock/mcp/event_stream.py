"""Server-sent events (WHATWG HTML, "Interpreting an event stream"): bytes in, the data of each event out; and
one message as an event. Bounded."""

from __future__ import annotations

import re
from typing import Final

from interlock.vocabulary.json_text import TEXT_BYTES_MAX, JsonObject, encode

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
#: A byte order mark, which may stand in front of a stream.
_MARK: Final = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """One line or event is larger than any message may be."""


class EventReader:
    """Feeds on parts of a stream, however they are cut."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._first = True

    def feed(self, part: bytes) -> list[bytes]:
        """The data of each event that this part completes; events without data are none. Raises `EventTooLarge`. Each
        byte is looked at once, however small the parts are."""
        if self._first or self._rest.endswith(b"\r"):
            part = bytes(self._rest) + part
            self._rest.clear()
        if self._first and len(part) >= len(_MARK):
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

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data) if data and any(data) else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
            if self._size > TEXT_BYTES_MAX:
                raise EventTooLarge(f"it has more than {TEXT_BYTES_MAX} bytes")
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

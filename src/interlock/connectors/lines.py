"""The lines of a server's output, each bounded; and the noise among them.

Of a line that is too long only its ends and size are kept. What a server writes where only messages belong (banners,
log lines) is passed over, counted, and told the operator. It is listened to no faster than `Pace` allows: what it says
beyond that waits in its own pipe or socket, and nobody else waits. (A stream that always has more to read never lets
the loop turn by itself, so the reader of each server takes a step there for each message.)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

#: A line that goes on beyond this is no line.
PASSED_OVER_BYTES_MAX: Final = 64 * 1024 * 1024
_KEPT_BYTES: Final = 4 * 1024
#: So many in a row without one message is no protocol.
IN_A_ROW_MAX: Final = 1_000
SAMPLE_BYTES: Final = 200
MESSAGES_PER_S_MAX: Final = 2_000
BYTES_PER_S_MAX: Final = 32 * 1024 * 1024
#: After so many messages, or a large one, others have a turn.
_MESSAGES_A_TURN: Final = 16
_BYTES_A_TURN: Final = 64 * 1024


class EndlessLine(ValueError):
    """A line that does not end."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line longer than the stream's limit: its beginning and its end, joined, and its size in bytes."""

    ends: bytes
    size: int


async def read_line(stream: asyncio.StreamReader) -> bytes | TooLong:
    """The next line; an empty one at the end. Raises `EndlessLine`, and `OSError` as the stream does."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as rest:
        return rest.partial
    except asyncio.LimitOverrunError as overrun:
        return await _pass_over(stream, overrun.consumed)


async def _pass_over(stream: asyncio.StreamReader, known: int) -> TooLong:
    part = await stream.readexactly(known)
    head, tail, size = part[:_KEPT_BYTES], part[-_KEPT_BYTES:], known
    while size <= PASSED_OVER_BYTES_MAX:
        try:
            part = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as rest:
            part = rest.partial
        except asyncio.LimitOverrunError as overrun:
            part = await stream.readexactly(overrun.consumed)
            tail, size = (tail + part)[-_KEPT_BYTES:], size + len(part)
            await asyncio.sleep(0)
            continue
        return TooLong(head + (tail + part)[-_KEPT_BYTES:], size + len(part))
    raise EndlessLine("it sent a line that does not end")


class Noise:
    """The noise of one server."""

    def __init__(self) -> None:
        self.lines = 0
        self.sample = ""
        self._in_a_row = 0

    @property
    def is_all(self) -> bool:
        """Whether it says nothing else."""
        return self._in_a_row > IN_A_ROW_MAX

    def heard(self, line: bytes) -> None:
        """One line that is no message, or answers nothing."""
        self.lines += 1
        self._in_a_row += 1
        if not self.sample:
            self.sample = line[:SAMPLE_BYTES].decode("utf-8", "replace").strip()

    def message(self) -> None:
        """One message came."""
        self._in_a_row = 0


class Pace:
    """The pace of one stream."""

    def __init__(self) -> None:
        self._since_s = 0.0
        self._messages = 0
        self._bytes = 0

    async def step(self, size: int) -> None:
        """One message of `size` bytes was read: wait until the next may be."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._since_s >= 1:
            self._since_s, self._messages, self._bytes = now_s, 0, 0
        self._messages += 1
        self._bytes += size
        if self._messages > MESSAGES_PER_S_MAX or self._bytes > BYTES_PER_S_MAX:
            await asyncio.sleep(self._since_s + 1 - now_s)
        elif self._messages % _MESSAGES_A_TURN == 0 or size > _BYTES_A_TURN:
            await asyncio.sleep(0)

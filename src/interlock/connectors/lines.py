"""The lines of a server's output, each bounded: of one that is too long only its ends and size are kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

#: A line that goes on beyond this is no line.
PASSED_OVER_BYTES_MAX: Final = 64 * 1024 * 1024
_KEPT_BYTES: Final = 4 * 1024


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

"""How fast one server is listened to: what it says beyond that waits in its own pipe or socket, and nobody else waits.

A stream that always has more to read never lets the loop turn by itself; so the reader of each server takes a step
here for each message.
"""

from __future__ import annotations

import asyncio
from typing import Final

MESSAGES_PER_S_MAX: Final = 2_000
BYTES_PER_S_MAX: Final = 32 * 1024 * 1024
#: After so many messages, or a large one, others have a turn.
_MESSAGES_A_TURN: Final = 16
_BYTES_A_TURN: Final = 64 * 1024


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

"""Messages that wait for a client to read them, bounded in number and in bytes: for one stream, and for one agent in
all its streams. What does not fit is counted, never kept: a reader that stalls costs so much and no more.

Messages wait as the events they will be, written once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from interlock.gateway.limits import AGENT_BYTES_MAX, STREAM_BYTES_MAX, STREAM_MESSAGES_MAX
from interlock.mcp.event_stream import event
from interlock.mediate.json_text import JsonObject


@dataclass(slots=True)
class Allowance:
    """Bytes that all streams of one agent hold."""

    held: int = 0

    def takes(self, size: int) -> bool:
        """Whether so many more may be held; then they are."""
        if self.held + size > AGENT_BYTES_MAX:
            return False
        self.held += size
        return True


class Backlog:
    """What waits for one stream. A none is its end."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._bytes = 0
        self._closed = False
        self.lost = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._waiting.empty()

    def put(self, message: JsonObject) -> bool:
        """Have a message wait; false when it does not fit, and then it is lost."""
        text = event(message)
        full = self._waiting.qsize() >= STREAM_MESSAGES_MAX or self._bytes + len(text) > STREAM_BYTES_MAX
        if self._closed or full or not self._allowance.takes(len(text)):
            self.lost += 1
            return False
        self._bytes += len(text)
        self._waiting.put_nowait(text)
        return True

    def end(self) -> None:
        """Nothing comes after what waits."""
        self._waiting.put_nowait(None)

    async def get(self) -> bytes | None:
        """The next event, or none at the end."""
        text = await self._waiting.get()
        self._gone(text)
        return text

    def close(self) -> None:
        """Nobody reads it any more."""
        self._closed = True
        while not self._waiting.empty():
            self._gone(self._waiting.get_nowait())

    def _gone(self, text: bytes | None) -> None:
        if text is not None:
            self._bytes -= len(text)
            self._allowance.held -= len(text)


@dataclass(slots=True)
class Backlogs:
    """Makes them, by agent."""

    _allowances: dict[str, Allowance] = field(default_factory=dict)

    def of(self, agent: str) -> Backlog:
        """A backlog of one more stream of this agent."""
        return Backlog(self._allowances.setdefault(agent, Allowance()))

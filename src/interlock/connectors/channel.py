"""What carries messages to one server, whatever kind it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from interlock.connectors import greeting
from interlock.connectors.patience import Noise
from interlock.mcp import server_message as messages
from interlock.vocabulary.json_text import JsonObject


@dataclass(frozen=True, slots=True)
class Missed:
    """A stream on which the server speaks was lost and is there again: what it said meanwhile nobody heard."""


#: Hears a server's notifications.
Sink = Callable[[messages.Told | Missed], None]


class Channel(greeting.Channel, Protocol):
    """A live way to one server."""

    ended: asyncio.Future[str]
    noise: Noise

    def denied(self) -> tuple[str, ...]:
        """What its policy refused the server last; nothing where it is not held by one."""

    def left(self) -> str:
        """The end of what the server wrote to its standard error, once it has ended."""

    async def listen(self, params: JsonObject) -> int:
        """Have a modern server say what changes, by a `subscriptions/listen` of these parameters; the request's id. It
        is heard by the sink; its loss is no failure."""

    async def unlisten(self, identity: int) -> None:
        """End what was begun by `listen`."""

    async def close(self, why: str) -> None:
        """End it."""


Open = Callable[[Sink], Awaitable[Channel]]

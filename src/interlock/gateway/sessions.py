"""Sessions of the stateful era (2025-03-26 to 2025-11-25): made by `initialize`, named by `Mcp-Session-Id`, ended by
DELETE.

A session belongs to the principal and endpoint that made it: with any other it does not exist (404). Its one GET
stream takes what is not part of an answer. Left out: resuming a stream (events carry no ids, so no client tries).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from interlock.gateway.limits import (
    ASKED_S_MAX,
    SESSION_IDLE_MS_MAX,
    SESSIONS_PER_AGENT_MAX,
    STREAM_MESSAGES_MAX,
)
from interlock.mediate.json_text import JsonObject
from interlock.mediate.principal import Principal


@dataclass
class Session:
    """One session and what is under way in it."""

    id: str
    agent: str
    token: str
    connector: str | None
    version: str
    capabilities: JsonObject
    used_ms: int
    subscriptions: set[str] = field(default_factory=set)
    running: dict[int | str, asyncio.Task[None]] = field(default_factory=dict)
    asked: dict[str, asyncio.Future[JsonObject]] = field(default_factory=dict)
    stream: asyncio.Queue[JsonObject | None] | None = None
    lost: int = 0

    def belongs_to(self, principal: Principal, connector: str | None) -> bool:
        """Whether a request of this principal at this endpoint may use it."""
        return (self.agent, self.token, self.connector) == (principal.agent, principal.token, connector)

    def tell(self, message: JsonObject) -> None:
        """Put a message on the GET stream, if there is one; what does not fit is counted."""
        if self.stream is None:
            return
        try:
            self.stream.put_nowait(message)
        except asyncio.QueueFull:
            self.lost += 1

    def open_stream(self) -> asyncio.Queue[JsonObject | None] | None:
        """The GET stream's queue; none when one is open already (a message goes to one stream only)."""
        if self.stream is not None:
            return None
        self.stream = asyncio.Queue(STREAM_MESSAGES_MAX)
        return self.stream


class Sessions:
    """All sessions, by id."""

    def __init__(self, *, now_ms: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._now_ms = now_ms
        self._new_id = new_id
        self._all: dict[str, Session] = {}
        self._asked = itertools.count(1)

    def make(self, principal: Principal, connector: str | None, version: str, capabilities: JsonObject) -> Session:
        """A new session. The oldest of the same agent makes room when there are too many."""
        self._drop_idle()
        mine = sorted((each for each in self._all.values() if each.agent == principal.agent), key=lambda s: s.used_ms)
        for each in mine[: max(0, len(mine) - SESSIONS_PER_AGENT_MAX + 1)]:
            self.end(each)
        session = Session(
            self._new_id(), principal.agent, principal.token, connector, version, capabilities, self._now_ms()
        )
        self._all[session.id] = session
        return session

    def find(self, identity: str, principal: Principal, connector: str | None) -> Session | None:
        """The session of this name, for its own principal at its own endpoint only."""
        session = self._all.get(identity)
        if session is None or not session.belongs_to(principal, connector):
            return None
        session.used_ms = self._now_ms()
        return session

    def of(self, agent: str) -> list[Session]:
        """The sessions of an agent."""
        return [each for each in self._all.values() if each.agent == agent]

    def end(self, session: Session) -> None:
        """End it: nothing under way in it goes on, its stream closes."""
        self._all.pop(session.id, None)
        for task in session.running.values():
            task.cancel()
        for future in session.asked.values():
            future.cancel()
        if session.stream is not None:
            session.stream.put_nowait(None) if not session.stream.full() else None

    async def ask(self, session: Session, question: JsonObject, send: Callable[[JsonObject], None]) -> JsonObject:
        """Put a server's question to the client on the stream of the request it belongs to, and wait for the answer."""
        identity = f"interlock-{next(self._asked)}"
        future: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        session.asked[identity] = future
        try:
            send({"jsonrpc": "2.0", "id": identity, **question})
            async with asyncio.timeout(ASKED_S_MAX):
                return await future
        finally:
            session.asked.pop(identity, None)

    def _drop_idle(self) -> None:
        oldest = self._now_ms() - SESSION_IDLE_MS_MAX
        for each in [each for each in self._all.values() if each.used_ms < oldest and not each.running]:
            self.end(each)

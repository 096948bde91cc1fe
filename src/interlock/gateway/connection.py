"""One accepted connection: what those know of it who are asked about it, and its bounds from the first byte to the last
(too many, too slow, idle for too long). Left out: what comes over it (`serve.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from interlock.gateway.limits import AGENT_CONNECTIONS_MAX, HEADERS_BYTES_MAX, HEADERS_S_MAX, STRANGERS_MAX


class TcpConnection:
    """One accepted connection: its two ends, what is learnt of it while it lives, and how it is broken off. `agent` is
    none as long as it is a stranger's."""

    __slots__ = ("_others", "abort", "agent", "client", "gone", "is_full", "memory", "server")

    def __init__(
        self,
        client: tuple[str, int],
        server: tuple[str, int],
        abort: Callable[[], None],
        is_full: Callable[[], bool],
        others: Callable[[str | None], list[TcpConnection]],
    ) -> None:
        self.client = client
        self.server = server
        self.abort = abort
        self.is_full = is_full
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.memory: dict[str, object] = {}
        self.agent: str | None = None
        self._others = others

    def belongs_to(self, agent: str) -> bool:
        """It is this agent's from now on; false when that one has its share already."""
        if self.agent != agent and len(self._others(agent)) >= AGENT_CONNECTIONS_MAX:
            return False
        self.agent = agent
        return True


class BoundedProtocol(HttpToolsProtocol):
    """See the module."""

    _connection: TcpConnection
    _made_s = 0.0
    _headers_timer: asyncio.TimerHandle | None = None
    _behind_bytes = 0
    _idle_since_s: float | None = None
    _idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Remember who is at both ends before anything is read."""
        self._made_s = self.loop.time()
        super().connection_made(transport)
        client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._connection = TcpConnection(
            (client[0], client[1]),
            (server[0], server[1]),
            transport.abort,
            partial(getattr, self.flow, "write_paused"),
            self._connections_of,
        )
        strangers = self._connections_of(None)
        if len(strangers) > STRANGERS_MAX:  # whoever proves who it is keeps its place
            strangers[0].abort()
        self._await_headers()

    def _connections_of(self, agent: str | None) -> list[TcpConnection]:
        """The open connections of one agent, or of strangers; the longest open is the first."""
        protocols = [each for each in self.connections if isinstance(each, BoundedProtocol)]
        found = [each for each in protocols if each._connection.agent == agent and not each.transport.is_closing()]
        return [each._connection for each in sorted(found, key=lambda each: each._made_s)]

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left of it."""
        for timer in (self._headers_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        if not self._connection.gone.done():
            self._connection.gone.set_result(None)

    def _is_endless(self, whole: object, came: int) -> bool:
        """Break off what has no end behind a request that is served still and came `whole`. A next one is nothing yet
        until it has a head, and then waits unread."""
        self._behind_bytes = self._behind_bytes + came if whole is not None and whole is self.cycle else 0
        if self._behind_bytes <= HEADERS_BYTES_MAX:
            return False
        self.transport.abort()
        return True

    def _await_headers(self) -> None:
        self._headers_timer = self.loop.call_later(HEADERS_S_MAX, self._too_slow)

    def _too_slow(self) -> None:
        self._headers_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _idle(self) -> None:
        self._idle_timer = None
        if self._idle_since_s is None or self.transport.is_closing():
            return
        left_s = self._idle_since_s + self.timeout_keep_alive - self.loop.time()
        if left_s <= 0:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_later(left_s, self._idle)

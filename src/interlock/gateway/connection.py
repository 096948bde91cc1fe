"""The TCP side: uvicorn's httptools protocol, with an identity for each connection and bounds that it does not have
itself.

A connection that is slow with its headers, or sends too many, is closed. Left out: HTTP itself, which llhttp parses
strictly.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from interlock.gateway.limits import HEADERS_BYTES_MAX, HEADERS_COUNT_MAX, HEADERS_S_MAX
from interlock.gateway.serve import CONNECTION


class TcpConnection:
    """One accepted connection: its two ends, and what is learnt of it while it lives."""

    __slots__ = ("client", "memory", "server")

    def __init__(self, client: tuple[str, int], server: tuple[str, int]) -> None:
        self.client = client
        self.server = server
        self.memory: dict[str, object] = {}


class GatewayProtocol(HttpToolsProtocol):
    """One connection's HTTP."""

    _connection: TcpConnection
    _headers_timer: asyncio.TimerHandle | None = None
    _headers_bytes = 0
    _headers_count = 0

    def connection_made(self, transport: Any) -> None:
        """Remember who is at both ends before anything is read."""
        super().connection_made(transport)
        client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._connection = TcpConnection((client[0], client[1]), (server[0], server[1]))
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left of it."""
        self._headers_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Each first byte of a request starts the clock for its headers."""
        if self._headers_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._await_headers()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A new request on this connection."""
        super().on_message_begin()
        self._headers_bytes = self._headers_count = 0
        self.scope[CONNECTION] = self._connection  # type: ignore[typeddict-unknown-key]

    def on_url(self, url: bytes) -> None:
        """Part of the request's target."""
        self._count(len(url), 0)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count(len(name) + len(value), 1)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request can be served."""
        self._headers_came()
        super().on_headers_complete()

    def _count(self, size: int, number: int) -> None:
        self._headers_bytes += size
        self._headers_count += number
        if self._headers_bytes > HEADERS_BYTES_MAX or self._headers_count > HEADERS_COUNT_MAX:
            raise ValueError("the headers are too large")  # httptools turns it into a parser error: 400 and closed

    def _await_headers(self) -> None:
        self._headers_timer = self.loop.call_later(HEADERS_S_MAX, self._too_slow)

    def _headers_came(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def _too_slow(self) -> None:
        self._headers_timer = None
        if not self.transport.is_closing():
            self.transport.close()

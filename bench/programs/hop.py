"""A bare hop: uvicorn, and an application that passes each request's body on over a pool of connections, and the answer back.

No authentication, no rules, no record, nothing read of the body: what a hop in Python costs before it governs anything. `python -m
bench.programs.hop PORT UPSTREAM_PORT`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httptools
import uvicorn
import uvloop

PASSED = (b"mcp-protocol-version", b"mcp-method", b"mcp-name")


class Way(asyncio.Protocol):
    """One connection to the upstream: one request at a time."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._answer.set_result(b"".join(self._parts))
        self._parts.clear()

    async def ask(self, request: bytes) -> bytes:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


class Hop:
    """The application."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Way] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        event = await receive()
        body = event["body"]
        while event.get("more_body"):
            event = await receive()
            body += event["body"]
        answer = await self._passed_on(scope["headers"], body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _passed_on(self, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
        named = b"".join(b"%s: %s\r\n" % (name, value) for name, value in headers if name in PASSED)
        head = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
        way = self._idle.pop() if self._idle else await self._way()
        answer = await way.ask(head % (self._port, len(body), named) + body)
        self._idle.append(way)
        return answer

    async def _way(self) -> Way:
        _, way = await asyncio.get_running_loop().create_connection(Way, "127.0.0.1", self._port)
        return way


def main(port: int, upstream: int) -> None:
    configured = uvicorn.Config(
        Hop(upstream), host="127.0.0.1", port=port, http="httptools", loop="none", ws="none", lifespan="off", access_log=False,
        log_level="error", server_header=False, date_header=False, proxy_headers=False,
    )  # fmt: skip
    uvloop.run(uvicorn.Server(configured).serve())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

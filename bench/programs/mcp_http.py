"""An MCP server over HTTP that costs as little as one in Python can: `python -m bench.programs.mcp_http PORT`.

It answers `tools/call` at once, with the text that it was called with.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httptools
import uvloop

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def answer(message: dict[str, Any]) -> bytes:
    """The answer to one request of revision 2026-07-28."""
    method = message["method"]
    result: dict[str, Any] = {"resultType": "complete"}
    if method == "server/discover":
        result |= {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
    elif method == "tools/list":
        result |= {"tools": [{"name": "echo", "inputSchema": SCHEMA}], "ttlMs": 60000, "cacheScope": "private"}
    else:
        result |= {"content": [{"type": "text", "text": message["params"]["arguments"]["text"]}]}
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()


class Upstream(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: Any) -> None:
        self._transport, self._body = transport, b""
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        text = answer(json.loads(self._body)) if self._body else b"{}"
        self._body = b""
        self._transport.write(HEAD % len(text) + text)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))

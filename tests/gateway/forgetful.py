"""A server over HTTP that can be made to forget its sessions, and says so in the manner that stands in the path; and that
answers calls with the texts of `servers/peculiar.py`, plainly or, below `/events`, as a stream. It counts what it did."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from servers.peculiar import ANSWERS, TOOLS

#: How a lost session is told: status, kind, and the text with the request's id in it.
LOST = {
    "404": (404, "text/plain", "no such session"),
    "404-json": (404, "application/json", '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}'),
    "400": (400, "text/plain", "Bad Request: No valid session ID provided"),
    "400-json": (400, "application/json", '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No valid session ID"}}'),
    "400-own-id": (400, "application/json", '{"jsonrpc":"2.0","id":ID,"error":{"code":-32600,"message":"Session not found"}}'),
    "400-when-done": (400, "text/plain", "gone"),
}
#: A tool that the server refuses with the status that also stands for a lost session.
REFUSES = {"name": "refuses", "inputSchema": {"type": "object"}}


class Forgetful(ThreadingHTTPServer):
    """Listens while it is entered. Counters are by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sessions: dict[str, set[str]] = {}
        self.begun: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.numbers = itertools.count(1)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def forget(self, manner: str) -> None:
        self.sessions[manner] = set()


    def handle_error(self, *_: Any) -> None:
        """A gateway that has heard enough of a large answer closes the connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Forgetful

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.reply(405, "text/plain", "")

    def do_DELETE(self) -> None:
        self.server.sessions.get(self.path.strip("/"), set()).discard(self.headers.get("Mcp-Session-Id", ""))
        self.reply(204, "text/plain", "")

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        manner, method, identity = self.path.strip("/"), message["method"], message.get("id")
        known = self.headers.get("Mcp-Session-Id") in self.server.sessions.setdefault(manner, set())
        if method == "server/discover":
            self.fault(identity)
        elif method == "initialize":
            self.begin(manner, identity)
        elif not known and not (manner == "400-when-done" and method == "tools/call"):
            status, kind, text = LOST[manner]
            self.reply(status, kind, text.replace("ID", str(identity), 1) if "own" in manner else text)
        elif identity is None:
            self.reply(202, "text/plain", "")
        elif method == "tools/list":
            self.result(identity, json.dumps({"tools": [*TOOLS, REFUSES]}))
        elif method == "tools/call":
            self.server.done[manner] += 1
            if message["params"]["name"] == "refuses":
                self.fault(identity, 400)
            elif known:
                self.result(identity, ANSWERS[message["params"]["name"]])
            else:
                self.reply(*LOST[manner])
        elif method == "ping":
            self.result(identity, "{}")
        else:
            self.fault(identity)

    def begin(self, manner: str, identity: Any) -> None:
        session = f"session-{next(self.server.numbers)}"
        self.server.begun[manner] += 1
        self.server.sessions[manner].add(session)
        said = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "f", "version": "1"}}
        self.result(identity, json.dumps(said), session)

    def fault(self, identity: Any, status: int = 200) -> None:
        text = json.dumps({"jsonrpc": "2.0", "id": identity, "error": {"code": -32601, "message": "not this"}})
        self.reply(status, "application/json", text)

    def result(self, identity: Any, result: str, session: str | None = None) -> None:
        text = f'{{"jsonrpc":"2.0","id":{identity},"result":{result}}}'
        if self.path == "/events":
            self.reply(200, "text/event-stream", f"event: message\ndata: {text}\n\n", session)
        else:
            self.reply(200, "application/json", text, session)

    def reply(self, status: int, kind: str, text: str, session: str | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if session is not None:
            self.send_header("Mcp-Session-Id", session)
        self.end_headers()
        self.wfile.write(body)

"""A server over HTTP that leads its clients on, ends their streams early, or speaks only the oldest transport, by the path that it is
reached at. `calls` has the texts of the calls that were made, `posted` the paths and credentials of all that was posted."""

from __future__ import annotations

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GREETING = {"capabilities": {"tools": {}}, "serverInfo": {"name": "shifting", "version": "1"}}
TOOLS = [{"name": "echo", "inputSchema": {"type": "object"}}]


class Shifting(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[str] = []
        self.posted: list[tuple[str, str | None]] = []
        self.came_back: list[str | None] = []
        self.missed: queue.Queue[dict[str, Any]] = queue.Queue()
        self.streams: dict[str, queue.Queue[Any]] = {}
        self.elsewhere = ""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, message: dict[str, Any], version: str) -> dict[str, Any]:
        method = message["method"]
        said: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        if method == "initialize":
            return {**said, "result": {"protocolVersion": version, **GREETING}}
        if method == "tools/list":
            return {**said, "result": {"tools": TOOLS}}
        if method == "tools/call":
            text = message["params"]["arguments"]["text"]
            self.calls.append(text)
            return {**said, "result": {"content": [{"type": "text", "text": text}]}}
        return {**said, "error": {"code": -32601, "message": f"no {method}"}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Shifting

    def log_message(self, *_: Any) -> None:
        pass

    def do_DELETE(self) -> None:
        self.reply(204)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/ending":
            self.server.came_back.append(self.headers["Last-Event-ID"])
            if self.headers["Last-Event-ID"] is None:
                self.reply(405)
                return
            said = self.server.missed.get(timeout=10)
            if said["id"] == 0:  # not yet: once more
                self.events(b"id: e2\nretry: 10\ndata:\n\n")
                return
            self.events(b"id: e3\ndata: " + json.dumps(said).encode() + b"\n\n")
        elif path in ("/sse", "/sse-elsewhere", "/sse-silent"):
            self.oldest(path)
        else:
            self.reply(405)

    def oldest(self, path: str) -> None:
        waiting = self.server.streams[str(len(self.server.streams))] = queue.Queue()
        name = len(self.server.streams) - 1
        place = f"{self.server.elsewhere}/post?s={name}" if path == "/sse-elsewhere" else f"/post?s={name}"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        if path == "/sse-silent":
            self.wfile.write(b": nothing\n\n")
            return
        self.wfile.write(f": hi\nevent: endpoint\ndata: {place}\n\n".encode())
        self.wfile.flush()
        while (said := waiting.get()) is not None:
            self.wfile.write(b"event: message\ndata: " + json.dumps(said).encode() + b"\n\n")
            self.wfile.flush()

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path, _, query = self.path.partition("?")
        self.server.posted.append((path, self.headers["Authorization"]))
        led = {"/here": "/mcp/", "/relative": "mcp/", "/mcp": "/mcp/", "/round": "/round", "/away": f"{self.server.elsewhere}/mcp/"}.get(path)
        led = f"http://localhost:{self.server.server_port}/mcp/" if path == "/name" else led
        if led is not None:
            self.reply(308 if path == "/relative" else 307, location=led)
        elif path == "/seen-other":
            self.reply(302, location="/mcp/")
        elif path.startswith("/sse"):
            self.reply(405)
        elif path == "/post":
            self.posted_in_the_oldest_way(message, query.removeprefix("s="))
        elif "id" not in message:
            self.reply(202)
        elif path == "/ending" and message["method"] == "tools/call":
            self.server.missed.put({"id": 0})
            self.server.missed.put(self.server.answer(message, "2025-11-25"))
            self.events(b"id: e1\nretry: 10\ndata:\n\n")
        else:
            self.reply(200, self.server.answer(message, "2025-11-25"))

    def posted_in_the_oldest_way(self, message: dict[str, Any], name: str) -> None:
        waiting = self.server.streams[name]
        if message.get("method") == "tools/call" and message["params"]["arguments"]["text"] == "refuse":
            self.reply(500)
            return
        self.reply(202)
        if message.get("method") == "tools/call" and message["params"]["arguments"]["text"] == "end":
            waiting.put(None)
        elif "id" in message:
            waiting.put(self.server.answer(message, "2024-11-05"))

    def events(self, text: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Mcp-Session-Id", "s1")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)
        self.close_connection = True

    def reply(self, status: int, said: Any = None, location: str | None = None) -> None:
        body = json.dumps(said).encode() if said is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if location is not None:
            self.send_header("Location", location)
        if said is not None and self.path.startswith("/ending"):
            self.send_header("Mcp-Session-Id", "s1")
        self.end_headers()
        self.wfile.write(body)

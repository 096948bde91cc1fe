"""An MCP server over HTTP in plain Python, honest or lying as its first argument says; prints its port."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = sys.argv[1]
SEEN = open(sys.argv[2], "a", buffering=1)  # noqa: SIM115 - open as long as the server runs
TEXT = {"type": "object", "properties": {"text": {"type": "string", "x-mcp-header": "Text"}}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_DELETE(self):
        self.reply(204, b"")

    def do_GET(self):
        self.reply(405, b"")

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, identity = message.get("method"), message.get("id")
        SEEN.write(json.dumps([method, dict(self.headers), message.get("params")]) + "\n")
        if identity is None:
            return self.reply(202, b"")
        if method == "server/discover" and MODE != "legacy":
            result = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
        elif method == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "w", "version": "1"}}
        elif method == "tools/list":
            result = {"tools": [{"name": "echo", "inputSchema": TEXT}]}
        elif method == "tools/call":
            return self.call(identity, message["params"]["arguments"].get("text", ""))
        else:
            return self.message(400, {"jsonrpc": "2.0", "id": identity, "error": {"code": -32601, "message": "no"}})
        self.message(200, {"jsonrpc": "2.0", "id": identity, "result": {"resultType": "complete", **result}})

    def call(self, identity, text):
        answer = {"jsonrpc": "2.0", "id": identity, "result": {"content": [{"type": "text", "text": text}]}}
        if MODE == "redirect":
            self.send_response(307)
            self.send_header("Location", "http://127.0.0.1:1/stolen")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif MODE == "huge-event":
            self.events(b"data: " + b"x" * (6 << 20) + b"\n\n")
        elif MODE == "endless":
            self.events(b": wait\n\n" * 10, b"data: " + b"y" * (5 << 20))
        elif MODE == "events":
            told = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
            self.events(b"\xef\xbb\xbf: hi\r\n", f"data: {json.dumps(told)}\r\n\r\n".encode(), f"data: {json.dumps(answer)}\n\n".encode())
        elif MODE == "no-answer":
            self.events(b"data: {}\n\n")
        elif MODE == "asks":
            asked = {"resultType": "input_required", "inputRequests": {"a": {"method": "sampling/createMessage", "params": {}}}}
            self.message(200, {**answer, "result": asked})
        elif MODE == "html":
            self.reply(200, b"<html>", "text/html")
        else:
            self.message(200, answer)

    def events(self, *parts):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for part in parts:
            self.wfile.write(part)
        self.close_connection = True

    def message(self, status, value):
        self.reply(status, json.dumps(value).encode(), "application/json", {"Mcp-Session-Id": "abc"} if MODE == "legacy" else {})

    def reply(self, status, body, kind="text/plain", extra=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()

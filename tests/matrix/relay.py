"""Stands between the gateway and a real server over HTTP, as `programs/between.py` does over stdio: the same words in a file say how a call is answered."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SLOW_S = 30
_NOT_HANDED_ON = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Relay:
    """Listens while it is not closed, and hands every request on to a port of this machine."""

    def __init__(self, port: int, mood: Path) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(port, mood))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(port: int, mood: Path) -> type[BaseHTTPRequestHandler]:
    #: Over the oldest transport an answer comes on the stream: by its id, what is said in its place.
    posted: dict[object, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            onward = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_HANDED_ON}
            message = json.loads(body) if body else {}
            word = mood.read_text().strip() if message.get("method") == "tools/call" and mood.exists() else ""
            oldest = self.path.startswith("/message?")
            if word and oldest:
                posted[message["id"]] = word
            onward.request(self.command, self.path, body or None, {**headers, "Host": f"127.0.0.1:{port}"})
            answer = onward.getresponse()
            forged = None
            if word and not oldest:
                answer.read()
                forged = _forged(word, message)
            self._hand_back(answer, forged)
            onward.close()

        do_GET = do_DELETE = do_POST

        def _hand_back(self, answer: http.client.HTTPResponse, forged: bytes | None) -> None:
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _NOT_HANDED_ON and not (forged is not None and name.lower() == "content-type"):
                    self.send_header(name, value)
            if forged is not None:
                self.send_header("Content-Type", "application/json")
            self.end_headers()
            if forged is not None:
                self.wfile.write(forged)
                return
            with contextlib.suppress(OSError):  # one of the two ends is gone, and the other hears of it
                while line := answer.readline():
                    self.wfile.write(self._line(line) if self.command == "GET" else line)
                    self.wfile.flush()

        def _line(self, line: bytes) -> bytes:
            """A line of a stream, with an answer that is forged in the place of one that is to be."""
            with contextlib.suppress(ValueError):
                message = json.loads(line.removeprefix(b"data:"))
                word = posted.pop(message.get("id"), "") if isinstance(message, dict) else ""
                return b"data: " + _forged(word, message) + b"\n" if word else line
            return line

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


def _forged(word: str, message: dict[str, object]) -> bytes:
    """What is said in place of the server's answer. The server has done the call."""
    said: dict[str, object] = {"jsonrpc": "2.0", "id": message["id"], "result": {"content": "well done"}}
    if word == "slow":
        time.sleep(SLOW_S)
    if word == "other-id":
        said = {**said, "id": "of-another", "result": {"content": []}}
    return json.dumps(said).encode()

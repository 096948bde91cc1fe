"""An MCP server of revision 2025-11-25 over HTTP in plain Python, with what the official conformance suite calls at one (`suite.py`): sessions,
a stream for each call whose events can be fetched again, and questions of its own on that stream.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from servers import suite
from servers.suite import Json, form, messages, taking, text, tool

VERSION = "2025-11-25"
#: How long a question waits for its answer.
ANSWER_S = 20.0
OPTIONS = ["option1", "option2", "option3"]
TITLED = [{"const": f"value{n}", "title": f"{word} Option"} for n, word in enumerate(("First", "Second", "Third"), 1)]
DEFAULTS = form("With what is there already", {
    "name": {"type": "string", "default": "John Doe"}, "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5}, "verified": {"type": "boolean", "default": True},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
})  # fmt: skip
CHOICES = form("Choose", {
    "untitledSingle": {"type": "string", "enum": OPTIONS},
    "titledSingle": {"type": "string", "oneOf": TITLED},
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": OPTIONS}},
    "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
})  # fmt: skip
WHO = {
    "username": {"type": "string", "description": "A name"},
    "email": {"type": "string", "description": "An address"},
}
TOOLS = [
    *suite.TOOLS,
    *(
        tool(name)
        for name in ("test_tool_with_logging", "test_elicitation_sep1034_defaults", "test_elicitation_sep1330_enums")
    ),
    *(tool("test_sampling", taking("prompt")), tool("test_elicitation", taking("message")), tool("test_reconnection")),
]
CAPABILITIES: Json = {
    "tools": {"listChanged": True},
    "prompts": {},
    "resources": {"subscribe": True},
    "logging": {},
    "completions": {},
}


class Stream:
    """The events of one answer, kept until its session ends."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.number = len(session.streams)
        session.streams.append(self)
        self.events: list[bytes] = []
        self.over = False
        self.grown = threading.Condition()

    def add(self, message: Json | None, *, last: bool = False) -> None:
        """An event; without a message it is the first, which says only where one may go on."""
        with self.grown:
            data = b"" if message is None else json.dumps(message).encode()
            retry = b"retry: 200\n" if message is None else b""
            self.events.append(b"id: %d-%d\n%sdata: %s\n\n" % (self.number, len(self.events), retry, data))
            self.over = last
            self.grown.notify_all()

    def write(self, handler: Handler, start: int, stop: int | None = None) -> None:
        """The events from one on, until the last; with `stop` until that one, as if the connection had broken."""
        at = start
        while stop is None or at < stop:
            with self.grown:
                while len(self.events) <= at and not self.over and not self.session.ended:
                    self.grown.wait(60)
                new = self.events[at:stop]
            for event in new:
                handler.wfile.write(event)
            handler.wfile.flush()
            at += len(new)
            if not new:
                return


class Session:
    def __init__(self, claims: Json) -> None:
        self.claims = claims
        self.streams: list[Stream] = []
        self.answers: dict[str, Json] = {}
        self.answered = threading.Condition()
        self.ended = False
        self.level = "info"
        self.told = Stream(self)


class Older(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sessions: dict[str, Session] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/mcp"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Older

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        message: Json = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if suite.is_foreign(self.headers, self.server.server_port):
            self.send(403)
        elif message.get("method") == "initialize":
            self.initialize(message)
        elif (session := self.session()) is not None:
            self.taken(message, session)

    def do_GET(self) -> None:
        if (session := self.session()) is None:
            return
        number, _, event = (self.headers["Last-Event-ID"] or "0--1").partition("-")
        self.begin_stream()
        session.streams[int(number)].write(self, int(event) + 1)

    def do_DELETE(self) -> None:
        if (session := self.session()) is not None:
            del self.server.sessions[self.headers["Mcp-Session-Id"]]
            session.ended = True
            for stream in session.streams:
                with stream.grown:
                    stream.grown.notify_all()
            self.send(200)

    def session(self) -> Session | None:
        """The session of a request; without one it is answered here."""
        identity, revision = self.headers["Mcp-Session-Id"], self.headers["MCP-Protocol-Version"]
        found = self.server.sessions.get(identity or "")
        if identity is None or revision not in (None, VERSION):
            self.send(400)
        elif found is None:
            self.send(404)
        else:
            return found
        return None

    def initialize(self, message: Json) -> None:
        identity = secrets.token_urlsafe()
        self.server.sessions[identity] = Session(message["params"]["capabilities"])
        result = {
            "protocolVersion": VERSION,
            "capabilities": CAPABILITIES,
            "serverInfo": {"name": "older", "version": "1"},
        }
        self.send(200, {"jsonrpc": "2.0", "id": message["id"], "result": result}, **{"Mcp-Session-Id": identity})

    def taken(self, message: Json, session: Session) -> None:
        """A message within a session."""
        if "method" not in message:
            with session.answered:
                session.answers[message["id"]] = message
                session.answered.notify_all()
            self.send(202)
        elif "id" not in message:
            self.send(202)
        elif message["method"] == "tools/call" and message["params"]["name"] not in suite.SAID:
            self.stream(message, session)
        else:
            found = answer(message["method"], message.get("params", {}), session)
            self.send(200, {"jsonrpc": "2.0", "id": message["id"], **found})

    def stream(self, message: Json, session: Session) -> None:
        """A call that tells something on its way is answered by a stream; one of them is broken off before its answer."""
        stream = Stream(session)
        stream.add(None)
        threading.Thread(target=work, args=(message, session, stream), daemon=True).start()
        self.begin_stream()
        stream.write(self, 0, 1 if message["params"]["name"] == "test_reconnection" else None)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True

    def send(self, status: int, said: Json | None = None, **headers: str) -> None:
        body = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def answer(method: str, params: Json, session: Session) -> Json:
    """What is answered at once."""
    fixed: dict[str, Json] = {
        "ping": {}, "resources/subscribe": {}, "resources/unsubscribe": {}, "completion/complete": suite.COMPLETION,
        "tools/list": {"tools": TOOLS}, "prompts/list": {"prompts": suite.PROMPTS},
        "resources/list": {"resources": suite.RESOURCES}, "resources/templates/list": {"resourceTemplates": suite.TEMPLATES},
    }  # fmt: skip
    if method == "logging/setLevel":
        session.level = params["level"]
        return {"result": {}}
    found: Json | None = fixed.get(method)
    if method == "tools/call":
        found = suite.SAID[params["name"]]
    if method == "prompts/get":
        found = suite.prompt(params["name"], params.get("arguments", {}))
    if method == "resources/read":
        found = suite.contents(params["uri"])
        if found is None:
            return {"error": {"code": -32002, "message": "Resource not found", "data": {"uri": params["uri"]}}}
    if found is not None:
        return {"result": found}
    return {"error": {"code": -32602 if method in ("prompts/get",) else -32601, "message": f"no {method}"}}


def work(message: Json, session: Session, stream: Stream) -> None:
    """Do what a call asks, and say so at the end of its stream."""
    params = message["params"]
    doing: dict[str, Callable[[Json, Session, Stream], str]] = {
        "test_tool_with_logging": _logs, "test_tool_with_progress": _reports, "test_reconnection": _waits,
        "test_sampling": _samples, "test_elicitation": _elicits,
        "test_elicitation_sep1034_defaults": lambda _, session, stream: _ask(session, stream, "elicitation/create", DEFAULTS),
        "test_elicitation_sep1330_enums": lambda _, session, stream: _ask(session, stream, "elicitation/create", CHOICES),
    }  # fmt: skip
    if params["name"] in doing:
        said: Json = {"result": {"content": [text(doing[params["name"]](params, session, stream))]}}
    else:
        said = {"error": {"code": -32602, "message": f"Unknown tool: {params['name']}"}}
    stream.add({"jsonrpc": "2.0", "id": message["id"], **said}, last=True)


def _logs(_: Json, session: Session, stream: Stream) -> str:
    if session.level in ("debug", "info"):
        for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            stream.add(
                {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": words}}
            )
            time.sleep(0.05)
    return "logged"


def _reports(params: Json, _: Session, stream: Stream) -> str:
    token = params.get("_meta", {}).get("progressToken")
    for step in (0, 50, 100) if token is not None else ():
        said = {"progressToken": token, "progress": step, "total": 100}
        stream.add({"jsonrpc": "2.0", "method": "notifications/progress", "params": said})
        time.sleep(0.05)
    return "reported"


def _waits(*_: Any) -> str:
    time.sleep(0.5)
    return "answered on another connection"


def _samples(params: Json, session: Session, stream: Stream) -> str:
    return _ask(session, stream, "sampling/createMessage", messages(params["arguments"]["prompt"]))


def _elicits(params: Json, session: Session, stream: Stream) -> str:
    return _ask(session, stream, "elicitation/create", form(params["arguments"]["message"], WHO, [*WHO]))


def _ask(session: Session, stream: Stream, method: str, params: Json) -> str:
    """Ask the client on the call's own stream: what it answered, in words."""
    if method.partition("/")[0] not in session.claims:
        return f"the client does not do {method}"
    identity = secrets.token_hex(8)
    stream.add({"jsonrpc": "2.0", "id": identity, "method": method, "params": params})
    with session.answered:
        session.answered.wait_for(lambda: identity in session.answers, timeout=ANSWER_S)
        return json.dumps(session.answers.pop(identity, {"error": "nobody answered"}))

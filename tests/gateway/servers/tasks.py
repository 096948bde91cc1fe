"""An MCP server of revision 2026-07-28 over HTTP that makes tasks of calls (extension `io.modelcontextprotocol/tasks`), with the tools
that the conformance suite's `tasks-*` scenarios call, and some that no honest server has. `tasks.py PORT [FILE]`; each request is a line in
FILE. Also imported: `Tasks` is a server in a thread.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

META = "io.modelcontextprotocol/"
EXTENSION = f"{META}tasks"
VERSION = "2026-07-28"
ANY = {"type": "object"}
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
TOOLS = ("greet", "slow_compute", "failing_job", "protocol_error_job", "confirm_delete", "multi_input", "test_tool_with_task", "odd_task",
         "unasked_task", "asks_for_a_key", "publish", "test_missing_capability")  # fmt: skip
ENDED = ("completed", "failed", "cancelled")


class Fault(Exception):
    def __init__(self, code: int, message: str, data: Any = None, status: int = 200) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, **({"data": data} if data is not None else {})}
        self.status = status


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}], **more}


def elicitation(message: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"confirm": {"type": "boolean"}}}
    return {"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}}


class Task:
    """One task: it has ended by itself once its time is over, or when nothing is asked any more."""

    def __init__(self, end: dict[str, Any], seconds: float = 0.0, asks: dict[str, Any] | None = None) -> None:
        self.id = str(uuid.uuid4())
        self.made = datetime.now(UTC).isoformat()
        self.end, self.asks, self.answers = end, asks or {}, {}
        self.until = time.monotonic() + seconds
        self.cancelled = False

    @property
    def status(self) -> str:
        if self.cancelled:
            return "cancelled"
        if self.asks:
            return "input_required"
        return str(self.end["status"]) if time.monotonic() >= self.until else "working"

    def shown(self) -> dict[str, Any]:
        said = {"taskId": self.id, "status": self.status, "createdAt": self.made, "lastUpdatedAt": datetime.now(UTC).isoformat(),
                "ttlMs": 600_000, "pollIntervalMs": 200}  # fmt: skip
        return said

    def detailed(self) -> dict[str, Any]:
        more = {"inputRequests": dict(self.asks)} if self.status == "input_required" else {}
        return {**self.shown(), **more, **({} if self.status != self.end["status"] else self.end)}


class Tasks(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    #: What a listener may hear that no list of names stands for.
    lists: tuple[str, ...] = ("toolsListChanged",)

    def __init__(self, port: int = 0, seen: Path | None = None, resources: tuple[str, ...] = ()) -> None:
        super().__init__(("127.0.0.1", port), self.handler())
        self.resources = resources
        self.tasks: dict[str, Task] = {}
        self.seen: list[dict[str, Any]] = []
        self.file = seen
        self.turn = threading.Lock()
        self.listening: list[tuple[Any, queue.Queue[Any]]] = []
        self.wanted: dict[Any, dict[str, Any]] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/mcp"

    def handler(self) -> type[Handler]:
        """What takes its requests."""
        return Handler

    def changed(self, what: str = "tools") -> None:
        """Tell everybody who listens for it that the tools, or the prompts, have changed."""
        for identity, waiting in self.listening:
            if f"{what}ListChanged" in self.wanted[identity]:
                waiting.put(f"notifications/{what}/list_changed")

    def updated(self, uri: str) -> None:
        """Tell those who asked for it that a resource has changed."""
        for identity, waiting in self.listening:
            if uri in self.wanted[identity].get("resourceSubscriptions", []):
                waiting.put({"method": "notifications/resources/updated", "params": {"uri": uri}})

    def stands(self, task: str) -> None:
        """Tell those who asked for it how a task stands."""
        for identity, waiting in self.listening:
            if task in self.wanted[identity].get("taskIds", []):
                waiting.put({"method": "notifications/tasks", "params": self.tasks[task].detailed()})

    def answer(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        claims = params.get("_meta", {}).get(f"{META}clientCapabilities", {})
        declared = EXTENSION in claims.get("extensions", {})
        if method == "server/discover":
            capabilities = {"tools": {"listChanged": True}, "extensions": {EXTENSION: {}}}
            capabilities |= {"resources": {"subscribe": True}} if self.resources else {}
            return {"supportedVersions": [VERSION], "capabilities": capabilities, "ttlMs": 1_000, "cacheScope": "public"}
        if method == "tools/list":
            promise = {"publish": {"outputSchema": NUMBER}}
            return {"tools": [{"name": name, "inputSchema": ANY, **promise.get(name, {})} for name in TOOLS], "ttlMs": 1_000, "cacheScope": "public"}
        if method == "resources/list" and self.resources:
            return {"resources": [{"uri": uri, "name": uri} for uri in self.resources], "ttlMs": 1_000, "cacheScope": "public"}
        if method == "tools/call":
            return self.call(params["name"], params.get("arguments", {}), params, declared)
        if method not in ("tasks/get", "tasks/update", "tasks/cancel"):
            raise Fault(-32601, f"no {method}", status=404)
        if not declared:
            raise missing()
        task = self.tasks.get(params.get("taskId"))
        if task is None:
            raise Fault(-32602, "no such task")
        if method == "tasks/get":
            return task.detailed()
        if method == "tasks/cancel":
            task.cancelled = task.cancelled or task.status not in ENDED
            return {}
        for key, value in params["inputResponses"].items():
            if task.asks.pop(key, None) is not None:
                task.answers[key] = value
        return {}

    def call(self, name: str, arguments: dict[str, Any], params: dict[str, Any], declared: bool) -> dict[str, Any]:
        done = {"status": "completed", "result": text(f"{name} is done")}
        if name not in TOOLS:
            raise Fault(-32602, f"Unknown tool: {name}")
        if name == "test_missing_capability":
            raise missing("sampling")
        if name == "greet":
            return text(f"Hello, {arguments.get('name')}!")
        if name == "slow_compute" and not declared:
            time.sleep(arguments.get("seconds", 0))
            return text("computed")
        if name == "slow_compute":
            return self.made(Task(done, arguments.get("seconds", 0)))
        if name == "unasked_task":
            return self.made(Task(done))
        if not declared:
            raise missing()
        if name == "failing_job":
            return self.made(Task({"status": "completed", "result": text("it failed", isError=True)}, 0.5))
        if name == "protocol_error_job":
            return self.made(Task({"status": "failed", "error": {"code": -32603, "message": "it panicked"}}, 0.2))
        if name == "confirm_delete":
            return self.made(Task(done, asks={str(uuid.uuid4()): elicitation("delete it?")}))
        if name == "multi_input":
            return self.made(Task(done, asks={str(uuid.uuid4()): elicitation(each) for each in ("first?", "second?")}))
        if name == "test_tool_with_task":
            given = params.get("inputResponses", {}).get("user_name")
            if given is None:
                asked = {"user_name": elicitation("who?")}
                return {"resultType": "input_required", "inputRequests": asked, "requestState": "opaque"}
            return self.made(Task({"status": "completed", "result": text(f"Hello, {given['content']['name']}")}, 0.2))
        if name == "odd_task":
            return {"resultType": "task", "taskId": 7, "status": "working"}
        if name == "asks_for_a_key":
            asked = {"k": {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}}
            return self.made(Task(done, asks=asked))
        promised = arguments.get("n", 3)
        return self.made(Task({"status": "completed", "result": {**text("published"), "structuredContent": {"n": promised}}}))

    def made(self, task: Task) -> dict[str, Any]:
        with self.turn:
            self.tasks[task.id] = task
        return {"resultType": "task", **task.shown()}


def missing(capability: str = "extensions") -> Fault:
    required = {"extensions": {EXTENSION: {}}} if capability == "extensions" else {capability: {}}
    return Fault(-32021, "Missing required client capability", {"requiredCapabilities": required}, 400)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Tasks

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(message)
        if self.server.file is not None:
            with self.server.file.open("a") as file:
                file.write(json.dumps(message) + "\n")
        if "id" not in message:
            self.send(202, None)
            return
        if message["method"] == "subscriptions/listen":
            self.listen(message["id"], message["params"]["notifications"])
            return
        said, status = {"jsonrpc": "2.0", "id": message["id"]}, 200
        try:
            params = message.get("params", {})
            self.check(message["method"], params)
            said["result"] = {"resultType": "complete", **self.server.answer(message["method"], params)}
        except Fault as fault:
            said["error"], status = fault.error, fault.status
        self.say(message, status, said)

    def say(self, _: dict[str, Any], status: int, said: dict[str, Any]) -> None:
        """The answer to a request."""
        self.send(status, said)

    def listen(self, identity: Any, wanted: dict[str, Any]) -> None:
        waiting: queue.Queue[Any] = queue.Queue()
        known = {"resourceSubscriptions": self.server.resources, "taskIds": self.server.tasks}
        granted = {key: value for key, value in wanted.items() if key in self.server.lists}
        granted |= {key: [each for each in wanted[key] if each in known[key]] for key in known if key in wanted}
        self.server.wanted[identity] = granted
        self.server.listening.append((identity, waiting))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        said: Any = {"method": "notifications/subscriptions/acknowledged", "params": {"notifications": granted}}
        while said is not None:
            said = {"method": said, "params": {}} if isinstance(said, str) else said
            params = {**said["params"], "_meta": {f"{META}subscriptionId": identity}}
            try:
                self.wfile.write(b"data: " + json.dumps({"jsonrpc": "2.0", **said, "params": params}).encode() + b"\n\n")
                self.wfile.flush()
            except OSError:  # nobody listens any more
                return
            said = waiting.get()

    def check(self, method: str, params: dict[str, Any]) -> None:
        meta = params.get("_meta", {})
        version = meta.get(f"{META}protocolVersion")
        if version is None or f"{META}clientCapabilities" not in meta:
            raise Fault(-32602, "`_meta` lacks what each request says", status=400)
        if self.headers["MCP-Protocol-Version"] != version:
            raise Fault(-32020, "Header mismatch: MCP-Protocol-Version", status=400)
        if version != VERSION:
            raise Fault(-32022, "Unsupported protocol version", {"supported": [VERSION], "requested": version}, 400)
        if self.headers["Mcp-Method"] != method:
            raise Fault(-32020, "Header mismatch: Mcp-Method", status=400)
        named = "taskId" if method.startswith("tasks/") else "uri" if method == "resources/read" else "name"
        said = (self.headers["Mcp-Name"] or "").strip()
        if named in params and method not in ("tasks/result", "tasks/list") and said != params[named]:
            raise Fault(-32020, "Header mismatch: Mcp-Name", status=400)

    def send(self, status: int, said: Any) -> None:
        body = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    Tasks(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    threading.Event().wait()

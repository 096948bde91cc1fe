"""A scripted model: the only stand-in when a real coding agent is driven without one.

One loopback server speaks the two dialects that Claude Code (`POST /v1/messages`) and Codex (`POST /v1/responses`)
use. A script is a list of turns; which turn comes next is read off the conversation itself (how many tool results it
holds), so that a retry or a second request for the same turn is answered the same way. Left out: everything a model
would decide; usage figures are constant.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REQUEST_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True)
class Run:
    """Run a shell command through the agent's own shell tool."""

    command: str


@dataclass(frozen=True)
class Call:
    """Call an MCP tool the agent was given."""

    server: str
    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Edit:
    """Write a file through the agent's own file tool (Claude Code), or through its shell (Codex)."""

    path: str
    content: str


@dataclass(frozen=True)
class Look:
    """Read a file through the agent's own file tool (Claude Code), or through its shell (Codex)."""

    path: str


@dataclass(frozen=True)
class Say:
    """End the conversation with this text."""

    text: str


Turn = Run | Call | Edit | Look | Say


@dataclass
class ScriptedModel:
    """Serves `turns` on loopback while entered; `results` holds what the agent's tools answered, in order, `asked` how often it was asked, and `offered` the names of the tools that the agent had."""

    turns: list[Turn]
    results: list[str] = field(default_factory=list)
    asked: int = 0
    offered: set[str] = field(default_factory=set)

    def __enter__(self) -> ScriptedModel:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where the model is served, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def turn(self, results: list[str]) -> Turn:
        """The turn that follows these tool results."""
        self.asked += 1
        if len(results) > len(self.results):
            self.results = results
        return self.turns[len(results)] if len(results) < len(self.turns) else Say("done")


def _handler(model: ScriptedModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(200, "application/json", b'{"data":[],"models":[]}')

        def do_HEAD(self) -> None:
            self._answer(200, "application/json", b"")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            if length > REQUEST_BYTES_MAX:
                self._answer(413, "text/plain", b"too large")
                return
            body = json.loads(self.rfile.read(length) or b"{}")
            path = self.path.partition("?")[0]
            if path.endswith("/messages"):
                self._events(list(_anthropic(model, body)))
            elif path.endswith("/responses"):
                self._events(list(_openai(model, body)))
            elif path.endswith("/count_tokens"):
                self._answer(200, "application/json", b'{"input_tokens":1}')
            else:
                self._answer(200, "application/json", b"{}")

        def _events(self, events: list[dict[str, Any]]) -> None:
            text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
            self._answer(200, "text/event-stream", text.encode())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: the agents' own output is what the tests read."""

    return Handler


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return _text(content.get("text") or content.get("content") or content.get("output") or "")
    if isinstance(content, list):
        return "\n".join(_text(part) for part in content)
    return ""


# -- Anthropic Messages, streaming ---------------------------------------------------------------------------------


def _anthropic(model: ScriptedModel, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    results = [
        _text(block.get("content"))
        for message in body.get("messages", [])
        if isinstance(message.get("content"), list)
        for block in message["content"]
        if block.get("type") == "tool_result"
    ]
    offered = {tool.get("name") for tool in body.get("tools", [])}
    model.offered |= offered
    turn = model.turn(results) if "Bash" in offered else Say("ok")
    block, delta, stop = _anthropic_block(turn, len(results))
    usage = {"input_tokens": 1, "output_tokens": 1}
    yield {
        "type": "message_start",
        "message": {
            "id": f"msg_{len(results)}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", "scripted"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        },
    }
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}


def _anthropic_block(turn: Turn, number: int) -> tuple[dict[str, Any], dict[str, Any], str]:
    if isinstance(turn, Say):
        return {"type": "text", "text": ""}, {"type": "text_delta", "text": turn.text}, "end_turn"
    name, arguments = _anthropic_tool(turn)
    block = {"type": "tool_use", "id": f"toolu_{number:04d}", "name": name, "input": {}}
    return block, {"type": "input_json_delta", "partial_json": json.dumps(arguments)}, "tool_use"


def _anthropic_tool(turn: Run | Call | Edit | Look) -> tuple[str, dict[str, Any]]:
    match turn:
        case Run(command):
            return "Bash", {"command": command, "description": "a step of the script"}
        case Call(server, tool, arguments):
            return f"mcp__{server}__{tool}", arguments
        case Edit(path, content):
            return "Write", {"file_path": path, "content": content}
        case Look(path):
            return "Read", {"file_path": path}


# -- OpenAI Responses, streaming -----------------------------------------------------------------------------------


def _openai(model: ScriptedModel, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    items = body.get("input", [])
    items = items if isinstance(items, list) else []
    results = [_text(item.get("output")) for item in items if item.get("type") == "function_call_output"]
    model.offered |= set(_openai_names(body.get("tools") or []))
    turn = model.turn(results)
    identity = f"resp_{len(results)}"
    yield {"type": "response.created", "response": {"id": identity}}
    yield {"type": "response.output_item.done", "output_index": 0, "item": _openai_item(turn, len(results))}
    usage = {
        "input_tokens": 1,
        "input_tokens_details": None,
        "output_tokens": 1,
        "output_tokens_details": None,
        "total_tokens": 2,
    }
    yield {"type": "response.completed", "response": {"id": identity, "usage": usage}}


def _openai_names(tools: list[dict[str, Any]]) -> Iterator[str]:
    """The names of the tools, those within a namespace with it before them."""
    for tool in tools:
        for inner in tool.get("tools") or []:
            yield f"{tool.get('name')}__{inner.get('name')}"
        yield str(tool.get("name"))


def _openai_item(turn: Turn, number: int) -> dict[str, Any]:
    if isinstance(turn, Say):
        content = [{"type": "output_text", "text": turn.text}]
        return {"type": "message", "role": "assistant", "id": f"msg_{number}", "content": content}
    name, namespace, arguments = _openai_tool(turn)
    item: dict[str, Any] = {
        "type": "function_call",
        "id": f"fc_{number}",
        "call_id": f"call_{number:04d}",
        "name": name,
        "arguments": json.dumps(arguments),
    }
    return item | ({"namespace": namespace} if namespace else {})


def _openai_tool(turn: Run | Call | Edit | Look) -> tuple[str, str | None, dict[str, Any]]:
    match turn:
        case Run(command):
            return "exec_command", None, {"cmd": command}
        case Call(server, tool, arguments):
            return tool, f"mcp__{server}", arguments
        case Edit(path, content):
            return "exec_command", None, {"cmd": f"cat > '{path}' <<'SCRIPT_END'\n{content}\nSCRIPT_END"}
        case Look(path):
            return "exec_command", None, {"cmd": f"cat '{path}'"}

"""Mutated bytes on the gateway's two wires: requests that an agent sends, and what a server writes. The gateway serves on, a good server works beside,
and nothing is called that was not decided."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from gateway_stage import META, SERVERS, call, connector, modern, rule
from tests.fuzz.mutation import Mutation

from interlock.connectors.configuration import Connector, Stdio

TEXTS = 5_000 if os.environ.get("INTERLOCK_LONG") else 300


def seed_of() -> int:
    return int(os.environ.get("INTERLOCK_FUZZ_SEED", time.time_ns() // 1_000_000))


def requests_of(stage: Any, token: str) -> list[bytes]:
    def whole(body: dict[str, Any], **headers: str) -> bytes:
        text = json.dumps(body).encode()
        lines = {
            "Host": f"127.0.0.1:{stage.port}", "Authorization": f"Bearer {token}", "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream", "Content-Length": str(len(text)), **headers,
        }  # fmt: skip
        return b"POST /mcp HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n" + text

    arguments = {"name": "notes__erase", "arguments": {"text": "x"}, "_meta": META}
    modern = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "notes__erase"}
    initialize = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    return [
        whole({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": arguments}, **modern),
        whole({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize}),
        whole({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": META}}, **{**modern, "Mcp-Method": "server/discover"}),
        f"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:{stage.port}\r\nAuthorization: Bearer {token}\r\nMcp-Session-Id: x\r\n\r\n".encode(),
        f"DELETE /mcp/notes HTTP/1.1\r\nHost: 127.0.0.1:{stage.port}\r\nAuthorization: Bearer {token}\r\nMcp-Session-Id: x\r\n\r\n".encode(),
    ]


def healthy(stage: Any) -> bool:
    with urllib.request.urlopen(f"{stage.url}/healthz", timeout=10) as response:
        return bool(response.status == 200)


def test_whatever_an_agent_sends_the_gateway_serves_on_and_makes_no_denied_call(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path))
    token, seed = stage.token(ttl_ms=3_600_000), seed_of()
    mutation = Mutation(seed, requests_of(stage, token))
    for number in range(TEXTS):
        text = mutation.next()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", stage.port), 10) as sock:
            sock.settimeout(0.02)
            for part in mutation.cuts(text)[:20]:
                sock.sendall(part)
            with contextlib.suppress(TimeoutError):
                answer = sock.recv(65_536)
                assert not answer or answer.startswith(b"HTTP/1.1 "), f"INTERLOCK_FUZZ_SEED={seed}, text {number}: {text!r}: {answer!r}"
                assert b"internal error" not in answer and b" 500 " not in answer[:20], f"INTERLOCK_FUZZ_SEED={seed}, text {number}: {text!r}: {answer!r}"
        if number % 50 == 0:
            assert healthy(stage), f"INTERLOCK_FUZZ_SEED={seed}, text {number}"
    assert not call(stage, token, "notes__echo", text="x").get("isError")
    assert {name for name, _ in stage.effects} <= {"echo"}, f"INTERLOCK_FUZZ_SEED={seed}"


def test_whatever_a_server_writes_costs_its_own_call_alone(start: Any, tmp_path: Path) -> None:
    seed = seed_of()
    environment = {"FUZZ_SEED": str(seed), "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    bad = Connector("bad", Stdio((sys.executable, str(SERVERS / "mutating.py")), environment), timeout_ms=2_000, start_timeout_ms=8_000)
    stage = start(connector("notes", root=tmp_path), bad, rules=(rule("all", "allow", "tool.call"),))
    token = stage.token(ttl_ms=3_600_000)
    for number in range(TEXTS // 6):
        status, answer = modern(stage, token, "tools/call", {"name": "bad__any", "arguments": {}})
        last = answer[-1] if isinstance(answer, list) else answer
        assert status == 200 and ("result" in last or "error" in last) and "internal error (" not in json.dumps(last), f"INTERLOCK_FUZZ_SEED={seed}, call {number}: {answer}"
        if number % 10 == 0:
            assert not call(stage, token, "notes__echo", text="x").get("isError") and healthy(stage), f"INTERLOCK_FUZZ_SEED={seed}, call {number}"

"""What one party costs everybody else is bounded, in bytes and in connections: readers that stall, strangers, one busy agent."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from pathlib import Path
from typing import Any

from gateway_stage import call, connector
from test_legacy import rpc, session


def memory_bytes() -> int:
    """What this process, where the gateway is, holds."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def test_a_reader_that_stalls_costs_a_few_megabytes_and_troubles_nobody(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path, timeout_ms=60_000), connector("other", root=tmp_path))
    token = stage.token()
    headers = session(stage, token)
    before = memory_bytes()
    body = json.dumps(rpc("tools/call", {"name": "notes__chatter", "arguments": {"text": "200"}}, 9)).encode()
    with socket.create_connection(("127.0.0.1", stage.port)) as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        head = [
            "POST /mcp HTTP/1.1", f"Host: 127.0.0.1:{stage.port}", f"Authorization: Bearer {token}", "Content-Type: application/json",
            "Accept: application/json, text/event-stream", f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items()),
        ]  # fmt: skip
        stalled.sendall("\r\n".join([*head, "", ""]).encode() + body)
        deadline = time.monotonic() + 60
        while not [each for each in stage.records() if each["type"] == "action.enacted"]:
            assert time.monotonic() < deadline
            assert not call(stage, token, "other__echo", text="x").get("isError")
        assert memory_bytes() - before < 80 * 1024 * 1024


def test_strangers_that_hold_connections_keep_nobody_out(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    kept = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=20)
    base = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {token}"}

    def asked() -> int:
        kept.request("POST", "/mcp", json.dumps(rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})), base)
        response = kept.getresponse()
        response.read()
        return response.status

    assert asked() == 200
    strangers = []
    try:
        for _ in range(600):
            strangers.append(socket.create_connection(("127.0.0.1", stage.port), timeout=20))
        assert not call(stage, token, "notes__echo", text="x").get("isError")
        assert asked() == 200, "who had proved who it is lost its connection"
    finally:
        for each in strangers:
            each.close()


def test_one_agent_does_not_take_every_connection(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token, other = stage.token(), stage.token("other")
    held, statuses = [], []
    try:
        for _ in range(300):
            connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=30)
            connection.request("GET", "/mcp", headers={"Authorization": f"Bearer {token}", "Accept": "text/event-stream"})
            response = connection.getresponse()
            statuses.append(response.status)
            response.read()
            held.append(connection)
        assert 429 in statuses and statuses[0] == 405
        assert not call(stage, other, "notes__echo", text="x").get("isError")
    finally:
        for each in held:
            each.close()

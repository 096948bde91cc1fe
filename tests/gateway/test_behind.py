"""What comes on a connection behind a request that is served still: held to the same bounds, and never served before it, nor as anybody else's."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest
from gateway_stage import META, connector, modern, rule

RULES = (rule("all", "allow", "tool.call"),)
SERVED_S = 6


def call(stage: Any, token: str, tool: str, text: str) -> bytes:
    params = {"_meta": META, "name": f"notes__{tool}", "arguments": {"text": text}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    head = [
        "POST /mcp HTTP/1.1", f"Host: 127.0.0.1:{stage.port}", f"Authorization: Bearer {token}", "Content-Type: application/json",
        "Accept: application/json", "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", f"Mcp-Name: notes__{tool}",
        f"Content-Length: {len(body)}", "", "",
    ]  # fmt: skip
    return "\r\n".join(head).encode() + body


ENDLESS = {
    "a header's value": (b"POST /mcp HTTP/1.1\r\nX-A: ", b"a" * 8_192),
    "a header's name": (b"POST /mcp HTTP/1.1\r\n", b"a" * 8_192),
    "a path": (b"POST /", b"a" * 8_192),
    "headers": (b"POST /mcp HTTP/1.1\r\n", b"X-A: 1\r\n" * 1_000),
    "lines": (b"", b"\r\n" * 4_096),
    "a body": (b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000000\r\n\r\n", b"a" * 8_192),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_is_not_kept_behind_a_call(start: Any, tmp_path: Any, name: str) -> None:
    stage = start(connector("notes", root=tmp_path, timeout_ms=20_000), rules=RULES)
    token = stage.token()
    modern(stage, token, "tools/list")
    head, part = ENDLESS[name]
    sent, until = 0, time.monotonic() + SERVED_S - 1
    with socket.create_connection(("127.0.0.1", stage.port), timeout=1) as sock:
        sock.sendall(call(stage, token, "slow", str(SERVED_S)))
        time.sleep(0.5)
        try:
            sock.sendall(head)
            while sent < 64 << 20 and time.monotonic() < until:
                sent += sock.send(part)
        except OSError:  # it was broken off, or nothing is read any more
            pass
    assert sent < 8 << 20, "what the system holds of it, and not what the gateway would"


def answers(sock: socket.socket, count: int) -> list[dict[str, Any]]:
    """The bodies of so many answers on one connection, in the order in which they come."""
    read, found = b"", list[dict[str, Any]]()
    while len(found) < count:
        part = sock.recv(65_536)
        assert part, read
        read += part
        while (head := read.partition(b"\r\n\r\n"))[1]:
            length = int(head[0].lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            if len(head[2]) < length:
                break
            found.append(json.loads(head[2][:length]))
            read = head[2][length:]
    return found


def words(answer: dict[str, Any]) -> str:
    return str(answer["result"]["content"][0]["text"] if "result" in answer else answer["error"]["message"])


@pytest.mark.parametrize("cut", ["whole", "in the head", "in the body", "byte by byte"])
def test_requests_behind_a_call_are_served_after_it_each_as_its_own(start: Any, tmp_path: Any, cut: str) -> None:
    """Also where the next one begins just as the one before."""
    denied = rule("never", "deny", "tool.call", tool=["erase"])
    stage = start(connector("notes", root=tmp_path), rules=(*RULES, denied))
    token = stage.token()
    modern(stage, token, "tools/list")
    wanted = [("slow", "0.4"), ("echo", "a"), ("echo", "b"), ("erase", "c"), ("echo", "d" * 60_000), ("echo", "e")]
    with socket.create_connection(("127.0.0.1", stage.port), timeout=20) as sock:
        first, *others = (call(stage, token, *each) for each in wanted)
        sock.sendall(first)
        behind = b"".join(others)
        at = {"whole": 0, "in the head": 100, "in the body": others[0].index(b"\r\n\r\n") + 10, "byte by byte": 0}[cut]
        for n in range(at if cut != "byte by byte" else 700):
            if cut == "byte by byte":
                sock.sendall(behind[n : n + 1])
                time.sleep(0.001)
        at = 700 if cut == "byte by byte" else at
        if cut in ("in the head", "in the body"):
            sock.sendall(behind[:at])
            time.sleep(0.1)
        sock.sendall(behind[at:])
        said = [words(each) for each in answers(sock, len(wanted))]
    assert [each.rpartition(": ")[2] for each in said[:3]] == ["0.4", "a", "b"]
    assert "never" in said[3] and said[4] == "echo: " + "d" * 60_000 and said[5] == "echo: e"
    assert [name for name, _ in stage.effects] == ["slow", "echo", "echo", "echo", "echo"]


CHANGED = {
    "another's token": (b"Authorization: Bearer ", "other"),
    "no token": (b"Authorization: Bearer ", "none"),
    "another host": (b"Host: 127.0.0.1", "evil"),
    "another tool": (b"Mcp-Name: notes__echo", "name"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_head_that_differs_in_one_header_is_read_again(start: Any, tmp_path: Any, name: str) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token, other = stage.token(), stage.token("other")
    modern(stage, token, "tools/list")
    good = call(stage, token, "echo", "mine")
    found, how = CHANGED[name]
    end = good.index(found) + len(found)
    line = good[good.index(found) : good.index(b"\r\n", end)]
    to = {"other": found + other.encode(), "none": found + b"x" * 20, "evil": b"Host: evil.example", "name": b"Mcp-Name: notes__erase"}[how]
    with socket.create_connection(("127.0.0.1", stage.port), timeout=10) as sock:
        for _ in range(3):
            sock.sendall(good)
            assert words(answers(sock, 1)[0]) == "echo: mine"
        sock.sendall(good.replace(line, to))
        last = answers(sock, 1)[0]
    decided = [each["action"]["subject"]["agent"] for each in stage.decided("tool.call")]
    assert sorted(decided) == ["coder"] * 3 + (["other"] if how == "other" else [])
    assert ("result" in last) == (how == "other")

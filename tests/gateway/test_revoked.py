"""Revoking an agent ends what it has under way: calls that wait for their turn, calls that run, streams, sessions."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any

from gateway_stage import META, call, connector, modern, post
from test_legacy import rpc, session
from test_tokens import attested, now_ms

ENDS_WITHIN_S = 6.0


def revoke(stage: Any, agent: str = "coder") -> None:
    stage.registry().revoke(agent, now_ms())


def test_a_call_that_waits_for_its_turn_is_not_made_once_its_agent_is_revoked(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path, timeout_ms=20_000))
    token = stage.token()
    found: list[Any] = []
    params = [{"name": "notes__slow", "arguments": {"text": "2"}}, {"name": "notes__echo", "arguments": {"text": "queued"}}]
    callers = []
    for each in params:
        callers.append(threading.Thread(target=lambda each=each: found.append(modern(stage, token, "tools/call", each))))
        callers[-1].start()
        time.sleep(0.5)
    deadline = time.monotonic() + 10
    while len(stage.decided("tool.call")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    revoke(stage)
    for caller in callers:
        caller.join(20)
    time.sleep(2)
    assert [name for name, _ in stage.effects] == ["slow"]
    assert [status for status, _ in found] == [401, 401], found


def stream(stage: Any, token: str, headers: dict[str, str], path: str = "/mcp") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=20)
    connection.request("GET", path, headers={**headers, "Authorization": f"Bearer {token}", "Accept": "text/event-stream"})
    return connection.getresponse()


def test_streams_and_sessions_end_with_their_agent(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token, other = stage.token(), stage.token("other")
    headers = session(stage, token)
    mine, theirs = stream(stage, token, headers), stream(stage, other, session(stage, other))
    listening = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=20)
    body = rpc("subscriptions/listen", {"notifications": {"toolsListChanged": True}, "_meta": META})
    base = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
    listening.request("POST", "/mcp", json.dumps(body), {**base, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"})
    subscribed = listening.getresponse()
    assert mine.status == theirs.status == subscribed.status == 200
    revoke(stage)
    began = time.monotonic()
    assert b"open" in mine.read() and b"acknowledged" in subscribed.read()
    assert time.monotonic() - began < ENDS_WITHIN_S
    assert theirs.fp is not None and not call(stage, other, "notes__echo", text="x").get("isError")
    assert theirs.readline() == b": open\n"


def test_a_call_that_runs_is_called_off(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path, timeout_ms=30_000))
    token = stage.token()
    headers = session(stage, token)
    found: list[Any] = []
    params = {"name": "notes__slow", "arguments": {"text": "15"}}
    caller = threading.Thread(target=lambda: found.append(post(stage, token, rpc("tools/call", params), **headers)))
    caller.start()
    deadline = time.monotonic() + 10
    while not stage.effects:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    revoke(stage)
    began = time.monotonic()
    caller.join(20)
    assert time.monotonic() - began < ENDS_WITHIN_S and "echo" not in str(found)
    deadline = time.monotonic() + 10
    while not (ended := [each for each in stage.records() if each["type"] == "action.enacted"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ended[0]["effect"] == "unknown"


def test_a_users_token_is_worth_nothing_inside_any_session(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    inside = attested(stage, "s-20261121T130000-aaaaaa")
    from test_tokens import ask

    assert ask(inside, token) == 401
    assert post(stage, token, rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}}))[0] == 200
    refused = [each for each in stage.records() if each["type"] == "token.refused"]
    assert "outside every session" in refused[0]["reason"]

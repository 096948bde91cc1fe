"""A connector's time is for the server: not for the human that it asks, and progress begins it again."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from gateway_stage import connector, post
from test_legacy import rpc, session

LIMIT_MS = 1_500


def test_what_a_human_takes_to_answer_is_not_the_servers_time(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path, client_requests=("elicitation",), timeout_ms=LIMIT_MS))
    token = stage.token()
    headers = session(stage, token)
    base = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
    body = json.dumps(rpc("tools/call", {"name": "notes__elicit", "arguments": {"text": "x"}}, 7)).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{stage.url}/mcp", body, {**base, **headers}), timeout=30) as stream:
        events = (json.loads(line[6:]) for line in stream if line.startswith(b"data: "))
        question = next(events)
        time.sleep(2 * LIMIT_MS / 1000)
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"name": "Ada"}}}
        assert post(stage, token, answer, **headers)[0] == 202
        assert "Ada" in json.dumps(next(events))


def test_a_server_that_reports_progress_is_waited_for(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path, timeout_ms=LIMIT_MS))
    token = stage.token()
    headers = session(stage, token)
    params = {"name": "notes__lasting", "arguments": {"text": "8"}, "_meta": {"progressToken": "mine"}}
    found = post(stage, token, rpc("tools/call", params, 3), **headers)[2]
    assert [each["params"]["progressToken"] for each in found[:-1]] == ["mine"] * 8
    assert not found[-1]["result"].get("isError"), found[-1]


def test_a_server_that_says_nothing_is_given_up(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path, timeout_ms=LIMIT_MS))
    token = stage.token()
    headers = session(stage, token)
    began = time.monotonic()
    found = post(stage, token, rpc("tools/call", {"name": "notes__slow", "arguments": {"text": "20"}}, 3), **headers)[2]
    result = (found[-1] if isinstance(found, list) else found)["result"]
    assert result["isError"] and "did not answer" in result["content"][0]["text"] and time.monotonic() - began < 10

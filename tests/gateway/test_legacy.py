"""The stateful era: sessions are their maker's, end for good, refuse what is not theirs; questions of a server; notifications."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from typing import Any

import pytest
from gateway_stage import connector, post

INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "admin", "version": "1"}}


def rpc(method: str, params: Any = None, identity: Any = 1) -> dict[str, Any]:
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return message if identity is None else {**message, "id": identity}


def session(stage: Any, token: str, path: str = "/mcp", **more: Any) -> dict[str, str]:
    status, headers, answer = post(stage, token, rpc("initialize", {**INITIALIZE, **more}), path)
    assert status == 200, answer
    found = {"Mcp-Session-Id": headers["Mcp-Session-Id"], "MCP-Protocol-Version": answer["result"]["protocolVersion"]}
    assert post(stage, token, rpc("notifications/initialized", identity=None), path, **found)[0] == 202
    return found


@pytest.mark.parametrize(("asked", "given"), [("2025-06-18", "2025-06-18"), ("2025-03-26", "2025-03-26"), ("1999-01-01", "2025-11-25")])
def test_the_revision_is_the_clients_if_it_is_known(start: Any, tmp_path: Any, asked: str, given: str) -> None:
    stage = start(connector("notes", root=tmp_path))
    assert session(stage, stage.token(), protocolVersion=asked)["MCP-Protocol-Version"] == given


def test_a_session_is_its_makers_alone_and_ends_for_good(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token, other = stage.token(), stage.token("other")
    headers = session(stage, token)
    assert post(stage, token, rpc("ping"), **headers)[2]["result"] == {}
    assert post(stage, other, rpc("ping"), **headers)[0] == 404
    assert post(stage, stage.token(), rpc("ping"), **headers)[0] == 200  # a newer token of its maker: see test_holders.py
    assert post(stage, token, rpc("ping"), "/mcp/notes", **headers)[0] == 404
    assert post(stage, token, rpc("ping"))[0] == 400
    assert post(stage, token, rpc("ping"), **{**headers, "MCP-Protocol-Version": "2024-01-01"})[0] == 400
    request = urllib.request.Request(f"{stage.url}/mcp", method="DELETE", headers={**headers, "Authorization": f"Bearer {token}"})
    assert urllib.request.urlopen(request, timeout=10).status == 204
    assert post(stage, token, rpc("ping"), **headers)[0] == 404


def test_a_servers_question_reaches_the_client_only_where_the_operator_lets_it(start: Any, tmp_path: Any) -> None:
    stage = start(
        connector("shy", root=tmp_path), connector("open", root=tmp_path, client_requests=("elicitation",), timeout_ms=20_000)
    )
    token = stage.token()
    headers = session(stage, token)
    refused = post(stage, token, rpc("tools/call", {"name": "shy__elicit", "arguments": {"text": "x"}}), **headers)[2]
    assert "does not forward" in json.dumps(refused)
    base = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
    body = json.dumps(rpc("tools/call", {"name": "open__elicit", "arguments": {"text": "x"}}, 7)).encode()
    request = urllib.request.Request(f"{stage.url}/mcp", body, {**base, **headers})
    with urllib.request.urlopen(request, timeout=30) as stream:
        assert stream.headers["X-Accel-Buffering"] == "no"
        events = (json.loads(line[6:]) for line in stream if line.startswith(b"data: "))
        question = next(events)
        assert question["method"] == "elicitation/create"
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"name": "Ada"}}}
        assert post(stage, stage.token("other"), answer, **headers)[0] == 404
        assert post(stage, token, answer, **headers)[0] == 202
        assert "Ada" in json.dumps(next(events))


def test_a_cancelled_request_is_withdrawn(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    headers = session(stage, token)
    answer: list[Any] = []
    params = {"name": "notes__ask_first", "arguments": {"text": "x"}}
    held = threading.Thread(target=lambda: answer.append(post(stage, token, rpc("tools/call", params, 5), **headers)))
    held.start()
    deadline = time.monotonic() + 10
    while not [each for each in stage.records() if each["type"] == "approval.asked"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert post(stage, token, rpc("notifications/cancelled", {"requestId": 5}, None), **headers)[0] == 202
    held.join(20)
    time.sleep(0.3)
    answers = [each["answer"] for each in stage.records() if each["type"] == "approval.answered"]
    assert answers == ["withdrawn"] and stage.effects == []
    assert answer[0][0] in (200, 202) and not answer[0][2]  # what was cancelled gets no answer


def test_resources_and_prompts_are_decided_and_named_by_connector(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    headers = session(stage, token)
    listed = post(stage, token, rpc("resources/list"), **headers)[2]["result"]["resources"]
    assert [each["uri"] for each in listed] == ["notes+file:///open.txt"]
    read = post(stage, token, rpc("resources/read", {"uri": "notes+file:///open.txt"}), **headers)[2]
    assert read["result"]["contents"][0]["text"] == "hello"
    denied = post(stage, token, rpc("resources/read", {"uri": "notes+file:///secret.txt"}), **headers)[2]
    assert denied["error"]["code"] == -31001 and "secrets stay here" in denied["error"]["message"]
    assert stage.effects == [["read", {"uri": "file:///open.txt"}]]
    assert post(stage, token, rpc("prompts/get", {"name": "notes__greet"}), **headers)[2]["result"]["messages"]


def test_a_hook_gives_later_calls_their_prompt(start: Any, tmp_path: Any) -> None:
    import hashlib

    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    event = {"hook_event_name": "UserPromptSubmit", "prompt": "please echo", "session_id": "x"}
    status, _, answer = post(stage, token, event, "/hook")
    assert status == 200
    assert post(stage, None, event, "/hook")[0] == 401
    headers = session(stage, token)
    post(stage, token, rpc("tools/call", {"name": "notes__echo", "arguments": {"text": "x"}}), **headers)
    records = stage.records()
    seen = next(each for each in records if each["type"] == "prompt.seen")
    assert seen["digest"] == "sha256:" + hashlib.sha256(b"please echo").hexdigest() and "please" not in json.dumps(seen)
    decided = next(each for each in records if each["type"] == "action.decided")
    assert decided["prompt"] == seen["id"] == answer["interlock"]["prompt"]

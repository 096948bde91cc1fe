"""Several messages in one body, which the revision 2025-03-26 alone has: each is served as if it came by itself, bounded together."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import connector, post, rule
from test_legacy import rpc, session

from interlock.gateway.outlet import Stream

RULES = (rule("some", "allow", "tool.call", tool=["echo", "progress"]), rule("none", "deny", "tool.call", tool=["send"], because="not that"))


def call(tool: str, identity: Any, **more: Any) -> dict[str, Any]:
    return rpc("tools/call", {"name": f"notes__{tool}", "arguments": {"text": "x"}, **more}, identity)


def test_each_message_is_decided_by_itself_and_one_is_not_the_others_excuse(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    headers = session(stage, token, protocolVersion="2025-03-26")
    batch = [call("echo", 1), call("send", 2), {"jsonrpc": "1.0"}, rpc("initialize", {}, 3), rpc("notifications/initialized", identity=None), call("echo", 1)]
    status, _, answers = post(stage, token, batch, **headers)
    assert status == 200 and len(answers) == 5
    assert answers[0]["id"] == 1 and answers[0]["result"]["content"][0]["text"] == "echo: x"
    assert answers[1]["id"] == 2 and answers[1]["result"]["isError"] and "not that" in str(answers[1])
    assert "id" not in answers[2] and answers[2]["error"]["code"] == -32600
    assert answers[3]["id"] == 3 and answers[3]["error"]["code"] == -32600
    assert "running already" in answers[4]["error"]["message"]
    assert stage.effects == [["echo", {"text": "x"}]]
    assert [each["decision"]["decision"] for each in stage.decided("tool.call")] == ["allow", "deny"]


def test_what_is_said_before_the_answers_comes_with_them_on_one_stream(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    headers = session(stage, token, protocolVersion="2025-03-26")
    _, _, events = post(stage, token, [call("progress", 1, _meta={"progressToken": "p"}), call("echo", 2)], **headers)
    assert [each["params"]["progress"] for each in events if each.get("method") == "notifications/progress"] == [0, 1, 2]
    assert [each["id"] for each in events if "id" in each] == [1, 2]


def test_only_what_is_not_answered_is_accepted_without_a_word(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    headers = session(stage, token, protocolVersion="2025-03-26")
    status, _, answer = post(stage, token, [rpc("notifications/initialized", identity=None), {"jsonrpc": "2.0", "id": "x", "result": {}}], **headers)
    assert (status, answer) == (202, None)


def test_what_no_stream_is_needed_for_leaves_none_behind(start: Any, tmp_path: Path) -> None:
    """A batch without a request, and a request whose id runs already: they would be kept for as long as the session lives."""
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    headers = session(stage, token, protocolVersion="2025-03-26")
    before = streams()
    for _ in range(20):
        post(stage, token, [rpc("notifications/initialized", identity=None)], **headers)
        post(stage, token, [call("echo", 1), call("echo", 1)], **headers)
    assert streams() - before <= 2


def streams() -> int:
    """Those that the gateway, which is in this process, holds."""
    gc.collect()
    return sum(isinstance(each, Stream) for each in gc.get_objects())


@pytest.mark.parametrize("version", ["2024-11-05", "2025-06-18", "2025-11-25"])
def test_no_other_revision_takes_a_batch(start: Any, tmp_path: Path, version: str) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    headers = session(stage, token, protocolVersion=version)
    status, _, answer = post(stage, token, [call("echo", 1)], **headers)
    assert status == 400 and answer["error"]["code"] == -32600 and stage.effects == []


def test_a_batch_is_bounded_and_belongs_to_a_session(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    headers = session(stage, token, protocolVersion="2025-03-26")
    for batch in ([], [call("echo", number) for number in range(33)]):
        assert post(stage, token, batch, **headers)[0] == 400
    assert post(stage, token, [call("echo", 1)])[0] == 400
    assert post(stage, stage.token("other"), [call("echo", 1)], **headers)[0] == 404
    assert post(stage, token, [[call("echo", 1)]], **headers)[2][0]["error"]["code"] == -32600
    assert stage.effects == []

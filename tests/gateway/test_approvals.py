"""A yes is for one question: not for other arguments, not for a second call, not after a restart, not for somebody else."""

from __future__ import annotations

import threading
import time
from typing import Any

from gateway_stage import call, connector, modern

from interlock.approvals.inbox import Inbox


def waiting(stage: Any, count: int) -> list[Any]:
    inbox = Inbox(str(stage.root / "inbox.sqlite"))
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        questions = inbox.pending()
        if len(questions) >= count:
            return questions
        time.sleep(0.02)
    raise AssertionError(f"{count} questions did not come")


def calling(stage: Any, token: str, found: dict[str, Any], **arguments: Any) -> threading.Thread:
    def run() -> None:
        found[arguments["text"] + arguments.get("as_", "")] = call(stage, token, "notes__ask_first", text=arguments["text"])

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_yes_to_one_call_is_none_to_an_equal_or_another_one(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path, concurrency=8))
    token, found = stage.token(), {}
    callers = [
        calling(stage, token, found, text="small"),
        calling(stage, token, found, text="small", as_="2"),
        calling(stage, token, found, text="large"),
    ]
    questions = waiting(stage, 3)
    assert len({question.digest for question in questions}) == 3
    inbox = Inbox(str(stage.root / "inbox.sqlite"))
    chosen = next(each for each in questions if each.action["target"]["arguments"] == {"text": "small"})
    inbox.answer(chosen.id, meant="once", approver="uid:0")
    time.sleep(0.5)
    for question in inbox.pending():
        inbox.answer(question.id, meant="no", approver="uid:0")
    for caller in callers:
        caller.join()
    assert stage.effects == [["ask_first", {"text": "small"}]]
    assert sorted(bool(each.get("isError")) for each in found.values()) == [False, True, True]


def test_what_was_shown_is_what_was_sent(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    found: dict[str, Any] = {}
    caller = calling(stage, stage.token(), found, text="the very text")
    [question] = waiting(stage, 1)
    Inbox(str(stage.root / "inbox.sqlite")).answer(question.id, meant="once", approver="uid:0")
    caller.join()
    assert stage.effects == [["ask_first", question.action["target"]["arguments"]]]
    records = stage.records()
    answered = next(each for each in records if each["type"] == "approval.answered")
    allowed = [each for each in records if each["type"] == "action.decided" and each["decision"]["decision"] == "allow"]
    assert answered["digest"] == question.digest == allowed[0]["facts"]["grants"][0]["digest"]
    assert allowed[0]["decision"]["rules"] == ["test/asking"]


def test_nobody_in_time_is_a_no(start: Any, tmp_path: Any) -> None:
    from gateway_stage import rule

    rules = (rule("asking", "approve", "tool.call", tool=["*"], timeout_ms=300),)
    stage = start(connector("notes", root=tmp_path), rules=rules)
    result = call(stage, stage.token(), "notes__send", text="x")
    assert result["isError"] and "in time" in result["content"][0]["text"] and stage.effects == []


def test_a_modern_client_that_goes_away_withdraws_its_question(start: Any, tmp_path: Any) -> None:
    import http.client
    import json

    from gateway_stage import META

    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    modern(stage, token, "tools/list")
    connection = http.client.HTTPConnection("127.0.0.1", stage.port)
    params = {"name": "notes__ask_first", "arguments": {"text": "x"}, "_meta": META}
    headers = {
        "Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "notes__ask_first",
    }  # fmt: skip
    connection.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}), headers)
    waiting(stage, 1)
    connection.close()
    inbox = Inbox(str(stage.root / "inbox.sqlite"))
    deadline = time.monotonic() + 10
    while inbox.pending():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    assert stage.effects == []
    assert [each["answer"] for each in stage.records() if each["type"] == "approval.answered"] == ["withdrawn"]


def test_a_log_that_refuses_is_a_denial_that_says_so(start: Any, tmp_path: Any) -> None:
    from interlock.app.gateway_ports import LogRecorder
    from interlock.mediate.ports import RecordFailed

    class Broken(LogRecorder):
        async def durable(self, record: Any) -> int:
            raise RecordFailed("no space left on device")

    stage = start(connector("notes", root=tmp_path), recorder=Broken)
    result = call(stage, stage.token(), "notes__echo", text="x")
    assert result["isError"] and "no space left" in result["content"][0]["text"] and stage.effects == []

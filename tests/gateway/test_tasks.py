"""Tasks of a server: handles of ours, each request authorized by itself, decided where it brings words of the client, held to what the tool
promises, on disk before the agent has the handle."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import META, post, rule
from servers.tasks import EXTENSION, Tasks
from test_legacy import rpc, session

from interlock.app.gateway_ports import SystemClock
from interlock.connectors.configuration import Connector, Http
from interlock.storage.tasks import TaskStore

CLAIMS = {"extensions": {EXTENSION: {}}, "elicitation": {}}
RULES = (
    rule("all", "allow", "tool.call", tool=["*"]),
    rule("publishing", "approve", "tool.call", tool=["confirm_delete"], because="a human looks first"),
)


@pytest.fixture
def server() -> Iterator[Tasks]:
    server = Tasks()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def stage(start: Any, server: Tasks) -> Any:
    return start(Connector("up", Http(server.url), client_requests=("elicitation",)), rules=RULES)


def ask(stage: Any, token: str, method: str, params: dict[str, Any], path: str = "/mcp/up", claims: Any = CLAIMS, **meta: Any) -> Any:
    params = {**params, "_meta": {**META, "io.modelcontextprotocol/clientCapabilities": claims, **meta}}
    named = params.get("taskId") or params.get("name")
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, **({"Mcp-Name": named} if named else {})}
    _, _, answer = post(stage, token, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, path, **headers)
    return answer[-1] if isinstance(answer, list) else answer


def created(stage: Any, token: str, tool: str, path: str = "/mcp/up", **arguments: Any) -> str:
    name = tool if path == "/mcp/up" else f"up__{tool}"
    result = ask(stage, token, "tools/call", {"name": name, "arguments": arguments}, path)["result"]
    assert result["resultType"] == "task", result
    return str(result["taskId"])


def ended(stage: Any, token: str, task: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while True:
        result = ask(stage, token, "tasks/get", {"taskId": task})["result"]
        if result["status"] not in ("working", "input_required"):
            return dict(result)
        assert time.monotonic() < deadline, result
        time.sleep(0.05)


def test_a_handle_is_ours_and_what_a_task_ends_with_is_recorded_before_it_is_handed_on(stage: Any, server: Tasks) -> None:
    token = stage.token()
    task = created(stage, token, "publish", n=3)
    assert task not in server.tasks and not any(own in task for own in server.tasks)
    assert ended(stage, token, task)["result"]["structuredContent"] == {"n": 3}
    records = stage.records()
    decided = next(each for each in records if each["type"] == "action.decided")
    enacted = next(each for each in records if each["type"] == "action.enacted")
    assert (enacted["effect"], enacted["status"], enacted["action"]) == ("unknown", "task", decided["action"]["id"])
    told = next(each for each in records if each["type"] == "task.ended")
    assert told["action"] == decided["action"]["id"] and told["status"] == "completed" and told["result"]["digest"].startswith("sha256:")


def test_a_task_is_its_agents_alone_at_its_connector(start: Any, server: Tasks) -> None:
    up = Connector("up", Http(server.url), client_requests=("elicitation",))
    stage = start(up, Connector("other", Http(server.url)), rules=RULES)
    token, foreign = stage.token(), stage.token("other")
    task = created(stage, token, "slow_compute", "/mcp", seconds=30)
    asked = {"taskId": task}
    own = next(iter(server.tasks))
    for who, path, params in ((foreign, "/mcp", asked), (foreign, "/mcp/up", asked), (token, "/mcp/other", asked), (token, "/mcp", {"taskId": own})):
        for method in ("tasks/get", "tasks/cancel"):
            answer = ask(stage, who, method, params, path)
            assert answer["error"]["code"] == -32602 and answer["error"]["message"] == "Unknown task"
        answer = ask(stage, who, "tasks/update", {**params, "inputResponses": {}}, path)
        assert answer["error"]["code"] == -32602
    assert not [each for each in server.seen if each["method"].startswith("tasks/")]
    assert ask(stage, stage.token(), "tasks/get", asked)["result"]["status"] == "working"  # its agent's newer token
    assert ask(stage, token, "tasks/cancel", asked, "/mcp")["result"]["resultType"] == "complete"
    assert ended(stage, token, task)["status"] == "cancelled"
    assert [each["agent"] for each in stage.records() if each["type"] == "task.cancelled"] == ["coder"]


def test_a_handle_leads_to_its_task_after_the_gateway_was_ended(start: Any, server: Tasks) -> None:
    first = start(Connector("up", Http(server.url)), rules=RULES)
    task = created(first, first.token(), "publish", n=4)
    second = start(Connector("up", Http(server.url)), rules=RULES)  # a gateway of the same state; the first is not asked
    assert ended(second, second.token(), task)["result"]["structuredContent"] == {"n": 4}
    third = start(Connector("up", Http(server.url)), rules=(rule("none", "deny", "tool.call", tool=["publish"], because="no more"),))
    answer = ask(third, third.token(), "tasks/get", {"taskId": task})
    assert answer["error"]["code"] == -31001 and "no more" in answer["error"]["message"]
    stricter = rule("four", "deny", "tool.call", tool=["publish"], arguments=[{"at": "/n", "test": "equals", "value": 4}])
    fourth = start(Connector("up", Http(server.url)), rules=(RULES[0], stricter))
    assert ask(fourth, fourth.token(), "tasks/get", {"taskId": task})["error"]["code"] == -31001  # by the arguments of then


def test_answers_to_a_task_are_decided_and_a_human_is_asked_about_them_and_not_about_each_look(stage: Any, server: Tasks) -> None:
    token = stage.token()
    human = threading.Thread(target=stage.answer_next, kwargs={"yes": True})
    human.start()
    task = created(stage, token, "confirm_delete")
    human.join()
    for _ in range(3):
        waiting = ask(stage, token, "tasks/get", {"taskId": task})["result"]
    assert waiting["status"] == "input_required"
    (key,) = waiting["inputRequests"]
    answers = {key: {"action": "accept", "content": {"confirm": True}}}
    human = threading.Thread(target=stage.answer_next, kwargs={"yes": False})
    human.start()
    refused = ask(stage, token, "tasks/update", {"taskId": task, "inputResponses": answers})
    human.join()
    assert refused["error"]["code"] == -31001 and not [each for each in server.seen if each["method"] == "tasks/update"]
    human = threading.Thread(target=stage.answer_next, kwargs={"yes": True})
    human.start()
    assert ask(stage, token, "tasks/update", {"taskId": task, "inputResponses": answers})["result"]["resultType"] == "complete"
    human.join()
    assert ended(stage, token, task)["status"] == "completed"
    asked = [each["action"]["target"] for each in stage.decided("tool.call") if each["action"]["target"].get("method") == "tasks/update"]
    assert asked and all(each["beside"]["inputResponses"] == answers for each in asked)
    assert len([each for each in stage.records() if each["type"] == "approval.asked"]) == 3


def test_a_look_at_a_task_and_its_end_carry_no_words_of_the_agents(stage: Any, server: Tasks) -> None:
    """Nothing is decided or recorded about them, so there is nothing that they could bring along."""
    token = stage.token()
    words = {"extensions": {EXTENSION: {"note": "smuggled"}}, "elicitation": {"note": "smuggled"}}
    task = created(stage, token, "slow_compute", seconds=30)
    assert ask(stage, token, "tasks/get", {"taskId": task}, claims=words, note="smuggled")["result"]["status"] == "working"
    assert ask(stage, token, "tasks/cancel", {"taskId": task}, claims=words, note="smuggled")["result"]["resultType"] == "complete"
    sent = [each for each in server.seen if each["method"].startswith("tasks/")]
    assert len(sent) == 2 and "smuggled" not in json.dumps(sent)


def test_what_a_task_ends_with_is_held_to_what_its_tool_promises(stage: Any) -> None:
    token = stage.token()
    result = ended(stage, token, created(stage, token, "publish", n="nine"))["result"]
    assert result["isError"] and "withheld" in result["content"][0]["text"] and "structuredContent" not in result
    assert "output schema" in next(each for each in stage.records() if each["type"] == "task.ended")["withheld"]
    failed = ended(stage, token, created(stage, token, "protocol_error_job"))
    assert failed["error"]["code"] == -32603 and "The server's own words" in failed["error"]["message"] and "result" not in failed


def test_what_no_operator_forwards_and_no_client_takes_is_not_handed_on(stage: Any, server: Tasks) -> None:
    token = stage.token()
    answer = ask(stage, token, "tasks/get", {"taskId": created(stage, token, "asks_for_a_key")})
    assert "does not forward" in answer["error"]["message"] and "inputRequests" not in json.dumps(answer)
    undeclared = ask(stage, token, "tools/call", {"name": "unasked_task", "arguments": {}}, claims={})["result"]
    assert undeclared["isError"] and "taskId" not in undeclared
    odd = ask(stage, token, "tools/call", {"name": "odd_task", "arguments": {}})["result"]
    assert odd["isError"] and "taskId" not in odd
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        error = ask(stage, token, method, {"taskId": "x", "inputResponses": {}}, claims={})["error"]
        assert error["code"] == -32021 and error["data"]["requiredCapabilities"] == {"extensions": {EXTENSION: {}}}
    listen = ask(stage, token, "subscriptions/listen", {"notifications": {"taskIds": ["x"]}}, claims={})
    assert listen["error"]["code"] == -32021


def test_an_older_client_is_never_given_a_task(stage: Any, server: Tasks) -> None:
    token = stage.token()
    headers = session(stage, token, "/mcp/up")
    answer = post(stage, token, rpc("tools/call", {"name": "slow_compute", "arguments": {"seconds": 0}, "task": {"ttl": 1}}), "/mcp/up", **headers)[2]
    assert answer["result"]["content"][0]["text"] == "computed"
    call = next(each for each in server.seen if each["method"] == "tools/call")
    assert "task" not in call["params"] and "extensions" not in json.dumps(call)
    assert post(stage, token, rpc("tasks/get", {"taskId": "x"}), "/mcp/up", **headers)[2]["error"]["code"] == -32601


def test_a_task_that_cannot_be_kept_is_not_handed_out(stage: Any, server: Tasks, tmp_path: Path) -> None:
    import sqlite3

    token = stage.token()
    lock = sqlite3.connect(tmp_path / "tasks.sqlite", isolation_level=None)
    lock.execute("DROP TABLE task")
    result = ask(stage, token, "tools/call", {"name": "publish", "arguments": {}})["result"]
    assert result["isError"] and "could not be kept" in result["content"][0]["text"] and "taskId" not in result
    assert len(server.tasks) == 1  # the server made one, and the agent is told that nobody knows what became of it
    lock.close()


def test_a_disk_that_keeps_no_task_holds_up_its_own_call_alone(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    token, keep, moves = stage.token(), TaskStore.keep, threading.Event()
    entered = threading.Event()

    def slow(*arguments: Any) -> None:
        entered.set()
        assert moves.wait(60)
        keep(*arguments)

    monkeypatch.setattr(TaskStore, "keep", slow)
    found: list[str] = []
    caller = threading.Thread(target=lambda: found.append(created(stage, token, "publish", n=3)))
    caller.start()
    assert entered.wait(30)
    greeting = ask(stage, token, "tools/call", {"name": "greet", "arguments": {"name": "Ada"}})["result"]
    assert greeting["content"][0]["text"] == "Hello, Ada!" and not found
    moves.set()
    caller.join(30)
    assert ended(stage, token, found[0])["result"]["structuredContent"] == {"n": 3}


def test_a_handle_lives_by_a_clock_that_nobody_sets(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    token = stage.token()
    task = created(stage, token, "publish", n=3)
    monkeypatch.setattr(SystemClock, "now_ms", lambda _: 0)
    assert ended(stage, token, task)["status"] == "completed"
    later = SystemClock().steady_ms() + 31 * 24 * 3_600_000
    monkeypatch.setattr(SystemClock, "steady_ms", lambda _: later)
    assert ask(stage, token, "tasks/get", {"taskId": task})["error"]["code"] == -32602

"""The view that does not fill a model's context: three tools, whatever is behind them; what is decided, asked about and recorded is the tool that is named."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import mcp
import pytest
from gateway_stage import connector, modern, post, rule
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from test_approvals import waiting
from test_legacy import INITIALIZE, rpc, session
from test_list_forms import GOOD, lists

from interlock.approvals.inbox import Inbox

RULES = (
    rule("some", "allow", "tool.call", "tool.list", tool=["echo", "sum", "erase", "tool-*", "limited"]),
    rule("erasing", "deny", "tool.call", operation=["delete"], because="nothing is deleted by agents"),
    rule("big", "deny", "tool.call", tool=["limited"], arguments=[{"at": "/text", "test": "equals", "value": "big"}], because="too big"),
    rule("asking", "approve", "tool.call", tool=["ask_first"], because="a human looks first"),
)


def brief(stage: Any, token: str, tool: str, path: str = "/brief", /, **arguments: Any) -> Any:
    _, answer = modern(stage, token, "tools/call", {"name": tool, "arguments": arguments}, path)
    answer = answer[-1] if isinstance(answer, list) else answer
    return answer.get("result", answer)


def names(found: Any) -> list[str]:
    return [each["name"] for each in found["structuredContent"]["tools"]]


def test_the_list_is_as_long_with_a_thousand_tools_as_with_none(start: Any, tmp_path: Path) -> None:
    tools = [{"name": f"tool-{number}", "description": "words " * 200, "inputSchema": GOOD} for number in range(1_000)]
    stage = start(lists(tmp_path, tools=tools), connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    listed = modern(stage, token, "tools/list", path="/brief")[1]["result"]
    assert [each["name"] for each in listed["tools"]] == ["call_tool", "describe_tools", "search_tools"] and len(json.dumps(listed)) < 2_500
    assert len(json.dumps(modern(stage, token, "server/discover", path="/brief")[1])) < 1_500
    found = brief(stage, token, "search_tools", query="words", limit=50)
    assert len(names(found)) == 50 and found["structuredContent"]["more"] == 950 and len(json.dumps(found)) < 40_000
    assert brief(stage, token, "call_tool", name="lists__tool-999", arguments={})["content"] == []
    assert (tmp_path / "calls").read_text() == "tool-999\n"


def test_tools_are_found_by_words_and_described_whole(start: Any, tmp_path: Path) -> None:
    deploy = {"name": "deployService", "description": "Roll a build out.", "inputSchema": {"type": "object", "properties": {"region": {"type": "string"}}}}
    other = {"name": "tool-b", "description": "Deploys nothing, whatever a service is.", "inputSchema": GOOD}
    stage = start(lists(tmp_path, tools=[other, deploy]), rules=(rule("all", "allow", "tool.call", "tool.list"),))
    token = stage.token()
    assert names(brief(stage, token, "search_tools", query="deploy a SERVICE")) == ["lists__deployService", "lists__tool-b"]
    assert names(brief(stage, token, "search_tools", query="region")) == ["lists__deployService"]
    assert names(brief(stage, token, "search_tools", query="")) == ["lists__deployService", "lists__tool-b"]
    assert names(brief(stage, token, "search_tools", query="nowhere")) == []
    (described,) = brief(stage, token, "describe_tools", names=["lists__deployService"])["structuredContent"]["tools"]
    (listed,) = [each for each in modern(stage, token, "tools/list")[1]["result"]["tools"] if each["name"] == "lists__deployService"]
    assert described == listed


def test_a_call_is_decided_and_recorded_as_the_tools_own(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    assert brief(stage, token, "call_tool", name="notes__echo", arguments={"text": "x"})["content"][0]["text"] == "echo: x"
    assert brief(stage, token, "call_tool", name="notes__sum", arguments={"text": "x"})["structuredContent"] == {"n": 3}
    for tool, text, why in (("erase", "x", "nothing is deleted"), ("limited", "big", "too big"), ("send", "x", "no rule allows it")):
        denied = brief(stage, token, "call_tool", name=f"notes__{tool}", arguments={"text": text})
        assert denied["isError"] and why in denied["content"][0]["text"] and denied["_meta"]["interlock/effect"] == "not sent"
    unfit = brief(stage, token, "call_tool", name="notes__echo", arguments={"text": 7})
    assert unfit["isError"] and "do not match the tool's schema" in unfit["content"][0]["text"]
    assert stage.effects == [["echo", {"text": "x"}], ["sum", {"text": "x"}]]
    targets = [each["action"]["target"] for each in stage.decided("tool.call")]
    assert sorted((each["connector"], each["tool"]) for each in targets) == [("notes", tool) for tool in ("echo", "echo", "erase", "limited", "send", "sum")]
    assert {"text": "x"} in [each["arguments"] for each in targets] and not any("call_tool" in json.dumps(each) for each in stage.records())


def test_what_policy_hides_is_neither_found_nor_described_nor_called(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    assert "notes__echo" in names(brief(stage, token, "search_tools", query="it", limit=50))
    for hidden in ("send", "erase", "email"):
        assert names(brief(stage, token, "search_tools", query=hidden)) == []
        said = brief(stage, token, "describe_tools", names=["notes__echo", f"notes__{hidden}"])
        assert said["isError"] and "is not a tool here" in said["content"][0]["text"]
        assert brief(stage, token, "call_tool", name=f"notes__{hidden}", arguments={"text": "x"})["isError"]
    assert stage.effects == []


def test_a_human_is_asked_about_the_tool_and_its_arguments(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token, found = stage.token(), []
    arguments = {"name": "notes__ask_first", "arguments": {"text": "the very text"}}
    caller = threading.Thread(target=lambda: found.append(brief(stage, token, "call_tool", **arguments)))
    caller.start()
    (question,) = waiting(stage, 1)
    assert (question.action["target"]["tool"], question.action["target"]["arguments"]) == ("ask_first", {"text": "the very text"})
    Inbox(str(stage.root / "inbox.sqlite")).answer(question.id, meant="once", approver="uid:0")
    caller.join()
    assert found[0]["content"][0]["text"] == "ask_first: the very text" and stage.effects == [["ask_first", {"text": "the very text"}]]


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"name": "call_tool", "arguments": {"name": "notes__echo", "arguments": {"text": "x"}}}, {"name": "search_tools"},
        {"name": 7}, {"name": "notes__echo", "arguments": "text"}, {"name": "notes__echo", "text": "x"}, {"name": "echo", "arguments": {"text": "x"}},
        {"name": "notes__nothing", "arguments": {}}, {"name": "", "arguments": {}},
    ],
)  # fmt: skip
def test_a_call_that_names_no_tool_is_a_result_that_says_so(start: Any, tmp_path: Path, arguments: dict[str, Any]) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    found = brief(stage, stage.token(), "call_tool", **arguments)
    assert found["isError"] and found["_meta"]["interlock/effect"] == "not sent" and stage.effects == []


def test_what_is_asked_of_the_search_is_held_to_its_bounds(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    for arguments in ({}, {"query": 3}, {"query": "x" * 501}, {"query": "x", "limit": 0}, {"query": "x", "limit": 51}, {"query": "x", "limit": True}):
        assert brief(stage, token, "search_tools", **arguments)["isError"], arguments
    for asked in ([], ["notes__echo"] * 11, "notes__echo", [3]):
        assert brief(stage, token, "describe_tools", names=asked)["isError"], asked
    assert modern(stage, token, "tools/call", {"name": "notes__echo", "arguments": {"text": "x"}}, "/brief")[1]["error"]["code"] == -32602
    assert stage.effects == []


def test_a_session_is_of_its_view_and_one_connector_has_its_own_names(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), connector("other", root=tmp_path), rules=RULES)
    token = stage.token()
    headers = session(stage, token, "/brief")
    for path, status in (("/mcp", 404), ("/brief/notes", 404), ("/brief", 200)):
        assert post(stage, token, rpc("tools/list"), path, **headers)[0] == status
    whole = session(stage, token)
    assert post(stage, token, rpc("tools/list"), "/brief", **whole)[0] == 404
    alone = session(stage, token, "/brief/notes")
    _, _, answer = post(stage, token, rpc("tools/call", {"name": "search_tools", "arguments": {"query": "echo"}}), "/brief/notes", **alone)
    assert names(answer["result"]) == ["echo"]
    assert brief(stage, token, "call_tool", "/brief/notes", name="echo", arguments={"text": "x"})["content"][0]["text"] == "echo: x"
    assert brief(stage, token, "call_tool", "/brief/notes", name="notes__echo", arguments={"text": "x"})["isError"]
    assert modern(stage, token, "tools/list", path="/brief/nobody")[0] == 404 and modern(stage, None, "tools/list", path="/brief")[0] == 401
    said = post(stage, token, rpc("initialize", INITIALIZE), "/brief")[2]["result"]["instructions"]
    assert "`notes`, `other`" in said and "Use me with care" not in said


def test_progress_reaches_the_client_of_a_call_that_is_handed_on(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=(rule("all", "allow", "tool.call"),))
    token = stage.token()
    call = {"name": "call_tool", "arguments": {"name": "notes__progress", "arguments": {"text": "x"}}, "_meta": {"progressToken": "p"}}
    _, _, answer = post(stage, token, rpc("tools/call", call), "/brief", **session(stage, token, "/brief"))
    assert [each["params"]["progress"] for each in answer if each.get("method") == "notifications/progress"] == [0, 1, 2]


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
def test_the_sdk_searches_describes_and_calls(start: Any, tmp_path: Path, era: str) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)

    async def played() -> Any:
        headers = {"Authorization": f"Bearer {stage.token()}"}
        async with (
            create_mcp_http_client(headers=headers) as http,
            mcp.Client(streamable_http_client(f"{stage.url}/brief", http_client=http), mode=era) as client,
        ):
            assert len((await client.list_tools()).tools) == 3
            found = await client.call_tool("search_tools", {"query": "echo"})
            (name,) = [each["name"] for each in found.structured_content["tools"]]
            described = await client.call_tool("describe_tools", {"names": [name]})
            assert "inputSchema" in described.content[0].text
            return await client.call_tool("call_tool", {"name": name, "arguments": {"text": "hi"}})

    assert asyncio.run(played()).content[0].text == "echo: hi"

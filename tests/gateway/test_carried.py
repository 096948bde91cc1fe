"""What else of the protocol passes, or is said: instructions, user interfaces, null parameters, old revisions, names, words for tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_stage import META, call, connector, modern, post, rule
from test_legacy import INITIALIZE, rpc, session

from interlock.gateway.catalogue import own_uri, public_uri


def test_what_servers_say_of_their_use_arrives_as_their_own_words(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path), connector("other", root=tmp_path))
    token = stage.token()
    for path, names in (("/mcp", ["notes", "other"]), ("/mcp/notes", ["notes"])):
        for answer in (modern(stage, token, "server/discover", path=path)[1], post(stage, token, rpc("initialize", INITIALIZE), path)[2]):
            said = answer["result"]["instructions"]
            assert said.count("Use me with care.\nThen stop’.") == len(names)
            assert [name for name in ("notes", "other") if f"The server `{name}` says of its use, in its own words: “" in said] == names


def test_a_tools_user_interface_is_found_under_the_name_that_its_definition_has(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path), rules=(rule("all", "allow", "tool.call", "resource.read"),))
    token = stage.token()
    for path, wanted in (("/mcp", "ui://notes+board/main"), ("/mcp/notes", "ui://board/main")):
        tools = {each["name"].removeprefix("notes__"): each for each in modern(stage, token, "tools/list", path=path)[1]["result"]["tools"]}
        assert tools["shown"]["_meta"]["ui"]["resourceUri"] == wanted
        assert "result" in modern(stage, token, "resources/read", {"uri": wanted}, path)[1]
    assert [each["uri"] for each in stage.seen("resources/read")] == ["ui://board/main"] * 2
    assert own_uri(public_uri("c", "ui://a+b/c")) == ("c", "ui://a+b/c")


def test_null_where_there_are_no_parameters_is_taken(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    headers = session(stage, token)
    assert post(stage, token, {"jsonrpc": "2.0", "id": 3, "method": "ping", "params": None}, **headers)[2]["result"] == {}


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_each_revision_with_sessions_is_spoken_as_asked(start: Any, tmp_path: Any, revision: str) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    headers = session(stage, token, protocolVersion=revision)
    assert headers["MCP-Protocol-Version"] == revision
    found = post(stage, token, rpc("tools/call", {"name": "notes__echo", "arguments": {"text": "x"}}), **headers)[2]
    assert (found[-1] if isinstance(found, list) else found)["result"]["content"][0]["text"] == "echo: x"


def test_names_leave_room_for_a_clients_prefix(start: Any, tmp_path: Any) -> None:
    stage = start(connector("a-name-of-thirty-two-characters-", root=tmp_path), rules=(rule("all", "allow", "tool.call"),))
    token = stage.token()
    names = [each["name"] for each in modern(stage, token, "tools/list")[1]["result"]["tools"]]
    assert len(names) > 8 and max(len(f"mcp__interlock__{name}") for name in names) <= 64
    [long] = [name for name in names if "l_schen" in name or name.count("-") > 6]
    assert not call(stage, token, long, text="x").get("isError")


def test_who_comes_without_a_good_token_is_told_how_to_get_one(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
    status, headers, answer = post(stage, stage.token(ttl_ms=1), listing)
    assert status == 401 and "interlock agent token" in headers["WWW-Authenticate"]
    assert "expired" in answer["error"]["message"] and "interlock agent token" in json.dumps(answer)


def test_an_approval_refused_ends_with_a_denial_in_the_record(start: Any, tmp_path: Any) -> None:
    import threading

    stage = start(connector("notes", root=tmp_path))
    threading.Thread(target=stage.answer_next, kwargs={"yes": False}).start()
    assert call(stage, stage.token(), "notes__ask_first", text="x")["isError"] and stage.effects == []
    assert [each["decision"]["decision"] for each in stage.decided("tool.call")] == ["approve", "deny"]

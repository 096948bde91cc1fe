"""The thinnest slice: one stdio server behind POST /mcp, both eras, allowed, denied and approved."""

from __future__ import annotations

import threading
from typing import Any

from gateway_stage import call, connector, modern


def test_list_shows_what_could_be_allowed_and_nothing_else(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    _, answer = modern(stage, stage.token(), "tools/list")
    names = [each["name"] for each in answer["result"]["tools"]]
    assert "notes__echo" in names and "notes__ask_first" in names and "notes__limited" in names
    assert "notes__erase" not in names and "notes__send" not in names and "notes__far" not in names
    assert names == sorted(names) and all(len(name) <= 64 for name in names)


def test_an_allowed_call_reaches_the_server_with_its_record_before(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    result = call(stage, stage.token(), "notes__echo", text="hello")
    assert result["content"][0]["text"] == "echo: hello" and not result.get("isError")
    assert stage.effects == [["echo", {"text": "hello"}]]
    types = [record["type"] for record in stage.records() if record["type"].startswith("action")]
    assert types == ["action.decided", "action.observed", "action.enacted"]
    assert stage.launcher.contexts == ["s-20261121T120000-abcdef/0", None]


def test_a_denied_call_says_which_rule_and_has_no_effect(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    result = call(stage, stage.token(), "notes__erase", text="all")
    words = result["content"][0]["text"]
    assert result["isError"] is True and "test/erasing" in words and "nothing is deleted by agents" in words
    assert stage.effects == []
    assert [record["decision"]["decision"] for record in stage.records() if record["type"] == "action.decided"] == ["deny"]


def test_an_approved_call_waits_for_the_yes_and_runs_once(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    threading.Thread(target=stage.answer_next, kwargs={"yes": True}).start()
    assert not call(stage, token, "notes__ask_first", text="please").get("isError")
    threading.Thread(target=stage.answer_next, kwargs={"yes": False}).start()
    refused = call(stage, token, "notes__ask_first", text="please")
    assert refused["isError"] and "said no" in refused["content"][0]["text"]
    assert stage.effects == [["ask_first", {"text": "please"}]]


def test_without_a_token_nothing_is_served_and_it_is_recorded(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    status, _ = modern(stage, None, "tools/list")
    assert status == 401
    assert [record["type"] for record in stage.records() if record["type"] == "token.refused"]

"""A server's schemas at the wire: an explosion costs its own call, a pattern that looks around is no reason to hide a tool."""

from __future__ import annotations

import threading
import time
import urllib.request
from typing import Any

from gateway_stage import call, connector, modern, rule


def test_an_exploding_schema_fails_its_own_call_and_everybody_else_is_served(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path), connector("other", root=tmp_path))
    token, found = stage.token(), []
    call(stage, token, "other__echo", text="x")
    exploding = threading.Thread(target=lambda: found.append(call(stage, token, "notes__exploding", text="x")))
    exploding.start()
    slowest = 0.0
    while exploding.is_alive():
        began = time.monotonic()
        assert urllib.request.urlopen(f"{stage.url}/healthz", timeout=30).status == 200
        assert not call(stage, token, "other__echo", text="x").get("isError")
        slowest = max(slowest, time.monotonic() - began)
    assert found[0]["isError"] and "takes too long" in found[0]["content"][0]["text"]
    assert "exploding" not in [name for name, _ in stage.effects] and slowest < 10


def test_nothing_is_made_of_the_schema_of_a_tool_that_is_denied(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path), rules=(rule("echo", "allow", "tool.call", tool=["echo"]),))
    found = call(stage, stage.token(), "notes__exploding", text="x")
    assert "no rule allows" in found["content"][0]["text"] and "schema" not in found["content"][0]["text"]


def test_a_pattern_that_looks_around_is_listed_and_held_to(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    assert "notes__email" in [each["name"] for each in modern(stage, token, "tools/list")[1]["result"]["tools"]]
    assert not call(stage, token, "notes__email", text="bbb").get("isError")
    assert "`pattern`" in call(stage, token, "notes__email", text="ab")["content"][0]["text"]
    assert stage.effects == [["email", {"text": "bbb"}]]

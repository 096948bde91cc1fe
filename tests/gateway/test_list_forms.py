"""One entry in another form than the protocol's makes strict clients throw away a whole list: it is left out by itself, is not there
to be called, and the operator is told."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_stage import CommandStage
from gateway_stage import SERVERS, connector, modern, post, rule
from test_legacy import rpc, session

from interlock.connectors.configuration import Connector, Stdio
from interlock.host.executable import find_supervisor
from interlock.vocabulary.errors import InterlockError

RULES = (rule("all", "allow", "tool.call", "tool.list", "resource.read", "prompt.get"),)
GOOD: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}}
#: Forms of a tool that some client refuses, beside the name `odd`; each was listed before.
ODD_TOOLS: dict[str, dict[str, Any]] = {
    "no schema": {},
    "no type": {"inputSchema": {"properties": {}}},
    "an array": {"inputSchema": {"type": "array"}},
    "a list of types": {"inputSchema": {"type": ["object", "null"]}},
    "a schema that is true": {"inputSchema": True},
    "a property that is true": {"inputSchema": {"type": "object", "properties": {"text": True}}},
    "properties in a list": {"inputSchema": {"type": "object", "properties": ["text"]}},
    "required as a text": {"inputSchema": {"type": "object", "required": "text"}},
    "a description in a list": {"inputSchema": GOOD, "description": ["a", "b"]},
    "a hint that is a text": {"inputSchema": GOOD, "annotations": {"readOnlyHint": "yes"}},
    "an icon without a source": {"inputSchema": GOOD, "icons": [{"sizes": ["48x48"]}]},
    "an output schema that is true": {"inputSchema": GOOD, "outputSchema": True},
    "a header without a name": {"inputSchema": {"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": ""}}}},
    "a header that ends another": {"inputSchema": {"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "A\r\nB"}}}},
    "a header of a number": {"inputSchema": {"type": "object", "properties": {"a": {"type": "number", "x-mcp-header": "A"}}}},
    "a header twice": {
        "inputSchema": {
            "type": "object",
            "properties": {"a": {"type": "string", "x-mcp-header": "A"}, "b": {"type": "string", "x-mcp-header": "a"}},
        }
    },
    "a header within a list": {
        "inputSchema": {
            "type": "object",
            "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {"b": {"x-mcp-header": "B", "type": "string"}}}}},
        }
    },
    "a header by a reference": {
        "inputSchema": {"type": "object", "$defs": {"a": {"type": "string", "x-mcp-header": "A"}}, "properties": {"a": {"$ref": "#/$defs/a"}}}
    },
}
#: Forms that look odd and are the protocol's.
WELL_FORMED: dict[str, dict[str, Any]] = {
    "nulls": {"inputSchema": GOOD, "description": None, "title": None, "annotations": {"title": None, "readOnlyHint": True}},
    "a header": {
        "inputSchema": {
            "type": "object",
            "properties": {"a": {"type": "object", "properties": {"b": {"type": "integer", "x-mcp-header": "B"}}}},
        }
    },
    "a property of that name": {"inputSchema": {"type": "object", "properties": {"x-mcp-header": {"type": "number"}}}},
    "a value of that name": {"inputSchema": {"type": "object", "properties": {"a": {"default": {"x-mcp-header": 3}}}}},
    "unknown fields": {"inputSchema": {**GOOD, "unevaluatedProperties": False}, "more": [None, 1]},
}


def lists(root: Path, **content: Any) -> Connector:
    file = root / "lists.json"
    file.write_text(json.dumps(content))
    server = Stdio((sys.executable, str(SERVERS / "lists.py"), str(file)), {})
    return Connector(name="lists", server=server, timeout_ms=3_000, start_timeout_ms=8_000)


def listed(stage: Any, token: str, method: str = "tools/list") -> list[dict[str, Any]]:
    """The entries as both eras' clients get them, which must be the same."""
    _, answer = modern(stage, token, method, path="/mcp/lists")
    (entries,) = (value for value in answer["result"].values() if isinstance(value, list))
    _, _, older = post(stage, token, rpc(method), "/mcp/lists", **session(stage, token, "/mcp/lists"))
    assert [each.get("name") for each in entries] == [each.get("name") for each in next(iter(older["result"].values()))]
    return list(entries)


@pytest.mark.parametrize("form", ODD_TOOLS)
def test_a_tool_in_another_form_is_left_out_alone_and_cannot_be_called(start: Any, tmp_path: Path, form: str) -> None:
    odd = {"name": "odd", **ODD_TOOLS[form]}
    stage = start(lists(tmp_path, tools=[{"name": "before", "inputSchema": GOOD}, odd, {"name": "later", "inputSchema": GOOD}]), rules=RULES)
    token = stage.token()
    assert [each["name"] for each in listed(stage, token)] == ["before", "later"]
    _, answer = modern(stage, token, "tools/call", {"name": "odd", "arguments": {}}, "/mcp/lists")
    assert answer["error"]["code"] == -32602 and "Unknown tool" in answer["error"]["message"]
    assert modern(stage, token, "tools/call", {"name": "later", "arguments": {}}, "/mcp/lists")[0] == 200
    assert (tmp_path / "calls").read_text() == "later\n"


@pytest.mark.parametrize("form", WELL_FORMED)
def test_what_only_looks_odd_is_listed_without_nulls(start: Any, tmp_path: Path, form: str) -> None:
    stage = start(lists(tmp_path, tools=[{"name": "plain", **WELL_FORMED[form]}]), rules=RULES)
    (entry,) = listed(stage, stage.token())
    assert entry["inputSchema"] == WELL_FORMED[form]["inputSchema"]
    assert None not in entry.values() and None not in entry.get("annotations", {}).values()
    assert entry.get("more") == WELL_FORMED[form].get("more")


def test_prompts_and_resources_in_another_form_are_left_out_as_well(start: Any, tmp_path: Path) -> None:
    stage = start(
        lists(
            tmp_path,
            prompts=[{"name": "fine"}, {"name": "odd", "arguments": [{"required": True}]}, {"name": "two"}, {"name": "two"}],
            resources=[{"uri": "file:///a", "name": "fine"}, {"uri": "file:///b"}, {"uri": "file:///c", "name": "c", "size": "big"}],
            resourceTemplates=[{"uriTemplate": "file:///{a}", "name": "fine"}, {"uriTemplate": 7, "name": "odd"}],
        ),
        rules=RULES,
    )
    token = stage.token()
    for method in ("prompts/list", "resources/list", "resources/templates/list"):
        assert [each["name"] for each in listed(stage, token, method)] == ["fine"]


def test_older_clients_are_shown_structured_results_that_are_objects_only(start: Any, tmp_path: Path) -> None:
    numbers = {"type": "array", "items": {"type": "integer"}}
    tools = [{"name": "numbers", "inputSchema": GOOD, "outputSchema": numbers}]
    stage = start(lists(tmp_path, tools=tools, structured=[1, 2]), rules=RULES)
    token = stage.token()
    headers = session(stage, token, "/mcp/lists")
    _, _, answer = post(stage, token, rpc("tools/list"), "/mcp/lists", **headers)
    assert "outputSchema" not in answer["result"]["tools"][0]
    _, _, answer = post(stage, token, rpc("tools/call", {"name": "numbers", "arguments": {}}), "/mcp/lists", **headers)
    assert answer["result"] == {"content": []}
    _, answer = modern(stage, token, "tools/list", path="/mcp/lists")
    assert answer["result"]["tools"][0]["outputSchema"] == numbers
    _, answer = modern(stage, token, "tools/call", {"name": "numbers", "arguments": {}}, "/mcp/lists")
    assert answer["result"]["structuredContent"] == [1, 2]


def test_a_call_of_a_tool_left_out_of_the_list_does_not_wait_for_a_list(start: Any, tmp_path: Path) -> None:
    """Nor is it there under the name of all connectors."""
    stage = start(lists(tmp_path, tools=[{"name": "odd"}]), connector("notes", root=tmp_path), rules=RULES)
    _, answer = modern(stage, stage.token(), "tools/call", {"name": "lists__odd", "arguments": {}})
    assert answer["error"]["code"] == -32602 and not (tmp_path / "calls").exists()


def supervised() -> bool:
    try:
        find_supervisor()
    except InterlockError:
        return False
    return True


@pytest.mark.skipif(not supervised(), reason="needs the supervisor executable")
def test_the_operator_is_told_by_name_in_the_list_the_test_and_the_gateways_output() -> None:
    stage = CommandStage()
    try:
        stage.folder("lists").mkdir()
        file = stage.folder("lists") / "lists.json"
        file.write_text(json.dumps({"tools": [{"name": "plain", "inputSchema": GOOD}, {"name": "odd\x1b[2J"}, {"inputSchema": GOOD}]}))
        command = (sys.executable, "-I", "-S", str(SERVERS / "lists.py"), str(file))
        stage.run("connector", "add", "lists", "--stdio", "--workspace", str(file.parent), "--", *command)
        tested = stage.run("connector", "test", "lists")
        assert "1 tools" in tested and "is not listed: it has no `inputSchema`" in tested and "\x1b" not in tested
        stage.serve()
        assert [each["name"] for each in modern(stage, stage.token, "tools/list", path="/mcp/lists")[1]["result"]["tools"]] == ["plain"]
        deadline = time.monotonic() + 10
        while "without a name of its tools is not listed" not in (said := stage.run("connector", "list")):
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        output = stage.said.read_text()
        assert output.count("`odd") == 1 and "it has no `inputSchema`" in output and "\x1b" not in output
    finally:
        stage.close()

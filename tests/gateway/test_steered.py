"""Steers at the tool call: another tool, other arguments. What reaches the server is what was decided, and the agent is told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.gateway.gateway_stage import Stage, Start, call, connector, modern, rule
from tests.gateway.gateway_stage import start as start  # the fixture

READS = rule("reads", "allow", "tool.call", tool=["sum", "echo", "limited", "email"])


def steers(identity: str, to: Any, **match: Any) -> dict[str, Any]:
    return {**rule(identity, "steer", "tool.call", because="it is kept small", **match), "steer": to}


def changes(*each: tuple[str, str, Any]) -> dict[str, Any]:
    return {"arguments": [{"at": at, "change": change, "value": value} for at, change, value in each]}


@pytest.fixture
def begun(start: Start, tmp_path: Any) -> Any:
    def begin(*rules: dict[str, Any]) -> tuple[Stage, str]:
        stage = start(connector("raw", root=tmp_path), rules=(READS, *rules))
        return stage, stage.token()

    return begin


def reached(stage: Stage) -> list[tuple[str, dict[str, Any]]]:
    return [(each["name"], each.get("arguments", {})) for each in stage.seen("tools/call")]


@pytest.mark.parametrize(
    ("made", "given", "sent"),
    [
        ((("/text", "set", "safe"),), {"text": "mine"}, {"text": "safe"}),
        ((("/dry_run", "set", True),), {"text": "x"}, {"text": "x", "dry_run": True}),
        ((("/limit", "at_most", 10),), {"text": "x", "limit": 99}, {"text": "x", "limit": 10}),
        ((("/limit", "at_most", 10),), {"text": "x", "limit": 10.5}, {"text": "x", "limit": 10}),
        ((("/limit", "at_least", 3), ("/page", "default", 1)), {"text": "x", "limit": 1}, {"text": "x", "limit": 3, "page": 1}),
        ((("/options/a~1b/deep", "set", [1]),), {"text": "x", "options": {"k": 1}}, {"text": "x", "options": {"k": 1, "a/b": {"deep": [1]}}}),
        ((("/options/deep", "default", 1),), {"text": "x"}, {"text": "x", "options": {"deep": 1}}),
        ((("/dry_run", "default", True),), {"text": "x", "dry_run": None}, {"text": "x", "dry_run": True}),
    ],
)  # fmt: skip
def test_the_tool_is_called_with_other_arguments(
    begun: Any, made: Any, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    stage, token = begun(steers("small", changes(*made), tool=["echo"]))
    result = call(stage, token, "raw__echo", **given)
    assert reached(stage) == [("echo", sent)]
    assert result["_meta"]["interlock/steered"]["to"] == changes(*made)
    assert "Interlock: the call was made with" in result["content"][-1]["text"]
    asked, done = stage.decided("tool.call")
    assert (asked["action"]["target"]["arguments"], asked["decision"]["decision"]) == (given, "steer")
    assert (done["action"]["target"]["arguments"], done["decision"]["decision"]) == (sent, "allow")
    assert asked["action"]["id"] == done["action"]["id"]
    call(stage, token, "raw__echo", **sent)
    assert reached(stage)[1:] == [("echo", sent)], "what is so already is not steered"
    assert [each["decision"]["decision"] for each in stage.decided("tool.call")][2:] == ["allow"]


@pytest.mark.parametrize(
    ("made", "given"),
    [
        ((("/limit", "at_most", 10),), {"text": "x", "limit": "99"}),
        ((("/limit", "at_most", 10),), {"text": "x", "limit": True}),
        ((("/limit", "at_most", 10),), {"text": "x", "limit": [99]}),
        ((("/limit", "at_most", 10),), {"text": "x", "Limit": 99}),
        ((("/options/deep", "set", 1),), {"text": "x", "options": "none"}),
        ((("/options/deep", "at_most", 1),), {"text": "x", "options": '{"deep": 99}'}),
        ((("/options/deep", "at_most", 1),), {"text": "x", "options": [{"deep": 99}]}),
        ((("/options/deep", "at_least", 1),), {"text": "x", "options": None}),
        ((("/text", "set", 5),), {"text": "x"}),
    ],
)
def test_a_change_that_means_nothing_for_the_arguments_is_a_denial(
    begun: Any, made: Any, given: dict[str, Any]
) -> None:
    stage, token = begun(steers("small", changes(*made), tool=["echo"]))
    result = call(stage, token, "raw__echo", **given)
    assert result["isError"] is True
    assert reached(stage) == []


def test_another_tool_is_called(begun: Any) -> None:
    stage, token = begun(steers("limited-instead", {"tool": "limited"}, tool=["erase"]))
    result = call(stage, token, "raw__erase", text="x")
    assert reached(stage) == [("limited", {"text": "x"})]
    assert result["_meta"]["interlock/steered"]["to"] == {"tool": "limited"}
    assert "by the tool limited instead" in result["content"][-1]["text"]
    done = stage.decided("tool.call")[-1]["action"]["target"]
    assert (done["tool"], done["operation"]) == ("limited", "write")


def test_a_steer_leads_to_no_denied_call_and_to_nothing_that_is_not_there(begun: Any) -> None:
    stage, token = begun(
        rule("no", "deny", "tool.call", tool=["limited"]),
        steers("to-denied", {"tool": "limited"}, tool=["erase"]),
        steers("to-nothing", {"tool": "absent"}, tool=["sum"]),
        steers("two", changes(("/text", "set", "a")), tool=["email"]),
        steers("other", changes(("/text", "set", "b")), tool=["email"]),
    )
    for name in ("raw__erase", "raw__sum", "raw__email"):
        assert call(stage, token, name, text="bb")["isError"] is True
    assert reached(stage) == []


def test_a_yes_launders_no_steer(begun: Any) -> None:
    stage, token = begun(
        rule(
            "ask", "approve", "tool.call", tool=["echo"], arguments=[{"at": "/limit", "test": "at_least", "value": 50}]
        ),
        steers("small", changes(("/limit", "at_most", 10)), tool=["echo"]),
    )
    import threading

    answering = threading.Thread(target=lambda: stage.answer_next(yes=True))
    answering.start()
    result = call(stage, token, "raw__echo", text="x", limit=60)
    answering.join()
    assert reached(stage) == [("echo", {"text": "x", "limit": 10})]
    assert result["_meta"]["interlock/steered"]["to"] == changes(("/limit", "at_most", 10))


def test_what_is_steered_is_listed(begun: Any) -> None:
    stage, token = begun(steers("limited-instead", {"tool": "limited"}, tool=["erase"]))
    _, answer = modern(stage, token, "tools/list")
    assert "raw__erase" in [tool["name"] for tool in answer["result"]["tools"]]

"""A request that a server could read otherwise than the policy does is refused, on the record: keys that fold together, URIs that
climb, values of a type that dodges a condition."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_stage import call, connector, modern, rule

ANYTHING = {"type": "object"}


def path_rule(identity: str, decision: str, test: str, value: Any) -> dict[str, Any]:
    return rule(identity, decision, "tool.call", tool=["echo"], arguments=[{"at": "/text", "test": test, "value": value}])


DENY = (rule("all", "allow", "tool.call", tool=["*"]), path_rule("secret", "deny", "equals", "/etc/shadow"))
UNDER = (path_rule("below", "allow", "matches", "/srv/*"),)

FOLDED = [
    {"text": "/tmp/ok", "Text": "/etc/shadow"}, {"text": "a", "TEXT": "b"}, {"text": "a", "more": {"x": 1, "X": 2}},
    {"text": "a", "ſ": 1, "s": 2}, {"text": "a", "list": [{"ａ": 1, "a": 2}]},
]  # fmt: skip


@pytest.mark.parametrize("arguments", FOLDED, ids=str)
def test_keys_that_fold_together_reach_no_server(start: Any, tmp_path: Any, arguments: dict[str, Any]) -> None:
    stage = start(connector("notes", root=tmp_path))
    found = call(stage, stage.token(), "notes__echo", **arguments)
    assert found["isError"] and "the same to some readers" in found["content"][0]["text"] and stage.effects == []
    assert [each["decision"]["decision"] for each in stage.decided("tool.call")] == ["deny"]


@pytest.mark.parametrize(
    "arguments",
    [{"text": "a", "te_xt": "/etc/shadow"}, {"text": "/etc/shadow"}, {"text": "a", "te-xt": "/etc/shadow"}],
    ids=str,
)  # fmt: skip
def test_a_key_that_a_server_may_take_for_the_one_of_a_condition_is_denied(start: Any, tmp_path: Any, arguments: Any) -> None:
    stage = start(connector("notes", root=tmp_path), rules=DENY)
    assert call(stage, stage.token(), "notes__echo", **arguments)["isError"] and stage.effects == []


def test_other_keys_and_values_pass(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path), rules=DENY)
    assert not call(stage, stage.token(), "notes__echo", text="/etc/hosts", more={"text": "/etc/shadow"}).get("isError")


CLIMBING = [
    "/srv/../etc/shadow", "/srv/..", "/srv/%2e%2e/etc/shadow", "/srv/%252e%252e/x", "/srv/a\\..\\..\\x", "/srv/./x", "/srv//x", "/srv/x%00",
]  # fmt: skip


@pytest.mark.parametrize("text", CLIMBING)
def test_a_path_that_leaves_the_pattern_it_matches_is_denied(start: Any, tmp_path: Any, text: str) -> None:
    stage = start(connector("notes", root=tmp_path), rules=UNDER)
    assert not call(stage, stage.token(), "notes__echo", text="/srv/a..b/c").get("isError")
    assert call(stage, stage.token(), "notes__echo", text=text)["isError"]
    assert stage.effects == [["echo", {"text": "/srv/a..b/c"}]]


URIS = [
    "file:///srv/../etc/shadow", "file:///srv/%2e%2e/etc/shadow", "file:///srv/%252e%252e/x", "file:///srv/x\0", "file:///srv/x%00.txt",
    "FILE:///srv/x", "file://localhost/srv/x", "file:///srv/\\..\\x", "file:///srv/./x", "file:///srv//x", "file:///srv/%73ecret", "file:/srv/x",
    "file:///srv/a b", "notes://a/../b", "../x", "ui://x/..",
]  # fmt: skip


@pytest.mark.parametrize("uri", URIS)
def test_a_uri_that_is_not_where_it_says_reaches_no_server(start: Any, tmp_path: Any, uri: str) -> None:
    stage = start(connector("notes", root=tmp_path), rules=(rule("srv", "allow", "resource.read", tool=["*"]),))
    token = stage.token()
    params = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}}
    from gateway_stage import post
    from test_legacy import session

    headers = session(stage, token, "/mcp/notes")
    answer = post(stage, token, params, "/mcp/notes", **headers)[2]
    assert answer["error"]["code"] == -31001 and stage.seen("resources/read") == [], answer
    assert [each["decision"]["decision"] for each in stage.decided("resource.read")] == ["deny"]


@pytest.mark.parametrize("uri", ["file:///srv/x", "file:///srv/a..b/c%20d", "https://h/x?u=http://y//z", "notes://a/b/", "mem:x"])
def test_a_plain_uri_is_read(start: Any, tmp_path: Any, uri: str) -> None:
    stage = start(connector("notes", root=tmp_path))
    _, answer = modern(stage, stage.token(), "resources/read", {"uri": uri}, "/mcp/notes")
    assert "result" in answer and stage.seen("resources/read")[0]["uri"] == uri, answer


@pytest.mark.parametrize("value", [["/etc/shadow"], {"path": "/etc/shadow"}, 5, True])
def test_a_value_of_another_type_does_not_dodge_a_rule_that_denies(start: Any, tmp_path: Any, value: Any) -> None:
    rules = (rule("all", "allow", "tool.call", tool=["*"]), rule("no", "deny", "tool.call", arguments=[{"at": "/more", "test": "equals", "value": "/etc/shadow"}]))
    stage = start(connector("notes", root=tmp_path), rules=rules)
    found = call(stage, stage.token(), "notes__echo", text="x", more=value)
    assert found["isError"] and stage.effects == []
    assert not call(stage, stage.token(), "notes__echo", text="x", more="/etc/hosts").get("isError")

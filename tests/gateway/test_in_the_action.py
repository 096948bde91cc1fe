"""Whatever reaches a server is in the Action: decided, shown to who is asked, and recorded, beside the arguments too."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from gateway_stage import META, connector, modern, post, rule
from test_approvals import waiting
from test_legacy import rpc, session

from interlock.approvals.inbox import Inbox
from interlock.vocabulary.words import rows

OWN = {**META, "example.org/secret": "carried beside", "progressToken": 7}


def last(answer: Any) -> Any:
    return answer[-1] if isinstance(answer, list) else answer


def test_what_an_agent_puts_beside_its_arguments_is_decided_and_recorded(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    params = {"name": "notes__echo", "arguments": {"text": "x"}, "_meta": OWN}
    assert modern(stage, token, "tools/call", params)[0] == 200
    [sent], [record] = stage.seen("tools/call"), stage.decided("tool.call")
    assert sent["_meta"]["example.org/secret"] == "carried beside"
    beside = {key: value for key, value in sent["_meta"].items() if key != "progressToken"}
    assert record["action"]["target"]["beside"] == {"_meta": beside}
    modern(stage, token, "resources/read", {"uri": "notes+file:///open.txt", "_meta": OWN})
    assert stage.decided("resource.read")[0]["action"]["target"]["beside"]["_meta"]["example.org/secret"] == "carried beside"


def test_what_is_beside_the_arguments_is_shown_to_who_is_asked(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    params = {"name": "notes__ask_first", "arguments": {"text": "x"}, "_meta": OWN}
    caller = threading.Thread(target=modern, args=(stage, stage.token(), "tools/call", params))
    caller.start()
    [question] = waiting(stage, 1)
    assert "carried beside" in dict(rows(question, now_ms=0))["beside"]
    Inbox(str(stage.root / "inbox.sqlite")).answer(question.id, meant="once", approver="uid:0")
    caller.join()
    assert stage.seen("tools/call")[0]["_meta"]["example.org/secret"] == "carried beside"


@pytest.mark.parametrize("forwarded", [(), ("elicitation",)])
def test_an_answer_that_nobody_asked_for_reaches_no_server(start: Any, tmp_path: Any, forwarded: tuple[str, ...]) -> None:
    stage = start(connector("notes", root=tmp_path, client_requests=forwarded))
    params = {"name": "notes__echo", "arguments": {"text": "x"}, "inputResponses": {"a": {"action": "accept"}}}
    status, answer = modern(stage, stage.token(), "tools/call", params)
    assert last(answer)["error"]["code"] == -32602 and stage.effects == [], (status, answer)


def test_what_is_beside_the_arguments_and_large_is_recorded_by_its_digest(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    params = {"name": "notes__echo", "arguments": {"text": "x"}, "_meta": {**META, "large": "x" * 50_000}}
    assert modern(stage, stage.token(), "tools/call", params)[0] == 200
    [record] = stage.decided("tool.call")
    assert set(record["action"]["target"]["beside"]) == {"digest", "bytes"}


def test_a_level_for_log_messages_is_decided_and_recorded(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    headers = session(stage, token)
    assert post(stage, token, rpc("logging/setLevel", {"level": "error", "more": "x"}), **headers)[2]["result"] == {}
    [record] = stage.decided("log.level")
    assert (record["action"]["target"]["tool"], stage.seen("logging/setLevel")) == ("error", [{"level": "error"}])


def test_a_level_that_policy_does_not_allow_reaches_no_server_and_holds_at_the_gateway(start: Any, tmp_path: Any) -> None:
    rules = (rule("calling", "allow", "tool.call", tool=["progress"]),)
    stage = start(connector("notes", root=tmp_path), rules=rules)
    token = stage.token()
    headers = session(stage, token)
    answer = post(stage, token, rpc("logging/setLevel", {"level": "error"}), **headers)[2]["result"]
    assert "refused" in answer["_meta"]["interlock/unavailable"][0]["reason"] and stage.seen("logging/setLevel") == []
    params = {"name": "notes__progress", "arguments": {"text": "x"}, "_meta": {"progressToken": 5}}
    found = post(stage, token, rpc("tools/call", params, 4), **headers)[2]
    told = [each["method"] for each in found if "method" in each]
    assert told == ["notifications/progress"] * 3, "a message below the session's level reached the client"


def test_the_method_is_in_the_action_where_the_verb_does_not_say_it(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    headers = session(stage, token)
    for method in ("resources/read", "resources/subscribe", "resources/unsubscribe"):
        post(stage, token, rpc(method, {"uri": "notes+file:///open.txt"}), **headers)
    methods = [each["action"]["target"].get("method") for each in stage.decided("resource.read")]
    assert methods == [None, "resources/subscribe", "resources/unsubscribe"]

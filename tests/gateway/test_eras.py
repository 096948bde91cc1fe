"""Questions of servers across the eras of the protocol: each kind in each of the four combinations, as a transcript; decided and recorded
before the server hears an answer; bounded; and what liars and strangers make of it."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import META, SERVERS, post, rule
from test_legacy import rpc, session

from interlock.approvals.inbox import Inbox
from interlock.connectors.configuration import Connector, Stdio
from interlock.gateway import parking
from interlock.gateway.schema_checks import SchemaChecks
from interlock.mcp.message import RpcError

CLAIMS = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}
ANSWERS = {
    "elicitation/create": {"action": "accept", "content": {"name": "Ada"}},
    "sampling/createMessage": {"role": "assistant", "model": "m", "content": {"type": "text", "text": "hm"}},
    "roots/list": {"roots": [{"uri": "file:///work", "name": "work"}]},
}
RULES = (rule("all", "allow", "tool.call", "prompt.get"),)
ERAS = [(client, server) for client in ("legacy", "modern") for server in ("legacy", "modern")]
KINDS = ["form", "url", "sample", "roots", "twice", "both"]


def asking(root: Path, era: str, **options: Any) -> Connector:
    environment = {"EFFECTS": str(root / "effects"), "SEEN": str(root / "seen")}
    server = Stdio((sys.executable, str(SERVERS / "asking.py"), era), environment)
    options = {"client_requests": ("elicitation", "sampling", "roots"), "timeout_ms": 20_000, "start_timeout_ms": 8_000, **options}
    return Connector(**{"name": "up", "server": server, **options})


class LegacyClient:
    """Answers a server's questions in the middle of its request."""

    def __init__(self, stage: Any, token: str, claims: Any = CLAIMS) -> None:
        self.stage, self.token = stage, token
        self.headers = session(stage, token, capabilities=claims)
        self.asked: list[dict[str, Any]] = []

    def request(self, method: str, params: dict[str, Any], answers: Any = ANSWERS) -> Any:
        base = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": f"Bearer {self.token}"}
        body = json.dumps(rpc(method, params, 7)).encode()
        made = urllib.request.Request(f"{self.stage.url}/mcp", body, {**base, **self.headers})
        with urllib.request.urlopen(made, timeout=60) as stream:
            if stream.headers["Content-Type"] == "application/json":
                return json.loads(stream.read())
            for line in stream:
                if not line.startswith(b"data: ") or not line[6:].strip():
                    continue
                message = json.loads(line[6:])
                if message.get("id") == 7 and "method" not in message:
                    return message
                if "id" in message:
                    self.asked.append({key: message[key] for key in ("method", "params")})
                    answer = {"jsonrpc": "2.0", "id": message["id"], "result": answers[message["method"]]}
                    assert post(self.stage, self.token, answer, **self.headers)[0] == 202
        raise AssertionError("no answer came")


class ModernClient:
    """Makes its request again with the answers to what a result asks."""

    def __init__(self, stage: Any, token: str, claims: Any = CLAIMS) -> None:
        self.stage, self.token, self.claims = stage, token, claims
        self.asked: list[dict[str, Any]] = []

    def once(self, method: str, params: dict[str, Any], **more: Any) -> Any:
        meta = {**META, "io.modelcontextprotocol/clientCapabilities": self.claims}
        said = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **params, **more}}
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": params["name"]}
        answer = post(self.stage, self.token, said, **headers)[2]
        return answer[-1] if isinstance(answer, list) else answer

    def request(self, method: str, params: dict[str, Any], answers: Any = ANSWERS) -> Any:
        answer = self.once(method, params)
        while answer.get("result", {}).get("resultType") == "input_required":
            asked = answer["result"].get("inputRequests", {})
            self.asked.extend(asked.values())
            given = {key: answers[each["method"]] for key, each in asked.items()}
            state = {key: answer["result"][key] for key in ("requestState",) if key in answer["result"]}
            answer = self.once(method, params, inputResponses=given, **state)
        return answer


def client_of(era: str, stage: Any, token: str, claims: Any = CLAIMS) -> Any:
    return (LegacyClient if era == "legacy" else ModernClient)(stage, token, claims)


def call(client: Any, tool: str, **arguments: Any) -> Any:
    return client.request("tools/call", {"name": f"up__{tool}", "arguments": arguments})["result"]


def told(result: Any) -> Any:
    assert not result.get("isError"), result
    return json.loads(result["content"][0]["text"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("client_era", "server_era"), ERAS)
def test_each_question_and_its_answer_pass_in_each_combination_of_eras(
    start: Any, tmp_path: Any, client_era: str, server_era: str, kind: str
) -> None:
    stage = start(asking(tmp_path, server_era), rules=RULES)
    client = client_of(client_era, stage, stage.token())
    answers = told(call(client, kind))
    methods = [each["method"] for each in client.asked]
    assert answers == [ANSWERS[each] for each in methods] and len(methods) == (2 if kind in ("twice", "both") else 1)
    assert [name for name, _ in stage.effects] == [kind]
    if kind == "url":
        [question] = client.asked
        assert question["params"]["url"] == "https://login.example/x"
        assert client_era == "modern" or question["params"]["elicitationId"]  # which 2025-11-25 asks for
    if kind == "sample":
        assert client.asked[0]["params"]["tools"][0]["name"] == "look"
    decided = [each for each in stage.decided("tool.call") if each["action"]["target"]["tool"] == kind]
    beside = [each["action"]["target"].get("beside", {}).get("inputResponses", {}) for each in decided]
    assert [each for one in beside for each in one.values()] == answers  # what the server heard was decided, in this order
    begun = decided[0]["action"]["id"]
    if client_era == server_era == "modern":  # each round is a request of the client's own, and nothing waits here
        begun = None
    assert [each.get("parent") for each in decided] == [None, *[begun] * (len(decided) - 1)]


@pytest.mark.parametrize(("client_era", "server_era"), ERAS)
def test_a_rule_about_answers_is_held_to_before_the_server_hears_one(
    start: Any, tmp_path: Any, client_era: str, server_era: str
) -> None:
    named = [{"at": "/content/name", "test": "equals", "value": "Eve"}]
    stage = start(asking(tmp_path, server_era), rules=(*RULES, rule("eve", "deny", "tool.call", answers=named)))
    client = client_of(client_era, stage, stage.token())
    eve = {**ANSWERS, "elicitation/create": {"action": "accept", "content": {"name": "Eve"}}}
    client.request("tools/call", {"name": "up__form", "arguments": {}}, eve)
    assert "Eve" not in (tmp_path / "seen").read_text()
    assert [each["decision"]["rules"] for each in stage.decided("tool.call")] == [["test/all"], ["test/eve"]]
    assert told(call(client, "form")) == [ANSWERS["elicitation/create"]]


@pytest.mark.parametrize(("client_era", "server_era"), ERAS)
def test_a_prompt_that_asks_passes_too(start: Any, tmp_path: Any, client_era: str, server_era: str) -> None:
    stage = start(asking(tmp_path, server_era), rules=RULES)
    client = client_of(client_era, stage, stage.token())
    answer = client.request("prompts/get", {"name": "up__ask"})
    assert "Ada" in answer["result"]["messages"][0]["content"]["text"] and len(client.asked) == 1


def test_the_records_of_a_parked_call_are_those_of_its_rounds(start: Any, tmp_path: Any) -> None:
    """The transcript of the combination that has no form of its own in either revision."""
    stage = start(asking(tmp_path, "legacy"), rules=RULES)
    client = ModernClient(stage, stage.token())
    told(call(client, "form"))
    records = [each for each in stage.records() if each["type"] in ("action.decided", "action.enacted")]
    assert [(each["type"], each.get("effect"), each.get("status")) for each in records] == [
        ("action.decided", None, None),
        ("action.enacted", "unknown", "input required"),
        ("action.decided", None, None),
        ("action.enacted", "done", None),
    ]
    [first, second] = [each["action"]["target"] for each in records if each["type"] == "action.decided"]
    assert "beside" not in first or "inputResponses" not in first["beside"]
    assert list(second["beside"]["inputResponses"].values()) == [ANSWERS["elicitation/create"]]
    assert len(stage.seen("tools/call")) == 1  # one call at the server, whatever rounds its client needed


@pytest.mark.parametrize(("client_era", "server_era"), ERAS)
def test_an_answer_that_policy_refuses_reaches_no_server(start: Any, tmp_path: Any, client_era: str, server_era: str) -> None:
    """A human who is asked about each call of a tool is asked about the answers as well, and sees them."""
    rules = (*RULES, rule("asked", "approve", "tool.call", tool=["form"]))
    stage = start(asking(tmp_path, server_era), rules=rules)
    client = client_of(client_era, stage, stage.token())
    found: list[Any] = []
    caller = threading.Thread(target=lambda: found.append(call(client, "form")))
    caller.start()
    stage.answer_next(yes=True)
    inbox, deadline = Inbox(str(tmp_path / "inbox.sqlite")), time.monotonic() + 20
    while not (waiting := inbox.pending()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "Ada" in json.dumps(waiting[0].action)
    stage.answer_next(yes=False)
    caller.join(30)
    assert "Ada" not in (tmp_path / "seen").read_text()
    assert found and (found[0].get("isError") or "refuses" in json.dumps(found[0]))


@pytest.mark.parametrize(("client_era", "server_era"), ERAS)
@pytest.mark.parametrize(
    ("kind", "claims"),
    [
        ("url", {"elicitation": {}}),
        ("form", {"elicitation": {"url": {}}}),
        ("form", {"roots": {}}),
        ("sample", {"sampling": {}}),
        ("script", CLAIMS),
    ],
)
def test_a_client_is_asked_nothing_that_it_does_not_take(
    start: Any, tmp_path: Any, client_era: str, server_era: str, kind: str, claims: Any
) -> None:
    stage = start(asking(tmp_path, server_era), rules=RULES)
    client = client_of(client_era, stage, stage.token(), claims)
    result = call(client, kind)
    assert client.asked == [] and (result.get("isError") or json.loads(result["content"][0]["text"])[0]["code"] < -32000)


@pytest.mark.parametrize("client_era", ["legacy", "modern"])
@pytest.mark.parametrize("server_era", ["legacy", "modern"])
def test_what_the_operator_does_not_forward_is_not_asked(start: Any, tmp_path: Any, client_era: str, server_era: str) -> None:
    stage = start(asking(tmp_path, server_era, client_requests=("roots",)), rules=RULES)
    client = client_of(client_era, stage, stage.token())
    result = call(client, "form")
    assert client.asked == [] and (result.get("isError") or "does not forward" in json.dumps(result))


def test_a_modern_server_is_told_what_a_legacy_client_takes_and_no_word_of_its_own(start: Any, tmp_path: Any) -> None:
    stage = start(asking(tmp_path, "modern"), rules=RULES)
    client = LegacyClient(stage, stage.token(), {"elicitation": {"form": {"note": "smuggled"}}, "experimental": {"x": {}}})
    told(call(client, "plain"))
    [sent] = stage.seen("tools/call")
    assert sent["_meta"]["io.modelcontextprotocol/clientCapabilities"] == {"elicitation": {"form": {}}}


@pytest.mark.parametrize("client_era", ["legacy", "modern"])
def test_a_legacy_server_that_answers_in_the_newer_form_is_withheld_and_not_called_again(
    start: Any, tmp_path: Any, client_era: str
) -> None:
    stage = start(asking(tmp_path, "legacy"), rules=RULES)
    client = client_of(client_era, stage, stage.token())
    result = call(client, "lie_result")
    assert result["isError"] and "withheld" in result["content"][0]["text"]
    assert client.asked == [] and len(stage.seen("tools/call")) == 1


@pytest.mark.parametrize("client_era", ["legacy", "modern"])
def test_a_modern_server_that_asks_in_the_older_way_is_refused(start: Any, tmp_path: Any, client_era: str) -> None:
    stage = start(asking(tmp_path, "modern"), rules=RULES)
    client = client_of(client_era, stage, stage.token())
    assert "no client here takes" in told(call(client, "lie_request"))[0]["message"] and client.asked == []


def test_a_legacy_client_goes_the_rounds_that_a_modern_server_wants_and_not_for_ever(start: Any, tmp_path: Any) -> None:
    stage = start(asking(tmp_path, "modern"), rules=RULES)
    client = LegacyClient(stage, stage.token())
    assert told(call(client, "state_only")) == ["again"] and client.asked == []
    assert "does not say what" in json.dumps(call(client, "lie_unasked"))
    assert "does not say what" in json.dumps(call(ModernClient(stage, stage.token()), "lie_unasked"))
    assert "8 times" in json.dumps(call(client, "many")) and len(client.asked) == 8


def test_pages_to_be_visited_before_a_call_are_a_round_of_the_newer_era(start: Any, tmp_path: Any) -> None:
    stage = start(asking(tmp_path, "legacy"), rules=RULES)
    token = stage.token()
    client = ModernClient(stage, token)
    params = {"name": "up__pages", "arguments": {}}
    first = client.once("tools/call", params)["result"]
    assert [each["params"]["url"] for each in first["inputRequests"].values()] == ["https://login.example/x"]
    given = {key: {"action": "accept"} for key in first["inputRequests"]}
    again = client.once("tools/call", params, inputResponses=given, requestState=first["requestState"])["result"]
    assert again["resultType"] == "input_required"  # the page was not visited yet
    assert all("inputResponses" not in each for each in stage.seen("tools/call")) and len(stage.seen("tools/call")) == 2
    old = LegacyClient(stage, token).request("tools/call", params)
    assert old["error"]["code"] == -32042 and old["error"]["data"]["elicitations"][0]["elicitationId"] == "e-1"


def test_that_a_page_was_visited_is_told_to_the_session_that_was_asked_and_to_no_other(start: Any, tmp_path: Any) -> None:
    stage = start(asking(tmp_path, "legacy"), asking(tmp_path, "legacy", name="other"), rules=RULES)
    token = stage.token()
    asked, bystander = LegacyClient(stage, token), LegacyClient(stage, token)
    heard: dict[str, list[Any]] = {"asked": [], "bystander": []}

    def listen(name: str, client: LegacyClient) -> None:
        headers = {**client.headers, "Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        with contextlib.suppress(OSError), urllib.request.urlopen(urllib.request.Request(f"{stage.url}/mcp", headers=headers), timeout=8) as stream:
            for line in stream:
                if line.startswith(b"data: {"):
                    heard[name].append(json.loads(line[6:])["method"])

    listeners = [threading.Thread(target=listen, args=each) for each in (("asked", asked), ("bystander", bystander))]
    for each in listeners:
        each.start()
    time.sleep(0.5)
    told(asked.request("tools/call", {"name": "up__url", "arguments": {}})["result"])
    told(bystander.request("tools/call", {"name": "up__form", "arguments": {}})["result"])
    for each in listeners:
        each.join(20)
    assert heard == {"asked": ["notifications/elicitation/complete"], "bystander": []}


def test_answers_to_a_parked_call_are_taken_once_from_its_own_agent_for_its_own_request(start: Any, tmp_path: Any) -> None:
    stage = start(asking(tmp_path, "legacy", concurrency=4), rules=RULES)
    mine, other = ModernClient(stage, stage.token()), ModernClient(stage, stage.token("other"))
    params = {"name": "up__form", "arguments": {"text": "a"}}
    asked = mine.once("tools/call", params)["result"]
    state, given = asked["requestState"], dict.fromkeys(asked["inputRequests"], ANSWERS["elicitation/create"])

    def refused(client: ModernClient, params: Any, **more: Any) -> bool:
        return bool(client.once("tools/call", params, **more).get("error", {}).get("code") == -32602)

    assert refused(other, params, inputResponses=given, requestState=state)
    assert refused(mine, {**params, "arguments": {"text": "b"}}, inputResponses=given, requestState=state)
    assert refused(mine, {**params, "name": "up__twice"}, inputResponses=given, requestState=state)
    assert refused(mine, params, inputResponses=given)
    assert refused(mine, params, inputResponses=given, requestState=state[:-4] + "AAAA")
    assert refused(mine, params, inputResponses=dict.fromkeys(given, "accept"), requestState=state)
    assert "Ada" not in (tmp_path / "seen").read_text()
    done = mine.once("tools/call", params, inputResponses=given, requestState=state)["result"]
    assert json.loads(done["content"][0]["text"]) == [ANSWERS["elicitation/create"]]
    assert refused(mine, params, inputResponses=given, requestState=state)
    assert len(stage.effects) == 1


def test_a_client_that_brings_half_of_the_answers_is_asked_for_the_rest(start: Any, tmp_path: Any) -> None:
    stage = start(asking(tmp_path, "legacy"), rules=RULES)
    client = ModernClient(stage, stage.token())
    params = {"name": "up__both", "arguments": {}}
    asked = client.once("tools/call", params)["result"]
    while len(asked["inputRequests"]) < 2:  # the second may come a moment after the first
        asked = client.once("tools/call", params, inputResponses={}, requestState=asked["requestState"])["result"]
    [first, second] = asked["inputRequests"]
    given = {first: ANSWERS[asked["inputRequests"][first]["method"]], "made-up": {"action": "accept"}}
    left = client.once("tools/call", params, inputResponses=given, requestState=asked["requestState"])["result"]
    assert list(left["inputRequests"]) == [second]
    rest = {second: ANSWERS[left["inputRequests"][second]["method"]]}
    assert "Ada" in json.dumps(client.once("tools/call", params, inputResponses=rest, requestState=left["requestState"]))
    assert "made-up" not in json.dumps(stage.decided("tool.call"))


def test_nobody_comes_back_and_the_server_hears_that(start: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "PARKED_S_MAX", 0.5)
    stage = start(asking(tmp_path, "legacy"), rules=RULES)
    client = ModernClient(stage, stage.token())
    params = {"name": "up__form", "arguments": {}}
    asked = client.once("tools/call", params)["result"]
    deadline = time.monotonic() + 20
    while not stage.effects and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "did not answer" in json.dumps(stage.effects)
    given = dict.fromkeys(asked["inputRequests"], ANSWERS["elicitation/create"])
    late = client.once("tools/call", params, inputResponses=given, requestState=asked["requestState"])
    assert "does not wait" in late["error"]["message"]
    assert told(call(client, "plain")) == []  # the server is free again


def test_a_round_that_breaks_before_it_is_decided_ends_the_call_and_frees_its_room(
    start: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "PARKED_PER_AGENT_MAX", 1)
    stage = start(asking(tmp_path, "legacy"), rules=RULES)
    client = ModernClient(stage, stage.token())
    params = {"name": "up__form", "arguments": {}}
    asked = client.once("tools/call", params)["result"]

    def breaks(*_: Any) -> bool:
        raise RpcError(-32603, "the checks are over")

    with monkeypatch.context() as broken:
        broken.setattr(SchemaChecks, "fits_at_once", breaks)
        given = dict.fromkeys(asked["inputRequests"], ANSWERS["elicitation/create"])
        assert "checks are over" in json.dumps(client.once("tools/call", params, inputResponses=given, requestState=asked["requestState"]))
    assert told(call(client, "form")) == [ANSWERS["elicitation/create"]]
    assert not any("Ada" in json.dumps(each) for each in stage.effects[:-1])  # the broken round's answer reached nobody


def test_a_flood_of_parked_calls_is_bounded_for_each_agent_and_keeps_nobody_else_waiting(
    start: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under `per: call` each call has a process of its own, so that many can be parked at once."""
    monkeypatch.setattr(parking, "PARKED_PER_AGENT_MAX", 3)
    stage = start(asking(tmp_path, "legacy", per="call", concurrency=8), rules=RULES)
    flood, other = ModernClient(stage, stage.token()), ModernClient(stage, stage.token("other"))
    answers = [flood.once("tools/call", {"name": "up__form", "arguments": {"text": str(number)}})["result"] for number in range(5)]
    assert [each["resultType"] for each in answers] == ["input_required"] * 3 + ["complete"] * 2
    assert all("too many questions" in json.dumps(each) for each in answers[3:])
    assert told(call(other, "form")) == [ANSWERS["elicitation/create"]]
    given = dict.fromkeys(answers[0]["inputRequests"], ANSWERS["elicitation/create"])
    params = {"name": "up__form", "arguments": {"text": "0"}}
    assert "Ada" in json.dumps(flood.once("tools/call", params, inputResponses=given, requestState=answers[0]["requestState"]))
    room = flood.once("tools/call", {"name": "up__form", "arguments": {"text": "more"}})["result"]
    assert room["resultType"] == "input_required"


def test_a_client_that_goes_away_in_a_round_cancels_the_call_at_the_server(start: Any, tmp_path: Any) -> None:
    stage = start(asking(tmp_path, "legacy"), rules=(*RULES, rule("asked", "approve", "tool.call", tool=["form"])))
    client = ModernClient(stage, stage.token())
    params = {"name": "up__form", "arguments": {}}
    answered = threading.Thread(target=stage.answer_next, kwargs={"yes": True})
    answered.start()
    asked = client.once("tools/call", params)["result"]
    answered.join()
    meta = {**META, "io.modelcontextprotocol/clientCapabilities": CLAIMS}
    given = dict.fromkeys(asked["inputRequests"], ANSWERS["elicitation/create"])
    again = {**params, "_meta": meta, "inputResponses": given, "requestState": asked["requestState"]}
    body = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": again}).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{stage.port}\r\nAuthorization: Bearer {client.token}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: up__form\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    inbox, deadline = Inbox(str(tmp_path / "inbox.sqlite")), time.monotonic() + 20
    with socket.create_connection(("127.0.0.1", stage.port)) as connection:
        connection.sendall(head.encode() + body)
        while not inbox.pending() and time.monotonic() < deadline:
            time.sleep(0.02)
    while not stage.seen("notifications/cancelled") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stage.seen("notifications/cancelled") and "Ada" not in (tmp_path / "seen").read_text()

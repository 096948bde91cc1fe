"""Whose a session and a parked call are: their maker's, by any token that is good in the same place, and nobody's else: not the same
agent's in a session of the host plane, nor outside of the one that they were begun in."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest
from gateway_stage import META
from test_eras import ANSWERS, CLAIMS, RULES, asking
from test_legacy import rpc
from test_tokens import attested, now_ms, session_token

PARAMS = {"name": "up__form", "arguments": {}}
ANSWER = ANSWERS["elicitation/create"]


class Caller:
    """A client at one connection, with one token."""

    def __init__(self, stage: Any, token: str, connection: http.client.HTTPConnection | None = None) -> None:
        self.connection = connection or http.client.HTTPConnection("127.0.0.1", stage.port, timeout=30)
        self.token = token

    def post(self, body: Any, **headers: str) -> tuple[int, dict[str, str], Any]:
        base = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": f"Bearer {self.token}"}
        self.connection.request("POST", "/mcp", json.dumps(body), {**base, **headers})
        response = self.connection.getresponse()
        text = response.read().decode()
        events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ") and line[6:].strip()]
        return response.status, dict(response.headers), events[-1] if events else json.loads(text) if text else None

    def call(self, **more: Any) -> Any:
        """The call of a modern client, or its retry."""
        params = {**PARAMS, "_meta": {**META, "io.modelcontextprotocol/clientCapabilities": CLAIMS}, **more}
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": PARAMS["name"]}
        return self.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, **headers)[2]

    def resumes(self, asked: Any) -> Any:
        given = dict.fromkeys(asked["inputRequests"], ANSWER)
        return self.call(inputResponses=given, requestState=asked["requestState"])

    def begins(self) -> str:
        """A session of the older era."""
        said = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        return str(self.post(rpc("initialize", said, 1))[1]["mcp-session-id"])

    def lists(self, session: str) -> int:
        return self.post(rpc("tools/list", {}, 2), **{"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"})[0]


@pytest.mark.parametrize("server_era", ["legacy", "modern"])
def test_a_newer_token_goes_on_with_what_the_older_one_began_even_when_that_has_expired(start: Any, tmp_path: Any, server_era: str) -> None:
    stage = start(asking(tmp_path, server_era), rules=RULES)
    older = Caller(stage, stage.token(ttl_ms=4_000))
    session, asked = older.begins(), older.call()["result"]
    assert asked["resultType"] == "input_required"
    deadline = time.monotonic() + 20
    while older.lists(session) == 200:
        assert time.monotonic() < deadline
        time.sleep(0.25)
    newer = Caller(stage, stage.token())
    done = newer.resumes(asked)["result"]
    assert json.loads(done["content"][0]["text"]) == [ANSWER]
    assert older.resumes(asked)["error"]["code"] == -32001 or "expired" in json.dumps(older.resumes(asked))


def test_a_session_goes_on_with_a_newer_token_and_ends_with_the_one_shown_last(start: Any, tmp_path: Any) -> None:
    stage = start(asking(tmp_path, "legacy"), rules=RULES)
    older, newer = Caller(stage, stage.token()), Caller(stage, stage.token())
    session = older.begins()
    assert newer.lists(session) == 200 and older.lists(session) == 200
    stage.registry().revoke("coder", now_ms())
    assert newer.lists(session) == 401 and older.lists(session) == 401


@pytest.mark.parametrize("server_era", ["legacy", "modern"])
def test_the_same_agent_elsewhere_goes_on_with_nothing(start: Any, tmp_path: Any, server_era: str) -> None:
    """Three places of one agent: outside every session, and two sessions. What is begun in one is not there in another."""
    stage = start(asking(tmp_path, server_era, concurrency=4), rules=RULES)
    names = ["s-20261121T120000-aaaaaa", "s-20261121T120000-bbbbbb"]
    places = [Caller(stage, stage.token()), *(Caller(stage, session_token(stage, name), attested(stage, name)) for name in names)]
    for maker in places:
        session, asked = maker.begins(), maker.call()["result"]
        for other in places:
            if other is not maker:
                assert other.lists(session) == 404
                assert other.resumes(asked)["error"]["code"] == -32602
        assert "Ada" not in (tmp_path / "seen").read_text()
        assert maker.lists(session) == 200
        newer = maker
        if maker is not places[0]:  # a session's token that was issued again
            at = places.index(maker) - 1
            newer = Caller(stage, session_token(stage, names[at]), attested(stage, names[at]))
        assert newer.lists(session) == 200
        assert json.loads(newer.resumes(asked)["result"]["content"][0]["text"]) == [ANSWER]
        (tmp_path / "seen").write_text("")

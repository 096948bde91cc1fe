"""Clients of 2024-11-05, which know one stream and a place to post to: served as all others are, held to all that a request is held to."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import call, connector, post
from test_bounds import memory_bytes
from test_legacy import rpc, session
from test_list_forms import GOOD, lists
from test_resumable import BIG, RULES

GREETING = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}


class OldClient:
    """One such client by hand."""

    def __init__(self, stage: Any, token: str | None, path: str = "/sse", **headers: str) -> None:
        self.stage, self.token = stage, token
        self.connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=20)
        base = {"Accept": "text/event-stream", **({"Authorization": f"Bearer {token}"} if token else {})}
        self.connection.request("GET", path, headers={**base, **headers})
        self.response = self.connection.getresponse()
        self.place = self.next()[1].decode() if self.response.status == 200 else ""

    def next(self) -> tuple[str, bytes]:
        kind, data = "message", b""
        while line := self.response.readline():
            name, _, value = line.rstrip(b"\n").partition(b":")
            if name == b"event":
                kind = value.strip().decode()
            elif name == b"data":
                data = value.strip()
            elif not name and not value and data:
                return kind, data
        return "end", b""

    def message(self) -> Any:
        return json.loads(self.next()[1])

    def say(self, message: Any, token: str | None = None, place: str | None = None, **headers: str) -> int:
        return post(self.stage, token or self.token, message, place or self.place, **headers)[0]

    def begin(self) -> Any:
        assert self.say(rpc("initialize", GREETING)) == 202
        answer = self.message()
        assert self.say(rpc("notifications/initialized", identity=None)) == 202
        return answer["result"]

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def test_an_old_client_lists_calls_and_is_told_of_progress(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    old = OldClient(stage, stage.token())
    assert old.begin()["protocolVersion"] == "2024-11-05"
    assert old.say(rpc("tools/list", identity=2)) == 202
    assert "notes__echo" in [each["name"] for each in old.message()["result"]["tools"]]
    params = {"name": "notes__progress", "arguments": {"text": "x"}, "_meta": {"progressToken": "p"}}
    assert old.say(rpc("tools/call", params, 3)) == 202
    told = [old.message()]
    while "id" not in told[-1]:
        told.append(old.message())
    assert told[-1]["result"]["content"][0]["text"] == "progress: x"
    assert [each["params"]["progress"] for each in told if each.get("method") == "notifications/progress"] == [0, 1, 2]


def test_at_a_connectors_own_endpoint_names_are_its_own(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    old = OldClient(stage, stage.token(), "/sse/notes")
    old.begin()
    assert old.place.startswith("/messages/notes?session=")
    assert old.say(rpc("tools/call", {"name": "echo", "arguments": {"text": "x"}}, 2)) == 202
    assert old.message()["result"]["content"][0]["text"] == "echo: x"
    assert old.say(rpc("ping"), place=old.place.replace("/messages/notes", "/messages")) == 404
    assert OldClient(stage, stage.token(), "/sse/nobody").response.status == 404


def test_every_post_is_held_to_its_token_its_host_its_form_and_its_session(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token, foreign = stage.token(), stage.token("other")
    assert OldClient(stage, None).response.status == 401
    assert OldClient(stage, token, Origin="http://evil.example").response.status == 403
    assert OldClient(stage, token, Host="evil.example").response.status == 403
    old = OldClient(stage, token)
    old.begin()
    assert post(stage, None, rpc("ping"), old.place)[0] == 401
    assert old.say(rpc("ping"), foreign) == 404  # a stolen place to post to
    assert old.say(rpc("ping", identity=8), stage.token()) == 202 and old.message()["id"] == 8  # a newer token of its maker: see test_holders.py
    assert old.say(rpc("ping"), Origin="http://evil.example") == 403 and old.say(rpc("ping"), Host="evil.example") == 403
    assert old.say(b"{", **{"Content-Type": "application/json"}) == 400 and old.say([rpc("ping")]) == 400
    assert old.say(rpc("ping"), **{"Content-Type": "text/plain"}) == 415
    for place in ("/messages", "/messages?session=", "/messages?session=guess", f"{old.place}&session=x", "/messages?sessionId=x"):
        assert old.say(rpc("ping"), place=place) == 404, place
    identity = old.place.partition("session=")[2]
    assert post(stage, token, rpc("ping"), **{"Mcp-Session-Id": identity})[0] == 404  # it is no session of /mcp, nor the other way round
    newer = session(stage, token)["Mcp-Session-Id"]
    assert old.say(rpc("ping"), place=f"/messages?session={newer}") == 404
    assert old.say(rpc("ping", identity=9)) == 202 and old.message() == {"jsonrpc": "2.0", "id": 9, "result": {}}
    assert [each["verb"] for each in (record["action"] for record in stage.records() if record["type"] == "action.decided")] == []


def test_a_session_is_initialized_once_and_ends_with_its_connection(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    old = OldClient(stage, stage.token())
    old.begin()
    assert old.say(rpc("initialize", GREETING, 5)) == 202 and old.message()["error"]["code"] == -32600
    assert old.say(rpc("tools/call", {"name": "notes__slow", "arguments": {"text": "30"}}, 6)) == 202
    deadline = time.monotonic() + 10
    while not stage.effects:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    old.close()
    while old.say(rpc("ping")) != 404:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while not (ended := [each for each in stage.records() if each["type"] == "action.enacted"]):
        assert time.monotonic() < deadline, "the call goes on for nobody"
        time.sleep(0.1)
    assert ended[0]["effect"] == "unknown"


def test_a_flood_of_streams_leaves_a_bounded_number(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    held = [OldClient(stage, token) for _ in range(80)]
    try:
        alive = sum(each.say(rpc("ping", identity=1)) == 202 for each in held)
        assert alive <= 64
        assert post(stage, stage.token("other"), rpc("initialize", GREETING))[0] == 200
    finally:
        for each in held:
            each.close()


def test_a_client_that_does_not_read_its_stream_costs_so_much_and_loses_it(start: Any, tmp_path: Path) -> None:
    tools = [{"name": "big", "inputSchema": GOOD}]
    stage = start(lists(tmp_path, tools=tools, structured={"text": BIG}), connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    before = memory_bytes()
    old = OldClient(stage, token)
    old.begin()
    statuses = []
    for number in range(30):
        statuses.append(old.say(rpc("tools/call", {"name": "lists__big", "arguments": {}}, number + 2)))
        assert not call(stage, stage.token("other"), "notes__echo", text="x").get("isError")
        if statuses[-1] == 404:
            break
        time.sleep(0.2)
    assert statuses[0] == 202 and statuses[-1] == 404, "it is served although it does not read"
    assert memory_bytes() - before < 100 * 1024 * 1024
    old.close()


def test_revoking_an_agent_ends_its_stream(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    old = OldClient(stage, stage.token())
    old.begin()
    stage.registry().revoke("coder", time.time_ns() // 1_000_000)
    assert old.next()[0] == "end" and old.say(rpc("ping")) == 401


def test_the_python_sdks_client_of_that_transport(start: Any, tmp_path: Path) -> None:
    sse = pytest.importorskip("mcp.client.sse", reason="needs the MCP SDK for Python")
    from mcp import ClientSession

    stage = start(connector("notes", root=tmp_path), rules=RULES)

    async def called() -> Any:
        headers = {"Authorization": f"Bearer {stage.token()}"}
        async with sse.sse_client(f"{stage.url}/sse", headers=headers) as (reading, writing), ClientSession(reading, writing) as client:
            await client.initialize()
            names = [each.name for each in (await client.list_tools()).tools]
            return names, await client.call_tool("notes__echo", {"text": "hi"})

    names, result = asyncio.run(called())
    assert "notes__echo" in names and result.content[0].text == "echo: hi"

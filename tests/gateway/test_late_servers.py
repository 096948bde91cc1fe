"""A server that is slow to start or to answer delays nobody's list for long: what is known is listed at once, clients are told when the rest has come, and a call
that cannot be sent yet is a result which says so."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import mcp
import pytest
from gateway_stage import SERVERS, call, connector, modern, post, rule
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from test_announced import CHANGED, Listener
from test_legacy import INITIALIZE, rpc, session
from test_resumable import Reader

from interlock.connectors.configuration import Connector, Stdio

RULES = (rule("all", "allow", "tool.call", "tool.list", "prompt.get"),)
#: Beside what a list waits, what a busy machine may need.
SLACK_S = 4.0


def held(root: Path, name: str = "held", **options: Any) -> Connector:
    server = Stdio((sys.executable, str(SERVERS / "held.py"), str(root)))
    return Connector(name=name, server=server, **{"timeout_ms": 60_000, "start_timeout_ms": 60_000, **options})


def last(answer: Any) -> Any:
    return answer[-1] if isinstance(answer, list) else answer


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with shorter waits."""
    monkeypatch.setattr("interlock.connectors.link.START_PATIENCE_MS_MAX", 1_000)
    monkeypatch.setattr("interlock.connectors.lists.LIST_S_MAX", 3.0)
    monkeypatch.setattr("interlock.gateway.known_lists.LIST_AT_ONCE_S", 1.0)


def listed(stage: Any, token: str, method: str = "tools/list") -> tuple[float, list[str], dict[str, Any]]:
    """How long a list took, the names on it, and its `_meta`."""
    begun = time.monotonic()
    _, answer = modern(stage, token, method)
    result = last(answer)["result"]
    entries = next(value for value in result.values() if isinstance(value, list))
    return time.monotonic() - begun, [each["name"] for each in entries], result["_meta"]


def test_a_server_that_hangs_at_its_start_delays_a_list_once_and_no_list_after_that(start: Any, tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    stage = start(held(tmp_path), connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    begun = time.monotonic()
    status, _, answer = post(stage, token, rpc("initialize", INITIALIZE))
    assert status == 200 and time.monotonic() - begun < 5 + SLACK_S
    assert {"tools", "prompts", "resources"} <= set(answer["result"]["capabilities"]), "nobody would ask for what a late server has"
    for method in ("tools/list", "prompts/list", "tools/list"):
        took, names, meta = listed(stage, token, method)
        assert took < SLACK_S, f"{method} took {took:.1f} s"
        assert [each["connector"] for each in meta["interlock/unavailable"]] == ["held"]
        assert "notes__echo" in names or "notes__greet" in names
    (tmp_path / "hold").unlink()


@pytest.mark.parametrize("alone", [True, False])
def test_a_client_that_greets_the_gateway_does_not_wait_for_a_server_and_is_told_which_is_not_ready(
    start: Any, short: None, tmp_path: Path, alone: bool
) -> None:
    (tmp_path / "hold").touch()
    more = [] if alone else [connector("notes", root=tmp_path)]
    stage = start(held(tmp_path), *more, rules=RULES)
    token, path = stage.token(), "/mcp/held" if alone else "/mcp"
    status, headers, answer = post(stage, token, rpc("initialize", INITIALIZE), path)
    found = answer["result"]
    assert status == 200 and [each["connector"] for each in found["_meta"]["interlock/unavailable"]] == ["held"]
    assert "Not ready yet: `held`" in found["instructions"] and {"tools", "prompts", "resources"} <= set(found["capabilities"])
    discovered = last(modern(stage, token, "server/discover", path=path)[1])["result"]
    assert "Not ready yet: `held`" in discovered["instructions"] and discovered["_meta"]["interlock/unavailable"]
    (tmp_path / "hold").unlink()
    session = {"Mcp-Session-Id": headers["Mcp-Session-Id"], "MCP-Protocol-Version": found["protocolVersion"]}
    deadline = time.monotonic() + 20
    while "echo" not in json.dumps(last(post(stage, token, rpc("tools/list"), path, **session)[2])):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert last(post(stage, token, rpc("resources/list"), path, **session)[2])["result"]["resources"] == []  # as it was told that there may be some
    again = post(stage, token, rpc("initialize", INITIALIZE), path)[2]["result"]
    assert "Not ready" not in again["instructions"] and "_meta" not in again


def test_clients_of_both_eras_are_told_when_a_late_server_has_come(start: Any, short: None, tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    stage = start(held(tmp_path), connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    assert last(modern(stage, token, "server/discover")[1])["result"]["capabilities"]["tools"] == {"listChanged": True}
    listener, older = Listener(stage, token, "mine", toolsListChanged=True), Reader(stage, token, session(stage, token))
    assert listener.next() and older.next() is not None
    assert "held__echo" not in listed(stage, token)[1]
    (tmp_path / "hold").unlink()
    assert listener.next()["method"] == CHANGED
    event = older.next()
    assert event is not None and event[1]["method"] == CHANGED
    took, names, meta = listed(stage, token)
    assert took < SLACK_S and "held__echo" in names and "interlock/unavailable" not in meta
    assert not call(stage, token, "held__echo").get("isError")


@pytest.mark.parametrize("how", ["hold", "silent"])
def test_a_server_that_was_listed_before_stays_listed_and_is_marked(start: Any, short: None, tmp_path: Path, how: str) -> None:
    stage = start(held(tmp_path), connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    assert "held__echo" in listed(stage, token)[1]
    (tmp_path / how).touch()
    assert call(stage, token, "held__die")["isError"]
    for most_s in (1 + SLACK_S, SLACK_S):
        took, names, meta = listed(stage, token)
        assert took < most_s and "held__echo" in names and "notes__echo" in names
        (late,) = meta["interlock/as-last-known"]
        assert late["connector"] == "held" and "listed last" in late["reason"]
    (tmp_path / how).unlink()
    deadline = time.monotonic() + 20
    while "interlock/as-last-known" in listed(stage, token)[2]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_call_of_a_server_that_still_starts_is_a_result_that_says_it_was_not_sent(start: Any, short: None, tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    stage = start(held(tmp_path), connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    found = call(stage, token, "held__echo")
    assert found["isError"] and found["_meta"]["interlock/effect"] == "not sent" and "has been starting for" in found["content"][0]["text"]
    headers = session(stage, token)
    _, _, answer = post(stage, token, rpc("tools/call", {"name": "held__echo", "arguments": {}}), **headers)
    result = last(answer)["result"]
    assert result["isError"] and result["_meta"]["interlock/effect"] == "not sent"
    (tmp_path / "hold").unlink()
    deadline = time.monotonic() + 20
    while call(stage, token, "held__echo").get("isError"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert (tmp_path / "calls").read_text().splitlines() == ["echo"], "a call that was said not to be sent was made"


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
def test_the_sdk_raises_at_no_call_of_a_server_that_is_not_there(start: Any, tmp_path: Path, era: str) -> None:
    stage = start(Connector("gone", Stdio(("/nonexistent/server",))), connector("notes", root=tmp_path), rules=RULES)

    async def called() -> Any:
        headers = {"Authorization": f"Bearer {stage.token()}"}
        async with (
            create_mcp_http_client(headers=headers) as http,
            mcp.Client(streamable_http_client(f"{stage.url}/mcp", http_client=http), mode=era) as client,
        ):
            return await client.call_tool("gone__anything", {})

    found = asyncio.run(called())
    assert found.is_error and "was not sent" in found.content[0].text

"""What a server says of a call before its answer reaches the client before the answer, all of it, also where the server writes everything at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gateway_stage import META, post, rule
from test_late_servers import held
from test_legacy import rpc, session
from test_oldest_transport import OldClient

RULES = (rule("all", "allow", "tool.call", "tool.list"),)
ROUNDS = 25
TOLD = ["notifications/progress"] * 3 + [None]


def steps(identity: int, **meta: Any) -> dict[str, Any]:
    return rpc("tools/call", {"name": "held__steps", "arguments": {}, "_meta": {**meta, "progressToken": "p"}}, identity)


def told(messages: list[dict[str, Any]]) -> list[Any]:
    assert [each["params"]["progress"] for each in messages[:-1]] == [0, 1, 2]
    assert messages[-1]["result"]["content"][0]["text"] == "hello"
    return [each.get("method") for each in messages]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_reports_of_progress_come_before_the_answer_over_streamable_http(start: Any, tmp_path: Path, era: str) -> None:
    stage = start(held(tmp_path), rules=RULES)
    token = stage.token()
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "held__steps"}
    headers, meta = (session(stage, token), {}) if era == "legacy" else (headers, META)
    for number in range(ROUNDS):
        status, _, answer = post(stage, token, steps(number + 10, **meta), **headers)
        assert status == 200 and told(answer) == TOLD


def test_and_over_the_oldest_transport(start: Any, tmp_path: Path) -> None:
    stage = start(held(tmp_path), rules=RULES)
    old = OldClient(stage, stage.token())
    old.begin()
    for number in range(ROUNDS):
        assert old.say(steps(number + 10)) == 202
        assert told([old.message() for _ in TOLD]) == TOLD

"""Servers over HTTP: both eras, credentials that stay ours, and servers that lie or never end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import SERVERS, call, connector, modern, rule

from interlock.connectors.configuration import Connector, Http

RULES = (rule("all", "allow", "tool.call", tool=["*"]),)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    running: list[subprocess.Popen[str]] = []

    def begin(mode: str) -> Connector:
        process = subprocess.Popen([sys.executable, str(SERVERS / "web.py"), mode, str(tmp_path / "seen")], stdout=-1, text=True)
        running.append(process)
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
        server = Http(url, {"Authorization": "Bearer upstream-secret"})
        return Connector("web", server, timeout_ms=4_000, start_timeout_ms=4_000)

    yield begin
    for process in running:
        process.kill()
        process.wait()


def seen(tmp_path: Path) -> list[Any]:
    return [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]


@pytest.mark.parametrize("mode", ["modern", "legacy", "events"])
def test_a_call_in_each_era(start: Any, serve: Any, tmp_path: Path, mode: str) -> None:
    stage = start(serve(mode), rules=RULES)
    token = stage.token()
    # header values mirror arguments: this text could end a header early if it went in as it is
    text = "a\r\nX-Evil: 1 ü"
    import base64

    from gateway_stage import META, post

    mirrored = f"=?base64?{base64.b64encode(text.encode()).decode()}?="
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "web__echo", "Mcp-Param-Text": mirrored}
    params = {"name": "web__echo", "arguments": {"text": text}, "_meta": META}
    status, _, answer = post(stage, token, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, **headers)
    answer = answer[-1] if isinstance(answer, list) else answer
    assert status == 200 and answer["result"]["content"][0]["text"] == text
    method, headers, sent = seen(tmp_path)[-1]
    assert method == "tools/call" and headers["Authorization"] == "Bearer upstream-secret"
    assert token not in json.dumps(seen(tmp_path)) and "X-Evil" not in headers
    assert sent["arguments"] == {"text": text}
    if mode == "legacy":
        assert headers["Mcp-Session-Id"] == "abc" and "Mcp-Method" not in headers
    else:
        assert headers["Mcp-Name"] == "echo" and headers["Mcp-Param-Text"] == mirrored
    assert "upstream-secret" not in json.dumps(stage.records())


def test_a_mirrored_header_that_disagrees_is_refused(start: Any, serve: Any, tmp_path: Path) -> None:
    stage = start(serve("modern"), rules=RULES)
    status, answer = modern(stage, stage.token(), "tools/call", {"name": "web__echo", "arguments": {"text": "x"}})
    assert status == 400 and answer["error"]["code"] == -32020
    assert "tools/call" not in [each[0] for each in seen(tmp_path)]


LIES = {
    "redirect": "redirects to another server",
    "huge-event": "more than 4194304",
    "endless": "more than 4194304",
    "no-answer": "without an answer",
    "html": "no JSON",
    "asks": "does not forward",
}


@pytest.mark.parametrize("mode", LIES)
def test_a_lying_server_is_a_failed_call(start: Any, serve: Any, tmp_path: Path, mode: str) -> None:
    stage = start(serve(mode), connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    result = call(stage, token, "web__echo")
    assert result["isError"] and LIES[mode] in result["content"][0]["text"], result
    assert not call(stage, token, "notes__echo", text="x").get("isError")


def test_why_a_server_cannot_be_reached_is_said_in_plain_words(start: Any, serve: Any) -> None:
    url = serve("modern").server.url
    closed = Connector("closed", Http("http://127.0.0.1:1/mcp"), timeout_ms=4_000, start_timeout_ms=4_000)
    plain = Connector("plain", Http(url.replace("http:", "https:")), timeout_ms=4_000, start_timeout_ms=4_000)
    stage = start(closed, plain, rules=RULES)
    _, answer = modern(stage, stage.token(), "tools/list")
    answer = answer[-1] if isinstance(answer, list) else answer
    reasons = {each["connector"]: each["reason"] for each in answer["result"]["_meta"]["interlock/unavailable"]}
    assert reasons["closed"] == "`closed` could not be reached: cannot connect (connection refused)"
    assert reasons["plain"].startswith("`plain` could not be reached: cannot connect (TLS, ")

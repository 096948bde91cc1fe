"""A third party's client logs in by itself: `mcp-remote`, as people put it between a client of stdio and a server over HTTP."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from gateway_stage import connector
from login_stage import Browser, next_page, person

VERSION = "mcp-remote@0.1"


@pytest.fixture(scope="session")
def mcp_remote(tmp_path_factory: Any) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs node and npm, to run mcp-remote")
    folder = tmp_path_factory.mktemp("mcp-remote")
    (folder / "package.json").write_text("{}")
    done = subprocess.run([npm, "install", "--no-audit", "--no-fund", VERSION], cwd=folder, capture_output=True, timeout=240)
    if done.returncode:
        pytest.skip(f"npm could not install mcp-remote: {done.stderr.decode()[-300:]}")
    return Path(folder / "node_modules/.bin/mcp-remote")


def in_a_browser(stage: Any, url: str) -> None:
    """Open the page, have a person say yes, and follow to the client."""
    browser, parts = Browser(stage), urlsplit(url)
    at = next_page(browser.open(f"{parts.path}?{parts.query}"))
    person(stage)
    got = browser.open(at)
    while got.status == 200:
        got = browser.open(next_page(got))
    with urlopen(got.headers["Location"], timeout=30) as response:
        assert response.status == 200


def test_mcp_remote_logs_in_by_itself(start: Any, tmp_path: Path, mcp_remote: Path) -> None:
    stage = start(connector("notes", root=tmp_path), oauth=True)
    environment = {**os.environ, "MCP_REMOTE_CONFIG_DIR": str(tmp_path / "kept"), "BROWSER": "true"}
    client = subprocess.Popen(
        [str(mcp_remote), f"{stage.url}/mcp", "--allow-http", "--transport", "http-only"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert client.stdin is not None and client.stdout is not None and client.stderr is not None
    said: list[str] = []
    greeting = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    messages = (
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": greeting},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "notes__echo", "arguments": {"text": "hi"}}},
    )

    def browsing() -> None:
        opened = False
        for line in client.stderr or ():
            said.append(line)
            found = re.search(rf"{re.escape(stage.url)}/authorize\?\S+", line)
            if found is not None and not opened:
                opened = True
                in_a_browser(stage, found[0])

    human = threading.Thread(target=browsing, daemon=True)
    human.start()
    ending = threading.Timer(120, client.kill)
    ending.start()
    try:
        client.stdin.write(json.dumps(messages[0]) + "\n")
        client.stdin.flush()
        assert json.loads(client.stdout.readline() or "{}").get("id") == 1, said
        client.stdin.write("".join(json.dumps(each) + "\n" for each in messages[1:]))
        client.stdin.flush()
        answer = json.loads(client.stdout.readline() or "{}")
        assert answer["result"]["content"][0]["text"] == "echo: hi", (answer, said)
    finally:
        ending.cancel()
        client.kill()
        client.wait()
    assert [each for each in stage.records() if each["type"] == "login.granted"]

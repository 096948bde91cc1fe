"""The official SDKs' clients through the gateway: list, one call allowed, one denied with words, one approved. Both eras.

Python: `mcp`. TypeScript: `@modelcontextprotocol/sdk`, installed from npm into a folder of its own for the run.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import connector

mcp = pytest.importorskip("mcp", reason="needs the MCP SDK for Python: pip install 'mcp>=2'")

TYPESCRIPT = """
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
const client = new Client({ name: "test", version: "1" }, { capabilities: {} });
await client.connect(transport);
const tools = (await client.listTools()).tools.map((each) => each.name);
const call = (name) => client.callTool({ name, arguments: { text: "hi" } });
const told = [];
const progress = await client.callTool(
  { name: "notes__progress", arguments: { text: "hi" } }, undefined, { onprogress: (each) => told.push(each.progress) });
console.log(JSON.stringify({ tools, allowed: await call("notes__echo"), denied: await call("notes__erase"),
  approved: await call("notes__ask_first"), told, progress }));
await transport.terminateSession();
await client.close();
"""


def yes_soon(stage: Any) -> threading.Thread:
    human = threading.Thread(target=stage.answer_next, kwargs={"yes": True, "within_s": 60})
    human.start()
    return human


async def through_python(url: str, token: str, mode: str) -> dict[str, Any]:
    from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

    told: list[float] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    async with (
        create_mcp_http_client(headers={"Authorization": f"Bearer {token}"}) as http,
        mcp.Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        tools = [each.name for each in (await client.list_tools()).tools]
        calls = ("echo", "erase", "ask_first")
        answers = {name: await client.call_tool(f"notes__{name}", {"text": "hi"}) for name in calls}
        await client.call_tool("notes__progress", {"text": "hi"}, progress_callback=progressed)
        return {"tools": tools, "told": told, **answers}


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28", "auto"])
def test_the_python_client(start: Any, tmp_path: Any, mode: str) -> None:
    stage = start(connector("notes", root=tmp_path))
    human = yes_soon(stage)
    found = asyncio.run(through_python(f"{stage.url}/mcp", stage.token(), mode))
    human.join()
    assert "notes__echo" in found["tools"] and "notes__erase" not in found["tools"]
    assert found["echo"].content[0].text == "echo: hi" and not found["echo"].is_error
    assert found["erase"].is_error and "test/erasing" in found["erase"].content[0].text
    assert not found["ask_first"].is_error and found["told"] == [0, 1, 2]
    assert [name for name, _ in stage.effects] == ["echo", "ask_first", "progress"]


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: Any) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs node and npm, to run the MCP SDK for TypeScript")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "@modelcontextprotocol/sdk@1"], cwd=folder, capture_output=True, timeout=240
    )
    if done.returncode:
        pytest.skip(f"npm could not install the MCP SDK for TypeScript: {done.stderr.decode()[-300:]}")
    return folder


def test_the_typescript_client(start: Any, tmp_path: Any, node_modules: Path) -> None:
    stage = start(connector("notes", root=tmp_path))
    (node_modules / "client.mjs").write_text(TYPESCRIPT)
    human = yes_soon(stage)
    done = subprocess.run(
        ["node", "client.mjs", f"{stage.url}/mcp", stage.token()], cwd=node_modules, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()
    human.join()
    found = json.loads(done.stdout)
    assert "notes__echo" in found["tools"] and "notes__erase" not in found["tools"]
    assert found["allowed"]["content"][0]["text"] == "echo: hi"
    assert found["denied"]["isError"] and "test/erasing" in found["denied"]["content"][0]["text"]
    assert not found["approved"].get("isError") and found["told"] == [0, 1, 2]

"""The chain with the real host plane: a jailed agent, the gateway, a jailed server, by the command line; one tree at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import SERVERS

from interlock.host.executable import find_supervisor
from interlock.vocabulary.errors import InterlockError

try:
    find_supervisor()
except InterlockError as missing:
    pytest.skip(f"needs the supervisor executable: {missing}", allow_module_level=True)

POLICY = """
interlock: 1
name: tools
rules:
  - id: echo
    allow: [tool.call, tool.list]
    tool: echo
  - id: erase
    deny: tool.call
    operation: delete
    because: nothing is deleted
"""
NETWORK = """
interlock: 1
name: way-to-gateway
rules:
  - id: gateway
    allow: [net.connect, net.send]
    address: 127.0.0.1
    port: {port}
"""
CLIENT = """
import json, os, sys, urllib.error, urllib.request
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
def call(name):
    params = {"name": name, "arguments": {"text": "hi"}, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json", "MCP-Protocol-Version": "2026-07-28",
               "Mcp-Method": "tools/call", "Mcp-Name": name, "Authorization": "Bearer " + os.environ["INTERLOCK_TOKEN"]}
    request = urllib.request.Request(os.environ["INTERLOCK_GATEWAY_URL"] + "/mcp", body, headers)
    try:
        return json.load(urllib.request.urlopen(request, timeout=30))["result"]
    except urllib.error.HTTPError as error:
        return {"status": error.code}
print(json.dumps([os.environ["INTERLOCK_TOKEN"], call("notes__echo"), call("notes__erase")]), flush=True)
if sys.stdin.readline():
    print(json.dumps(call("notes__echo")))
"""


class Commands:
    """The command line with a home of its own."""

    def __init__(self, root: Path, port: int) -> None:
        self.root, self.url = root, f"http://127.0.0.1:{port}"
        self.environment = {
            **os.environ,
            "INTERLOCK_HOME": str(root / "home"),
            "INTERLOCK_GATEWAY_URL": self.url,
            "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
            "PYTHONSAFEPATH": "1",
        }

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "interlock", *words]
        return subprocess.Popen(command, env=self.environment, text=True, stdout=-1, stderr=-1, **options)

    def run(self, *words: str) -> str:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out


@pytest.fixture
def commands() -> Any:
    import shutil
    import socket
    import tempfile

    tmp_path = Path(tempfile.mkdtemp(prefix="ilk-"))  # short: the names of sockets lie below it
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    made = Commands(tmp_path, port)
    (tmp_path / "tools.yaml").write_text(POLICY)
    (tmp_path / "network.yaml").write_text(NETWORK.format(port=port))
    work = tmp_path / "work"
    work.mkdir()
    (work / "client.py").write_text(CLIENT)
    server_work = tmp_path / "server"
    server_work.mkdir()
    made.run(
        "connector", "add", "notes", "--stdio", "--workspace", str(server_work), "--env", f"EFFECTS={server_work}/effects",
        "--", sys.executable, str(SERVERS / "raw.py"),
    )  # fmt: skip
    made.run("agent", "add", "coder")
    gateway = made.start("gateway", "--listen", f"127.0.0.1:{port}", "--policy", str(tmp_path / "tools.yaml"))
    deadline = time.monotonic() + 30
    while not (tmp_path / "home/runtime/gateway.sock").exists():
        assert gateway.poll() is None and time.monotonic() < deadline, gateway.communicate()
        time.sleep(0.05)
    time.sleep(0.3)
    yield made
    if gateway.poll() is None:
        gateway.send_signal(signal.SIGTERM)
    gateway.communicate(timeout=30)
    shutil.rmtree(tmp_path, ignore_errors=True)


def jailed_agent(commands: Commands) -> subprocess.Popen[str]:
    return commands.start(
        "run", "--preset", "coding-agent", "--policy", str(commands.root / "network.yaml"), "--agent", "coder",
        "--", sys.executable, "client.py", cwd=commands.root / "work", stdin=-1,
    )  # fmt: skip


def test_prompt_to_tool_call_to_system_call_is_one_tree(commands: Commands) -> None:
    agent = jailed_agent(commands)
    assert agent.stdout is not None
    line = agent.stdout.readline()
    assert line, agent.communicate()
    token, allowed, denied = json.loads(line)
    assert allowed["content"][0]["text"] == "echo: hi"
    assert denied["isError"] and "tools/erase" in denied["content"][0]["text"]
    assert outside_with(commands, token) == 401, "the session's token works outside its session"
    out, err = agent.communicate("again\n", timeout=60)
    assert agent.returncode == 0, err
    assert json.loads(out)["content"][0]["text"] == "echo: hi"
    assert outside_with(commands, token) == 401
    sessions = sorted((commands.root / "home/state/ledger/sessions").iterdir())
    trees = [commands.run("session", "show", each.name) for each in sessions]
    [tree] = [each for each in trees if "agent: coder\n" in each]
    assert "tool.call notes/echo: allow (tools/echo), done" in tree and "file.create" in tree
    assert "tool.call notes/erase: deny (tools/erase)" in tree


def test_a_server_held_by_its_policy_and_gone_with_its_gateway(commands: Commands) -> None:
    found = json.loads(commands.run("connector", "test", "notes", "--json"))
    assert found["fault"] is None and {each["name"] for each in found["tools"]} >= {"echo", "erase"}
    assert next(each for each in found["tools"] if each["name"] == "erase")["operation"] == "delete"
    assert servers_of(commands.root) == []


def servers_of(root: Path) -> list[str]:
    """Processes that still run this test's server."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"EFFECTS={root}".encode() in environment:
                found.append(entry.name)
    return found


def outside_with(commands: Commands, token: str) -> int:
    environment = {**os.environ, "INTERLOCK_TOKEN": token, "INTERLOCK_GATEWAY_URL": commands.url}
    done = subprocess.run(
        [sys.executable, str(commands.root / "work/client.py")], env=environment, capture_output=True, text=True, stdin=-3
    )
    return int(json.loads(done.stdout.splitlines()[0])[1]["status"])

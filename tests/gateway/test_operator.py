"""What the operator is told and can say: how the gateway stands with its servers, where it is found, what `connector add` takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import SERVERS

from interlock.connectors.configuration import load

POLICY = "interlock: 1\nname: tools\nrules:\n  - id: all\n    allow: [tool.call, tool.list]\n"
ASKS = """
import json, os, urllib.error, urllib.request
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}).encode()
headers = {"Content-Type": "application/json", "Accept": "application/json", "MCP-Protocol-Version": "2026-07-28",
           "Mcp-Method": "tools/list", "Authorization": "Bearer " + os.environ["INTERLOCK_TOKEN"]}
request = urllib.request.Request(os.environ["INTERLOCK_GATEWAY_URL"] + "/mcp", body, headers)
print(json.dumps(json.load(urllib.request.urlopen(request, timeout=60))["result"]), flush=True)
"""


class Commands:
    """The command line with a home of its own, and no variable that says where a gateway is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "INTERLOCK_GATEWAY_URL"},
            "INTERLOCK_HOME": str(root / "home"),
            "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
            "PYTHONSAFEPATH": "1",
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "interlock", *words]
        return subprocess.Popen(command, env=self.environment, text=True, stdout=-1, stderr=-1, cwd=self.root / "work")

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=90)
        return process.returncode, out, err


@pytest.fixture
def commands() -> Iterator[Commands]:
    import shutil
    import tempfile

    root = Path(tempfile.mkdtemp(prefix="ilk-"))  # short: the names of sockets lie below it
    (root / "work").mkdir()
    (root / "tools.yaml").write_text(POLICY)
    (root / "work" / "asks.py").write_text(ASKS)
    yield Commands(root)
    shutil.rmtree(root, ignore_errors=True)


def test_what_connector_add_takes_is_kept_and_values_are_not_shown(commands: Commands) -> None:
    commands.environment["API_TOKEN"] = "s3cret-value"
    status, _, err = commands.run(
        "connector", "add", "notes", "--stdio", "--revision", "legacy", "--timeout", "90s", "--start-timeout", "2m",
        "--concurrency", "4", "--env", "API_TOKEN", "--env", "MODE=x", "--", "true",
    )  # fmt: skip
    assert status == 0, err
    kept = load(commands.root / "home/config/connectors/notes.yaml")
    assert (kept.revision, kept.timeout_ms, kept.start_timeout_ms, kept.concurrency) == ("legacy", 90_000, 120_000, 4)
    assert kept.server.environment == {"API_TOKEN": "s3cret-value", "MODE": "x"}  # type: ignore[union-attr]
    for options in ((), ("--json",)):
        _, shown, _ = commands.run("connector", "list", *options)
        assert "API_TOKEN" in shown and "s3cret-value" not in shown
    status, _, err = commands.run("connector", "add", "other", "--stdio", "--env", "NOT_SET_ANYWHERE", "--", "true")
    assert status == 120 and "`NOT_SET_ANYWHERE` is not set here" in err
    status, _, err = commands.run("connector", "add", "other", "--stdio", "--timeout", "soon", "--", "true")
    assert status == 120 and "`soon` is not a duration" in err


def test_an_agents_session_finds_the_gateway_wherever_it_listens(commands: Commands) -> None:
    server = str(SERVERS / "broken.py")
    commands.run("connector", "add", "fails", "--stdio", "--", sys.executable, server, "traceback", "/nonexistent")
    commands.run("agent", "add", "coder")
    run = ("run", "--preset", "observe", "--agent", "coder", "--", sys.executable, "asks.py")
    status, _, err = commands.run(*run)
    assert status == 120 and "no gateway runs" in err
    gateway = commands.start("gateway", "--listen", "127.0.0.1:0", "--policy", str(commands.root / "tools.yaml"))
    try:
        deadline = time.monotonic() + 30
        while not (commands.root / "home/runtime/gateway.json").exists() and gateway.poll() is None:
            assert time.monotonic() < deadline, "the gateway does not come up"
            time.sleep(0.05)
        told = json.loads((commands.root / "home/runtime/gateway.json").read_text())["url"]
        assert not told.endswith(":7391")
        time.sleep(0.5)
        status, out, err = commands.run(*run)
        assert status == 0, err
        missing = json.loads(out)["_meta"]["interlock/unavailable"]
        assert [each["connector"] for each in missing] == ["fails"]
        says_why(commands)
    finally:
        gateway.terminate()
        gateway.communicate(timeout=30)
    status, out, _ = commands.run("connector", "list")
    assert status == 0 and "not running" not in out, "a gateway that has ended is still believed"


def says_why(commands: Commands) -> Any:
    deadline = time.monotonic() + 10
    while True:
        _, out, _ = commands.run("connector", "list")
        if "coder: not running" in out and "it wrote:" in out:
            return
        assert time.monotonic() < deadline, out


def test_texts_of_every_kind_are_kept_as_they_are_and_a_file_with_an_anchor_is_refused(commands: Commands) -> None:
    words = ("😀 é", 'a "b" \\ c', "\u2028 and\ttab", "*star", "&amp")
    status, _, err = commands.run("connector", "add", "notes", "--stdio", "--env", f"X={words[0]}", "--", "true", *words)
    assert status == 0, err
    kept = load(commands.root / "home/config/connectors/notes.yaml").server
    assert kept.command == ("true", *words) and kept.environment == {"X": words[0]}  # type: ignore[union-attr]
    status, _, err = commands.run("connector", "add", "other", "--stdio", "--", "true", "\udcff")
    assert status == 120 and "is not UTF-8" in err
    file = commands.root / "home/config/connectors/other.yaml"
    file.write_text('interlock: 1\nstdio: {command: &same ["true"]}\n')
    file.chmod(0o600)
    status, _, err = commands.run("connector", "list")
    assert status == 120 and "other.yaml:2:18: YAML reads `&same` as an anchor, and anchors are refused" in err

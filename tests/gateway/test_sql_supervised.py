"""A database added, tested and asked by the command line, its process held by the host plane."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sqlite3
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.gateway_stage import META
from tests.gateway.sql_statements import SCHEMA
from tests.gateway.test_supervised import Commands

POLICY = """
interlock: 1
name: shop
rules:
  - id: changes
    allow: tool.call
    connector: shop
    operation: [read, write]
  - id: listing
    allow: tool.list
"""


@pytest.fixture
def shop() -> Iterator[tuple[Commands, str]]:
    root = Path(tempfile.mkdtemp(prefix="ilk-"))  # short: the names of sockets lie below it
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    made = Commands(root, port)
    (root / "data").mkdir()
    with sqlite3.connect(root / "data/shop.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(SCHEMA)
    database.close()
    (root / "shop.yaml").write_text(POLICY)
    added = made.run("connector", "add", "shop", "--sql", str(root / "data/shop.db"), "--writes")
    assert "added `shop`" in added
    token = json.loads(made.run("agent", "add", "coder", "--gateway", made.url, "--json"))["token"]
    gateway = made.start("gateway", "--listen", f"127.0.0.1:{port}", "--policy", str(root / "shop.yaml"))
    deadline = time.monotonic() + 60
    while not (root / "home/runtime/gateway.sock").exists():
        assert gateway.poll() is None and time.monotonic() < deadline, gateway.communicate()
        time.sleep(0.05)
    yield made, token
    gateway.send_signal(signal.SIGTERM)
    gateway.communicate(timeout=30)
    shutil.rmtree(root, ignore_errors=True)


def asked(commands: Commands, token: str, sql: str) -> dict[str, Any]:
    params = {"name": "shop__query", "arguments": {"sql": sql}, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    headers = {
        "Content-Type": "application/json", "Accept": "application/json", "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call", "Mcp-Name": "shop__query", "Authorization": f"Bearer {token}",
    }  # fmt: skip
    with urllib.request.urlopen(urllib.request.Request(commands.url + "/mcp", body, headers), timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)["result"]
        return found


def test_a_database_is_added_looked_at_and_asked(shop: tuple[Commands, str]) -> None:
    commands, token = shop
    found = json.loads(commands.run("connector", "test", "shop", "--json"))
    assert found["fault"] is None and [each["name"] for each in found["tools"]] == ["query", "describe"], found
    assert "sqlite" in commands.run("connector", "list") and "read and changed" in commands.run("connector", "list")
    read = asked(commands, token, "SELECT name FROM customers ORDER BY id")
    assert read["structuredContent"]["rows"] == [["Ada"], ["Bob"], ["Cy"]], read
    written = asked(commands, token, "UPDATE orders SET state = 'paid' WHERE id = 1")
    assert written["isError"] is False and written["structuredContent"]["changed"] == 1, written
    refused = asked(commands, token, "DELETE FROM orders")
    assert refused["isError"] is True
    with sqlite3.connect(commands.root / "data/shop.db") as kept:
        assert kept.execute("SELECT count(*) FROM orders").fetchone() == (4,)
        assert kept.execute("SELECT state FROM orders WHERE id = 1").fetchone() == ("paid",)
    [standing] = json.loads(commands.run("connector", "list", "--json"))["servers"]
    assert standing["denied"] == [] and standing["faults"] == [], standing

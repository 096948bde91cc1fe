"""`interlock gateway init`: what it writes works at once with an official client, and what was there is kept."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import SERVERS

mcp = pytest.importorskip("mcp", reason="needs the MCP SDK for Python: pip install 'mcp>=2'")


class Person:
    """A user with a home of their own, who types commands."""

    def __init__(self, root: Path) -> None:
        self.root, self.home, self.work = root, root / "h", root / "w"
        self.home.mkdir()
        self.work.mkdir()
        dropped = ("INTERLOCK_GATEWAY_URL", "XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR")
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in dropped},
            "HOME": str(self.home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "INTERLOCK_HOME": str(root / "i"),
            "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
            "PYTHONSAFEPATH": "1",
        }

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "interlock", *words]
        return subprocess.Popen(command, env=self.environment, cwd=self.work, text=True, stdout=-1, stderr=-1, **options)

    def types(self, *words: str, status: int = 0) -> str:
        process = self.start(*words)
        out, err = process.communicate(timeout=240)
        assert process.returncode == status, (words, out, err)
        return out if status == 0 else out + err

    def serves(self, *words: str) -> tuple[subprocess.Popen[str], str]:
        """A gateway that runs, and where."""
        gateway = self.start("gateway", "--listen", "127.0.0.1:0", *words)
        place, deadline = self.root / "i/runtime/gateway.json", time.monotonic() + 60
        while not place.exists():
            assert gateway.poll() is None and time.monotonic() < deadline, gateway.communicate()
            time.sleep(0.05)
        return gateway, json.loads(place.read_text())["url"]


@pytest.fixture
def person() -> Iterator[Person]:
    with tempfile.TemporaryDirectory(prefix="ilk-") as root:  # short: the names of sockets lie below it
        yield Person(Path(root))


async def calls(url: str, headers: dict[str, str], *wanted: tuple[str, dict[str, Any]]) -> list[Any]:
    """What a client gets: the names of the tools, then each answer."""
    from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

    async with (
        create_mcp_http_client(headers=headers) as http,
        mcp.Client(streamable_http_client(url, http_client=http)) as client,
    ):
        names = [each.name for each in (await client.list_tools()).tools]
        return [names, *[await client.call_tool(name, arguments) for name, arguments in wanted]]


def answered(person: Person, within_s: float = 60.0) -> None:
    """A person at another terminal says yes to what waits."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        waiting = person.types("approvals", "list", "--json").split("\n")[0]
        if waiting:
            person.types("approvals", "approve", json.loads(waiting)["id"])
            return
        time.sleep(0.2)
    raise AssertionError("no question came")


def test_what_it_writes_serves_a_client_and_asks_for_what_changes(person: Person) -> None:
    (person.home / ".cursor").mkdir()
    server = (sys.executable, "-I", "-S", str(SERVERS / "raw.py"))
    person.types("connector", "add", "notes", "--stdio", "--operation", "echo=read", "--env", "EFFECTS=effects", "--", *server)
    gateway, _ = person.serves()  # by the preset: what it says of its place is what init prints
    try:
        made = json.loads(person.types("gateway", "init", "--json"))
    finally:
        gateway.terminate()
        gateway.communicate(timeout=30)
    port = made["url"].split(":")[2].partition("/")[0]
    gateway = person.start("gateway", "--listen", f"127.0.0.1:{port}")
    try:
        while not (person.root / "i/runtime/gateway.json").exists():
            assert gateway.poll() is None
            time.sleep(0.05)
        cursor = next(each for each in made["clients"] if each["client"] == "cursor")
        assert cursor["is_found"] and cursor["file"] == f"{person.home}/.cursor/mcp.json"
        entry = json.loads(cursor["text"])["mcpServers"]["interlock"]
        human = threading.Thread(target=answered, args=(person,))
        human.start()
        wanted = [("notes__echo", {"text": "hi"}), ("notes__ask_first", {"text": "hi"})]
        names, read, changed = asyncio.run(calls(entry["url"], entry["headers"], *wanted))
        human.join()
        assert "notes__echo" in names and read.content[0].text == "echo: hi" and not changed.is_error
        with person.root.joinpath("i/config/policies/gateway.yaml").open("a") as file:
            file.write("  - id: no-echo\n    deny: tool.call\n    tool: echo\n")
    finally:
        gateway.terminate()
        said = gateway.communicate(timeout=30)[1]
    assert "policy: guard, gateway" in said or "gateway" in re.findall("policy: (.*)", said)[0]
    gateway, url = person.serves()
    try:
        token = json.loads(person.types("agent", "token", "coder", "--json"))["token"]
        [_, read] = asyncio.run(calls(f"{url}/mcp", {"Authorization": f"Bearer {token}"}, wanted[0]))
        assert read.is_error and "gateway/no-echo" in read.content[0].text, "the person's own layer is not what decides"
    finally:
        gateway.terminate()
        gateway.communicate(timeout=30)


def test_what_is_there_is_kept_and_nothing_of_a_client_is_changed(person: Person) -> None:
    claude = person.home / ".claude.json"
    claude.write_text('{"mcpServers": {"a": {"command": "true"}}}')
    first = person.types("gateway", "init")
    token = re.findall(r"ilk_[A-Za-z0-9_-]{43}", first)[0]
    assert "policy: written" in first and "agent: added `coder`" in first
    assert f"claude mcp add --transport http --scope user interlock http://127.0.0.1:7391/mcp --header 'Authorization: Bearer {token}'" in first
    assert "claude-code has 1: interlock connector add --from claude-code" in first and "VS Code" not in first
    assert claude.read_text() == '{"mcpServers": {"a": {"command": "true"}}}' and list(person.home.iterdir()) == [claude]
    policy = person.root / "i/config/policies/gateway.yaml"
    assert policy.stat().st_mode & 0o777 == 0o600
    policy.write_text(policy.read_text() + "# mine\n")
    again = person.types("gateway", "init")
    assert "policy: kept" in again and "agent: kept `coder`" in again and "ilk_" not in again and policy.read_text().endswith("# mine\n")
    anew = person.types("gateway", "init", "--force")
    assert "policy: replaced" in anew and "# mine" not in policy.read_text()
    [other] = set(re.findall(r"ilk_[A-Za-z0-9_-]{43}", anew))
    assert other != token
    everything = b"".join(each.read_bytes() for each in person.root.rglob("*") if each.is_file())
    assert token.encode() not in everything and other.encode() not in everything


def test_a_wrong_word_writes_nothing(person: Person) -> None:
    assert "is not a duration" in person.types("gateway", "init", "--ttl", "soon", status=120)
    assert "cannot name an agent" in person.types("gateway", "init", "--agent", "A B", status=120)
    assert "up to 30 days" in person.types("gateway", "init", "--ttl", "31d", status=120)
    assert not (person.root / "i/config/policies/gateway.yaml").exists() and person.types("agent", "list") == ""

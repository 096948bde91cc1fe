"""`interlock mcp -- COMMAND`: a client that starts its servers gets one that is governed: the same line, policy and ledger, and nothing
that listens."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_stage import CommandStage
from gateway_stage import META, SERVERS, records_in
from test_legacy import INITIALIZE, rpc

from interlock.approvals.inbox import Inbox
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
  - id: reading
    allow: [tool.call, tool.list, log.level]
    connector: notes
    tool: [echo, slow, progress, chatter, elicit]
  - id: sending
    deny: tool.call
    tool: send
    because: nothing is sent
  - id: asking
    approve: tool.call
    tool: ask_first
    timeout: 30s
"""


class Client:
    """A client that starts its server: a line for each message."""

    def __init__(self, stage: CommandStage, *options: str) -> None:
        self.stage = stage
        work = stage.folder("work")
        work.mkdir(exist_ok=True)
        server = ("--workspace", str(work), "--env", f"EFFECTS={work}/effects", "--", sys.executable, "-I", "-S", str(SERVERS / "raw.py"))
        command = [sys.executable, "-m", "interlock", "mcp", "--name", "notes", "--policy", str(stage.root / "tools.yaml"), *options, *server]
        self.process = subprocess.Popen(command, env=stage.environment, cwd=stage.root, stdin=-1, stdout=-1, stderr=-1)

    def say(self, *messages: Any) -> None:
        assert self.process.stdin is not None
        for each in messages:
            self.process.stdin.write((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n")
        self.process.stdin.flush()

    def next(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1].decode()
        return json.loads(line)

    def asked(self, message: Any) -> Any:
        self.say(message)
        while "id" not in (answer := self.next()) and "error" not in answer:
            continue
        return answer

    def begin(self) -> Any:
        answer = self.asked(rpc("initialize", INITIALIZE))
        self.say(rpc("notifications/initialized", identity=None))
        return answer["result"]

    def call(self, tool: str, text: str = "x", identity: int = 2, **more: Any) -> Any:
        return self.asked(rpc("tools/call", {"name": tool, "arguments": {"text": text}, **more}, identity))

    def end(self) -> int:
        _, said = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, said.decode()
        return self.process.returncode

    @property
    def effects(self) -> list[Any]:
        file = self.stage.folder("work") / "effects"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def records(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in records_in(self.stage.home / "state/ledger/gateway") if each["type"] == kind]


@pytest.fixture
def stage() -> Iterator[CommandStage]:
    stage = CommandStage()
    (stage.root / "tools.yaml").write_text(POLICY)
    yield stage
    stage.close()


@pytest.fixture
def client(stage: CommandStage) -> Iterator[Client]:
    client = Client(stage)
    yield client
    client.process.kill()
    client.process.communicate()


def test_calls_walk_the_line_and_end_with_the_client(client: Client) -> None:
    assert client.begin()["protocolVersion"] == "2025-11-25"
    names = [each["name"] for each in client.asked(rpc("tools/list", identity=5))["result"]["tools"]]
    assert "echo" in names and "send" not in names
    assert client.call("echo", "hi")["result"]["content"][0]["text"] == "echo: hi"
    refused = client.call("send")["result"]
    assert refused["isError"] and "nothing is sent" in refused["content"][0]["text"]
    assert client.call("erase")["result"]["isError"]
    assert client.effects == [["echo", {"text": "hi"}]]
    assert client.end() == 0
    decided = client.records("action.decided")
    assert [each["decision"]["decision"] for each in decided] == ["allow", "deny", "deny"]
    assert decided[0]["agent"] == {"name": "client", "assurance": "asserted", "session": None}
    assert [each["effect"] for each in client.records("action.enacted")] == ["done"]
    assert client.records("action.observed") and client.records("session.opened")[0]["gateway"]["url"] == "stdio"
    assert not (client.stage.home / "runtime/gateway.json").exists()


def test_a_newer_client_says_who_it_is_with_each_request(client: Client) -> None:
    def modern(method: str, identity: int, meta: Any = META, **params: Any) -> Any:
        return client.asked({"jsonrpc": "2.0", "id": identity, "method": method, "params": {"_meta": meta, **params}})

    assert "2026-07-28" in modern("server/discover", 1)["result"]["supportedVersions"]
    assert modern("tools/call", 2, name="echo", arguments={"text": "x"})["result"]["resultType"] == "complete"
    assert modern("tools/call", 3, {**META, "io.modelcontextprotocol/protocolVersion": "2031-01-01"}, name="echo")["error"]["code"] == -32022
    assert modern("tools/call", 4, {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}, name="echo")["error"]["code"] == -32602
    assert client.asked(rpc("tools/call", {"name": "echo", "arguments": {"text": "y"}}, 5))["error"]["code"] == -32600
    assert client.effects == [["echo", {"text": "x"}]]


def test_what_is_no_message_is_answered_and_nothing_more(client: Client) -> None:
    for line, code in ((b"{", -32700), (b"[]", -32600), (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32700), (b'{"id":1}', -32600)):
        assert client.asked(line)["error"]["code"] == code, line
    assert client.asked(rpc("tools/list"))["error"]["code"] == -32600
    client.begin()
    assert client.asked(rpc("initialize", INITIALIZE, 7))["error"]["code"] == -32600
    assert client.asked(rpc("nothing/known", identity=8))["error"]["code"] == -32601
    client.say(rpc("tools/call", {"name": "slow", "arguments": {"text": "1"}}, 9), rpc("ping", identity=9))
    assert client.next()["error"]["message"] == "a request with this id is running already"


def test_a_cancelled_call_gets_no_answer_and_a_human_is_asked_from_outside(client: Client) -> None:
    client.begin()
    client.say(rpc("tools/call", {"name": "ask_first", "arguments": {"text": "1"}}, 3))
    inbox, deadline = Inbox(str(client.stage.home / "state/inbox.sqlite")), time.monotonic() + 20
    while not inbox.pending():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client.say(rpc("notifications/cancelled", {"requestId": 3}, None))
    while inbox.pending():
        assert time.monotonic() < deadline
        time.sleep(0.05)

    def human() -> None:
        own = Inbox(str(client.stage.home / "state/inbox.sqlite"))
        while not (waiting := own.pending()):
            time.sleep(0.05)
        own.answer(waiting[0].id, meant="once", approver="uid:0")

    answering = threading.Thread(target=human)
    answering.start()
    answer = client.call("ask_first", "2", 4)
    answering.join()
    assert answer["id"] == 4 and not answer["result"].get("isError")
    assert client.effects == [["ask_first", {"text": "2"}]]


def test_it_ends_with_its_clients_input_and_takes_its_server_along(client: Client) -> None:
    client.begin()
    client.call("echo")
    (process,) = {each["process"] for each in client.records("action.observed")}
    client.say(rpc("tools/call", {"name": "slow", "arguments": {"text": "60"}}, 3))
    deadline = time.monotonic() + 20
    while len(client.effects) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert client.end() == 0
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline, "its server lives on"
        time.sleep(0.05)
    assert client.records("action.enacted")[-1]["effect"] == "unknown"


def test_a_client_that_does_not_read_is_not_served_for_ever(client: Client) -> None:
    client.begin()
    assert client.process.stdin is not None
    os.set_blocking(client.process.stdin.fileno(), True)
    flood = threading.Thread(target=lambda: _flood(client), daemon=True)
    flood.start()
    assert client.process.wait(60) == 0, "it waits for a client that does not read"


def _flood(client: Client) -> None:
    try:
        for number in range(2_000_000):
            client.say(rpc("nothing/known", {"padding": "x" * 64}, number + 10))
    except OSError:
        return


def test_a_revoked_agent_is_not_served(stage: CommandStage) -> None:
    stage.run("agent", "add", "reader", "--gateway", "http://127.0.0.1:7391")
    client = Client(stage, "--agent", "reader")
    try:
        client.begin()
        assert not client.call("echo")["result"].get("isError")
        stage.run("agent", "revoke", "reader")
        assert "revoked" in json.dumps(client.call("echo"))
        assert len(client.effects) == 1
    finally:
        client.process.kill()
        client.process.communicate()


def test_wrong_usage_is_told(stage: CommandStage) -> None:
    stage.run("mcp", status=120)
    stage.run("mcp", "--name", "Bad Name", "--", "true", status=120)
    command = [sys.executable, "-m", "interlock", "mcp"]
    told = subprocess.run(command, env=stage.environment, capture_output=True, text=True)
    assert "interlock mcp -- COMMAND" in told.stderr
    for closed in ({"stdin": subprocess.DEVNULL, "stdout": -1}, {"stdin": -1, "stdout": (stage.root / "file").open("w")}):
        told = subprocess.run([*command, "--", "cat"], env=stage.environment, cwd=stage.root, stderr=-1, text=True, timeout=60, **closed)
        assert told.returncode == 122 and "neither a pipe nor a terminal" in told.stderr and "Traceback" not in told.stderr


def test_the_python_sdks_client(stage: CommandStage) -> None:
    stdio = pytest.importorskip("mcp.client.stdio", reason="needs the MCP SDK for Python")
    from mcp import ClientSession

    words = ["-m", "interlock", "mcp", "--name", "notes", "--policy", str(stage.root / "tools.yaml"), "--", sys.executable, "-I", "-S", str(SERVERS / "raw.py")]

    async def called() -> Any:
        server = stdio.StdioServerParameters(command=sys.executable, args=words, env=stage.environment)
        async with stdio.stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
            await session.initialize()
            return await session.call_tool("echo", {"text": "hi"}), await session.call_tool("send", {"text": "hi"})

    allowed, denied = asyncio.run(called())
    assert allowed.content[0].text == "echo: hi" and denied.is_error


def test_several_at_once_keep_their_records_apart(stage: CommandStage) -> None:
    """Each looks after what killed ones left in the ledger, and takes a live one for none of them."""
    clients = [Client(stage), Client(stage)]
    try:
        for client in clients:
            client.begin()
        for client in clients * 2:
            assert not client.call("echo")["result"].get("isError")
        clients[0].process.kill()
        clients[0].process.wait()
        clients.append(Client(stage))
        clients[2].begin()
        for client in clients[1:]:
            assert not client.call("echo", "after")["result"].get("isError")
            client.end()
        assert len(clients[0].effects) == 6
        stage.run("ledger", "verify")
    finally:
        for client in clients:
            client.process.kill()
            client.process.communicate()


def test_a_batch_of_the_oldest_revision_is_answered_in_one_line(client: Client) -> None:
    client.asked(rpc("initialize", {**INITIALIZE, "protocolVersion": "2025-03-26"}))
    calls = [rpc("tools/call", {"name": tool, "arguments": {"text": tool}}, number) for number, tool in enumerate(("echo", "send"), 5)]
    client.say([rpc("notifications/initialized", identity=None), *calls, {"jsonrpc": "2.0", "id": 7}])
    answers = client.next()
    assert [each.get("id") for each in answers] == [5, 6, None] and "error" in answers[2]
    assert answers[0]["result"]["content"][0]["text"] == "echo: echo" and "nothing is sent" in answers[1]["result"]["content"][0]["text"]
    assert [each[0] for each in client.effects] == ["echo"]
    client.say([rpc("notifications/cancelled", {"requestId": 99}, None)])  # is answered by nothing
    assert client.call("echo", identity=8)["id"] == 8
    assert client.end() == 0


def test_no_other_revision_has_batches(client: Client) -> None:
    assert client.asked([rpc("ping")])["error"]["code"] == -32600
    client.begin()
    assert "batches are not taken" in client.asked([rpc("ping")])["error"]["message"]
    assert client.end() == 0


def test_a_modern_client_listens_until_it_cancels(client: Client) -> None:
    wanted = {"_meta": META, "notifications": {"toolsListChanged": True, "resourceSubscriptions": ["file:///open.txt"]}}
    client.say({"jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen", "params": wanted})
    told = client.next()
    assert told["method"] == "notifications/subscriptions/acknowledged"
    assert told["params"]["notifications"] == {"toolsListChanged": True}  # its server tells of no resource
    assert told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "l"
    assert client.call("echo", _meta=META)["result"]["content"][0]["text"] == "echo: x"
    client.say(rpc("notifications/cancelled", {"requestId": "l"}, None))
    again = {"jsonrpc": "2.0", "id": "m", "method": "subscriptions/listen", "params": wanted}
    client.say(again)
    assert client.next()["method"] == "notifications/subscriptions/acknowledged"
    assert client.end() == 0

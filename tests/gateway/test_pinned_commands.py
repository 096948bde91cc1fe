"""A definition that changed, as its operator sees it: the real gateway, servers held by the host plane, commands; and over `interlock mcp`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from command_stage import CommandStage
from gateway_stage import SERVERS, call, modern, records_in
from test_legacy import INITIALIZE, rpc

from interlock.host.executable import find_supervisor
from interlock.vocabulary.errors import InterlockError

try:
    find_supervisor()
except InterlockError as missing:
    pytest.skip(f"needs the supervisor executable: {missing}", allow_module_level=True)


@pytest.fixture
def stage() -> Iterator[CommandStage]:
    stage = CommandStage()
    yield stage
    stage.close()


def listed(stage: CommandStage) -> dict[str, str]:
    """What its agent is shown, once the server has started: on a busy machine that may take a while."""
    until = time.monotonic() + 60
    while {"interlock/unavailable", "interlock/as-last-known"} & set((told := modern(stage, stage.token, "tools/list")[1]["result"])["_meta"]):
        assert time.monotonic() < until, told
        time.sleep(0.2)
    return {each["name"]: each["description"] for each in told["tools"]}


def test_a_person_sees_what_changed_and_approves_it(stage: CommandStage) -> None:
    stage.add_stdio("notes", "raw.py", options=("--env", f"REWORDED={stage.root}/notes/reworded", "--per", "session"))
    assert stage.run("connector", "changes") == "no definition waits for a person\n"
    stage.serve()
    assert listed(stage)["notes__echo"] == "echo it"
    (stage.folder("notes") / "reworded").touch()
    stage.close_gateway()
    stage.serve("second")
    assert listed(stage) == {}
    refused = call(stage, stage.token, "notes__echo", text="x")["content"][0]["text"]
    shown = [json.loads(line) for line in stage.run("connector", "changes", "notes", "--json").splitlines()]
    echo = next(each for each in shown if each["name"] == "echo")
    assert echo["difference"] == ["- description: echo it", "+ description: as good as new"]
    assert f"interlock connector approve notes {echo['id']}" in refused
    assert f"approve it: interlock connector approve notes {echo['id']}" in stage.run("connector", "changes")
    stage.run("connector", "approve", "notes", "0000", status=120)
    stage.run("connector", "approve", "notes", status=120)
    inside = ("run", "--preset", "observe", "--", sys.executable, "-m", "interlock", "connector", "approve", "notes", "--all")
    stage.run(*inside, status=124)
    assert listed(stage) == {}, "nothing is approved from inside"
    assert "approved: " in stage.run("connector", "approve", "notes", echo["id"])
    assert listed(stage) == {"notes__echo": "as good as new"}
    assert not call(stage, stage.token, "notes__echo", text="x").get("isError")
    stage.run("connector", "approve", "notes", "--all")
    assert len(listed(stage)) > 5
    records = records_in(stage.home / "state/ledger/gateway")
    by = {each["by"] for each in records if each["type"] == "definition.approved"}
    assert by == {f"uid:{os.getuid()}"} and "verified" in stage.run("ledger", "verify").lower()
    stage.run("connector", "remove", "notes")
    assert stage.run("connector", "changes") == "no definition waits for a person\n"


def test_what_a_client_starts_is_held_as_well(stage: CommandStage) -> None:
    def greeted(*calls: Any) -> list[Any]:
        command = [sys.executable, "-m", "interlock", "mcp", "--name", "notes", "--policy", str(stage.root / "tools.yaml")]
        server = ["--workspace", str(stage.folder("work")), "--env", f"REWORDED={stage.root}/work/reworded", "--", sys.executable, "-I", "-S", str(SERVERS / "raw.py")]
        messages = [rpc("initialize", INITIALIZE), rpc("notifications/initialized", identity=None), *calls]
        with subprocess.Popen([*command, *server], env=stage.environment, cwd=stage.root, stdin=-1, stdout=-1, stderr=-1) as client:
            assert client.stdin is not None and client.stdout is not None
            answers = []
            for each in messages:
                client.stdin.write(json.dumps(each).encode() + b"\n")
                client.stdin.flush()
                while "id" in each and "id" not in (answer := json.loads(client.stdout.readline())):
                    continue
                answers += [answer] if "id" in each else []
            client.stdin.close()
            client.wait(30)
            return answers[1:]

    stage.folder("work").mkdir()
    asked = (rpc("tools/list", identity=2), rpc("tools/call", {"name": "echo", "arguments": {"text": "x"}}, 3))
    tools, done = greeted(*asked)
    assert "echo" in [each["name"] for each in tools["result"]["tools"]] and not done["result"].get("isError")
    (stage.folder("work") / "reworded").touch()
    tools, refused = greeted(*asked)
    assert tools["result"]["tools"] == [] and refused["result"]["isError"]
    (name,) = {json.loads(line)["connector"] for line in stage.run("connector", "changes", "--json").splitlines()}
    assert name.startswith("notes@") and f"interlock connector approve {name} " in refused["result"]["content"][0]["text"]
    stage.run("connector", "approve", name, "--all")
    tools, done = greeted(*asked)
    assert "echo" in [each["name"] for each in tools["result"]["tools"]] and not done["result"].get("isError")

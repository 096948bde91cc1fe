"""`per: agent | session | call`: who shares a stdio server's process and home, and what is left when the work is over. Held by the host plane."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from command_stage import CommandStage
from gateway_stage import call, post
from test_legacy import rpc, session

from interlock.connectors.configuration import parse
from interlock.host.executable import find_supervisor
from interlock.vocabulary.errors import InterlockError, OperatorError

try:
    find_supervisor()
except InterlockError as missing:
    pytest.skip(f"needs the supervisor executable: {missing}", allow_module_level=True)

#: How many sessions come and go. Each starts a server; some seconds for twenty.
SESSIONS = 100 if os.environ.get("INTERLOCK_LONG") else 24


@pytest.fixture
def stage() -> Iterator[CommandStage]:
    made = CommandStage()
    yield made
    made.close()


def serves(stage: CommandStage, per: str, *options: str) -> None:
    import sys

    from gateway_stage import SERVERS

    command = (sys.executable, "-I", "-S", str(SERVERS / "keeps.py"))
    stage.run("connector", "add", "keeps", "--stdio", "--per", per, *options, "--", *command)
    stage.serve()


def in_session(stage: CommandStage, headers: dict[str, str], text: str, tool: str = "keep") -> Any:
    params = {"name": f"keeps__{tool}", "arguments": {"text": text}}
    status, _, answer = post(stage, stage.token, rpc("tools/call", params), **headers)
    assert status == 200, answer
    return (answer[-1] if isinstance(answer, list) else answer)["result"]


def said(result: Any) -> Any:
    assert not result.get("isError"), result
    return json.loads(result["content"][0]["text"])


def ended(stage: CommandStage, headers: dict[str, str]) -> None:
    url, own = f"{stage.url}/mcp", {**headers, "Authorization": f"Bearer {stage.token}"}
    assert urllib.request.urlopen(urllib.request.Request(url, method="DELETE", headers=own), timeout=30).status == 204


def until(found: Callable[[], bool], what: object = "", within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.1)


def servers(stage: CommandStage) -> list[str]:
    """Processes whose home lies where this gateway's servers have theirs, by what they run."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes() if entry.name.isdigit() else b""
            if f"INTERLOCK_INSIDE={stage.home}".encode() in environment:
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def held(stage: CommandStage) -> list[str]:
    """Sessions of the host plane that have a folder for their sockets."""
    return [each.name for each in (stage.home / "runtime").iterdir() if each.is_dir()]


def gateway_of(stage: CommandStage) -> int:
    assert stage._gateway is not None
    return stage._gateway.pid


def descriptors(stage: CommandStage) -> int:
    return len(os.listdir(f"/proc/{gateway_of(stage)}/fd"))


def test_an_agents_calls_share_a_process_and_a_session_or_a_call_has_its_own(stage: CommandStage) -> None:
    serves(stage, "agent")
    one, two = session(stage, stage.token), session(stage, stage.token)
    first, second = said(in_session(stage, one, "a")), said(in_session(stage, two, "b"))
    assert second["kept"] == ["a", "b"] and second["files"] == ["kept-a"] and first["process"] == second["process"]


def test_a_session_has_a_process_and_a_home_that_end_with_it(stage: CommandStage) -> None:
    serves(stage, "session")
    one, two = session(stage, stage.token), session(stage, stage.token)
    first, second = said(in_session(stage, one, "a")), said(in_session(stage, two, "b"))
    again = said(in_session(stage, one, "c"))
    assert again["kept"] == ["a", "c"] and again["files"] == ["kept-a"] and again["process"] == first["process"]
    assert second["kept"] == ["b"] and second["files"] == [] and second["home"] != first["home"]
    in_session(stage, two, "x", tool="daemon")
    ended(stage, one)
    ended(stage, two)
    until(lambda: not Path(first["home"]).exists() and not Path(second["home"]).exists())
    until(lambda: [each for each in servers(stage) if "sleep 600" in each] == [], "what a server left behind goes on")
    assert not Path(f"/proc/{first['process']}").exists() and not Path(f"/proc/{second['process']}").exists()
    third = said(in_session(stage, session(stage, stage.token), "d"))
    assert third["kept"] == ["d"] and third["files"] == []


def test_a_call_has_a_process_and_a_home_that_end_with_it(stage: CommandStage) -> None:
    serves(stage, "call")
    headers = session(stage, stage.token)
    first, second = said(in_session(stage, headers, "a")), said(in_session(stage, headers, "b"))
    third = said(call(stage, stage.token, "keeps__keep", text="c"))
    assert [each["kept"] for each in (first, second, third)] == [["a"], ["b"], ["c"]]
    assert [each["files"] for each in (first, second, third)] == [[], [], []]
    assert len({each["process"] for each in (first, second, third)}) == 3
    until(lambda: not any(Path(each["home"]).exists() for each in (first, second, third)))
    assert "unknown" in str(in_session(stage, headers, "x", tool="fail"))
    until(lambda: len(servers(stage)) <= 1, servers(stage))  # the one that lists


def test_a_call_that_hangs_is_given_up_and_its_process_ends(stage: CommandStage) -> None:
    serves(stage, "call", "--timeout", "2s")
    hung = call(stage, stage.token, "keeps__hang", text="x")
    assert hung["isError"] and hung["_meta"]["interlock/effect"] == "unknown"
    assert said(call(stage, stage.token, "keeps__keep", text="a"))["kept"] == ["a"]
    until(lambda: len(servers(stage)) <= 1, servers(stage))


def test_a_revoked_agents_servers_end(stage: CommandStage) -> None:
    serves(stage, "session")
    found = said(in_session(stage, session(stage, stage.token), "a"))
    stage.run("agent", "revoke", "coder")
    until(lambda: not Path(found["home"]).exists() and not Path(f"/proc/{found['process']}").exists())


@pytest.mark.parametrize("per", ["session", "call"])
def test_many_sessions_leave_no_process_no_file_and_no_descriptor(stage: CommandStage, per: str) -> None:
    serves(stage, per, "--concurrency", "4")

    def comes_and_goes(number: int) -> str:
        headers = session(stage, stage.token)
        found = said(in_session(stage, headers, str(number), tool="daemon" if number % 5 == 0 else "keep"))
        assert found["kept"] == [str(number)] and found["files"] == []
        ended(stage, headers)
        return str(found["home"])

    comes_and_goes(0)
    until(lambda: len(held(stage)) == 1, "the first is left")  # the session of the server that lists
    before = descriptors(stage)
    with ThreadPoolExecutor(4) as many:
        homes = list(many.map(comes_and_goes, range(1, SESSIONS + 1)))
    until(lambda: len(servers(stage)) <= 1, "processes are left")
    until(lambda: not any(Path(each).exists() for each in homes), "homes are left")
    until(lambda: len(held(stage)) == 1, "sockets are left")
    until(lambda: descriptors(stage) <= before + 4, (descriptors(stage), before))  # connections of the tests' own client
    zombies = [each for each in Path("/proc").glob("[0-9]*/stat") if _is_zombie_of(each, gateway_of(stage))]
    assert zombies == []


def _is_zombie_of(stat: Path, parent: int) -> bool:
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] == "Z" and int(fields[1]) == parent


def test_who_shares_a_process_is_said_of_started_servers_alone() -> None:
    text = "interlock: 1\nstdio: {command: [x]}\nper: call\n"
    assert parse(text, name="a", file="a.yaml").per == "call"
    with pytest.raises(OperatorError, match="belongs to `stdio`"):
        parse("interlock: 1\nhttp: {url: http://127.0.0.1/}\nper: call\n", name="a", file="a.yaml")
    with pytest.raises(OperatorError, match="not known here"):
        parse(text.replace("call", "minute"), name="a", file="a.yaml")

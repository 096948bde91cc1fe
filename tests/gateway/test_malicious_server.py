"""A malicious stdio server, held by the host plane: what it tries is refused, what it takes is bounded, the operator is told, nothing of it is left,
and a good server beside it works on."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_stage import CommandStage
from gateway_stage import SERVERS, call
from test_apart import descriptors, held, servers, until

from interlock.host.executable import find_supervisor
from interlock.vocabulary.errors import InterlockError

try:
    find_supervisor()
except InterlockError as missing:
    pytest.skip(f"needs the supervisor executable: {missing}", allow_module_level=True)

SECRET = "the key itself"


@pytest.fixture
def stage() -> Iterator[CommandStage]:
    made = CommandStage()
    person = made.root / "person"
    for name in (".ssh/id_rsa", ".ssh/authorized_keys", ".aws/credentials", ".bashrc", ".claude.json"):
        (person / name).parent.mkdir(parents=True, exist_ok=True)
        (person / name).write_text(SECRET)
    made.environment["HOME"] = str(person)
    limits = ("--limit", "disk=64MiB", "--limit", "memory=200MiB", "--limit", "processes=60", "--timeout", "15s")
    for name, script in (("bad", "malicious.py"), ("good", "keeps.py")):
        made.run("connector", "add", name, "--stdio", *limits, "--", sys.executable, "-I", "-S", str(SERVERS / script))
    made.serve()
    yield made
    made.close()


def tries(stage: CommandStage, tool: str, text: str = "") -> Any:
    return call(stage, stage.token, f"bad__{tool}", text=text)


def found(result: Any) -> Any:
    assert not result.get("isError"), result
    return json.loads(result["content"][0]["text"])


def good_works(stage: CommandStage) -> None:
    began = time.monotonic()
    assert not call(stage, stage.token, "good__keep", text="x").get("isError")
    assert time.monotonic() - began < 20


def listed(stage: CommandStage, words: str) -> None:
    until(lambda: words in stage.run("connector", "list"), lambda: stage.run("connector", "list"))


def test_it_reads_no_key_and_the_operator_is_told(stage: CommandStage) -> None:
    person = stage.root / "person"
    told = found(tries(stage, "read_keys", str(person)))
    assert set(told.values()) <= {"Permission denied", "No such file or directory"}, told
    listed(stage, "it was denied: file.read")
    good_works(stage)


def test_it_calls_nobody(stage: CommandStage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside:
        told = found(tries(stage, "call_out", str(outside.getsockname()[1])))
        outside.setblocking(False)
        with pytest.raises(BlockingIOError):
            outside.accept()
    assert not any(value == "sent" for value in told.values()), told
    listed(stage, "it was denied: net.connect")


def test_it_plants_nothing_and_kills_nobody(stage: CommandStage) -> None:
    person = stage.root / "person"
    before = {each: each.read_bytes() for each in person.rglob("*") if each.is_file()}
    told = found(tries(stage, "plant", str(person)))
    assert "written" not in told.values(), told
    assert {each: each.read_bytes() for each in person.rglob("*") if each.is_file()} == before
    assert stage._gateway is not None
    told = found(tries(stage, "kill", str(stage._gateway.pid)))
    assert "killed" not in told.values() and stage._gateway.poll() is None
    good_works(stage)


@pytest.mark.parametrize(("tool", "why"), [
    ("fork", "processes, more than 60"), ("fill", "it keeps more than 64 MiB in its home"), ("eat", "MiB of memory, more than 200"),
    ("bomb", "processes, more than 60"), ("fill_with_names", "in its home"),
])  # fmt: skip
def test_what_it_takes_is_bounded_and_what_ended_it_is_told(stage: CommandStage, tool: str, why: str) -> None:
    began = time.monotonic()
    answer = tries(stage, tool)
    assert answer["isError"] and answer["_meta"]["interlock/effect"] == "unknown", answer
    if tool not in ("bomb", "fill_with_names"):  # these two may be ended by their call's time
        assert "because Interlock ended it" in answer["content"][0]["text"] and why in answer["content"][0]["text"], answer
        assert time.monotonic() - began < 24
        listed(stage, why)
    until(lambda: [each for each in servers(stage) if "malicious" in each] == [], lambda: servers(stage))
    good_works(stage)
    until(lambda: len(held(stage)) <= 1)
    until(lambda: not list(Path("/tmp").glob("interlock-server-bad-*")) or not mine(stage), "its home is left")


def mine(stage: CommandStage) -> list[Path]:
    """Homes of the bad server of this test's gateway, by the sessions that still name them."""
    named = [each.read_text() for each in (stage.home / "runtime").glob("*/scratch")]
    return [Path(each) for each in named if "server-bad" in each]


@pytest.mark.parametrize("tool", ["flood_errors", "flood_output", "flood_messages", "hang"])
def test_a_flood_or_a_silence_costs_its_own_call_alone(stage: CommandStage, tool: str) -> None:
    assert stage._gateway is not None
    status = Path(f"/proc/{stage._gateway.pid}/status")
    from threading import Thread

    answers: list[Any] = []
    bad = Thread(target=lambda: answers.append(tries(stage, tool)))
    bad.start()
    for _ in range(3):
        time.sleep(1)
        good_works(stage)
    bad.join(60)
    assert answers and answers[0]["isError"] and answers[0]["_meta"]["interlock/effect"] == "unknown", answers
    resident = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    assert resident < 300 * 1024, f"the gateway holds {resident} KiB"
    until(lambda: [each for each in servers(stage) if "malicious" in each] == [], lambda: servers(stage))


def test_what_it_leaves_behind_ends_with_its_gateway(stage: CommandStage) -> None:
    before = descriptors(stage)
    assert found(tries(stage, "leave")) == "left"
    until(lambda: any("sleep 601" in each for each in servers(stage)), lambda: servers(stage))  # it answers before that one has begun
    assert descriptors(stage) - before < 20
    assert stage._gateway is not None
    stage._gateway.terminate()
    stage._gateway.wait(30)
    stage._gateway = None
    until(lambda: servers(stage) == [], lambda: servers(stage))
    assert held(stage) == []


def test_its_words_are_quoted_and_its_record_names_what_it_tried(stage: CommandStage) -> None:
    found(tries(stage, "read_keys", str(stage.root / "person")))
    shown = stage.run("ledger", "query", "--decision", "deny", "--json")
    assert "id_rsa" in shown and SECRET not in shown

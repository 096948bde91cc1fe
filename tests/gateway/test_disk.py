"""The gateway on a disk that fails: what cannot be recorded is not done, the caller is told why, and the ledger stays whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import modern
from killed_gateway import Home, calls, left_over

from interlock.ledger.reader import entries, logs

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs and injecting faults need root")


class Served(Home):
    """A home whose gateway runs until it is told to end."""

    def serve(self) -> None:
        self.gateway = self.start()
        deadline = time.monotonic() + 60
        while "text" not in str(self.call("first")):
            assert self.gateway.poll() is None and time.monotonic() < deadline, "the gateway does not serve"

    def call(self, text: str) -> Any:
        """The result of one call, an error's words as one; nothing while nobody listens."""
        try:
            _, answer = modern(self.stage, self.token, "tools/call", {"name": "notes__echo", "arguments": {"text": text}})
        except OSError:
            time.sleep(0.02)
            return None
        last = answer[-1] if isinstance(answer, list) else answer
        return last["result"] if "result" in last else {"isError": True, "content": [{"text": last["error"]["message"]}]}

    def end(self) -> int:
        if self.gateway.poll() is None:
            self.gateway.send_signal(signal.SIGTERM)
        return self.gateway.wait(30)


@pytest.fixture
def home(installed) -> Iterator[Served]:
    root = Path(tempfile.mkdtemp(prefix="ilg-"))
    (root / "i").mkdir(mode=0o700)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "none", root / "i"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount a tmpfs: {done.stderr.strip()}")
    made = Served(str(installed.interlock), root)
    yield made
    if hasattr(made, "gateway"):
        made.end()
    assert not left_over(root)
    subprocess.run(["umount", "--lazy", root / "i"], capture_output=True)
    shutil.rmtree(root, ignore_errors=True)


def fill(home: Served) -> Path:
    path = home.root / "i" / "filler"
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    return path


def refused(result: Any) -> str:
    assert result["isError"], result
    return str(result["content"][0]["text"])


def refused_at_last(home: Served) -> str:
    """What was set aside ahead of the log is used up first."""
    for number in range(5_000):
        result = home.call(f"until-full-{number}")
        if result.get("isError"):
            return refused(result)
    raise AssertionError("calls go on though nothing can be recorded")


def judged(home: Served) -> list[Any]:
    assert json.loads(home.run("ledger", "verify", "--json"))["findings"] == []
    held = [entry for log in logs(str(home.state)) for entry in entries(log.path)]
    effects, (allowed, _) = home.effects(), calls(held)
    assert set(effects) <= allowed and len(effects) == len(set(effects))
    return [entry.event.document for entry in held]


@needs_root
def test_a_full_disk_denies_and_records_the_denial_and_work_goes_on_with_room(home: Served) -> None:
    home.serve()
    filler = fill(home)
    refused_at_last(home)  # by the gateway, or by its server: its supervisor writes to the same disk
    before = home.effects()
    until = time.monotonic() + 30
    while "disk is full" not in refused(home.call("no-room")):
        assert time.monotonic() < until, "the gateway still records what it allows"
    assert home.effects() == before
    filler.unlink()
    deadline = time.monotonic() + 30
    while home.call(f"room-again-{time.monotonic_ns()}").get("isError"):
        assert time.monotonic() < deadline, "there is room, and no call gets through"
        time.sleep(0.2)
    assert home.end() == 128 + signal.SIGTERM
    denied = [
        value["action"]["target"]["arguments"]["text"] for value in judged(home)
        if value["type"] == "action.decided" and value["decision"]["decision"] == "deny" and value["action"]["verb"] == "tool.call"
    ]  # fmt: skip
    assert "no-room" in denied


@needs_root
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_nothing_is_served_that_cannot_be_recorded(home: Served, fault: str) -> None:
    home.serve()
    home.end()
    if fault == "full":
        fill(home)
    else:
        subprocess.run(["mount", "-o", "remount,ro", home.root / "i"], check=True)
    address = home.stage.url.removeprefix("http://")
    ran = subprocess.run(
        [home.interlock, "gateway", "--listen", address], env=home.environment, cwd=home.root, capture_output=True, text=True, timeout=30
    )
    assert ran.returncode == 123, ran.stderr
    assert "hint:" in ran.stderr and "internal error" not in ran.stderr and "Traceback" not in ran.stderr, ran.stderr


@needs_root
def test_a_failing_fsync_denies_every_later_call(home: Served) -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace, whose injection makes fdatasync fail in the running gateway")
    home.serve()
    inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "-p", str(home.gateway.pid)]
    tracer = subprocess.Popen(inject, stderr=subprocess.PIPE, text=True)
    try:
        said = refused_at_last(home)
        assert "could not be written" in said, said
        before = home.effects()
        for number in range(3):
            refused(home.call(f"after-{number}"))
        assert home.effects() == before
        home.end()
    finally:
        tracer.terminate()
        tracer.wait()
    judged(home)

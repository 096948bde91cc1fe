"""The ledger's disk fails under the public face: what cannot be recorded does not happen, and the person is told.

Full disk and read-only state by tmpfs mounts, a failing fdatasync by strace's injection into the release supervisor: no special build.
The sessions run as root and as an ordinary user; mounting and injecting needs root. The gateway's disk is tests/gateway/test_disk.py.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.ledger.reader import entries, logs
from tests.kills.storm import children, supervisor_of

#: Makes a file every few milliseconds and says how it went; ends when told.
WORKER = """
import os, sys, time
number = 0
while not os.path.exists("stop"):
    number += 1
    try:
        os.close(os.open(f"made-{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        print("made", number, flush=True)
    except OSError as error:
        print("refused", number, error.errno, flush=True)
    time.sleep(0.005)
"""


class Place:
    """A home (perhaps on a disk of its own) and a workspace."""

    def __init__(self, root: Path, interlock: str, user: str | None) -> None:
        self.root, self.interlock, self.home, self.work = root, interlock, root / "i", root / "w"
        self.options: dict[str, Any] = {} if user is None else {"user": user, "extra_groups": []}
        self.owner = os.geteuid() if user is None else pwd.getpwnam(user).pw_uid
        for path in (self.work, self.home, root / "h"):
            path.mkdir(mode=0o700)
            os.chown(path, self.owner, -1)
        root.chmod(0o755)
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(root / "h"), "INTERLOCK_HOME": str(self.home)}

    def mount(self, options: str) -> None:
        if os.geteuid() != 0:
            pytest.skip("mounting a small tmpfs needs root")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=0700,uid={self.owner},{options}", "none", self.home], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this machine lets nobody mount a tmpfs: {done.stderr.strip()}")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.interlock, *words], env=self.environment, cwd=self.work, capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL, **self.options,
        )  # fmt: skip

    def start(self) -> subprocess.Popen[str]:
        self.said = (self.root / "said").open("w+")
        process = subprocess.Popen(
            [self.interlock, "run", "--", "/usr/bin/python3", "-c", WORKER], env=self.environment, cwd=self.work, text=True,
            stdout=self.said, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **self.options,
        )  # fmt: skip
        self.until(lambda: self.count("made") > 3)
        return process

    def count(self, word: str) -> int:
        return sum(line.startswith(word) for line in (self.root / "said").read_text().splitlines())

    def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, (self.root / "said").read_text()[-500:]
            time.sleep(0.02)

    def stop(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        (self.work / "stop").touch()
        _, told = process.communicate(timeout=60)
        return process.returncode, told

    def recorded(self) -> set[str]:
        held = [entry.event.document for log in logs(str(self.home / "state")) for entry in entries(log.path)]
        return {
            Path(one["action"]["target"]["path"]).name
            for one in held
            if one["type"] == "action.decided" and one["decision"]["decision"] == "allow" and one["action"]["verb"] == "file.create"
        }

    def made(self) -> set[str]:
        return {path.name for path in self.work.iterdir() if path.name.startswith("made")}


@pytest.fixture
def place(installed, user) -> Iterator[Place]:
    root = Path(tempfile.mkdtemp(prefix="ilf-", dir="/var/tmp"))
    yield Place(root, str(installed.interlock), user)
    subprocess.run(["umount", "--lazy", root / "i"], capture_output=True)
    shutil.rmtree(root, ignore_errors=True)


def fill(place: Place) -> Path:
    path = place.home / "filler"
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    return path


def test_a_disk_that_fills_up_stops_changes_and_records_the_refusals(place: Place) -> None:
    place.mount("size=8m")
    process = place.start()
    filler = fill(place)
    place.until(lambda: place.count("refused") > 5)
    made, recorded = place.made(), place.recorded()
    assert made <= recorded, made - recorded
    filler.unlink()
    before = place.count("made")
    place.until(lambda: place.count("made") > before)  # room again: work goes on
    status, told = place.stop(process)
    assert place.made() <= place.recorded()
    assert "disk is full" in told or "ledger" in told, told
    assert status in (0, 123), told
    verified = place.run("ledger", "verify")
    assert verified.returncode == 0, verified.stdout
    denied = place.run("ledger", "query", "--session", "last", "--decision", "deny", "--json").stdout.splitlines()
    assert any("made-" in json.dumps(json.loads(line)["target"]) for line in denied), "what was refused is in the reserve"


def test_a_disk_full_from_the_start_starts_nothing(place: Place) -> None:
    place.mount("size=4m")
    assert place.run("run", "--", "true").returncode == 0
    filler = fill(place)
    ran = place.run("run", "--", "touch", "ran")
    assert ran.returncode == 123, (ran.returncode, ran.stderr)
    assert ran.stderr.strip() and "Traceback" not in ran.stderr, ran.stderr
    assert not (place.work / "ran").exists()
    filler.unlink()
    assert place.run("run", "--", "touch", "ran").returncode == 0
    assert place.run("ledger", "verify").returncode == 0


def test_a_state_that_cannot_be_written_starts_nothing(place: Place) -> None:
    place.mount("size=4m")
    assert place.run("run", "--", "true").returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", place.home], check=True)
    ran = place.run("run", "--", "touch", "ran")
    assert ran.returncode == 123, (ran.returncode, ran.stderr)
    assert "Read-only file system" in ran.stderr and "hint:" in ran.stderr and "internal error" not in ran.stderr, ran.stderr
    assert not (place.work / "ran").exists()


def test_only_the_ledger_cannot_be_written(place: Place) -> None:
    """Found by the supervisor, where the home's own directories could be made."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    assert place.run("run", "--", "true").returncode == 0
    ledger = place.home / "state" / "ledger"
    subprocess.run(["mount", "--bind", ledger, ledger], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", ledger], check=True)
        ran = place.run("run", "--", "touch", "ran")
    finally:
        subprocess.run(["umount", "--lazy", ledger], check=True)
    assert ran.returncode == 123, (ran.returncode, ran.stderr)
    assert "Read-only file system" in ran.stderr and "hint:" in ran.stderr and "internal error" not in ran.stderr, ran.stderr
    assert not (place.work / "ran").exists()


def test_a_home_that_may_not_be_written_starts_nothing(place: Place) -> None:
    if place.owner == 0:
        pytest.skip("root may write anywhere: the ordinary user's run of this test has it")
    place.home.chmod(0o500)
    ran = place.run("run", "--", "touch", "ran")
    assert ran.returncode == 123, (ran.returncode, ran.stderr)
    assert "Permission denied" in ran.stderr and "hint:" in ran.stderr and "internal error" not in ran.stderr, ran.stderr
    assert not (place.work / "ran").exists()


def test_a_log_taken_away_while_it_is_written_ends_all_changes(place: Place) -> None:
    process = place.start()
    [session] = (place.home / "state" / "ledger" / "sessions").iterdir()
    shutil.move(session, place.root / "taken")
    place.until(lambda: place.count("refused") > 3 or process.poll() is not None)
    refused_at = len(place.made())
    time.sleep(0.3)
    assert len(place.made()) == refused_at, "work went on without a log"
    status, told = place.stop(process)
    assert (status, bool(told.strip())) == (123, True), (status, told)
    missing = place.run("ledger", "verify")
    assert missing.returncode == 125, missing.stdout


def test_a_failing_fsync_ends_all_changes(place: Place) -> None:
    if shutil.which("strace") is None or os.geteuid() != 0:
        pytest.skip("needs root and strace, whose injection makes fdatasync fail in the running supervisor")
    process = place.start()
    supervisor = supervisor_of(process.pid)
    assert supervisor is not None and list(children(supervisor))
    inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "-p", str(supervisor)]
    tracer = subprocess.Popen(inject, stderr=subprocess.PIPE, text=True)
    try:
        place.until(lambda: place.count("refused") > 3 or process.poll() is not None or bool(tracer.poll()))
        if tracer.poll():  # 0 when the supervisor has ended under it
            pytest.skip(f"this machine lets nobody trace the supervisor: {tracer.communicate()[1].strip()}")
        refused_at = len(place.made())
        time.sleep(0.3)
        assert len(place.made()) == refused_at, "work went on after a sync had failed"
        status, told = place.stop(process)
    finally:
        tracer.terminate()
        tracer.wait()
    assert (status, bool(told.strip())) == (123, True), (status, told)
    assert place.made() <= place.recorded(), "what was acknowledged is there"
    assert place.run("ledger", "verify").returncode == 0

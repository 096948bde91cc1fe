"""What a tree may do to exhaust its supervisor: slow opens, storms of calls, a reader who stops reading, a full or failing disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.drive import FILE_VERBS, Drive, policy, rule


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory to work in."""
    path = Path(tempfile.mkdtemp(prefix="interlock-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_opens_that_block_hold_up_nobody_else(place: Path) -> None:
    os.mkfifo(place / "fifo")
    script = f"for i in $(seq 300); do (read x < {place}/fifo) 2>/dev/null & done; sleep 1; cat /etc/hostname >/dev/null && echo free"
    with Drive(["/bin/sh", "-c", script], end="kill") as drive:
        last, out, _ = drive.finish(60)
        assert (last["code"], out) == (0, b"free\n")
        begun = time.monotonic()
        drive.until("ended")
        assert time.monotonic() - begun < 5


def test_a_fifo_still_meets_its_writer(place: Path) -> None:
    os.mkfifo(place / "fifo")
    with Drive(["/bin/sh", "-c", f"(sleep 0.3; echo hello > {place}/fifo) & cat {place}/fifo"]) as drive:
        last, out, _ = drive.finish()
    assert (last["code"], out) == (0, b"hello\n")


DENIES = policy(
    rule("files", "allow", FILE_VERBS, path=["/**"]),
    rule("exec", "allow", ["process.exec"], path=["/**"]),
    rule("no", "deny", ["file.create"], path=["/**/refused*"]),
)


def test_notices_are_limited_and_the_rest_counted(place: Path) -> None:
    script = f"i=0; while [ $i -lt 200 ]; do : > {place}/refused$i; i=$((i+1)); done 2>/dev/null; sleep 0.2"
    with Drive(["/bin/bash", "-c", script], DENIES) as drive:
        told = counted = 0
        for message in drive.messages():
            told += message["type"] == "denied"
            counted += message["count"] if message["type"] == "suppressed" else 0
            if message["type"] == "ended":
                assert message["counts"]["file.create"] == {"deny": 200}
    assert told + counted == 200
    assert told <= 60


def test_a_reader_who_stops_reading_holds_up_nobody(place: Path) -> None:
    script = f"i=0; while [ $i -lt 3000 ]; do : > {place}/refused$i; i=$((i+1)); done 2>/dev/null; echo through > {place}/end"
    with Drive(["/bin/bash", "-c", script], DENIES):
        for _ in range(300):
            if (place / "end").exists():
                break
            time.sleep(0.1)
        assert (place / "end").exists()


def test_end_before_start_is_an_end() -> None:
    with Drive(["/bin/sleep", "60"]) as drive:
        drive.say({"type": "end"})
        drive.until("ended", "failed")
        assert drive.process.wait(10) in (0, 123)


@pytest.mark.skipif(os.getuid() != 0, reason="a small file system can be mounted by root only")
def test_a_full_disk_denies_and_says_so(place: Path) -> None:
    state = place / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(state)], check=True)
    try:
        script = (
            f"i=0; while [ $i -lt 60000 ]; do mkdir {place}/d 2>/dev/null || break; rmdir {place}/d || break; i=$((i+1)); done; "
            f"sleep 0.3; mkdir {place}/late && echo made; echo over"
        )
        with Drive(["/bin/sh", "-c", script], state=state) as drive:
            drive.until("started")
            filler = state / "filler"
            with filler.open("wb") as file:
                try:
                    while True:
                        file.write(bytes(1 << 16))
                        file.flush()
                except OSError:
                    pass
            messages = list(drive.messages())
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)
    kinds = [message["type"] for message in messages]
    assert kinds[-1] == "ended"
    assert not (place / "late").exists()
    denied = [message["decision"]["because"] for message in messages if message["type"] == "denied"]
    assert messages[-1]["code"] == 123 or any("disk is full" in because for because in denied)


def test_a_stopped_caller_and_its_death_leave_nothing_open(place: Path) -> None:
    os.mkfifo(place / "fifo")
    script = f"(read x < {place}/fifo) & sleep 0.2; kill -STOP $!; kill -9 $!; wait; echo done"
    with Drive(["/bin/sh", "-c", script]) as drive:
        _, out, _ = drive.finish()
        assert out.startswith(b"done")
        assert drive.until("ended")["code"] == 0


def test_the_supervisors_own_death_is_no_effect(place: Path) -> None:
    script = f"i=0; while :; do mkdir {place}/d$i || exit; i=$((i+1)); done"
    with Drive(["/bin/sh", "-c", script], state=place / "state") as drive:
        drive.until("started")
        time.sleep(0.3)
        os.kill(drive.process.pid, signal.SIGKILL)
        drive.process.wait()
        time.sleep(0.3)
        made = {path.name for path in place.glob("d*")}
        log = b"".join(path.read_bytes() for path in (place / "state/ledger/sessions").rglob("*") if path.is_file())
        unrecorded = [name for name in made if f'"{place}/{name}"'.encode() not in log]
        assert made
        assert unrecorded == []

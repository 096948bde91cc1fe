"""The end of a tree, whoever dies first: no process left after a second, whatever it forks, wherever it hides.

`INTERLOCK_LONG=1` repeats the storms 2,000 times instead of a few.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.drive import Drive

ROUNDS = 2000 if os.environ.get("INTERLOCK_LONG") else 8
SEED = int(os.environ.get("INTERLOCK_SEED", "0")) or secrets.randbits(32)
GONE_SECONDS = 1.0
NOBODY = 65534

STORM = """
i=0
while [ $i -lt 12 ]; do
  (setsid sh -c 'while :; do (echo x > /dev/null); sleep 0.01; done' >/dev/null 2>&1 &)
  i=$((i+1))
done
while :; do (setsid sleep 30 >/dev/null 2>&1 &); sleep 0.02; done
"""

COMET = """
import os, sys
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
"""

DEAF = """
import os, signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
        break
while True: time.sleep(1)
"""


def marked(mark: str) -> list[int]:
    """Processes whose environment holds the mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def children(process: int) -> list[int]:
    """Children of a process."""
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False).stdout.split()
    return [int(child) for child in found]


def guardian_of(drive: Drive) -> int:
    """The guardian of a session."""
    return children(drive.process.pid)[0]


def sentinel_of(drive: Drive, command: int) -> int:
    """The sentinel of a session: the guardian's child that still is the supervisor's image."""
    image = os.readlink(f"/proc/{drive.process.pid}/exe")
    return next(
        child
        for child in children(guardian_of(drive))
        if child != command and os.readlink(f"/proc/{child}/exe") == image
    )


def told(drive: Drive, _: int) -> None:
    drive.say({"type": "end"})


def hung_up(drive: Drive, _: int) -> None:
    drive.control.shutdown(2)


def supervisor_killed(drive: Drive, _: int) -> None:
    os.kill(drive.process.pid, signal.SIGKILL)


def guardian_killed(drive: Drive, _: int) -> None:
    os.kill(guardian_of(drive), signal.SIGKILL)


def guardian_stopped(drive: Drive, _: int) -> None:
    os.kill(guardian_of(drive), signal.SIGSTOP)
    drive.say({"type": "end"})


def sentinel_killed(drive: Drive, command: int) -> None:
    os.kill(sentinel_of(drive, command), signal.SIGKILL)


def supervisor_and_guardian_killed(drive: Drive, _: int) -> None:
    guardian = guardian_of(drive)
    os.kill(drive.process.pid, signal.SIGKILL)
    os.kill(guardian, signal.SIGKILL)


ENDS: list[Callable[[Drive, int], None]] = [
    told,
    hung_up,
    supervisor_killed,
    guardian_killed,
    guardian_stopped,
    sentinel_killed,
    supervisor_and_guardian_killed,
]
LOADS = {
    "storm": ["/bin/sh", "-c", STORM],
    "comet": ["/usr/bin/env", "python3", "-c", COMET],
    "deaf": ["/usr/bin/env", "python3", "-c", DEAF],
}


def left_after(mark: str, seconds: float) -> list[int]:
    """What still lives when the time is over, or nothing as soon as nothing does."""
    until = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.01)
    return left


def end_one(
    load: list[str], end: Callable[[Drive, int], None], wait_seconds: float, user: int | None = None
) -> list[int]:
    """Starts a load, ends it, and says what is left."""
    mark = f"INTERLOCK_TEST_MARK={secrets.token_hex(8)}"
    name, _, value = mark.partition("=")
    with Drive(load, environment={**os.environ, name: value}, user=user) as drive:
        command = drive.until("started")["process"]
        time.sleep(wait_seconds)
        end(drive, command)
        return left_after(mark, GONE_SECONDS)


@pytest.mark.parametrize("load", list(LOADS))
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_nothing_is_left(end: Callable[[Drive, int], None], load: str) -> None:
    assert end_one(LOADS[load], end, 0.3) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("load", list(LOADS))
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_nothing_is_left_of_an_ordinary_user(end: Callable[[Drive, int], None], load: str) -> None:
    assert end_one(LOADS[load], end, 0.3, NOBODY) == []


def test_nothing_is_left_at_random_moments() -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    for turn in range(ROUNDS):
        end = chance.choice(ENDS[1:4])
        load = chance.choice(list(LOADS))
        assert end_one(LOADS[load], end, chance.random() * 0.2) == [], (turn, end.__name__, load)


def test_killed_before_the_command_starts() -> None:
    for turn in range(ROUNDS):
        mark = secrets.token_hex(8)
        with Drive(["/bin/sleep", "60"], environment={**os.environ, "INTERLOCK_TEST_MARK": mark}) as drive:
            time.sleep(turn * 0.004)
            os.kill(drive.process.pid, signal.SIGKILL)
            assert left_after(mark, GONE_SECONDS) == []


def test_the_tree_cannot_kill_its_keepers() -> None:
    script = "kill -9 -1; kill -9 $PPID; for p in /proc/[0-9]*; do kill -9 ${p#/proc/} 2>/dev/null; done; echo survived"
    with Drive(["/bin/sh", "-c", f"(trap '' TERM; {script}) 2>/dev/null; echo here"]) as drive:
        drive.until("started")
        drive.until("exited", timeout=30)
        assert "last process" in drive.until("ended")["reason"]
        assert drive.process.wait(10) == 0


def test_end_kill_ends_what_outlives_the_command() -> None:
    mark = secrets.token_hex(8)
    environment = {**os.environ, "INTERLOCK_TEST_MARK": mark}
    with Drive(["/bin/sh", "-c", "setsid sleep 60 >/dev/null 2>&1 &"], environment=environment, end="kill") as drive:
        assert len(drive.until("exited")["running"]) >= 1
        assert drive.until("ended")["reason"] == "the command ended"
    assert left_after(mark, 0.5) == []


def test_keep_goes_on_until_the_last_process_ends() -> None:
    with Drive(["/bin/sh", "-c", "setsid sleep 0.4 >/dev/null 2>&1 &"]) as drive:
        begun = time.monotonic()
        drive.until("exited")
        assert "last process" in drive.until("ended")["reason"]
        assert time.monotonic() - begun > 0.3

"""The end of a tree, whoever dies first: no process left after a second, whatever it forks, wherever it hides.

`INTERLOCK_LONG=1` repeats the storms 2,000 times instead of a few.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.drive import Drive, supervisor

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

#: A comet that takes other ids with each generation, its saved one kept to change back; who may not is a comet only.
CHANGELING = """
import os, random, sys
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.getresuid()[2] == 0:
        os.setresuid(-1, 0, -1)
        os.setresgid(*random.choices(range(1, 2000), k=3))
        os.setresuid(*random.choices(range(1, 2000), k=2), 0)
"""

#: A chain of parents, each in a session of its own, and a crowd below the last.
DEEP = """
import os, time
for _ in range(60):
    if os.fork():
        break
    os.setsid()
else:
    for _ in range(60):
        if os.fork() == 0:
            os.setsid()
            break
while True: time.sleep(1)
"""

#: Joins every group of its session that it is let into, those of supervisor and guardian among them, if it shares their session.
JOINER = """
import os, time
for group in range(os.getsid(0), os.getpid()):
    if os.fork() == 0:
        try: os.setpgid(0, group)
        except OSError: os._exit(0)
        break
while True: time.sleep(1)
"""

DILIGENT = """
import os, sys, time
number = 0
while True:
    number += 1
    try: os.close(os.open(f"{sys.argv[1]}/{number}", os.O_CREAT | os.O_WRONLY))
    except OSError: pass
    time.sleep(0.002)
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


@dataclasses.dataclass(frozen=True)
class Keepers:
    """The processes that hold a session's tree."""

    supervisor: int
    guardian: int
    sentinels: tuple[int, int]

    @classmethod
    def of(cls, drive: Drive, command: int) -> Keepers:
        """The sentinels are the guardian's children that still are the supervisor's image."""
        [guardian] = children(drive.process.pid)
        image = os.readlink(f"/proc/{drive.process.pid}/exe")
        first, second = (child for child in children(guardian) if child != command and runs(child, image))
        return cls(drive.process.pid, guardian, (first, second))

    def send(self, number: int, *processes: int) -> None:
        """One signal to several, in one go. Some are struck by the others before their turn comes."""
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)


def runs(process: int, image: str) -> bool:
    try:
        return os.readlink(f"/proc/{process}/exe") == image
    except OSError:
        return False


def told(drive: Drive, _: Keepers) -> None:
    drive.say({"type": "end"})


def hung_up(drive: Drive, _: Keepers) -> None:
    drive.control.shutdown(2)


def supervisor_killed(_: Drive, keepers: Keepers) -> None:
    keepers.send(signal.SIGKILL, keepers.supervisor)


def supervisors_group_killed(_: Drive, keepers: Keepers) -> None:
    os.killpg(os.getpgid(keepers.supervisor), signal.SIGKILL)


def guardian_killed(_: Drive, keepers: Keepers) -> None:
    keepers.send(signal.SIGKILL, keepers.guardian)


def guardian_stopped(drive: Drive, keepers: Keepers) -> None:
    keepers.send(signal.SIGSTOP, keepers.guardian)
    drive.say({"type": "end"})


def first_sentinel_killed(_: Drive, keepers: Keepers) -> None:
    keepers.send(signal.SIGKILL, keepers.sentinels[0])


def second_sentinel_killed(_: Drive, keepers: Keepers) -> None:
    keepers.send(signal.SIGKILL, keepers.sentinels[1])


def both_sentinels_killed(_: Drive, keepers: Keepers) -> None:
    keepers.send(signal.SIGKILL, *keepers.sentinels)


def both_sentinels_stopped(drive: Drive, keepers: Keepers) -> None:
    keepers.send(signal.SIGSTOP, *keepers.sentinels)
    drive.say({"type": "end"})


def only_the_supervisor_lives(_: Drive, keepers: Keepers) -> None:
    keepers.send(signal.SIGKILL, *keepers.sentinels, keepers.guardian)


def only_the_guardian_lives(_: Drive, keepers: Keepers) -> None:
    keepers.send(signal.SIGKILL, *keepers.sentinels, keepers.supervisor)


def only_the_first_sentinel_lives(_: Drive, keepers: Keepers) -> None:
    keepers.send(signal.SIGKILL, keepers.supervisor, keepers.guardian, keepers.sentinels[1])


def only_the_second_sentinel_lives(_: Drive, keepers: Keepers) -> None:
    keepers.send(signal.SIGKILL, keepers.sentinels[0], keepers.guardian, keepers.supervisor)


End = Callable[[Drive, Keepers], None]
ENDS: list[End] = [
    told,
    hung_up,
    supervisor_killed,
    supervisors_group_killed,
    guardian_killed,
    guardian_stopped,
    first_sentinel_killed,
    second_sentinel_killed,
    both_sentinels_killed,
    both_sentinels_stopped,
    only_the_supervisor_lives,
    only_the_guardian_lives,
    only_the_first_sentinel_lives,
    only_the_second_sentinel_lives,
]
LOADS = {
    "joiner": ["/usr/bin/env", "python3", "-c", JOINER],
    "deep": ["/usr/bin/env", "python3", "-c", DEEP],
    "storm": ["/bin/sh", "-c", STORM],
    "comet": ["/usr/bin/env", "python3", "-c", COMET],
    "changeling": ["/usr/bin/env", "python3", "-c", CHANGELING],
    "deaf": ["/usr/bin/env", "python3", "-c", DEAF],
}


def left_after(mark: str, seconds: float, drive: Drive) -> list[int | str]:
    """What still lives when the time is over, or nothing as soon as nothing does.

    A look at /proc misses a chain that is always elsewhere by the time it is looked at; the pipe it has inherited does not.
    """
    until = time.monotonic() + seconds
    while (left := [*marked(mark), *(["who holds its output"] if is_held(drive.stdout) else [])]) and time.monotonic() < until:
        time.sleep(0.01)
    return left


def is_held(reading: int) -> bool:
    """Whether any process still has the other end of a pipe."""
    waiting = select.poll()
    waiting.register(reading, 0)
    return not any(event & select.POLLHUP for _, event in waiting.poll(0))


def end_one(load: list[str], end: End, wait_seconds: float, user: int | None = None) -> list[int | str]:
    """Starts a load, ends it, and says what is left."""
    mark = secrets.token_hex(16)
    with Drive(load, environment={**os.environ, "INTERLOCK_TEST_MARK": mark}, user=user) as drive:
        keepers = Keepers.of(drive, drive.until("started")["process"])
        time.sleep(wait_seconds)
        assert is_held(drive.stdout) or marked(mark), "the load ended by itself"
        end(drive, keepers)
        return left_after(mark, GONE_SECONDS, drive)


@pytest.mark.parametrize("load", list(LOADS))
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_nothing_is_left(end: End, load: str) -> None:
    assert end_one(LOADS[load], end, 0.3) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("load", list(LOADS))
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_nothing_is_left_of_an_ordinary_user(end: End, load: str) -> None:
    assert end_one(LOADS[load], end, 0.3, NOBODY) == []


def test_nothing_is_left_at_random_moments() -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    for turn in range(ROUNDS):
        end = chance.choice(ENDS[1:])
        load = chance.choice(list(LOADS))
        assert end_one(LOADS[load], end, chance.random() * 0.2) == [], (turn, end.__name__, load)


def test_killed_before_the_command_starts() -> None:
    for turn in range(ROUNDS):
        mark = secrets.token_hex(8)
        with Drive(["/bin/sleep", "60"], environment={**os.environ, "INTERLOCK_TEST_MARK": mark}) as drive:
            time.sleep(turn * 0.004)
            os.kill(drive.process.pid, signal.SIGKILL)
            assert left_after(mark, GONE_SECONDS, drive) == []


@pytest.fixture
def started_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Has the supervisor started by another program that restricts it."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-end-"))
    folder.chmod(0o755)

    def wrap(program: str) -> None:
        wrapper = folder / "supervisor"
        wrapper.write_text(f'#!/bin/sh\nexec {program} {supervisor()} "$@"\n')
        wrapper.chmod(0o755)
        monkeypatch.setenv("INTERLOCK_SUPERVISOR", str(wrapper))

    yield wrap
    shutil.rmtree(folder)


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("setpriv") is None, reason="needs root, and setpriv of util-linux")
@pytest.mark.parametrize("end", [told, supervisor_killed, both_sentinels_killed], ids=lambda end: end.__name__)
def test_nobody_changes_its_user_where_others_cannot_be_killed(end: End, started_by: Callable[[str], None]) -> None:
    """As in a container without CAP_KILL: root's sentinels could not end another user's process."""
    started_by("setpriv --bounding-set=-kill --inh-caps=-kill")
    leaver = "import os, time\ntry: os.setresuid(1234, 1234, 1234)\nexcept PermissionError: print('stays', flush=True)\ntime.sleep(30)"
    with Drive(["/usr/bin/env", "python3", "-c", leaver]) as drive:
        keepers = Keepers.of(drive, drive.until("started")["process"])
        assert select.select([drive.stdout], [], [], 10)[0] and os.read(drive.stdout, 100).startswith(b"stays")
        end(drive, keepers)
        assert left_after(secrets.token_hex(16), GONE_SECONDS, drive) == []


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("prlimit") is None, reason="needs root, and prlimit of util-linux")
@pytest.mark.parametrize("processes", range(1, 13))
def test_a_start_that_runs_out_of_processes_is_said_soon(processes: int, started_by: Callable[[str], None]) -> None:
    started_by(f"prlimit --nproc={processes}")
    begun = time.monotonic()
    with Drive(["/bin/true"], user=NOBODY - 7) as drive:
        said = drive.until("failed", "ended")
        assert time.monotonic() - begun < 10, said
        assert (said["type"], said["code"]) in [("failed", 123), ("ended", 0), ("ended", 123)], said
        drive.process.wait(10)
        assert left_after(secrets.token_hex(16), GONE_SECONDS, drive) == []


def test_what_outlives_all_its_keepers_changes_nothing(tmp_path: Path) -> None:
    """Nobody is left to end the tree when all four are killed in one instant from outside; wall and filter stay."""
    mark = secrets.token_hex(16)
    load = ["/usr/bin/env", "python3", "-c", DILIGENT, str(tmp_path)]
    with Drive(load, environment={**os.environ, "INTERLOCK_TEST_MARK": mark}) as drive:
        keepers = Keepers.of(drive, drive.until("started")["process"])
        until = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 5 and time.monotonic() < until:
            time.sleep(0.01)
        keepers.send(signal.SIGKILL, *keepers.sentinels, keepers.guardian, keepers.supervisor)
        drive.process.wait(10)
        made = len(list(tmp_path.iterdir()))
        time.sleep(0.3)
        assert (made >= 5, len(list(tmp_path.iterdir()))) == (True, made)
        for process in marked(mark):
            os.kill(process, signal.SIGKILL)


def test_no_one_kill_takes_all_keepers() -> None:
    """So that no kill by group, by session or by name takes them all."""
    with Drive(["/bin/sleep", "60"]) as drive:
        keepers = Keepers.of(drive, drive.until("started")["process"])
        each = [keepers.supervisor, keepers.guardian, *keepers.sentinels]
        sessions = [os.getsid(process) for process in each]
        assert not {*sessions[2:]} & {*sessions[:2]} and sessions[2] != sessions[3]
        assert len({os.getpgid(process) for process in each}) == len(each)
        names = [Path(f"/proc/{process}/comm").read_text().strip() for process in each]
        assert names == ["interlock-super", "jail-guardian", "jail-sentinel", "jail-sentinel"]


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
        assert left_after(mark, 0.5, drive) == []


def test_keep_goes_on_until_the_last_process_ends() -> None:
    with Drive(["/bin/sh", "-c", "setsid sleep 0.4 >/dev/null 2>&1 &"]) as drive:
        begun = time.monotonic()
        drive.until("exited")
        assert "last process" in drive.until("ended")["reason"]
        assert time.monotonic() - begun > 0.3

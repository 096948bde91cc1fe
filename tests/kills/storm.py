"""One session under storm: a workload that forks, writes, makes files and tries what is denied, until someone of Interlock's is killed.

What is found is found from outside: process ids and marks in /proc, files in the workspace, the log. It leaves the judging to the tests.
"""

from __future__ import annotations

import dataclasses
import os
import random
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Nothing that was run may live longer than this after one of its guards was killed.
GONE_SECONDS = 1.0
#: What is left of Interlock itself then still closes the log and tells the person: two syncs, on a busy disk.
TOLD_SECONDS = 15.0
#: How long a start may take on a busy machine before the round is given up.
START_SECONDS = 60.0

#: Every success is a file whose name says what was acknowledged; every denied name must never come to be.
WORKLOAD = """
import os, random, sys, time
mine, outside = sys.argv[1], sys.argv[2]
def change():
    "A chain that leaves its session and takes other ids with each generation, as far as it may."
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()
        if os.getresuid()[2] == 0:
            os.setresuid(-1, 0, -1)
            os.setresgid(*random.choices(range(1, 2000), k=3))
            os.setresuid(*random.choices(range(1, 2000), k=2), 0)
        time.sleep(0.003)
if os.fork() == 0:
    change()
for worker in range(3):
    if os.fork() == 0:
        os.setsid()
        if worker == 2 and os.fork():
            os._exit(0)
        break
else:
    worker = 3
number = 0
while True:
    number += 1
    name = f"{mine}/{worker}-{number}"
    os.mkdir(name)
    try:
        open(f"{mine}/.claude/commands/{worker}-{number}.md", "w").close()
    except PermissionError:
        open(f"{name}/denied", "w").close()
    try:
        open(outside, "a").close()
    except PermissionError:
        pass
    with open(f"{name}/made", "w") as made:
        made.write("x" * number)
    os.rename(f"{name}/made", f"{name}/moved")
    if number % 5 == 0 and os.fork() == 0:
        os.setsid()
        time.sleep(30)
    if number % 7 == 0:
        os.posix_spawn("/bin/sleep", ["sleep", "30"], os.environ)
    time.sleep(0.003)
    if number > 120:
        time.sleep(30)
"""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one kill went."""

    role: str
    status: int
    #: What of the workload outlived the limit: command lines, or that its output is still held.
    left: tuple[str, ...]
    #: Seconds from the kill until nothing of the workload was left, and no `interlock run` that held its output.
    gone_s: float
    #: Whether Interlock's own processes ended too, in their time.
    over: bool
    said: str
    workspace: Path
    victim: bool


def marked(mark: str) -> dict[int, str]:
    """Living processes whose environment holds the mark, with what they run."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if mark.encode() in Path(f"/proc/{name}/environ").read_bytes():
                    found[int(name)] = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
    return found


def children(process: int) -> Iterator[int]:
    """Direct children, from /proc."""
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return
    yield from map(int, text.split())


def children_called(name: str, parent: int | None) -> list[int]:
    """Children of that name, as the kernel keeps it: they take their names once they are born."""
    return [child for child in children(parent) if name_of(child) == name] if parent else []


def supervisor_of(run: int) -> int | None:
    """The supervisor among the children of `interlock run`."""
    return next(iter(children_called("interlock-super", run)), None)


def victim_of(role: str, run: subprocess.Popen[str], chance: random.Random) -> int | None:
    """The process to kill, as soon as there is one; None when the session ended before."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and run.poll() is None:
        supervisor = supervisor_of(run.pid)
        guardian = next(iter(children_called("jail-guardian", supervisor)), None)
        sentinels = children_called("jail-sentinel", guardian)
        found = {"supervisor": supervisor, "guardian": guardian, "sentinel": chance.choice(sentinels) if len(sentinels) == 2 else None}
        if victim := found[role]:
            return victim
        time.sleep(0.005)
    return None


def name_of(process: int) -> str:
    """What a process is called; nothing when it is gone."""
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return ""


def wait_for_work(workspace: Path, run: subprocess.Popen[str]) -> None:
    """Until the workload has made its first file."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and run.poll() is None and not any(path for path in workspace.iterdir() if path.name != ".claude"):
        time.sleep(0.005)


@dataclasses.dataclass(frozen=True)
class Storm:
    """Where sessions run and as whom."""

    interlock: str
    root: Path
    user: str | None

    def once(self, role: str, number: int, chance: random.Random) -> Outcome:
        """Start a session, kill `role` at a random moment, and look at what is left."""
        mark = f"INTERLOCK_STORM={role}-{number}-{secrets.token_hex(6)}"
        workspace = self.root / "w" / f"{role}-{number}"
        workspace.mkdir(mode=0o777)
        workspace.chmod(0o777)
        (workspace / ".claude" / "commands").mkdir(parents=True)
        (workspace / ".claude" / "commands").chmod(0o777)
        run = self._start(workspace, mark)
        early = chance.random() < 0.15  # some are killed while the session is still being made
        victim: int | None = run.pid
        if role == "run":
            if early:
                time.sleep(chance.uniform(0.02, 0.5))
            else:
                wait_for_work(workspace, run)
        else:
            victim = victim_of(role, run, chance)
            if not early:
                wait_for_work(workspace, run)
        time.sleep(chance.random() ** 2 * 0.2)
        # Half of the runs go with their whole process group, as a terminal or a CI ends a job.
        kill = os.killpg if role == "run" and chance.random() < 0.5 else os.kill
        own = {run.pid, supervisor_of(run.pid)}
        while victim is not None:
            try:
                kill(victim, signal.SIGKILL)
                break
            except ProcessLookupError:
                # What was found looked at the machine before the session, and has ended.
                victim = None if role == "run" else victim_of(role, run, chance)
                own = {run.pid, supervisor_of(run.pid)}
        return self._after(role, run, own, mark, workspace, victim is not None)

    def run(self, *command: str) -> None:
        """A session that nobody kills."""
        done = subprocess.run(
            [self.interlock, "run", "--workspace", str(self.root / "w"), "--", *command], env=self._environment(), cwd=self.root / "w",
            capture_output=True, text=True, **self._owner(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _environment(self, **marks: str) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.root / "h"), "INTERLOCK_HOME": str(self.root / "i"), **marks}

    def _owner(self) -> dict[str, Any]:
        return {} if self.user is None else {"user": self.user, "extra_groups": []}

    def _start(self, workspace: Path, mark: str) -> subprocess.Popen[str]:
        name, _, value = mark.partition("=")
        command = [self.interlock, "run", "--workspace", str(workspace), "--", "/usr/bin/python3", "-c", WORKLOAD]
        return subprocess.Popen(
            [*command, str(workspace), str(self.root / "h" / ".bashrc")],
            env=self._environment(**{name: value}), cwd=workspace, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True, **self._owner(),
        )  # fmt: skip

    def _after(self, role: str, run: subprocess.Popen[str], own: set[int | None], mark: str, workspace: Path, victim: bool) -> Outcome:
        killed = time.monotonic()
        left: dict[int, str] = {}
        # The workload holds its output, whatever its ids and wherever it hides; `run` does so too, and may still close a log.
        while (held := _is_held(run)) and time.monotonic() < killed + GONE_SECONDS:
            time.sleep(0.005)
        gone = time.monotonic() - killed
        if held:
            left = _inside(mark, own) or _holders(run)
        while (run.poll() is None or marked(mark)) and time.monotonic() < killed + TOLD_SECONDS:
            time.sleep(0.02)
        over = not (still := marked(mark))
        for process in still:
            os.kill(process, signal.SIGKILL)
        _, said = run.communicate(timeout=30)
        return Outcome(role, run.returncode, tuple(left.values()), gone, over, said, workspace, victim)


def _is_held(run: subprocess.Popen[str]) -> bool:
    """Whether any process has the other end of the command's output."""
    waiting = select.poll()
    waiting.register(run.stdout, 0)  # type: ignore[arg-type]
    return not any(event & select.POLLHUP for _, event in waiting.poll(0))


def _holders(run: subprocess.Popen[str]) -> dict[int, str]:
    """Who has the other end of the command's output and is none of Interlock's: a session still being made ends when it comes to listen."""
    output = os.readlink(f"/proc/self/fd/{run.stdout.fileno()}")  # type: ignore[union-attr]
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if any(os.readlink(f"/proc/{name}/fd/{number}") == output for number in os.listdir(f"/proc/{name}/fd")):
                found[int(name)] = name_of(int(name))
        except OSError:
            continue
    found.pop(os.getpid(), None)
    keepers = ("interlock", "jail-")
    if found or not _is_held(run):
        return {process: name for process, name in found.items() if not name.startswith(keepers)}
    return {0: "who holds the output is not to be found"}


def _inside(mark: str, own: set[int | None]) -> dict[int, str]:
    """What lives and is not Interlock's own, outside the jail."""
    return {process: command for process, command in marked(mark).items() if process not in own}

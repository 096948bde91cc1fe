"""Processes outside are not starved, limited, hung up or signalled by the back door: calls that name a process by number,
signals that a file sends, and the end of a terminal. The victim is the test's own; the judge looks at it from outside.
"""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.escapes.arena import Arena, outside

#: One call upon the process that the second argument names.
CALLS = """
import ctypes, fcntl, os, resource, signal, socket, struct, sys
way, victim = sys.argv[1], int(sys.argv[2])
call = ctypes.CDLL(None, use_errno=True).syscall
def done(result): print("done" if result >= 0 else "refused", flush=True)
try:
    if way == "cpu time": resource.prlimit(victim, resource.RLIMIT_CPU, (1, 1))
    elif way == "descriptors": resource.prlimit(victim, resource.RLIMIT_NOFILE, (3, 3))
    elif way == "priority": os.setpriority(os.PRIO_PROCESS, victim, 19)
    elif way == "processors": os.sched_setaffinity(victim, {max(os.sched_getaffinity(0))})
    elif way == "idle": os.sched_setscheduler(victim, os.SCHED_IDLE, os.sched_param(0))
    elif way == "input and output": done(call(251, 1, victim, 3 << 13))
    elif way == "compared": done(call(312, victim, victim, 0, 1, 1))
    elif way == "descriptor taken": done(call(438, os.pidfd_open(victim), 1, 0))
    elif way == "advised": done(call(440, os.pidfd_open(victim), (ctypes.c_uint64 * 2)(int(sys.argv[3], 16), 4096), 1, 20, 0))
    elif way == "pages moved": done(call(256, victim, 8, ctypes.byref(ctypes.c_ulong(1)), ctypes.byref(ctypes.c_ulong(1))))
    elif way in ("owner of a pipe", "owner of a socket", "owner by ioctl"):
        ours, theirs = (socket.socketpair() if "pipe" not in way else map(os.fdopen, os.pipe(), "rw"))
        fcntl.fcntl(ours, fcntl.F_SETSIG, signal.SIGKILL)
        if way == "owner by ioctl": fcntl.ioctl(ours, 0x8901, struct.pack("i", victim))
        else: fcntl.fcntl(ours, fcntl.F_SETOWN, victim)
        fcntl.fcntl(ours, fcntl.F_SETFL, fcntl.fcntl(ours, fcntl.F_GETFL) | os.O_ASYNC)
        os.write(theirs.fileno(), b"x")
    elif way == "owner of its group":
        ours, theirs = os.pipe()
        fcntl.fcntl(ours, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(ours, fcntl.F_SETOWN, -os.getpgid(victim))
        fcntl.fcntl(ours, fcntl.F_SETFL, os.O_ASYNC)
        os.write(theirs, b"x")
    elif way == "group": os.killpg(os.getpgid(victim), signal.SIGKILL)
except OSError as error: print("refused", error.errno, flush=True)
"""


def limits(victim: int) -> object:
    with open(f"/proc/{victim}/limits") as said:
        return said.read()


def alive(victim: int) -> object:
    time.sleep(0.3)
    with open(f"/proc/{victim}/stat") as stat:
        return stat.read().rpartition(") ")[2][0] not in "ZX"


#: How the judge sees that a call came through; None: by the call's own word, since it changes nothing that can be seen.
SEEN: dict[str, Callable[[int], object] | None] = {
    "cpu time": limits,
    "descriptors": limits,
    "priority": lambda victim: os.getpriority(os.PRIO_PROCESS, victim),
    "processors": os.sched_getaffinity,
    "idle": os.sched_getscheduler,
    "input and output": None,
    "compared": None,
    "descriptor taken": None,
    "advised": None,
    "pages moved": None,
    "owner of a pipe": alive,
    "owner of a socket": alive,
    "owner by ioctl": alive,
    "owner of its group": alive,
    "group": alive,
}


def settled(victim: int) -> None:
    """Until it is the program that it is to be."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with open(f"/proc/{victim}/comm") as name:
            if name.read() == "sleep\n":
                return
        time.sleep(0.01)


def a_mapping(victim: int) -> str:
    with open(f"/proc/{victim}/maps") as maps:
        return maps.readline().partition("-")[0]


@pytest.mark.parametrize("preset", ["observe", "coding-agent"])
@pytest.mark.parametrize("way", SEEN)
def test_no_process_outside_is_reached_by_number(arena: Arena, way: str, preset: str) -> None:
    """`observe` allows signals to processes outside by the calls that send them, where the door can see whom they mean."""
    if way == "processors" and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("a machine with two processors is needed")
    if way == "group" and preset == "observe":
        pytest.skip("`observe` allows it of processes that do not hold a session")

    def attack(run: Callable[..., object]) -> bool:
        with outside(arena, "setsid", "sleep", "60") as victim:
            settled(victim.pid)
            look = SEEN[way]
            before = look(victim.pid) if look else None
            said = run("/usr/bin/python3", "-c", CALLS, way, str(victim.pid), a_mapping(victim.pid))
            return look(victim.pid) != before if look else "done" in said.output  # type: ignore[attr-defined]

    arena.build()
    if not attack(arena.run):
        pytest.skip(f"this kernel refuses `{way}` to this user by itself")
    assert not attack(lambda *command: arena.held(*command, preset=preset))


HANGS_UP = (
    "import fcntl\ntry: fcntl.ioctl(0, 0x5437); print('done', flush=True)\nexcept OSError: print('refused', flush=True)"
)
#: Leads a session on the terminal, and says when that is gone.
LEADS = "import fcntl, sys, time\nfcntl.ioctl(0, 0x540E, 0)\nprint('leads', flush=True)\ntime.sleep(60)"


@contextlib.contextmanager
def led_terminal(arena: Arena) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A terminal and the process that leads a session on it."""
    ours, theirs = pty.openpty()
    leader = subprocess.Popen(
        ["/usr/bin/python3", "-c", LEADS], stdin=theirs, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert leader.stdout is not None
        assert leader.stdout.readline() == b"leads\n"
        yield theirs, leader
    finally:
        leader.kill()
        leader.communicate()
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("preset", ["observe", "coding-agent"])
def test_no_terminal_is_hung_up(arena: Arena, preset: str) -> None:
    """By its own slave side, and by one that a service outside passed in: whoever leads its session is ended by that."""
    if arena.user is not None:
        pytest.skip("hanging up is natively root's alone")

    def attack(start: list[object]) -> bool:
        with led_terminal(arena) as (terminal, leader):
            command = [*start, "/usr/bin/python3", "-c", HANGS_UP]
            subprocess.run(
                list(map(str, command)), stdin=terminal, cwd=arena.work, env=arena._environment(),
                capture_output=True, timeout=60,
            )  # fmt: skip
            with contextlib.suppress(subprocess.TimeoutExpired):
                leader.wait(1)
            return leader.poll() == -signal.SIGHUP

    arena.build()
    assert attack([])
    interlock = arena.python.parent / "interlock"
    assert not attack([interlock, "run", "--preset", preset, "--workspace", arena.work, "--"])


def test_a_session_hangs_up_not_even_its_own_terminal(arena: Arena) -> None:
    if arena.user is not None:
        pytest.skip("hanging up is natively root's alone")
    script = f"import pty, os\nours, theirs = pty.openpty(); os.dup2(theirs, 0)\n{HANGS_UP}\n"
    assert arena.run("/usr/bin/python3", "-c", script).output.strip() == "done"
    assert arena.held("/usr/bin/python3", "-c", script, preset="observe").output.strip() == "refused"

"""Signals through the real supervisor: each call, to inside and outside, and what policy may say of either."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.kernel.drive import FILE_VERBS, Drive, Message, policy, rule

PYTHON = "/usr/bin/python3"
CALLS = ["kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"]
FILES = rule("files", "allow", FILE_VERBS, path=["/**"])
RUN = rule("run", "allow", ["process.exec"], path=["/**"])
INSIDE = policy(FILES, RUN, rule("inside", "allow", ["process.signal"], to="inside"))
EVERYWHERE = policy(FILES, RUN, rule("all", "allow", ["process.signal"]))
NOT_KILL = policy(FILES, RUN, rule("inside", "allow", ["process.signal"], to="inside"), rule("kill", "deny", ["process.signal"], signal=[9]))

SENDER = """
import ctypes, os, signal, struct, subprocess, sys, time
LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = dict(kill=62, tkill=200, tgkill=234, rt_sigqueueinfo=129, rt_tgsigqueueinfo=297, pidfd_send_signal=424)
def send(call, process, number):
    info = struct.pack('=iiii', number, 0, -1, 0) + bytes(112)
    words = [NUMBERS[call]]
    if call in ('kill', 'tkill'): words += [process, number]
    elif call == 'tgkill': words += [process, process, number]
    elif call == 'rt_sigqueueinfo': words += [process, number, info]
    elif call == 'rt_tgsigqueueinfo': words += [process, process, number, info]
    else:
        held = os.pidfd_open(process)
        words += [held, number, None, 0]
    ctypes.set_errno(0)
    return 0 if LIBC.syscall(*words) == 0 else ctypes.get_errno()
"""


@pytest.fixture
def outside() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the test's own, that a session might reach."""
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        process.kill()


def run(script: str, compiled: Message, *given: object) -> list[str]:
    command = [PYTHON, "-I", "-c", SENDER + script, *map(str, given)]
    with Drive(command, compiled) as drive:
        last, out, err = drive.finish(60)
    assert last["code"] == 0, err
    return out.decode().splitlines()


@pytest.mark.parametrize("call", CALLS)
def test_inside_is_reached(call: str) -> None:
    script = (
        "for number in (0, signal.SIGTERM):\n"
        "    child = subprocess.Popen(['/bin/sleep', '60'])\n"
        "    print(send(sys.argv[1], child.pid, number))\n"
        "    if number == 0: child.kill()\n"
        "    print(child.wait())\n"
    )
    assert run(script, INSIDE, call) == ["0", "-9", "0", "-15"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("number", [0, 9, 15, 19, 64])
def test_outside_is_not(call: str, number: int, outside: subprocess.Popen[bytes]) -> None:
    script = "print(send(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))"
    assert run(script, INSIDE, call, outside.pid, number) == ["1"]
    assert outside.poll() is None


@pytest.mark.parametrize("call", CALLS)
def test_outside_is_reached_where_policy_allows(call: str, outside: subprocess.Popen[bytes]) -> None:
    script = "print(send(sys.argv[1], int(sys.argv[2]), 15))"
    assert run(script, EVERYWHERE, call, outside.pid) == ["0"]
    assert outside.wait(5) == -signal.SIGTERM


@pytest.mark.parametrize("call", CALLS)
def test_a_rule_may_name_the_signal(call: str) -> None:
    script = (
        "child = subprocess.Popen(['/bin/sleep', '60'])\n"
        "print(send(sys.argv[1], child.pid, 9), send(sys.argv[1], child.pid, 15), child.wait())\n"
    )
    assert run(script, NOT_KILL, call) == ["1 0 -15"]


def test_what_natively_fails_fails_alike() -> None:
    script = (
        "dead = subprocess.Popen(['/bin/true']); dead.wait()\n"
        "for call in NUMBERS:\n"
        "    if call != 'pidfd_send_signal': print(call, send(call, dead.pid, 0), send(call, os.getpid(), 99))\n"
        "print(send('tkill', 0, 0), send('tkill', -1, 0), LIBC.syscall(424, 999, 0, None, 0), ctypes.get_errno())\n"
        "print(LIBC.syscall(424, 0, 0, None, 0), ctypes.get_errno(), LIBC.syscall(424, 0, 0, None, 99), ctypes.get_errno())\n"
    )
    native = subprocess.run([PYTHON, "-I", "-c", SENDER + script], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert run(script, INSIDE) == native.stdout.splitlines()


def test_groups_stay_within_the_session(outside: subprocess.Popen[bytes]) -> None:
    script = (
        "signal.signal(signal.SIGUSR1, lambda *_: print('heard', flush=True))\n"
        "child = subprocess.Popen(['/bin/sleep', '60'])\n"
        "os.kill(0, signal.SIGUSR1)\n"
        "print(child.wait())\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "child = subprocess.Popen(['/bin/sleep', '60'], start_new_session=True)\n"
        "os.kill(-1, signal.SIGTERM)\n"
        "print(child.wait())\n"
        "try: os.killpg(int(sys.argv[1]), 0); print('reached')\n"
        "except PermissionError: print('not reached')\n"
    )
    assert sorted(run(script, INSIDE, os.getpgid(outside.pid))) == sorted(["heard", "-10", "-15", "not reached"])
    assert outside.poll() is None


def test_guardian_and_supervisor_are_outside() -> None:
    script = (
        "def parent(process): return int(open(f'/proc/{process}/stat').read().rsplit(')', 1)[1].split()[1])\n"
        "process = os.getppid()\n"
        "print(send('kill', process, 9), send('kill', int(sys.argv[1]), 9))\n"
    )
    assert run(script, INSIDE, os.getpid()) == ["1 1"]

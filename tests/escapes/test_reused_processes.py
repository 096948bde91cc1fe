"""A process id that was the session's is somebody else's as soon as its process is gone: nothing is done to that one.

In a namespace of process ids that holds a few hundred, the session signals its own dead children by number and reads their environment, while a
program outside starts processes one after the other. Who was killed, and whose secret was read, is said by that program.
10⁶ tries by `make races`.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess

import pytest

from tests.escapes.arena import Arena
from tests.tries import seconds, tries

TRIES, SECONDS = tries(3_000), seconds(20)
IDS = 400
#: How often the control is played at most: a loaded machine starts few processes.
CONTROLS_MAX = 12

#: In the namespace: sets how many ids there are, starts processes outside the session, and the session.
STAGE = """
import contextlib, json, os, signal, subprocess, sys, threading
ids, secret, command, owner = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
owned = {"user": owner, "group": owner, "extra_groups": []} if owner else {}
open("/proc/sys/kernel/pid_max", "w").write(ids)
over, started, killed = threading.Event(), 0, 0
def outside():
    global started, killed
    while not over.is_set():
        with contextlib.suppress(OSError):
            process = subprocess.Popen(["/bin/sleep", "0.03"], env={"SECRET": secret}, **owned)
            started += 1
            killed += process.wait() == -signal.SIGUSR1
threads = [threading.Thread(target=outside) for _ in range(8)]
for thread in threads: thread.start()
ran = subprocess.run(command, capture_output=True, text=True)
over.set()
for thread in threads: thread.join()
print(json.dumps({"started": started, "killed": killed, "read": ran.stdout.count(secret), "printed": ran.stdout[-200:], "errors": ran.stderr[-2000:]}))
"""

#: In the session: a child is made and reaped, and then its number is used.
ATTACK = """
import contextlib, os, signal, sys, time
tries, seconds = int(sys.argv[1]), float(sys.argv[2])
until, done, numbers = time.monotonic() + seconds, 0, []
while done < tries and time.monotonic() < until:
    if len(numbers) < 300:
        with contextlib.suppress(OSError):
            child = os.fork()
            if child == 0: os._exit(0)
            os.waitpid(child, 0)
            if child not in numbers: numbers.append(child)
    number = numbers[done % len(numbers)]
    done += 1
    with contextlib.suppress(OSError):
        with open(f"/proc/{number}/environ", "rb") as told: sys.stdout.write(told.read().decode(errors="replace"))
    with contextlib.suppress(OSError): os.kill(number, signal.SIGUSR1)
print("tries", done)
"""
POLICY = """interlock: 1
name: numbers
rules:
  - id: files
    allow: [file.*, process.exec]
    path: /**
  - id: own
    allow: process.signal
    to: inside
"""


def stage(arena: Arena, command: list[str]) -> dict[str, object]:
    """What happened outside while the command ran as the arena's user."""
    given = json.dumps([*arena._as_user(), *command])
    owner = str(pwd.getpwnam(arena.user).pw_uid if arena.user else 0)
    ran = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "/usr/bin/python3", "-c", STAGE, str(IDS), SECRET, given, owner],
        cwd=arena.work,
        env=arena._environment(),
        capture_output=True,
        text=True,
        timeout=2 * SECONDS + 90,
    )
    if ran.returncode != 0:
        pytest.skip(f"needs root and a kernel whose namespaces have a pid_max each (6.14): {ran.stderr[-300:]}")
    found: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return found


SECRET = "SECRET-of-another"


@pytest.mark.race
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root: makes a namespace of process ids")
@pytest.mark.timeout(SECONDS * 3 + 200)
def test_a_number_that_was_a_childs_is_not_the_childs(arena: Arena) -> None:
    policy = arena.root / "numbers.yaml"
    policy.write_text(POLICY)
    policy.chmod(0o644)
    attack = ["/usr/bin/python3", "-c", ATTACK]
    control = {"killed": 0, "read": 0}
    for _ in range(CONTROLS_MAX):
        found = stage(arena, [*attack, "20000", "4"])
        control = {what: count + int(str(found[what])) for what, count in control.items()}
        if control["killed"] and (control["read"] or arena.user is not None):
            break
    # As an ordinary user the number is signalled before its environment can be read, nearly always.
    assert control["killed"] and (control["read"] or arena.user is not None), control
    interlock = str(arena.python.parent / "interlock")
    command = [interlock, "run", "--policy", str(policy), "--workspace", str(arena.work), "--", *attack, str(TRIES), str(SECONDS)]
    held = stage(arena, command)
    print(f"{held['printed']!s:.200}: {held['started']} started outside, {held['killed']} killed, {held['read']} read; control {control['killed']}, {control['read']}")
    assert "tries" in str(held["printed"]), held
    assert (held["killed"], held["read"]) == (0, 0)

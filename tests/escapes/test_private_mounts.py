"""A session's own /tmp, /var/tmp and /dev/shm on machines of several kinds: where /tmp is a file system of its own, may
run nothing or cannot be written; where workspace, home and command lie in it; and what is mounted while a session runs.

Each machine is a mount namespace of the test's. What a session sees and does in it is compared with the same program
without Interlock.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.escapes.arena import Arena, Outcome
from tests.escapes.test_private_places import LATER, PLACES, ROOT, WITHOUT, played, running, script, supervisor_of

pytestmark = ROOT
LISTENER = """
import os, socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1] + ".new"); listening.listen()
os.rename(sys.argv[1] + ".new", sys.argv[1])
while True: listening.accept()[0].send(b"theirs")
"""


@pytest.fixture
def name() -> Iterator[str]:
    made = f"own-{uuid.uuid4().hex[:8]}"
    yield made
    for place in PLACES:
        for left in Path(place).glob(f"{made}*"):
            shutil.rmtree(left, ignore_errors=True)
            left.unlink(missing_ok=True)


def machine(*steps: str, propagation: str = "private") -> list[str]:
    """What comes before a command that is to see such mounts."""
    return ["unshare", "--mount", "--propagation", propagation, "sh", "-ec", "; ".join([*steps, 'exec "$@"']), "sh"]


def both(arena: Arena, before: list[str], text: str, *words: str) -> tuple[Outcome, Outcome]:
    return played(arena, text, *words, held=False, before=before), played(arena, text, *words, before=before)


ABOUT = """
import os, stat, subprocess, sys
place = sys.argv[1].replace("%", "/")
try:
    with open(f"{place}/tool", "w") as tool: tool.write("#!/bin/sh\\necho ran\\n")
    os.chmod(f"{place}/tool", 0o755)
    print(subprocess.run([f"{place}/tool"], capture_output=True, text=True).stdout)
except OSError as error: print(type(error).__name__, error.errno)
status, size = os.stat(place), os.statvfs(place)
print(oct(status.st_mode), status.st_uid, status.st_gid, "small" if size.f_blocks * size.f_frsize == 1 << 20 else "large")
"""


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm"])
@pytest.mark.parametrize("options", ["", "noexec,", "size=1m,", "ro,"])
def test_a_place_of_the_sessions_own_is_as_the_one_outside(arena: Arena, name: str, place: str, options: str) -> None:
    mount = f"mount -t tmpfs -o {options or 'mode=1777,'}nosuid tmpfs {place}"
    natively, held = both(arena, machine(mount), ABOUT, place.replace("/", "%"))
    assert held.output == natively.output, held.errors
    assert ("PermissionError 13" in held.output, "OSError 30" in held.output, "small" in held.output) == (
        options == "noexec,", options == "ro,", options == "size=1m,",
    )  # fmt: skip


MOUNTED = """
import os, sys, time
open("/tmp/" + sys.argv[1], "w").close()
open("ready", "w").close()
until = time.monotonic() + 30
while not os.path.exists("later/theirs") and time.monotonic() < until: time.sleep(0.02)
print(os.path.exists("later/theirs"), os.listdir("/tmp/kept-" + sys.argv[1]), sys.argv[1] in os.listdir("/tmp"))
"""
#: What a person does beside a session: mounts something in the workspace, and over /tmp.
BESIDE = """
mkdir -p later /tmp/kept-$NAME/in
"$@" & session=$!
while ! [ -e ready ]; do sleep 0.05; done
grep -c ' interlock ' /proc/self/mountinfo || true
ls /tmp | grep -x $NAME || true
mount -t tmpfs tmpfs /tmp/kept-$NAME && touch /tmp/kept-$NAME/mounted
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs later && touch later/theirs
wait $session; umount later; umount /tmp; umount /tmp/kept-$NAME
"""


def test_what_is_mounted_outside_later_comes_in_and_nothing_goes_out(arena: Arena, name: str) -> None:
    """As on machines where mounts are shared. What is mounted over /tmp lies below the session's own; a kept folder gets what is mounted in it."""
    Path("/tmp", f"kept-{name}", "in").mkdir(parents=True)
    try:
        before = ["unshare", "--mount", "--propagation", "shared", "env", f"NAME={name}", "sh", "-ec", BESIDE, "sh"]
        ran = played(arena, MOUNTED, name, before=before, options=("--share", f"/tmp/kept-{name}"))
    finally:
        shutil.rmtree(f"/tmp/kept-{name}")
    assert ran.output == "0\nTrue ['mounted'] True\n", ran


HOME_WORK = """
import os, sys
name = sys.argv[1]
open("made", "w").write("ours")
os.rename("made", "moved")
open(os.path.expanduser("~/.cache/made"), "w").write("ours")
open("/tmp/" + name + "-elsewhere", "w").write("ours")
print(os.getcwd(), sorted(each for each in os.listdir("/tmp") if name in each), os.listdir("../..") == os.listdir("/tmp"))
"""


def test_workspace_home_and_command_may_lie_there(arena: Arena, name: str) -> None:
    """As in tests and in CI. What they hold is the same outside; what is made beside them goes."""
    top = Path("/tmp", name)
    (top / "home/.cache").mkdir(parents=True)
    (top / "work").mkdir()
    tool = top / "work/tool.py"
    tool.write_text("#!/usr/bin/python3\n" + HOME_WORK)
    tool.chmod(0o755)
    command = [str(arena.python.parent / "interlock"), "run", "--", str(tool), name]
    environment = arena._environment() | {"HOME": str(top / "home"), "INTERLOCK_HOME": str(top / "state")}
    ran = subprocess.run(command, cwd=top / "work", env=environment, capture_output=True, text=True, timeout=LATER)
    assert ran.stdout == f"{top}/work ['{name}', '{name}-elsewhere'] True\n", ran.stderr
    assert (top / "work/moved").read_text() == (top / "home/.cache/made").read_text() == "ours"
    assert sorted(path.name for path in Path("/tmp").glob(f"{name}*")) == [name]


@pytest.mark.parametrize("script_of", ["/tmp/%", "/tmp/%.d/tool"])
def test_a_command_that_lies_there_is_decided_as_by_rules_alone(arena: Arena, name: str, script_of: str) -> None:
    tool = Path(script_of.replace("%", name))
    tool.parent.mkdir(exist_ok=True)
    tool.write_text("#!/bin/sh\necho ran\n")
    tool.chmod(0o755)
    arena.build()
    command = [str(arena.python.parent / "interlock"), "run", "--workspace", str(arena.work), "--", str(tool)]
    with_mounts, without = arena.run(*command), arena.run(*WITHOUT, *command)
    assert arena.run(tool).output == "ran\n"
    assert (with_mounts.code, with_mounts.output, with_mounts.errors.splitlines()[:3]) == (without.code, without.output, without.errors.splitlines()[:3])


CONNECT = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
try: client.connect(sys.argv[1].replace("%", "/")); print(client.recv(10))
except OSError as error: print(type(error).__name__)
"""


@pytest.mark.parametrize("path", ["/tmp/.X11-unix/X7", "/tmp/vscode-ipc-1.sock"])
def test_a_socket_that_policy_opens_is_reached_also_when_it_is_made_anew(arena: Arena, name: str, path: str) -> None:
    """A display, an editor. One that policy says nothing of is refused with a reason, as by rules alone, if the environment names it."""
    (arena.root / "listener.py").write_text(LISTENER)
    listen = f"/usr/bin/python3 {arena.root}/listener.py {path} &\nlistener=$!; while ! [ -e {path} ]; do sleep 0.05; done"
    before = machine("mount -t tmpfs tmpfs /tmp", f"mkdir -p {os.path.dirname(path)}", listen)
    before[-2] = before[-2].replace('exec "$@"', '"$@"; kill $listener')
    layer = arena.root / "mine.yaml"
    layer.write_text(json.dumps({"interlock": "1", "name": "mine", "rules": [{"id": "socket", "allow": "unix.connect", "path": [path]}]}))
    arena.build()
    interlock = [str(arena.python.parent / "interlock"), "run", "--workspace", str(arena.work)]
    command = ["/usr/bin/python3", script(arena, CONNECT), path.replace("/", "%")]
    for rules, answer in ((["--preset", "coding-agent", "--policy", str(layer)], "b'theirs'\n"), ([], "PermissionError\n")):
        ran = arena.run(*before, "env", f"AN_EDITORS_SOCKET={path}", *interlock, *rules, "--", *command)
        assert ran.output == answer, ran.errors


def test_what_was_handed_over_stays_when_the_session_is_killed(arena: Arena, name: str) -> None:
    folder = Path("/tmp", f"{name}.d")
    folder.mkdir()
    with running(arena, f"{name}.d/made", "--share", str(folder)) as process:
        assert (folder / "made").read_text() == "#!/bin/sh\n"
        os.kill(supervisor_of(process.pid), signal.SIGKILL)
        process.wait(timeout=LATER)
    assert (folder / "made").read_text() == "#!/bin/sh\n"

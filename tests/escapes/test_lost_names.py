"""What has lost its name is what it was: the folders it lay in may move, and nothing that was denied comes out by that.

Who may not read a file may hold it without data (O_PATH), take its name away and rename its folder; by then the kernel
tells a path that no rule speaks of. What a session made itself, and what a caller holds with the same rights, is open
as ever: shells and compilers live on files without a name.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.escapes.arena import SECRET, Arena, Outcome

POLICY = """\
interlock: 1
name: keys
rules:
  - id: keys
    deny: file.read
    path: ["${workspace}/deploy/keys/**"]
  - id: fixed
    deny: [file.write, file.truncate, file.create, file.rename, file.link]
    path: ["${workspace}/deploy/fixed/**"]
"""
LOSE = """
import os, sys
way = sys.argv[1]
held = os.open("deploy/keys/token", os.O_PATH)
os.unlink("deploy/keys/token")
os.rmdir("deploy/keys")
os.rename("deploy", "free")
by = f"/proc/self/fd/{held}"
if way == "open": print(open(by).read())
elif way == "write": print(open(by, "r+").read())
elif way == "task": print(open(f"/proc/{os.getpid()}/task/{os.getpid()}/fd/{held}").read())
elif way == "child":
    if os.fork() == 0: print(open(f"/proc/{os.getppid()}/fd/{held}").read(), flush=True); os._exit(0)
    os.wait()
elif way == "link": os.link(by, "back", src_dir_fd=os.open("/", os.O_PATH), follow_symlinks=True); print(open("back").read())
elif way == "copied": other = os.open("README", os.O_RDWR); os.dup2(held, other); print(open(f"/dev/fd/{other}").read())
"""
CHANGE = """
import os
held = os.open("deploy/fixed/pinned", os.O_RDONLY)
os.unlink("deploy/fixed/pinned")
os.rmdir("deploy/fixed")
os.rename("deploy", "free")
open(f"/proc/self/fd/{held}", "w").write("changed")
"""


def lay_out(arena: Arena, name: str = "keys/token") -> Path:
    arena.build()
    path = arena.work / "deploy" / name
    path.parent.mkdir(parents=True)
    path.write_text(SECRET + "\n")
    arena._own()
    policy = arena.root / "keys.yaml"
    policy.write_text(POLICY)
    policy.chmod(0o644)
    return policy


@pytest.mark.parametrize("way", ["open", "write", "task", "child", "copied"])
def test_a_denied_file_is_not_read_once_its_name_is_gone(arena: Arena, way: str) -> None:
    lay_out(arena)
    assert SECRET in arena.run("/usr/bin/python3", "-c", LOSE, way).output
    policy = lay_out(arena)
    held = arena.held("/usr/bin/python3", "-c", LOSE, way, policy=policy)
    assert SECRET not in held.output and "Permission denied" in held.errors, held


def test_a_file_held_for_reading_is_not_written_once_its_name_is_gone(arena: Arena) -> None:
    for run in (arena.run, arena.held):
        policy = lay_out(arena, "fixed/pinned")
        watched = os.open(arena.work / "deploy" / "fixed" / "pinned", os.O_RDONLY)
        more = {"policy": policy} if run == arena.held else {}
        ran: Outcome = run("/usr/bin/python3", "-c", CHANGE, **more)  # type: ignore[operator]
        content = os.pread(watched, 100, 0).decode()
        os.close(watched)
        assert content == ("changed" if run == arena.run else SECRET + "\n"), ran


def test_what_is_held_or_made_here_is_opened_without_a_name_as_outside(arena: Arena) -> None:
    script = (
        "import os, subprocess, sys, tempfile\n"
        "print(open('/dev/stdin').read(), end='')\n"
        "with tempfile.TemporaryFile() as made:\n"
        "    made.write(b'made'); made.flush()\n"
        "    print(open(f'/proc/self/fd/{made.fileno()}').read())\n"
        "    open(f'/proc/self/fd/{made.fileno()}', 'a').write(' more')\n"
        "    print(open(f'/dev/fd/{made.fileno()}').read())\n"
        "print(subprocess.run(['/bin/bash', '-c', 'cat /dev/stdin <<END\\nhere\\nEND'],"
        " capture_output=True, text=True).stdout, end='')\n"
        "number = os.open('.', os.O_TMPFILE | os.O_RDWR); os.write(number, b'named')\n"
        "os.link(f'/proc/self/fd/{number}', 'late', src_dir_fd=os.open('/', os.O_PATH), follow_symlinks=True)\n"
        "print(open('late').read())\n"
    )
    arena.build()
    (arena.work / "script.py").write_text(script)
    arena._own()
    told = []
    for layers in ([], [arena.python.parent / "interlock", "run", "--workspace", arena.work, "--"]):
        (arena.work / "late").unlink(missing_ok=True)
        with tempfile.NamedTemporaryFile("w+", dir="/var/tmp", delete=False) as stdin:
            stdin.write("from outside\n")
            stdin.flush()
            os.chmod(stdin.name, 0o666)
            with open(stdin.name) as given:
                os.unlink(stdin.name)
                command = [*arena._as_user(), *map(str, layers), "/usr/bin/python3", "script.py"]
                ran = subprocess.run(
                    command, cwd=arena.work, env=arena._environment(), stdin=given, capture_output=True, text=True
                )
        told.append(ran.stdout)
        assert ran.returncode == 0, ran.stderr
    assert told[0] == told[1] == "from outside\nmade\nmade more\nhere\nnamed\n"

"""Keys of a structured file do not change, however its content comes to its name; everything else in it does.

The judge reads the file as its reader would: the last of repeated keys counts, and a link is followed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.escapes.arena import PROGRAMS, Arena
from tests.escapes.test_tracked import git

WAYS = re.findall(r"^def (?!put|gone|at_once)(\w+)\(\)", (PROGRAMS / "plant.py").read_text(), re.M)
OLD = '{"n": 1, "mcpServers": {"old": {"command": "true"}}}\n'
POLICY = """\
interlock: 1
name: keyed
rules:
  - id: all
    allow: [file.*, process.exec, process.signal]
  - id: servers
    deny: file.change
    path: ["${workspace}/settings/agent.json"]
    keys: {format: json, named: [mcpServers]}
    because: a person gives these
"""


@pytest.fixture
def guarded(arena: Arena, tmp_path: Path) -> Arena:
    lay_out(arena)
    return arena


def lay_out(arena: Arena) -> None:
    arena.build()
    (arena.work / "settings").mkdir()
    (arena.work / "settings" / "agent.json").write_text(OLD)
    shutil.copy2(PROGRAMS / "plant.py", arena.root / "plant.py")
    (arena.root / "keyed.yaml").write_text(POLICY)
    arena._own()


def is_planted(arena: Arena) -> bool:
    return servers(arena).get("old", {}).get("command") == "evil"


def servers(arena: Arena) -> dict[str, dict[str, str]]:
    """As a reader sees them who minds neither a byte order mark nor lines of comment."""
    file = arena.work / "settings" / "agent.json"
    lines = file.read_text(encoding="utf-8-sig").splitlines() if file.exists() else []
    text = "\n".join(line for line in lines if not line.startswith("//"))
    return json.loads(text or "{}").get("mcpServers", {})


def held(arena: Arena, *command: str | Path):
    interlock = arena.python.parent / "interlock"
    policy = str(arena.root / "keyed.yaml")
    return arena.run(interlock, "run", "--policy", policy, "--workspace", str(arena.work), "--", *command)


@pytest.mark.parametrize("way", WAYS)
def test_a_key_does_not_change(guarded: Arena, way: str) -> None:
    if way != "while_it_is_installed":
        guarded.run(guarded.python, guarded.root / "plant.py", way)
        assert is_planted(guarded), "the control"
        lay_out(guarded)
    held(guarded, guarded.python, guarded.root / "plant.py", way)
    assert not is_planted(guarded)
    assert not list(guarded.work.rglob(".interlock-*"))
    assert servers(guarded) == {"old": {"command": "true"}}


@pytest.mark.parametrize("way", ["rename", "in_place", "link", "nameless", "made_afresh", "symlink", "folder", "marked", "by_working_folder"])
def test_a_key_is_not_made_where_no_file_was(guarded: Arena, way: str) -> None:
    file = guarded.work / "settings" / "agent.json"
    file.unlink()
    guarded.run(guarded.python, guarded.root / "plant.py", way)
    assert is_planted(guarded), "the control"
    lay_out(guarded)
    file.unlink()
    held(guarded, guarded.python, guarded.root / "plant.py", way)
    assert servers(guarded) == {}


USES = {
    "rename": 'echo \'{"n": 2, "mcpServers": {"old": {"command": "true"}}}\' > new && mv new settings/agent.json',
    "in place": "sed 's/1/2/' settings/agent.json > new && cat new > settings/agent.json",
    "sed": "sed -i 's/1/2/' settings/agent.json",
    "map": "python3 -c \"import mmap; f=open('settings/agent.json','r+b'); m=mmap.mmap(f.fileno(),0); m[6:7]=b'2'; m.close(); f.close()\"",
    "cut to length": "python3 -c \"import os; f=os.open('settings/agent.json',os.O_RDWR); os.pwrite(f,b' '*9+b'\\n',0); os.ftruncate(f,0);"
    " os.pwrite(f,b'{\\\"n\\\": 2, \\\"mcpServers\\\": {\\\"old\\\": {\\\"command\\\": \\\"true\\\"}}}\\n',0); os.fsync(f); os.fchmod(f,0o600); os.close(f)\"",
    "mode given by name meanwhile": "python3 -c \"import os; f=open('settings/agent.json','r+'); f.write('{\\\"n\\\": 2');"
    " os.chmod('settings/agent.json',0o600); f.close()\"",
    "copied over": "sed 's/1/2/' settings/agent.json > new && cp new settings/agent.json",
    "moved away and back": "mkdir other && sed 's/1/2/' settings/agent.json > new && cp -p new settings/agent.json && ls settings",
    "twice": "sed 's/1/3/' settings/agent.json > new && cat new > settings/agent.json && sed -i 's/3/2/' settings/agent.json",
}


@pytest.mark.parametrize("use", USES)
def test_what_is_not_guarded_changes_as_outside(guarded: Arena, use: str) -> None:
    """Read back at once, with mode and owner as outside."""
    script = f"chmod 640 settings/agent.json; {USES[use]}; cat settings/agent.json; stat -c '%a %u %g %s' settings/agent.json"
    outside = guarded.run("sh", "-c", script)
    lay_out(guarded)
    inside = held(guarded, "sh", "-c", script)
    assert '"n": 2' in outside.output
    assert inside.output == outside.output, inside.errors


def test_what_cannot_be_read_is_denied_and_told(guarded: Arena) -> None:
    done = held(guarded, "sh", "-c", "echo '{' > settings/agent.json; echo '{' > new; mv new settings/agent.json; cat settings/agent.json")
    assert done.output == OLD
    assert "cannot be compared as JSON" in done.errors


def test_the_key_is_named(guarded: Arena) -> None:
    done = held(guarded, guarded.python, guarded.root / "plant.py", "rename")
    assert "which would set mcpServers.old.command" in done.errors
    assert "a person gives these" in done.errors


def test_readers_see_the_old_content_or_the_new(guarded: Arena) -> None:
    """One writes in place without end, many read: what each reads is one whole state."""
    program = """
import os, sys
body = '{"n": %d, "mcpServers": {"old": {"command": "true"}}, "filler": "' + "x" * 20000 + '%d"}\\n'
if os.fork() == 0:
    for n in range(200):
        with open("settings/agent.json", "w") as file:
            text = body % (n, n)
            file.write(text[:30]); file.flush(); file.write(text[30:])
    os._exit(0)
import json
seen = set()
for _ in range(2000):
    text = json.loads(open("settings/agent.json").read())
    assert "filler" not in text or text["filler"].endswith("x%d" % text["n"]), text["n"]
    seen.add(text["n"])
os.wait()
print(len(seen) > 1)
"""
    (guarded.root / "readers.py").write_text(program)
    done = held(guarded, guarded.python, guarded.root / "readers.py")
    assert done.output == "True\n", done.errors


def test_what_the_repository_had_does_not_bring_a_key_along(guarded: Arena) -> None:
    """Both rules hold at one name: what is checked out there is content of before, and its keys are compared as well."""
    before = '  - {id: before, deny: file.change, path: ["${workspace}/settings/agent.json"], when: {history: none}}\n'
    (guarded.root / "keyed.yaml").write_text(POLICY + before)
    evil = OLD.replace("true", "evil").strip()
    git(
        guarded,
        "rm -rf .git && git init -q -b main . && echo '{\"n\": 5}' > settings/agent.json && git add settings && git commit -qm first && "
        f"git checkout -q -b other && echo '{evil}' > settings/agent.json && git commit -qam other && git checkout -q main && rm settings/agent.json",
    )
    held(guarded, "sh", "-c", "git checkout -q other -- settings/agent.json; true")
    assert not (guarded.work / "settings" / "agent.json").exists()
    done = held(guarded, "sh", "-c", "git checkout -q main -- settings/agent.json; cat settings/agent.json")
    assert done.output == '{"n": 5}\n', done.errors


def test_what_is_killed_in_the_middle_leaves_the_old_keys(guarded: Arena) -> None:
    """The supervisor is killed while one session saves without end, as it should and as it should not."""
    program = """
import itertools, os
old = '{"n": %d, "mcpServers": {"old": {"command": "%s"}}, "filler": "' + "x" * 100000 + '"}\\n'
for n in itertools.count():
    text = old % (n, "evil" if n % 2 else "true")
    try:
        if n % 3:
            open("settings/agent.json", "w").write(text)
        else:
            open("new", "w").write(text)
            os.rename("new", "settings/agent.json")
    except OSError:
        pass
    if n == 20:
        open("ready", "w").close()
"""
    (guarded.root / "saves.py").write_text(program)
    interlock = str(guarded.python.parent / "interlock")
    command = [interlock, "run", "--quiet", "--policy", str(guarded.root / "keyed.yaml"), "--workspace", str(guarded.work), "--"]
    for pause in range(8):
        lay_out(guarded)
        started = [*guarded._as_user(), *command, str(guarded.python), str(guarded.root / "saves.py")]
        run = subprocess.Popen(started, cwd=guarded.work, env=guarded._environment(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not (guarded.work / "ready").exists():
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(pause * 0.013)
        supervisors = [child for child in children_of(run.pid) if "interlock-supervisor" in command_of(child)]
        assert supervisors
        os.kill(supervisors[0], signal.SIGKILL)
        run.communicate(timeout=60)
        assert servers(guarded) == {"old": {"command": "true"}}
        for left in (guarded.work / "settings").iterdir():
            assert "evil" not in left.read_text(), left.name


def children_of(process: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True).stdout
    below = [int(each) for each in found.split()]
    return [*below, *(child for each in below for child in children_of(each))]


def command_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""

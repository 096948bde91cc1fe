"""What ends, stops or starves processes from outside of them: control groups. No preset lets a session change one.

Each attack first succeeds without Interlock upon a process and a group of the test's own; root alone may. The judge
reads the group and the process from outside.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.escapes.arena import Arena, Outcome

Run = Callable[..., Outcome]
#: Writes the second argument into the file that the first one names.
WRITE = "import sys; f = open(sys.argv[1], 'w'); f.write(sys.argv[2]); f.close()"


@dataclass
class Group:
    """A control group of the test's own with one sleeping process in it."""

    path: Path
    victim: subprocess.Popen[bytes]

    def state(self, name: str) -> str:
        with contextlib.suppress(OSError):
            return (self.path / name).read_text()
        return "(gone)"


def hierarchy(kind: str) -> Path:
    """Where a hierarchy is mounted: `cgroup2`, or a controller of version 1."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, system = line.partition(" - ")
        name, _, options = system.split()
        if (name == "cgroup2" and kind == "cgroup2") or (name == "cgroup" and kind in options.split(",")):
            return Path(fields.split()[4])
    pytest.skip(f"no `{kind}` hierarchy is mounted here: a machine with control groups is needed")


@contextlib.contextmanager
def group(kind: str, below: Path | None = None) -> Iterator[Group]:
    path = (below or hierarchy(kind)) / f"interlock-test-{secrets.token_hex(4)}"
    path.mkdir()
    victim = subprocess.Popen(["sleep", "60"])
    try:
        (path / "cgroup.procs").write_text(str(victim.pid))
        yield Group(path, victim)
    finally:
        thaw(path)
        victim.kill()
        victim.wait()
        remove(path)


def thaw(path: Path) -> None:
    for name, value in (("cgroup.freeze", "0"), ("freezer.state", "THAWED"), ("pids.max", "max")):
        with contextlib.suppress(OSError):
            (path / name).write_text(value)


def remove(path: Path) -> None:
    until = time.monotonic() + 5
    while path.exists() and time.monotonic() < until:
        with contextlib.suppress(OSError):
            path.rmdir()
        time.sleep(0.02)


@pytest.fixture
def root_arena(arena: Arena) -> Arena:
    if arena.user is not None:
        pytest.skip("control groups are natively root's alone")
    arena.build()
    return arena


def observed(arena: Arena) -> Run:
    return lambda *command: arena.held(*command, preset="observe")


CHANGES = [
    ("cgroup2", "cgroup.freeze", "1"),
    ("cgroup2", "cgroup.max.descendants", "0"),
    ("freezer", "freezer.state", "FROZEN"),
    ("pids", "pids.max", "1"),
    ("memory", "memory.limit_in_bytes", "65536"),
    ("memory", "memory.swappiness", "3"),
    ("cpu", "cpu.shares", "2"),
]


@pytest.mark.parametrize(("kind", "name", "value"), CHANGES)
def test_nothing_of_a_group_is_changed(root_arena: Arena, kind: str, name: str, value: str) -> None:
    def attack(run: Run) -> bool:
        with group(kind) as found:
            before = found.state(name)
            if before == "(gone)":
                pytest.skip(f"this kernel's groups have no `{name}`")
            run("/usr/bin/python3", "-c", WRITE, found.path / name, value)
            return found.state(name) != before

    assert attack(root_arena.run)
    assert not attack(observed(root_arena))


def killed(found: Group) -> bool:
    try:
        found.victim.wait(1)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_no_group_is_killed(root_arena: Arena) -> None:
    def attack(run: Run) -> bool:
        with group("cgroup2") as found:
            run("/usr/bin/python3", "-c", WRITE, found.path / "cgroup.kill", "1")
            return killed(found)

    assert attack(root_arena.run)
    assert not attack(observed(root_arena))


#: Ways to one group: its name, through a process's root, from the directory, by a link, by a descriptor of the directory.
WAYS = {
    "root": "open('/proc/self/root' + path, 'w').write('1')",
    "relative": "os.chdir(os.path.dirname(path)); open('cgroup.kill', 'w').write('1')",
    "link": "os.symlink(os.path.dirname(path), 'way'); open('way/cgroup.kill', 'w').write('1')",
    "directory": "d = os.open(os.path.dirname(path), os.O_PATH); os.write(os.open('cgroup.kill', os.O_WRONLY, dir_fd=d), b'1')",
    "again": "f = os.open(path, os.O_PATH); open(f'/proc/self/fd/{f}', 'w').write('1')",
    "create": "os.write(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), b'1')",
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_to_a_group(root_arena: Arena, way: str) -> None:
    def attack(run: Run) -> bool:
        root_arena.build()
        with group("cgroup2") as found:
            run(
                "/usr/bin/python3", "-c", f"import os, sys; path = sys.argv[1]; {WAYS[way]}", found.path / "cgroup.kill"
            )
            return killed(found)

    assert attack(root_arena.run)
    assert not attack(observed(root_arena))


#: Makes a group, moves the process there, and ends it with the group.
MOVES = """
import os, sys
place, victim = sys.argv[1:]
os.mkdir(place)
open(place + "/cgroup.procs", "w").write(victim)
open(place + "/cgroup.kill", "w").write("1")
"""


def test_no_process_is_moved_into_a_group(root_arena: Arena) -> None:
    place = hierarchy("cgroup2") / f"interlock-test-{secrets.token_hex(4)}"

    def attack(run: Run) -> bool:
        victim = subprocess.Popen(["sleep", "60"])
        try:
            run("/usr/bin/python3", "-c", MOVES, place, str(victim.pid))
            return place.exists() or killed(Group(place, victim))
        finally:
            victim.kill()
            victim.wait()
            remove(place)

    assert attack(root_arena.run)
    assert not attack(observed(root_arena))


@pytest.mark.parametrize("how", ["second mount", "bind mount"])
def test_a_group_that_is_mounted_elsewhere_is_kept_too(root_arena: Arena, how: str) -> None:
    place = root_arena.root / "mounted elsewhere"
    place.mkdir(exist_ok=True)
    source = ["-t", "cgroup2", "none"] if how == "second mount" else ["--bind", str(hierarchy("cgroup2"))]
    subprocess.run(["mount", *source, place], check=True)

    def attack(run: Run) -> bool:
        with group("cgroup2", below=place) as found:
            run("/usr/bin/python3", "-c", WRITE, found.path / "cgroup.kill", "1")
            return killed(found)

    try:
        assert attack(root_arena.run)
        assert not attack(observed(root_arena))
    finally:
        subprocess.run(["umount", place], check=True)
        shutil.rmtree(place, ignore_errors=True)


#: Looks for Interlock's processes upwards and beside itself, moves each into a group of its own, and ends that.
ENDS_KEEPERS = """
import os, sys
try:
    os.mkdir(sys.argv[1])
    for process in range(os.getpid() - 40, os.getpid()):
        try: open(sys.argv[1] + "/cgroup.procs", "w").write(str(process))
        except OSError: pass
    open(sys.argv[1] + "/cgroup.kill", "w").write("1")
except OSError as error:
    print("refused", error.errno, flush=True)
print("still here", flush=True)
"""


@pytest.mark.parametrize("preset", ["observe", "coding-agent"])
def test_the_keepers_of_a_session_are_in_no_group_of_its_making(root_arena: Arena, preset: str) -> None:
    place = hierarchy("cgroup2") / f"interlock-test-{secrets.token_hex(4)}"
    try:
        done = root_arena.held("/usr/bin/python3", "-c", ENDS_KEEPERS, place, preset=preset)
        assert not place.exists()
    finally:
        remove(place)
    assert (done.code, "refused 13" in done.output, "still here" in done.output) == (0, True, True), done.errors


def processes_that_say(word: str) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit() and word.encode() in Path("/proc", entry, "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry))
    return found


def test_a_tree_that_lost_all_its_keepers_at_once_is_ended_or_not_said_to_be(root_arena: Arena) -> None:
    """Somebody outside does in one stroke what a session may not: all four are gone before one of them can act."""
    word = f"interlock-test-{secrets.token_hex(4)}"
    script = "echo begun; trap '' HUP TERM; while :; do sleep 1; done"
    command = [root_arena.python.parent / "interlock", "run", "--preset", "observe", "--workspace", root_arena.work]
    pipe = subprocess.PIPE
    run = subprocess.Popen(
        [*command, "--", "sh", "-c", script, word],
        cwd=root_arena.work, env=root_arena._environment(), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True,
    )  # fmt: skip
    assert run.stdout is not None
    assert run.stdout.readline() == "begun\n"
    with group("cgroup2") as found:
        keepers = below(run.pid)
        assert len(keepers) == 4, keepers
        for keeper in keepers:
            (found.path / "cgroup.procs").write_text(str(keeper))
        (found.path / "cgroup.kill").write_text("1")
        _, errors = run.communicate(timeout=30)
    assert "the processes of the session were ended" in errors
    assert processes_that_say(word) == []
    assert run.returncode == 123
    listed = root_arena.run(root_arena.python.parent / "interlock", "session", "list").output
    assert [line.split()[1] for line in listed.splitlines() if word in line] == ["lost"]


def below(of: int) -> list[int]:
    """Interlock's processes below one, by what they are called."""
    found, keepers = {of}, []
    for entry in sorted((entry for entry in os.listdir("/proc") if entry.isdigit()), key=int):
        with contextlib.suppress(OSError):
            name, fields = Path("/proc", entry, "stat").read_text().rpartition(") ")[::2]
            if int(fields.split()[1]) in found:
                found.add(int(entry))
                if name.partition("(")[2].startswith(("interlock", "jail-")):
                    keepers.append(int(entry))
    return keepers

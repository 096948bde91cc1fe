"""Where a session may mount (root), /tmp, /var/tmp and /dev/shm are its own: no program outside finds a name that it makes
there, whatever that is called, and it sees none of theirs but what policy or the command line names.

The judge is outside: what is there, by `os.path`. Each attack first succeeds without Interlock. Rules hold in such a
place as everywhere, so with the mechanism taken away the same tests of what is *not changed* pass (`test_shared_places`).
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.escapes.arena import Arena, Outcome

PRESETS = ["coding-agent", "ci", "strict", "mcp-server"]
PLACES = ["/tmp", "/var/tmp", "/dev/shm"]
#: Root without CAP_SYS_ADMIN, as in most containers.
WITHOUT = ["setpriv", "--bounding-set", "-sys_admin", "--"]
#: Seconds that anything here may take.
LATER = 60


def may_mount() -> bool:
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
    return os.geteuid() == 0 and subprocess.run(tried, capture_output=True).returncode == 0


MAY = pytest.mark.skipif(not may_mount(), reason="needs a machine where the tests may mount: run them as root, outside of a container")
ROOT = pytest.mark.parametrize("user", [pytest.param("root", marks=MAY)], indirect=True)


@pytest.fixture
def name() -> Iterator[str]:
    """A name that no list has."""
    made = f"own-{uuid.uuid4().hex[:8]}"
    yield made
    for place in PLACES:
        for left in Path(place).glob(f"{made}*"):
            remove(left)


def remove(path: Path) -> None:
    """`rmtree` would open a pipe, and wait."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def script(arena: Arena, text: str) -> str:
    (arena.work / "script.py").write_text(text)
    return "script.py"


def played(
    arena: Arena, text: str, *words: str, held: bool = True, preset: str = "coding-agent", before: list[str] | None = None, options: tuple[str, ...] = (), **more: str
) -> Outcome:
    """A script of the workspace's, so that no word of the command line is a path. `before` comes before `interlock`."""
    arena.build()
    arena.environment.update(more)
    layers = [str(arena.python.parent / "interlock"), "run", "--preset", preset, "--workspace", str(arena.work), *options, "--"]
    try:
        return arena.run(*(before or []), *(layers if held else []), "/usr/bin/python3", script(arena, text), *words)
    finally:
        for key in more:
            del arena.environment[key]


MAKE = """
import os, socket, sys
for place in ("/tmp", "/var/tmp", "/dev/shm"):
    base = f"{place}/{sys.argv[1]}"
    open(base, "w").write("ours")
    os.mkdir(f"{base}.d"); open(f"{base}.d/inner", "w").close()
    os.mkfifo(f"{base}.p")
    socket.socket(socket.AF_UNIX).bind(f"{base}.s")
    moved = f"{os.environ.get('TMPDIR', '.')}/moved"
    open(moved, "w").close()
    __import__("shutil").move(moved, f"{base}.m")
print("made")
"""


def made(name: str) -> list[str]:
    return sorted(str(path) for place in PLACES for path in Path(place).glob(f"{name}*"))


@pytest.mark.parametrize("preset", PRESETS)
@ROOT
def test_no_name_that_a_session_makes_is_found_outside(arena: Arena, name: str, preset: str) -> None:
    """A program outside that opens a name first made by a session takes it for its own: the list of such names is never whole."""
    assert played(arena, MAKE, name, held=False).output == "made\n" and len(made(name)) == 15
    for path in made(name):
        remove(Path(path))
    ran = played(arena, MAKE, name, preset=preset)
    assert (ran.output, made(name)) == ("made\n", []), ran.errors


def test_without_the_mechanism_rules_hold_and_what_is_made_stays(arena: Arena, name: str) -> None:
    """As an ordinary user, and as root where nothing may be mounted."""
    ran = played(arena, MAKE, name, before=WITHOUT if arena.user is None and os.geteuid() == 0 else [])
    assert ran.output == "made\n" and len(made(name)) == 15, ran.errors


LIST = """
import os
for place in ("/tmp", "/var/tmp", "/dev/shm"): print(place, *sorted(os.listdir(place)))
"""


@ROOT
def test_what_is_outside_is_not_there_and_what_the_session_stands_on_is(arena: Arena, name: str) -> None:
    for place in PLACES:
        Path(place, name).write_text("theirs")
    seen = {line.split()[0]: line.split()[1:] for line in played(arena, LIST).output.splitlines()}
    assert arena.root.name in seen["/var/tmp"] and all(name not in names for names in seen.values())
    assert any(each.startswith("interlock.") for each in seen["/tmp"]), "the session's temporary folder"
    observed = played(arena, LIST, preset="observe").output
    assert observed.count(name) == 3, "a policy that opens a place leaves it as it is"


@pytest.mark.parametrize("place", PLACES)
@ROOT
def test_what_a_person_hands_over_is_the_same_object_on_both_sides(arena: Arena, name: str, place: str) -> None:
    """A folder is kept. A file may be replaced outside, or not be there yet: then the place stays as it is."""
    text = "import sys; open(sys.argv[1].replace('%', '/'), 'a').write('ours')"
    interlock = str(arena.python.parent / "interlock")
    folder = Path(place, f"{name}.d")
    for shared, written in ((folder, folder / "new"), (Path(place, name),) * 2, (Path(place, f"{name}-later"),) * 2):
        arena.build()
        if shared == folder:
            folder.mkdir()
        elif not shared.name.endswith("later"):
            shared.write_text("theirs ")
        path = script(arena, text)
        run = ("run", "--workspace", str(arena.work), "--share", str(shared), "--")
        ran = arena.run(interlock, *run, "/usr/bin/python3", path, str(written).replace("/", "%"))
        assert written.read_text().endswith("ours"), (shared, ran.errors)


@ROOT
def test_what_the_command_names_is_what_it_is_outside(arena: Arena, name: str) -> None:
    """A person who says `-o /tmp/report` looks for it there; what is there already is refused with a reason, not as if it were not there."""
    text = "import sys; open(sys.argv[1].split('=')[-1], 'w').write('ours')"
    for word in (f"/tmp/{name}", f"--output=/tmp/{name}2"):
        ran = played(arena, text, word)
        assert Path(word.split("=")[-1]).read_text() == "ours", ran.errors
    theirs = Path(f"/tmp/{name}3")
    theirs.write_text("theirs")
    ran = played(arena, "import sys; print(open(sys.argv[1]).read())", str(theirs))
    assert ran.code != 0 and "PermissionError" in ran.errors and "denied by no rule: file.read" in ran.errors, ran.errors


@ROOT
def test_a_policy_that_names_something_there_finds_it(arena: Arena, name: str, tmp_path: Path) -> None:
    """The folder is kept; a name that may come later keeps the place as it is, and so does a pattern of a person's."""
    read = "import sys; print(open(sys.argv[1].replace('%', '/')).read())"
    folder = Path("/tmp", f"{name}.d")
    folder.mkdir()
    (folder / "data").write_text("data")
    for number, pattern in enumerate((f"{folder}/**", f"/tmp/{name}.?/data", "/tmp/**")):
        layer = tmp_path / f"{number}.yaml"
        layer.write_text(json.dumps({"interlock": "1", "name": f"mine{number}", "rules": [{"id": "data", "allow": "file.read", "path": [pattern]}]}))
        arena.build()
        path = script(arena, read)
        ran = arena.held("/usr/bin/python3", path, f"{folder}/data".replace("/", "%"), policy=layer)
        assert ran.output == "data\n", (pattern, ran.errors)


AGENT = """
import os, socket
client = socket.socket(socket.AF_UNIX)
try: client.connect(os.environ["THE_PERSONS"]); print(client.recv(10))
except OSError as error: print(type(error).__name__)
"""


@ROOT
def test_a_key_agent_there_is_asked_about_as_ever(arena: Arena, name: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ssh-", dir="/tmp"))
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(f"{folder}/agent.1")
        listening.listen()
        try:
            # Inside, SSH_AUTH_SOCK is the session's own agent.
            ran = played(arena, AGENT, options=("--no-ask",), SSH_AUTH_SOCK=f"{folder}/agent.1", THE_PERSONS=f"{folder}/agent.1")
        finally:
            shutil.rmtree(folder)
    assert ran.output == "PermissionError\n" and "key agent" in ran.errors, ran


#: What is outside, one for each way to change it.
KINDS = ["read", "written", "removed", "moved", "mode", "covered", "exchanged", "linked"]
OUT = """
import ctypes, os, socket, sys
name, kinds, twins, found = sys.argv[1], sys.argv[2].split(","), sys.argv[3] == "twins", []
client = socket.socket(socket.AF_UNIX)
client.connect("../hand.sock")
outer = socket.recv_fds(client, 1, 1)[1][0]
libc = ctypes.CDLL(None)
def tried(act):
    try: return act()
    except OSError: return None
def said(path): return tried(lambda: open(path).read()) or ""
for kind in kinds if twins else []: open(f"/tmp/{name}.{kind}", "w").write("mine")  # of the same names, in the session's own place
read, written, removed, moved, mode, covered, exchanged, linked = (f"{name}.{kind}" for kind in kinds)
handle, mount = ctypes.create_string_buffer(bytes([128, 0, 0, 0]) + bytes(132)), ctypes.c_int()
if libc.name_to_handle_at(outer, read.encode(), handle, ctypes.byref(mount), 0) == 0 and libc.open_by_handle_at(outer, handle, 0) >= 0: found.append("handle")
processes = {1, os.getppid(), *map(int, filter(str.isdigit, os.listdir("/proc")))}
ways = [f"/proc/{process}/{leg}/tmp" for process in processes for leg in ("root", "cwd")]
for way in [*ways, "/proc/self/root/tmp", "/proc/thread-self/root/tmp", "/tmp/../tmp", f"/proc/self/fd/{outer}"]:
    if "theirs" in said(f"{way}/{read}"): found.append(way)
    tried(lambda: open(f"{way}/{written}", "a").write("ours"))
    tried(lambda: os.truncate(f"{way}/{written}", 0))
    if "/fd/" not in way: tried(lambda: open(f"{way}/{name}-planted", "x").close())
here = {"src_dir_fd": outer, "dst_dir_fd": outer}
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY | os.O_TRUNC):
    if tried(lambda: os.open(written, flags, dir_fd=outer)) is not None: found.append(flags)
tried(lambda: os.unlink(removed, dir_fd=outer))
tried(lambda: os.rename(moved, "away-" + name, **here))
tried(lambda: os.chmod(mode, 0, dir_fd=outer))
for target, flags in ((covered, 0), (exchanged, 2)):
    tried(lambda: os.close(os.open(f"new-{target}", os.O_CREAT | os.O_WRONLY, dir_fd=outer)))
    libc.renameat2(outer, f"new-{target}".encode(), outer, target.encode(), flags)
tried(lambda: os.link(linked, "link-" + name, **here))
tried(lambda: os.mkdir("tmux-" + name, dir_fd=outer))
tried(lambda: os.symlink("/etc/passwd", "krb5cc_" + name, dir_fd=outer))
for call in (lambda: libc.umount2(b"/tmp", 2), lambda: libc.unshare(0x20000), lambda: libc.mount(b"/", b"/tmp", None, 4096, None), lambda: libc.chroot(b"/proc/1/root")):
    if call() == 0: found.append("mount")
for process in (1, os.getppid()):
    space = tried(lambda: os.open(f"/proc/{process}/ns/mnt", os.O_RDONLY))
    if libc.setns(-1 if space is None else space, 0) == 0 or tried(lambda: libc.setns(os.pidfd_open(process), 0x20000)) == 0: found.append("setns")
for number in (428, 429, 430, 432, 433, 442):  # open_tree, move_mount, fsopen, fsmount, fspick, mount_setattr
    if libc.syscall(number, outer, read.encode(), 0, b"", 0) >= 0: found.append(number)
print(found)
"""


@contextlib.contextmanager
def handing_over(path: Path, place: str) -> Iterator[None]:
    """A program outside that gives a descriptor of a place to everybody who connects."""
    outer = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def hand() -> None:
            with contextlib.suppress(OSError):
                while True:
                    socket.send_fds(listening.accept()[0], [b"x"], [outer])

        thread = threading.Thread(target=hand, daemon=True)
        thread.start()
        yield
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    path.unlink()
    os.close(outer)


def changed(name: str) -> set[str]:
    """Which of what a program outside has in /tmp is not as it left it, and what it never made."""
    found = set()
    for kind in KINDS:
        theirs = Path(f"/tmp/{name}.{kind}")
        status = os.lstat(theirs) if theirs.exists() else None
        if status is None or (theirs.read_text(), status.st_nlink, status.st_mode & 0o777) != ("theirs", 1, 0o644):
            found.add(kind)
    others = (f"tmux-{name}", f"krb5cc_{name}", f"away-{name}", f"link-{name}", f"{name}-planted", f"new-{name}.covered", f"new-{name}.exchanged")
    return found | {other.replace(name, "") for other in others if os.path.lexists(f"/tmp/{other}")}


@pytest.mark.parametrize("twins", ["twins", "alone"])
@ROOT
def test_no_way_leads_from_the_private_place_to_the_one_outside(arena: Arena, name: str, twins: str) -> None:
    """By the roots of other processes, and by a descriptor of the outer /tmp that a program outside hands over: by that, rules say what is theirs,
    also where the session has objects of its own by the same names, and nothing is made.
    """
    layer, interlock = arena.root / "mine.yaml", str(arena.python.parent / "interlock")
    rule = {"id": "hand", "allow": "unix.connect", "path": [str(arena.root / "hand.sock")]}
    layer.write_text(json.dumps({"interlock": "1", "name": "mine", "rules": [rule]}))
    for layers in ([], [interlock, "run", "--preset", "coding-agent", "--policy", str(layer), "--workspace", str(arena.work), "--"]):
        arena.build()
        for kind in KINDS:
            Path(f"/tmp/{name}.{kind}").write_text("theirs")
        with handing_over(arena.root / "hand.sock", "/tmp"):
            ran = arena.run(*layers, "/usr/bin/python3", script(arena, OUT), name, ",".join(KINDS), twins if layers else "alone")
        found = changed(name)
        for left in [*Path("/tmp").glob(f"*{name}*")]:
            left.rmdir() if left.is_dir() and not left.is_symlink() else left.unlink()
        if layers:
            assert (ran.output, found) == ("[]\n", set()), ran.errors
        else:
            assert ran.output.startswith("["), ran
            assert {"mount", "setns", "handle"} < set(ast.literal_eval(ran.output)), ran
            assert found == {*KINDS, "tmux-", "krb5cc_", "away-", "link-", "-planted", "new-.exchanged"} - {"read"}


def outside_mounts() -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " interlock " in line]


SLOW = """
import os, sys, time
open("/tmp/" + sys.argv[1], "w").write("#!/bin/sh\\n"); os.chmod("/tmp/" + sys.argv[1], 0o755)
open("ready", "w").close()
time.sleep(60)
"""


@contextlib.contextmanager
def running(arena: Arena, name: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    arena.build()
    path = script(arena, SLOW)
    command = [str(arena.python.parent / "interlock"), "run", "--workspace", str(arena.work), *options, "--", "/usr/bin/python3", path, name]
    process = subprocess.Popen(command, cwd=arena.work, env=arena._environment(), stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + LATER
        while not (arena.work / "ready").exists():
            assert process.poll() is None and time.monotonic() < until, process.communicate()
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.communicate()


def supervisor_of(process: int) -> int:
    """Below `interlock run`, the supervisor."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return next(int(child) for child in children if "supervisor" in Path(f"/proc/{child}/cmdline").read_text())


@ROOT
def test_nothing_is_mounted_outside_and_nothing_is_left_of_a_session_that_was_killed(arena: Arena, name: str) -> None:
    before = set(Path("/tmp").iterdir())
    with running(arena, name) as process:
        supervisor = supervisor_of(process.pid)
        assert outside_mounts() == [] and not Path("/tmp", name).exists()
        assert os.readlink(f"/proc/{supervisor}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
        assert Path(f"/proc/{supervisor}/root/tmp/{name}").exists(), "it is where the session made it"
        os.kill(supervisor, signal.SIGKILL)
        process.wait(timeout=LATER)
    assert outside_mounts() == [] and not made(name)
    assert {path for path in set(Path("/tmp").iterdir()) - before if name in path.name} == set()


def sessions(arena: Arena) -> list[str]:
    return sorted(os.listdir(arena.root / "state/state/ledger/sessions"))


@ROOT
def test_the_record_names_the_places_and_the_list_at_the_end_leaves_out_what_goes(arena: Arena, name: str) -> None:
    """A program in the session's own /tmp is nobody's to run later; nor is one of the same name outside the session's."""
    from interlock.ledger.reader import entries

    text = SLOW.replace("time.sleep(60)", "open('tool.sh', 'w').write('#!/bin/sh\\n')")
    ran = played(arena, text, name)
    assert "tool.sh" in ran.errors and name not in ran.errors, ran.errors
    [session] = sessions(arena)
    listed = played(arena, text, name, before=WITHOUT)
    assert "tool.sh" in listed.errors and name in listed.errors, "control: in a shared /tmp it is listed"
    first = next(each.event.document for each in entries(arena.root / "state/state/ledger/sessions" / session) if each.event.type == "session.opened")
    assert [place["path"] for place in first["host"]["private_places"]] == PLACES
    assert first["host"]["enforced"]["private-places"] == {"state": "fully"}
    ended = set(sessions(arena))
    with running(arena, name):
        Path("/tmp", name).write_text("#!/bin/sh\n")
        Path("/tmp", name).chmod(0o755)
        changes = arena.run(arena.python.parent / "interlock", "session", "changes", *(set(sessions(arena)) - ended))
        assert changes.code == 0 and name not in changes.output, changes


@ROOT
def test_a_nested_run_goes_on_under_the_same_places(arena: Arena, name: str) -> None:
    text = (
        "import os, subprocess, sys\n"
        "path = '/tmp/' + sys.argv[1]; open(path, 'w').write('inside')\n"
        "print(subprocess.run([os.environ['CLI'], 'run', '--', 'cat', path], capture_output=True, text=True).stdout)\n"
    )
    ran = played(arena, text, name, CLI=str(arena.python.parent / "interlock"))
    assert ran.output == "inside\n" and made(name) == [], ran.errors

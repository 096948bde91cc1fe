"""/tmp and /dev/shm are everybody's: a session changes nothing there but what it made itself, and takes no name that
programs outside look for.

Each attack is first seen to succeed without Interlock. The judge is what the program outside gets: what its socket's
name leads to, what its file holds, what it loads.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Iterator
from multiprocessing import shared_memory
from pathlib import Path

import pytest

from tests.escapes.arena import Arena, Outcome

PRESETS = ["coding-agent", "ci", "strict", "mcp-server"]


@pytest.fixture
def theirs(arena: Arena) -> Iterator[Path]:
    """A folder in /tmp of a program outside, of the same user."""
    place = Path(tempfile.mkdtemp(prefix="outsider-", dir="/tmp"))
    own(arena, place)
    yield place
    shutil.rmtree(place, ignore_errors=True)


def own(arena: Arena, *places: Path) -> None:
    if arena.user is not None:
        account = pwd.getpwnam(arena.user)
        for place in places:
            os.chown(place, account.pw_uid, account.pw_gid)


def write(arena: Arena, path: Path, text: str = "theirs") -> Path:
    path.write_text(text)
    path.chmod(0o644)
    own(arena, path)
    return path


CHANGES = {
    "overwritten": "open(path, 'w').write('ours')",
    "appended to": "open(path, 'a').write('ours')",
    "written in place": "f = open(path, 'r+'); f.write('ours'); f.close()",
    "truncated": "os.truncate(path, 0)",
    "opened to be cut": "os.open(path, os.O_RDONLY | os.O_TRUNC)",
    "renamed over": "open(path + '.new', 'w').write('ours'); os.rename(path + '.new', path)",
    "renamed over from the workspace": "open('new', 'w').write('ours'); os.rename('new', path)",
    "renamed away": "os.rename(path, path + '.old')",
    "exchanged": "open(path + '.new', 'w').write('ours'); exchange(path, path + '.new')",
    "deleted": "os.unlink(path)",
    "made again": "os.unlink(path); open(path, 'w').write('ours')",
    "its mode": "os.chmod(path, 0o666)",
    "its mode by a held name": "os.chmod(f'/proc/self/fd/{os.open(path, os.O_PATH)}', 0o666)",
    "its times": "os.utime(path, (1, 1))",
    "linked, and written through": "os.link(path, 'mine'); open('mine', 'a').write('ours')",
    "linked beside, and written through": "os.link(path, path + '.l'); open(path + '.l', 'a').write('ours')",
    "by a symlink": "os.symlink(path, 'mine'); open('mine', 'w').write('ours')",
    "its folder renamed": "folder = os.path.dirname(path); os.rename(folder, folder + 'x')",
    "its folder exchanged": "folder = os.path.dirname(path); os.mkdir(folder + 'y'); exchange(folder, folder + 'y')",
    "a name planted beside it": "open(path + '.planted', 'w').write('ours')",
    "a folder planted beside it": "os.mkdir(path + '.planted')",
    "a socket planted beside it": "socket.socket(socket.AF_UNIX).bind(path + '.planted')",
    "a link planted beside it": "os.symlink('/etc/passwd', path + '.planted')",
    "moved in from the workspace": "open('new', 'w').write('ours'); os.rename('new', path + '.planted')",
}
HEAD = """
import ctypes, os, socket, sys
path = sys.argv[1]
def exchange(one, other):
    if ctypes.CDLL(None, use_errno=True).renameat2(-100, one.encode(), -100, other.encode(), 2):
        raise OSError(ctypes.get_errno(), "exchange")
"""


def picture(folder: Path) -> dict[str, object]:
    """All that is there, and what it is."""
    if not folder.exists():
        return {}
    return {
        path.name: (path.lstat().st_mode, path.lstat().st_ino, path.lstat().st_mtime_ns, path.read_bytes())
        if path.is_file()
        else path.lstat().st_mode
        for path in sorted(folder.iterdir())
    }


@pytest.mark.parametrize("change", CHANGES)
def test_what_somebody_outside_has_there_stays_as_it_is(arena: Arena, theirs: Path, change: str) -> None:
    script = HEAD + CHANGES[change]

    def changed(run: object, **more: object) -> tuple[bool, Outcome]:
        shutil.rmtree(theirs, ignore_errors=True)
        for beside in (f"{theirs}x", f"{theirs}y"):
            shutil.rmtree(beside, ignore_errors=True)
        theirs.mkdir()
        own(arena, theirs)
        path = write(arena, theirs / "file")
        before = picture(theirs)
        ran = run("/usr/bin/python3", "-c", script, str(path), **more)  # type: ignore[operator]
        return picture(theirs) != before, ran

    try:
        arena.build()
        won, ran = changed(arena.run)
        assert won, ran
        for preset in ("coding-agent", "mcp-server"):
            arena.build()
            won, ran = changed(arena.held, preset=preset)
            assert not won and ran.code != 0, (preset, ran)
    finally:
        for beside in (f"{theirs}x", f"{theirs}y"):
            shutil.rmtree(beside, ignore_errors=True)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_pickle_in_shared_memory_of_somebody_outside_stays_theirs(arena: Arena, preset: str) -> None:
    """multiprocessing hands objects over in shared memory: who replaces them runs in the program that loads them."""
    script = (
        "import pickle, sys\n"
        "class Evil:\n"
        "    def __reduce__(self): return (eval, ('\"ours\"',))\n"
        "open(f'/dev/shm/{sys.argv[1]}', 'r+b').write(pickle.dumps(Evil()))\n"
    )
    for run, more in ((arena.run, {}), (arena.held, {"preset": preset})):
        arena.build()
        memory = shared_memory.SharedMemory(create=True, size=4096)
        try:
            memory.buf[: len(pickle.dumps("theirs"))] = pickle.dumps("theirs")
            own(arena, Path("/dev/shm") / memory.name)
            ran = run("/usr/bin/python3", "-c", script, memory.name, **more)  # type: ignore[operator]
            assert pickle.loads(bytes(memory.buf)) == ("ours" if run == arena.run else "theirs"), ran
        finally:
            memory.close()
            memory.unlink()


@contextlib.contextmanager
def server(arena: Arena, path: Path) -> Iterator[None]:
    """What a program outside listens on: tmux's server, an ssh agent."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    own(arena, path)
    over = threading.Event()

    def serve() -> None:
        listening.settimeout(0.05)
        while not over.is_set():
            with contextlib.suppress(OSError):
                listening.accept()[0].sendall(b"theirs")

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    over.set()
    thread.join()
    listening.close()


TAKE_OVER = """
import os, socket, sys, time
path, done = sys.argv[1], sys.argv[2]
for away in (lambda: os.rename(path, path + "-"), lambda: os.unlink(path), lambda: None):
    try: away()
    except OSError: pass
ours = socket.socket(socket.AF_UNIX)
try:
    ours.bind(path); ours.listen(); ours.settimeout(20)
    open(done, "w").close()
    ours.accept()[0].sendall(b"ours")
except OSError as error:
    print(error, file=sys.stderr); open(done, "w").close(); sys.exit(1)
"""


def heard(arena: Arena, path: Path, *, held: bool, preset: str = "coding-agent") -> str:
    """What somebody outside hears from whoever answers at `path` while the attack runs."""
    arena.build()
    done = arena.work / "done"
    words = ["/usr/bin/python3", "-c", TAKE_OVER, str(path), str(done)]
    layers = [str(arena.python.parent / "interlock"), "run", "--preset", preset, "--workspace", str(arena.work), "--"]
    command = [*arena._as_user(), *(layers if held else []), *words]
    process = subprocess.Popen(command, cwd=arena.work, env=arena._environment(), stderr=subprocess.PIPE)
    try:
        for _ in range(600):
            if done.exists() or process.poll() is not None:
                break
            threading.Event().wait(0.05)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(str(path))
                return client.recv(10).decode()
            except (FileNotFoundError, ConnectionRefusedError):
                return ""
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["tmux", "ssh-agent", "any"])
def test_the_socket_of_a_program_outside_is_not_taken_over(arena: Arena, kind: str) -> None:
    unique = uuid.uuid4().hex[:8]
    name = {"tmux": f"tmux-{unique}/default", "ssh-agent": f"ssh-{unique}/agent.77", "any": f"own-{unique}.sock"}[kind]
    path = Path("/tmp") / name
    said = []
    for held in (False, True):
        folder = path.parent
        if folder != Path("/tmp"):
            folder.mkdir(mode=0o700)
            own(arena, folder)
        try:
            with server(arena, path):
                said.append(heard(arena, path, held=held))
        finally:
            for left in Path("/tmp").glob(f"own-{unique}*"):
                left.unlink()
            if folder != Path("/tmp"):
                shutil.rmtree(folder)
    assert said == ["ours", "theirs"]


NAMES = [
    "tmux-{}/default", "ssh-{}/agent.1", "krb5cc_{}", ".s.PGSQL.{}", "mysql{}.sock", "gpg-{}/S.gpg-agent", "dbus-{}", "xauth-{}",
    "vscode-ipc-{}.sock", "emacs{}/server", ".java_pid{}", "systemd-private-{}/tmp", "screens/S-{}", "pulse-{}/native",
    "v8-compile-cache-{}/x/a.BLOB", "tsx-{}/a", "torchinductor_{}/a.py", "bunx-{}-tool@latest/a.js", "CoreFxPipe_MSBuild{}", "clr-debug-pipe-{}-in",
    "ts-node-{}/a.js", "metro-cache{}/00/a",
]  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS)
def test_a_name_that_programs_outside_look_for_is_not_made(arena: Arena, preset: str) -> None:
    """They are not there yet: whoever makes one is taken for the program that usually does."""
    script = (
        "import os, socket, sys\n"
        "for path in sys.argv[1:]:\n"
        "    ways = [lambda: os.makedirs(os.path.dirname(path), exist_ok=True), lambda: open(path, 'x').close(),\n"
        "            lambda: socket.socket(socket.AF_UNIX).bind(path), lambda: os.symlink('/etc/hostname', path),\n"
        "            lambda: os.mkfifo(path), lambda: (open('mine', 'w').close(), os.rename('mine', path))]\n"
        "    for way in ways:\n"
        "        try: way()\n"
        "        except OSError: pass\n"
    )
    for held in (False, True):
        paths = [Path("/tmp") / name.format(uuid.uuid4().int % 10**8) for name in NAMES]
        arena.build()
        command = ("/usr/bin/python3", "-c", script, *map(str, paths))
        try:
            ran = arena.held(*command, preset=preset) if held else arena.run(*command)
            there = [path for path in paths if os.path.lexists(path)]
            assert (there == []) if held else (there == paths), (there, ran.errors)
        finally:
            for path in paths:
                with contextlib.suppress(OSError):
                    shutil.rmtree(path.parent) if path.parent != Path("/tmp") else path.unlink()


def test_what_is_made_there_again_under_a_number_of_ours_is_not_ours(arena: Arena, theirs: Path) -> None:
    """The session makes files in /tmp and deletes them; somebody outside makes one that is given such a number."""
    script = (
        "import os, sys, time\n"
        "folder, work = sys.argv[1:]\n"
        "os.mkdir(folder)\n"
        "names = [f'{folder}/{number}' for number in range(300)]\n"
        "numbers = []\n"
        "for name in names:\n"
        "    with open(name, 'w') as made: numbers.append(os.fstat(made.fileno()).st_ino)\n"
        "for name in names: os.unlink(name)\n"
        "open(f'{work}/n', 'w').write(' '.join(map(str, numbers))); os.rename(f'{work}/n', f'{work}/numbers')\n"
        "while not os.path.exists(f'{work}/made'): time.sleep(0.01)\n"
        "open(f'{folder}/theirs', 'w').write('ours')\n"
    )
    folder = theirs.parent / f"mine-{uuid.uuid4().hex[:8]}"
    for held in (False, True):
        arena.build()
        words = ["/usr/bin/python3", "-c", script, str(folder), str(arena.work)]
        layers = [str(arena.python.parent / "interlock"), "run", "--workspace", str(arena.work), "--"]
        command = [*arena._as_user(), *(layers if held else []), *words]
        process = subprocess.Popen(command, cwd=arena.work, env=arena._environment(), stderr=subprocess.PIPE)
        try:
            for _ in range(1200):
                if (arena.work / "numbers").exists() or process.poll() is not None:
                    break
                threading.Event().wait(0.05)
            numbers = set(map(int, (arena.work / "numbers").read_text().split()))
            spares = []
            for number in range(600):
                spare = write(arena, folder / f"spare{number}")
                if spare.stat().st_ino in numbers:
                    spare.rename(folder / "theirs")
                    break
                spares.append(spare)
            else:
                write(arena, folder / "theirs")
            (arena.work / "made").write_text("")
            errors = process.communicate(timeout=60)[1].decode()
            assert (folder / "theirs").read_text() == ("theirs" if held else "ours"), errors
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)


HONEST = """
import multiprocessing, os, shutil, socket, sys, tempfile
unique = sys.argv[1]
# By TMPDIR.
with tempfile.TemporaryDirectory() as folder:
    open(f"{folder}/a", "w").write("a"); os.rename(f"{folder}/a", f"{folder}/b"); os.link(f"{folder}/b", f"{folder}/c")
    server = socket.socket(socket.AF_UNIX); server.bind(f"{folder}/socket"); server.listen()
    socket.socket(socket.AF_UNIX).connect(f"{folder}/socket")
# In /tmp itself: programs that know no TMPDIR.
for top in ("/tmp", "/var/tmp"):
    mine = f"{top}/honest-{unique}"
    os.mkdir(mine); open(f"{mine}/file", "w").write("x"); open(f"{mine}/file", "a").write("y")
    os.chmod(f"{mine}/file", 0o600); os.rename(f"{mine}/file", f"{mine}/other"); os.truncate(f"{mine}/other", 1)
    os.mkdir(f"{mine}/below"); os.rename(mine, mine + "2"); os.symlink("other", f"{mine}2/link")
    server = socket.socket(socket.AF_UNIX); server.bind(f"{mine}2/socket"); server.listen()
    socket.socket(socket.AF_UNIX).connect(f"{mine}2/socket")
    shutil.rmtree(mine + "2")
    # What was in the workspace before, moved there.
    shutil.move("README", f"{mine}-moved")
    open("README", "w").close()
number = os.open("/tmp", os.O_TMPFILE | os.O_RDWR); os.write(number, b"x"); open(f"/proc/self/fd/{number}").read()
# Shared memory and semaphores.
with multiprocessing.Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
memory = __import__("multiprocessing.shared_memory").shared_memory.SharedMemory(create=True, size=10)
memory.buf[:2] = b"ok"; memory.close(); memory.unlink()
print("fine")
"""


@pytest.mark.parametrize("preset", ["coding-agent", "ci"])
def test_a_session_works_there_as_outside_with_what_it_makes(arena: Arena, preset: str) -> None:
    for run, more in ((arena.run, {}), (arena.held, {"preset": preset})):
        arena.build()
        unique = uuid.uuid4().hex[:8]
        ran = run("/usr/bin/python3", "-c", HONEST, unique, **more)  # type: ignore[operator]
        for top in ("/tmp", "/var/tmp"):
            Path(f"{top}/honest-{unique}-moved").unlink(missing_ok=True)
        assert ran.output == "fine\n" and ran.code == 0, ran


@pytest.mark.parametrize("preset", PRESETS)
def test_what_somebody_outside_has_there_is_not_read(arena: Arena, theirs: Path, preset: str) -> None:
    arena.build()
    shot = write(arena, theirs / "shot.txt", "a picture")
    assert arena.run("cat", str(shot)).output == "a picture"
    assert arena.held("cat", str(shot), preset=preset).output == ""


def test_what_is_handed_over_may_be_changed(arena: Arena, theirs: Path) -> None:
    arena.build()
    interlock = str(arena.python.parent / "interlock")
    shot, other = write(arena, theirs / "a*b"), write(arena, theirs / "axb")
    run = [interlock, "run", "--workspace", str(arena.work), "--share", str(shot), "--"]
    arena.run(*run, "sh", "-c", 'echo ours > "$1"; echo ours > "$2"', "sh", str(shot), str(other))
    assert (shot.read_text(), other.read_text()) == ("ours\n", "theirs")
    run = [interlock, "run", "--workspace", str(arena.work), "--share", str(theirs), "--"]
    arena.run(*run, "sh", "-c", 'echo new > "$1/new"; rm "$1/axb"', "sh", str(theirs))
    assert (theirs / "new").exists() and not other.exists()
    refused = arena.run(interlock, "run", "--share", "/etc", "--", "true")
    assert refused.code == 120 and "not a file or folder in /tmp" in refused.errors

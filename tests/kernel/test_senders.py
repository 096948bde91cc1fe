"""Whose message it is: what the other end of a unix socket learns of a sender, where the supervisor sends on its behalf and where it does not.

`docs/limits.md` has it as a table, and each cell of it is measured here. As root a message is its caller's, as natively; an ordinary user's
supervisor may not say so.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.drive import EVERYTHING, Drive, Message, policy
from tests.kernel.test_need import FREE
from tests.kernel.test_network import PYTHON, USERS, run

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).parent / "programs" / "senders.py"
# What the scripts below begin with: the program's own names, without what it does when it is run.
NAMES = PROGRAM.read_text().partition('\nif __name__ == "__main__":')[0] + "\n"
TRAPPED, FREED = EVERYTHING, policy(*FREE)
SYS_ADMIN, SETUID, SETGID, SYS_PTRACE = 1 << 21, 1 << 7, 1 << 6, 1 << 19
ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="a supervisor that may name its callers is root's")
SIMULATED = {"INTERLOCK_SIMULATE_MISSING": "unix-senders"}


@pytest.fixture
def place() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="interlock-senders-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def measured(place: Path, compiled: Message, user: int | None) -> dict[str, str]:
    """Each way to send or to ask, and who is told: `caller`, `supervisor`, or what it was."""
    with Drive([PYTHON, "-I", "-c", PROGRAM.read_text(), str(place)], compiled, user=user) as drive:
        last, out, err = drive.finish(60)
        assert last["code"] == 0, err
        told = json.loads(out)
        own, supervisor = told["ids"], drive.process.pid
    ids = own[1:]
    known = {str(own[0]): "caller", str(supervisor): "supervisor", str(own): "caller", str([supervisor, *ids]): "supervisor"}
    return {way: known.get(str(who), str(who)) for way, who in told["found"].items()}


# The rows of the table in the page, by what they begin with, and the ways that are measured for them.
ROWS = {
    "`write`, `send`": r"(write|send)/.*",
    "`sendmsg`, `sendmmsg` through": r"(sendmsg|sendmmsg)/(pair|connected)/.*",
    "`sendmsg`, `sendmmsg` to a name": r"(sendmsg|sendmmsg)/named",
    "`sendto` to a name": r"sendto/named",
    "of a `socketpair`": r"peer/pair/.*",
    "of who connected": r"peer/connected/.*",
    "of who listens": r"peer/listening/.*",
}


def page() -> dict[str, list[str]]:
    """The table: what a row begins with, and its four cells."""
    lines = (ROOT / "docs" / "limits.md").read_text().splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("| what a unix peer learns"))
    rows = {}
    for line in lines[head + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[name] = cells
    return rows


def test_the_pages_table_has_a_row_for_each_way(place: Path) -> None:
    assert [next((row for row in ROWS if row in name), name) for name in page()] == list(ROWS)
    assert all(set(cells) <= {"the caller", "the supervisor"} and len(cells) == 4 for cells in page().values())


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("compiled", [FREED, TRAPPED], ids=["observe", "a-rule-on-sends"])
def test_each_cell_of_the_pages_table_is_so(place: Path, compiled: Message, user: int | None) -> None:
    found = measured(place, compiled, user)
    column = (2 if compiled is TRAPPED else 0) + (0 if user is None and os.getuid() == 0 else 1)
    said = {}
    for name, cells in page().items():
        pattern = next(pattern for row, pattern in ROWS.items() if row in name)
        ways = {way: f"the {who}" for way, who in found.items() if re.fullmatch(pattern, way)}
        print(f"{name}: {ways}")
        assert ways, f"nothing is measured for {name}"
        said[name] = (cells[column], ways)
    assert sum(len(ways) for _, ways in said.values()) == len(found), "a way that no row speaks of"
    assert not {way: (who, cell) for cell, ways in said.values() for way, who in ways.items() if who != cell}


ENDS = NAMES + (
    "def ends(kind='datagram'):\n"
    "    one, other = socket.socketpair(socket.AF_UNIX, KINDS[kind])\n"
    "    return one, asking(other)\n"
)


def test_interlock_run_says_the_caller(place: Path) -> None:
    """By the command itself, under a policy that denies one socket by its name."""
    (place / "work").mkdir()
    (place / "policy.yaml").write_text(
        "interlock: 1\nname: mine\nrules:\n"
        "  - id: all\n    allow: [file.*, process.exec]\n    path: '/**'\n"
        "  - id: local\n    allow: unix.connect\n"
        f"  - id: one-socket\n    deny: unix.connect\n    path: {place}/no.sock\n"
    )
    script = ENDS + "one, other = ends()\none.sendmsg([b'x'])\ntold = sender(other)\nprint(told == [os.getpid(), os.getuid(), os.getgid()])"
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "interlock", "run", "--policy", "../policy.yaml", "--", PYTHON, "-I", "-c", script],
        cwd=place / "work",
        env={**os.environ, "INTERLOCK_HOME": str(place / "home")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.stdout, ran.returncode) == (f"{os.getuid() == 0}\n", 0), ran.stderr


@ROOT_ONLY
class TestAsRoot:
    """A supervisor that may name its callers does so, and says nothing that they might not say themselves."""

    @pytest.mark.parametrize("kind", ["stream", "datagram", "packets"])
    def test_a_process_of_another_user_is_told_as_that_user(self, kind: str) -> None:
        script = ENDS + (
            f"one, other = ends({kind!r})\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    os.setgroups([]); os.setgid(1235); os.setuid(1234)\n"
            "    one.sendmsg([b'x']); sendmmsg(one, [b'y', b'z'])\n"
            "    os._exit(0)\n"
            "os.waitpid(child, 0)\n"
            f"print([sender(other) == [child, 1234, 1235] for _ in range({1 if kind == 'stream' else 3})])\n"
        )
        assert run(script, TRAPPED) == f"{[True] * (1 if kind == 'stream' else 3)}\n"

    @pytest.mark.parametrize("name", ["named.sock", "\\0named"])
    def test_a_message_to_a_name_by_another_user_arrives_as_that_users(self, place: Path, name: str) -> None:
        script = ENDS + (
            "os.chdir(sys.argv[1])\n"
            f"receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); receiver.bind('{name}' + ('' if {name[0] != chr(92)} else sys.argv[1]))\n"
            "name = receiver.getsockname(); asking(receiver); receiver.settimeout(20)\n"
            "os.path.exists('named.sock') and os.chmod('named.sock', 0o777)\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    os.setgroups([]); os.setgid(1235); os.setuid(1234)\n"
            "    one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            "    one.sendto(b'x', name); one.sendmsg([b'y'], [], 0, name)\n"
            "    os._exit(0)\n"
            "os.waitpid(child, 0)\n"
            "print([sender(receiver) == [child, 1234, 1235] for _ in range(2)])\n"
        )
        assert run(script, TRAPPED, place) == "[True, True]\n"

    def test_a_socket_that_another_user_may_not_write_to_stays_so(self, place: Path) -> None:
        script = ENDS + (
            "os.chdir(sys.argv[1])\n"
            "receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); receiver.bind('own.sock'); os.chmod('own.sock', 0o700)\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    os.setgroups([]); os.setgid(1235); os.setuid(1234)\n"
            "    try: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', 'own.sock')\n"
            "    except OSError as error: os._exit(error.errno)\n"
            "    os._exit(0)\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        )
        assert run(script, TRAPPED, place) == "13\n"

    def test_nor_may_it_after_it_had_to_wait_for_room(self, place: Path) -> None:
        """Room in its own socket is looked for before the other's permissions are: who waits for it is no more than before."""
        script = ENDS + (
            "import select, time\n"
            "os.chdir(sys.argv[1])\n"
            "shut, free = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))\n"
            "shut.bind('shut.sock'); os.chmod('shut.sock', 0o700); free.bind('free.sock'); os.chmod('free.sock', 0o777)\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    os.setgroups([]); os.setgid(1235); os.setuid(1234)\n"
            "    one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            "    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608); one.setblocking(False)\n"
            "    try:\n"
            "        while True: one.sendto(b'x' * 2000, 'free.sock')\n"
            "    except BlockingIOError: one.setblocking(True)\n"
            "    open('full', 'w').close()\n"
            "    try: one.sendto(b'x', 'shut.sock')\n"
            "    except OSError as error: os._exit(error.errno)\n"
            "    os._exit(0)\n"
            "while not os.path.exists('full'): time.sleep(0.01)\n"
            "time.sleep(0.5)\n"
            "while select.select([free], [], [], 0.2)[0]: free.recv(4096)\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), select.select([shut], [], [], 0)[0])\n"
        )
        native = subprocess.run([PYTHON, "-I", "-c", script, str(place)], capture_output=True, text=True, check=True, timeout=60).stdout
        for name in ("shut.sock", "free.sock", "full"):
            (place / name).unlink()
        assert native == "13 []\n"
        assert run(script, TRAPPED, place) == native

    def test_every_piece_of_a_long_stream_is_the_callers(self) -> None:
        script = ENDS + (
            "import threading\n"
            "one, other = ends('stream')\n"
            "LENGTH, seen, count = 5 << 20, set(), 0\n"
            "thread = threading.Thread(target=lambda: [one.sendmsg([b'x' * LENGTH]), one.close()]); thread.start()\n"
            "while True:\n"
            "    data, ancillary, flags, _ = other.recvmsg(1 << 20, 256)\n"
            "    if not data: break\n"
            "    count += len(data); seen |= {struct.unpack('3i', told)[0] for _, _, told in ancillary}\n"
            "print(count == LENGTH, seen == {os.getpid()})\n"
        )
        assert run(script, TRAPPED) == "True True\n"

    def test_each_message_of_one_call_is_the_callers(self) -> None:
        script = ENDS + "one, other = ends()\nprint(sendmmsg(one, [b'a', b'b', b'c']), {sender(other)[0] for _ in range(3)} == {os.getpid()})\n"
        assert run(script, TRAPPED) == "3 True\n"

    def test_a_thread_sends_as_its_process(self) -> None:
        script = ENDS + (
            "import threading\none, other = ends()\n"
            "thread = threading.Thread(target=lambda: one.sendmsg([b'x'])); thread.start(); thread.join()\n"
            "print(sender(other)[0] == os.getpid())\n"
        )
        assert run(script, TRAPPED) == "True\n"

    def test_descriptors_and_credentials_arrive_together(self) -> None:
        script = ENDS + (
            "one, other = ends('stream')\n"
            "read, write = os.pipe()\n"
            "claim = struct.pack('3i', os.getpid(), os.getuid(), os.getgid())\n"
            "for given in ([], [(1, SCM_CREDENTIALS, claim)]):\n"
            "    one.sendmsg([b'x'], [(1, socket.SCM_RIGHTS, struct.pack('i', write)), *given])\n"
            "    _, ancillary, flags, _ = other.recvmsg(9, 256)\n"
            "    told = {kind: data for _, kind, data in ancillary}\n"
            "    os.write(struct.unpack('i', told[socket.SCM_RIGHTS])[0], b'through')\n"
            "    print(os.read(read, 9).decode(), told[SCM_CREDENTIALS] == claim, flags & socket.MSG_CTRUNC)\n"
        )
        assert run(script, TRAPPED) == "through True 0\n" * 2

    def test_a_claim_is_judged_as_natively(self) -> None:
        """Ids that the caller has in any place are its to say; another's, and another process, only by capabilities it has."""
        script = ENDS + (
            "one, other = ends()\n"
            "def claim(process, user, group):\n"
            "    try: one.sendmsg([b'x'], [(1, SCM_CREDENTIALS, struct.pack('iII', process, user, group))])\n"
            "    except OSError as error: return error.errno\n"
            "    return sender(other) == [process, user, group]\n"
            "def several(own):\n"
            "    told = [claim(own, 4, 7), claim(own, 1, 5), claim(own, 2, 6), claim(own, 3, 7), claim(own, 1, 8), claim(os.getppid(), 1, 5), claim(own, 2**32 - 1, 5)]\n"
            "    return told + [claim(0, 1, 5)]\n"
            "def short(length):\n"
            "    try: one.sendmsg([b'x'], [(1, SCM_CREDENTIALS, struct.pack('4i', os.getpid(), os.getuid(), os.getgid(), 0)[:length])])\n"
            "    except OSError as error: return error.errno\n"
            "print(short(8), short(16), flush=True)\n"
            "print(claim(os.getpid(), 77, 78), claim(os.getppid(), 0, 0), claim(1, 0, 0), flush=True)\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    os.setgroups([]); os.setresgid(5, 6, 7); os.setresuid(1, 2, 3)\n"
            "    print(several(os.getpid()), flush=True); os._exit(0)\n"
            "os.waitpid(child, 0)\n"
        )
        # Natively without CAP_SYS_ADMIN, as nobody in a session has it.
        bounded = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", "--", PYTHON, "-I", "-c", script]
        native = subprocess.run(bounded, capture_output=True, text=True, check=True, timeout=60).stdout
        assert native == "22 22\nTrue 1 1\n[1, True, True, True, 1, 1, 22, 1]\n"
        assert run("import os, socket, struct, sys\n" + script, TRAPPED) == native

    def test_a_receiver_in_another_namespace_of_processes_is_told_what_it_would_be(self, place: Path) -> None:
        receiver = NAMES + (
            "os.chdir(sys.argv[1])\n"
            "end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); asking(end); end.bind('there.sock')\n"
            "print(sender(end), flush=True)\n"
        )
        told = []
        send = f"socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, {str(place / 'there.sock')!r})"
        for jailed in (False, True):
            command = ["unshare", "--pid", "--fork", "--kill-child", PYTHON, "-I", "-c", receiver, str(place)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                wait_for(place / "there.sock")
                if jailed:
                    assert run(send, TRAPPED) == ""
                else:
                    subprocess.run([PYTHON, "-I", "-c", f"import socket\n{send}"], check=True, timeout=60)
                told.append(process.communicate(timeout=60)[0])
            (place / "there.sock").unlink()
        assert told == ["[0, 0, 0]\n"] * 2

    def test_who_may_not_lift_the_limit_of_descriptors_in_flight_does_not(self, place: Path) -> None:
        """CAP_SYS_ADMIN would lift it, and the supervisor takes that up for a caller without any."""
        script = ENDS + (
            "import time\n"
            "print('up', flush=True)\n"
            "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
            "one, other = ends(); many = struct.pack('200i', *[0] * 200)\n"
            "def fill(count):\n"
            "    try: [one.sendmsg([b'x'], [(1, socket.SCM_RIGHTS, many)]) for _ in range(count)]\n"
            "    except OSError as error: return error.errno\n"
            "    return 'went'\n"
            "print(fill(4), flush=True)\n"
            "os.setgroups([]); os.setgid(1235); os.setuid(1234)\n"
            "print(fill(4))\n"
        )
        with Drive([PYTHON, "-I", "-c", "import os, socket, struct, sys\n" + script, str(place / "go")], TRAPPED) as drive:
            drive.until("started")
            # The limit is the supervisor's, since the descriptors are in flight on its account.
            resource.prlimit(drive.process.pid, resource.RLIMIT_NOFILE, (600, 600))
            (place / "go").touch()
            _, out, err = drive.finish(60)
        assert (out, err) == (b"up\nwent\n109\n", b"")

    @pytest.mark.parametrize(("namespaces", "named"), [(["--pid", "--fork", "--mount-proc", "--kill-child"], True), ([], False)])
    def test_root_of_a_user_namespace_names_processes_where_they_are_its_own(self, namespaces: list[str], named: bool) -> None:
        """Its capabilities are whole either way: what counts is tried, and what cannot be used is given up."""
        script = ENDS + "one, other = ends()\none.sendmsg([b'x'])\ntold = sender(other)\nprint(told[0] == os.getpid(), told[1:])\n"
        held = (
            "from tests.kernel.test_senders import *\n"
            "with Drive([PYTHON, '-I', '-c', sys.argv[1]], TRAPPED) as drive:\n"
            "    said = drive.until('started')['enforced']['unix-senders']\n"
            "    print(said == {'state': 'fully'}, bool(status(Path(f'/proc/{drive.process.pid}'))['CapPrm'] & SYS_ADMIN), *drive.finish()[1:])\n"
        )
        inside = ["unshare", "--user", "--map-root-user", *namespaces, "--", sys.executable, "-c", held, script]
        ran = subprocess.run(inside, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert (ran.stdout, ran.stderr) == (f"{named} {named} b'{named} [0, 0]\\n' b''\n", "")

    def test_without_leave_to_name_processes_the_ids_are_the_callers(self) -> None:
        """As in a container without CAP_SYS_ADMIN: whoever gave up its user is not told as root."""
        script = ENDS + (
            "one, other = ends()\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    os.setgroups([]); os.setgid(1235); os.setuid(1234); one.sendmsg([b'x']); os._exit(0)\n"
            "os.waitpid(child, 0)\n"
            "told = sender(other); print(told[0] in (os.getpid(), child), told[1:])\n"
        )
        assert run(script, TRAPPED, supervisor_environment=SIMULATED) == "False [1234, 1235]\n"


@pytest.mark.parametrize("user", USERS)
def test_a_receiver_that_did_not_ask_sees_nothing(user: int | None) -> None:
    script = NAMES + (
        "for style in KINDS.values():\n"
        "    one, other = socket.socketpair(socket.AF_UNIX, style)\n"
        "    for room in (0, 1, 256):\n"
        "        one.sendmsg([b'x']); _, ancillary, flags, name = other.recvmsg(9, room)\n"
        "        print(ancillary, flags, name)\n"
    )
    native = subprocess.run([PYTHON, "-I", "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout
    assert run(script, TRAPPED, user=user) == native
    assert native.split() == ["[]", "0", "None"] * 9


@pytest.mark.parametrize("user", USERS)
def test_a_false_claim_is_refused_whoever_runs(user: int | None) -> None:
    script = ENDS + (
        "one, other = ends()\n"
        "for claim in ((os.getppid(), os.getuid(), os.getgid()), (1, 0, 0)):\n"
        "    try: one.sendmsg([b'x'], [(1, SCM_CREDENTIALS, struct.pack('3i', *claim))])\n"
        "    except OSError as error: print(error.errno)\n"
    )
    assert run(script, TRAPPED, user=user) == "1\n1\n"


def wait_for(path: Path) -> None:
    until = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < until, f"`{path}` did not come"
        time.sleep(0.01)


def status(path: Path) -> dict[str, int]:
    fields = dict(line.split(":", 1) for line in (path / "status").read_text().splitlines() if ":" in line)
    return {name: int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb")}


def named(name: str, below: int) -> list[Path]:
    """The children of a process that have this name, and theirs."""
    found = []
    for child in Path(f"/proc/{below}/task/{below}/children").read_text().split():
        path = Path(f"/proc/{child}")
        found += [path] if (path / "comm").read_text().strip() == name else []
        found += named(name, int(child))
    return found


WAITS = "import time\nprint('up', flush=True)\ntime.sleep(60)\n"


@pytest.mark.parametrize("user", USERS)
def test_nobody_but_the_supervisor_may_take_anything_up(user: int | None) -> None:
    """What each of Interlock's processes holds, by the kernel's word."""
    root = user is None and os.getuid() == 0
    with Drive([PYTHON, "-I", "-c", WAITS], TRAPPED, user=user) as drive:
        drive.until("started")
        own = drive.process.pid
        threads = [found for thread in Path(f"/proc/{own}/task").iterdir() if (found := status_if_there(thread))]
        [guardian], sentinels = named("jail-guardian", own), named("jail-sentinel", own)
        [command] = [path for path in map(Path, Path("/proc").glob("[0-9]*")) if is_command(path, guardian)]
        held = {"guardian": [status(guardian)], "sentinels": list(map(status, sentinels)), "command": [status(command)]}
    assert len(threads) > 3 and len(sentinels) == 2
    assert all(thread == threads[0] for thread in threads), "a thread holds something else"
    aside = threads[0]["CapPrm"] & ~threads[0]["CapEff"]
    assert aside == (SYS_ADMIN if root else 0)
    for who, statuses in {**held, "supervisor": threads}.items():
        for found in statuses:
            assert not (found["CapEff"] | found["CapInh"] | found["CapAmb"]) & SYS_ADMIN, who
            assert who == "supervisor" or not found["CapPrm"] & SYS_ADMIN, who
            assert who == "supervisor" or found["CapPrm"] == found["CapEff"], who
            assert not root or not found["CapBnd"] & SYS_ADMIN, who
            assert root or found["CapPrm"] == 0, who
    assert not root or not held["command"][0]["CapPrm"] & SYS_PTRACE


def status_if_there(thread: Path) -> dict[str, int] | None:
    """A thread may end while they are counted."""
    try:
        return status(thread)
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_command(path: Path, guardian: Path) -> bool:
    try:
        line, parent = (path / "cmdline").read_bytes(), (path / "stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return False
    return parent == guardian.name and b"time.sleep(60)" in line


@ROOT_ONLY
def test_no_thread_keeps_what_it_took_up(place: Path) -> None:
    """Neither after sends that went and that failed, nor after one that waited and was ended by a signal, by its caller's death or by room."""
    script = ENDS + (
        "import signal, time\n"
        "os.chdir(sys.argv[1])\n"
        "def full(kind):\n"
        "    one, other = ends(kind); one.setblocking(False)\n"
        "    try:\n"
        "        while True: one.send(b'x' * 4096)\n"
        "    except BlockingIOError: one.setblocking(True)\n"
        "    return one, other\n"
        "signal.signal(signal.SIGALRM, lambda *_: 1 / 0)\n"
        "one, other = full('datagram')\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.2)\n"
        "try: one.sendmsg([b'x']); print('sent')\n"
        "except ZeroDivisionError: print('interrupted')\n"
        "other.close()\n"
        "try: one.sendmsg([b'x'])\n"
        "except ConnectionRefusedError: print('refused')\n"
        "one, other = full('stream')\n"
        "child = os.fork()\n"
        "if child == 0: one.sendmsg([b'x' * 65536]); os._exit(0)\n"
        "open('waiting', 'w').close()\n"
        "while not os.path.exists('seen'): time.sleep(0.01)\n"
        "os.kill(child, 9); os.waitpid(child, 0)\n"
        "one.close(); other.close()\n"
        "open('done', 'w').close(); print('done', flush=True); time.sleep(60)\n"
    )
    with Drive([PYTHON, "-I", "-c", script, str(place)], TRAPPED) as drive:
        drive.until("started")
        wait_for(place / "waiting")
        threads = Path(f"/proc/{drive.process.pid}/task")
        until = time.monotonic() + 20
        while not any(raised(threads)):
            assert time.monotonic() < until, "no thread was seen in a send: the test looks at nothing"
            time.sleep(0.01)
        assert sum(raised(threads)) == 1
        (place / "seen").touch()
        wait_for(place / "done")
        until = time.monotonic() + 5
        while any(raised(threads)):
            assert time.monotonic() < until, "a thread goes on with CAP_SYS_ADMIN"
            time.sleep(0.01)
        assert drive._drain(drive.stdout).decode() == "interrupted\nrefused\ndone\n"


def raised(threads: Path) -> list[bool]:
    return [bool(status(thread)["CapEff"] & SYS_ADMIN) for thread in threads.iterdir() if thread.exists()]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("simulated", [False, True])
def test_doctor_and_the_start_say_what_holds(user: int | None, simulated: bool) -> None:
    environment = SIMULATED if simulated else {}
    holds = user is None and os.getuid() == 0 and not simulated
    with Drive(["/bin/true"], TRAPPED, user=user, supervisor_environment=environment) as drive:
        said = drive.until("started")["enforced"]["unix-senders"]
        drive.finish()
    assert said == {"state": "fully"} if holds else said["how"].startswith("by the door: ")
    with Drive(["/bin/true"], FREED, user=user, supervisor_environment=environment) as drive:
        assert drive.until("started")["enforced"]["unix-senders"] == {"state": "fully"}
        drive.finish()


@pytest.mark.parametrize("simulated", [False, True])
def test_doctor_tries_it(simulated: bool) -> None:
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "interlock", "doctor", "--json"],
        env={**os.environ, **(SIMULATED if simulated else {})},
        capture_output=True,
        text=True,
        timeout=60,
    )
    [found] = [finding for finding in json.loads(ran.stdout)["findings"] if finding["name"] == "unix-senders"]
    assert found["enforcement"]["state"] == "fully"
    assert ("how" in found["enforcement"]) == (os.getuid() != 0 or simulated), found
    assert "how" not in found["enforcement"] or "CAP_SYS_ADMIN" in found["advice"]

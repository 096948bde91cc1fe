"""Reaching processes, sockets and the terminal outside: signals, memory, descriptors, network, the supervisor itself."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pty
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.escapes.arena import SECRET, Arena, Outcome, outside

Run = Callable[..., Outcome]


@pytest.mark.parametrize("call", ["kill", "tgkill", "tkill", "pidfd-signal", "sigqueue"])
def test_a_process_outside_is_not_signalled(arena: Arena, call: str) -> None:
    def attack(run: Run) -> bool:
        with outside(arena, "sleep", "60") as victim:
            run(arena.work / "attack", call, str(victim.pid), str(int(signal.SIGTERM)))
            with contextlib.suppress(subprocess.TimeoutExpired):
                victim.wait(0.5)
            return victim.returncode is not None

    assert attack(arena.run)
    assert not attack(arena.held)


@pytest.mark.parametrize("what", ["environ", "mem", "maps", "cmdline"])
def test_proc_of_a_process_outside_stays_shut(arena: Arena, what: str) -> None:
    def attack(run: Run) -> bool:
        arena.environment["CANARY"] = SECRET
        with outside(arena, "sh", "-c", f": {SECRET}; sleep 60 & wait") as victim:
            del arena.environment["CANARY"]
            time.sleep(0.2)
            out = run(arena.work / "attack", "of-process", str(victim.pid), what)
            subprocess.run(["pkill", "-P", str(victim.pid)])
            return bool(out.output)

    if what != "mem":  # reading it from the start fails everywhere: the other three have controls
        assert attack(arena.run)
    assert not attack(arena.held)


VICTIM = (
    "import ctypes,sys,time\nb=ctypes.create_string_buffer(b'SECRET-f00d5eed' + b'.' * 32)\n"
    "print(hex(ctypes.addressof(b)), flush=True)\n"
    "for _ in range(600):\n    time.sleep(0.1)\n    if b.raw.startswith(b'OWNED'):\n        print('changed', flush=True)\n        break\n"
)


def memory_victim(arena: Arena) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    return outside(arena, "/usr/bin/python3", "-c", VICTIM)


def test_memory_of_a_process_outside_is_not_read(arena: Arena) -> None:
    def attack(run: Run) -> bool:
        with memory_victim(arena) as victim:
            assert victim.stdout
            where = victim.stdout.readline().strip()
            return SECRET in run(arena.work / "attack", "vm-read", str(victim.pid), where, "15").output

    assert attack(arena.run)
    assert not attack(arena.held)


def test_memory_of_a_process_outside_is_not_written(arena: Arena) -> None:
    def attack(run: Run) -> bool:
        with memory_victim(arena) as victim:
            assert victim.stdout
            where = victim.stdout.readline().strip()
            before = time.monotonic()
            run(arena.work / "attack", "vm-write", str(victim.pid), where)
            with contextlib.suppress(subprocess.TimeoutExpired):
                victim.wait(1.5)
            return victim.returncode is not None and time.monotonic() - before < 30

    assert attack(arena.run)
    assert not attack(arena.held)


def test_a_process_outside_is_not_traced(arena: Arena) -> None:
    def attack(run: Run) -> bool:
        with outside(arena, "sleep", "60") as victim:
            return "attached" in run(arena.work / "attack", "attach", str(victim.pid)).output

    assert attack(arena.run)
    assert not attack(arena.held)


def test_a_descriptor_of_a_process_outside_is_not_taken(arena: Arena) -> None:
    def attack(run: Run) -> bool:
        with outside(arena, "sh", "-c", f"exec 7<{arena.key}; exec sleep 60") as victim:
            time.sleep(0.3)
            return SECRET in run(arena.work / "attack", "steal", str(victim.pid), "7").output

    assert attack(arena.run)
    assert not attack(arena.held)


@contextlib.contextmanager
def friend(arena: Arena, path: str, *, abstract: bool = False, kind: int = socket.SOCK_STREAM) -> Iterator[list[bytes]]:
    """A socket outside that hands the secret's descriptor to whoever connects, and keeps what it hears."""
    heard: list[bytes] = []
    server = socket.socket(socket.AF_UNIX, kind)
    server.bind("\0" + path if abstract else path)
    if not abstract:
        Path(path).chmod(0o777)
    server.settimeout(0.2)
    if kind == socket.SOCK_STREAM:
        server.listen()
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                if kind != socket.SOCK_STREAM:
                    heard.append(server.recv(100))
                    continue
                peer, _ = server.accept()
                heard.append(b"connected")
                with arena.key.open("rb") as key:
                    socket.send_fds(peer, [b"x"], [key.fileno()])
                peer.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield heard
    finally:
        ended.set()
        thread.join()
        server.close()
        if not abstract:
            Path(path).unlink(missing_ok=True)


def test_no_descriptor_comes_in_over_a_socket(arena: Arena) -> None:
    def attack(run: Run) -> bool:
        path = str(arena.root / "friend.sock")
        with friend(arena, path):
            return SECRET in run(arena.work / "attack", "receive", path).output

    assert attack(arena.run)
    assert not attack(arena.held)


@pytest.mark.parametrize("route", ["unix-stream", "unix-datagram", "unix-abstract", "unix-link"])
def test_a_socket_of_a_program_outside_is_not_reached(arena: Arena, route: str) -> None:
    def attack(run: Run) -> bool:
        (arena.work / "spare").unlink(missing_ok=True)
        abstract = route == "unix-abstract"
        kind = socket.SOCK_DGRAM if route == "unix-datagram" else socket.SOCK_STREAM
        path = f"interlock-escape-{os.getpid()}" if abstract else str(arena.root / "other.sock")
        with friend(arena, path, abstract=abstract, kind=kind) as heard:
            run(arena.work / "attack", route, path, *([arena.work / "spare"] if route == "unix-link" else []))
            time.sleep(0.3)
            return bool(heard)

    assert attack(arena.run)
    assert not attack(arena.held)


@contextlib.contextmanager
def listener(kind: int, address: str) -> Iterator[tuple[int, list[bytes]]]:
    """A server outside on loopback that keeps what it hears."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    heard: list[bytes] = []
    server = socket.socket(family, kind)
    server.bind((address, 0))
    if kind == socket.SOCK_STREAM:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
        server.listen()
    server.settimeout(0.2)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                if kind == socket.SOCK_STREAM:
                    peer, _ = server.accept()
                    heard.append(b"connected")
                    peer.close()
                else:
                    heard.append(server.recv(100))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1], heard
    finally:
        ended.set()
        thread.join()
        server.close()


NETWORK = [
    ("tcp", socket.SOCK_STREAM, "127.0.0.1", "127.0.0.1"),
    ("tcp", socket.SOCK_STREAM, "127.0.0.1", "::ffff:127.0.0.1"),
    ("tcp", socket.SOCK_STREAM, "127.0.0.1", "0.0.0.0"),
    ("tcp", socket.SOCK_STREAM, "::1", "::1"),
    ("tcp", socket.SOCK_STREAM, "::1", "::"),
    ("mptcp", socket.SOCK_STREAM, "127.0.0.1", "127.0.0.1"),
    ("fast-open", socket.SOCK_STREAM, "127.0.0.1", "127.0.0.1"),
    ("udp-sendto", socket.SOCK_DGRAM, "127.0.0.1", "127.0.0.1"),
    ("udp-sendmsg", socket.SOCK_DGRAM, "127.0.0.1", "127.0.0.1"),
    ("udp-sendmmsg", socket.SOCK_DGRAM, "127.0.0.1", "127.0.0.1"),
    ("udp-connected", socket.SOCK_DGRAM, "127.0.0.1", "127.0.0.1"),
    ("udp-sendto", socket.SOCK_DGRAM, "::1", "::1"),
]


@pytest.mark.parametrize(("route", "kind", "at", "to"), NETWORK, ids=lambda value: str(value))
def test_a_server_outside_is_not_reached(arena: Arena, route: str, kind: int, at: str, to: str) -> None:
    def attack(run: Run) -> bool:
        with listener(kind, at) as (port, heard):
            run(arena.work / "attack", route, to, str(port))
            time.sleep(0.3)
            return bool(heard)

    control = attack(arena.run)
    if route == "mptcp" and not control:
        pytest.skip("this kernel has no MPTCP; expected on one built with CONFIG_MPTCP")
    assert control
    assert not attack(arena.held)


def test_a_neighbour_on_the_same_port_does_not_open_the_outside_one(arena: Arena) -> None:
    """127.0.0.2:P bound inside says nothing about 127.0.0.1:P outside (ATTACKS.md)."""
    script = (
        "import socket,sys\ns=socket.socket(); s.bind(('127.0.0.2', int(sys.argv[1]))); s.listen()\n"
        "c=socket.create_connection(('127.0.0.2', int(sys.argv[1])), 2); print('inside reached')\n"
        "d=socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2); print('outside reached')\n"
    )

    def attack(run: Run) -> tuple[bool, bool]:
        with listener(socket.SOCK_STREAM, "127.0.0.1") as (port, heard):
            out = run("/usr/bin/python3", "-c", script, str(port)).output
            time.sleep(0.3)
            return "inside reached" in out, bool(heard)

    assert attack(arena.run) == (True, True)
    assert attack(arena.held) == (True, False)


def test_a_crowd_of_listeners_hides_no_outside_one(arena: Arena) -> None:
    """More of them than the kernel tells at one moment, some coming and going: those that cannot be told whole are outside."""
    script = (
        "import socket,sys,threading,time\nport=int(sys.argv[1])\n"
        "def serve(address):\n"
        "    s=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "    s.bind((address, port)); s.listen(); return s\n"
        "crowd=[serve(f'127.0.1.{n}') for n in range(1, 20)]\n"
        "socket.create_connection(('127.0.1.7', port), 2).close(); print('inside reached')\n"
        "crowd+=[serve(f'127.0.1.{n}') for n in range(20, 120)]\n"
        "def churn():\n"
        "    while True: serve('127.0.2.1').close()\n"
        "threading.Thread(target=churn, daemon=True).start()\n"
        "until=time.monotonic()+1\n"
        "while time.monotonic()<until:\n"
        "    try: socket.create_connection(('127.0.0.1', port), 2).close()\n"
        "    except OSError: pass\n"
    )

    def attack(run: Run) -> tuple[bool, bool]:
        with listener(socket.SOCK_STREAM, "127.0.0.1") as (port, heard):
            out = run("/usr/bin/python3", "-c", script, str(port)).output
            time.sleep(0.3)
            return "inside reached" in out, bool(heard)

    assert attack(arena.run) == (True, True)
    assert attack(arena.held) == (True, False)


def descendants(of: int) -> dict[int, str]:
    """Process ids and programs below `of`, read from outside."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = entry.joinpath("stat").read_text().rpartition(") ")[2].split()
            if int(fields[1]) == of or int(fields[1]) in found:
                found[int(entry.name)] = entry.joinpath("comm").read_text().strip()
    return found


@pytest.mark.parametrize("call", ["kill", "tgkill", "pidfd-signal", "sigqueue", "attach", "of-process"])
def test_the_keepers_are_out_of_reach(arena: Arena, call: str) -> None:
    """The jail learns their process ids (they are no secret) and still cannot touch them."""
    command = [
        *arena._as_user(),
        str(arena.python.parent / "interlock"),
        "run",
        "--workspace",
        str(arena.work),
        "--",
        "sleep",
        "20",
    ]
    victim = subprocess.Popen(
        command,
        cwd=arena.work,
        env=arena._environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        until = time.monotonic() + 10
        while "sleep" not in descendants(victim.pid).values() and time.monotonic() < until:
            time.sleep(0.1)
        found = descendants(victim.pid)
        guards = [pid for pid, program in found.items() if program.startswith(("interlock", "jail-"))]
        assert len(guards) == 5, found  # supervisor, who makes sockets for names, guardian, two sentinels
        for guard in guards:
            more = {"attach": [], "of-process": ["environ"]}.get(call, ["9"])
            out = arena.held(arena.work / "attack", call, str(guard), *more)
            assert not out.output
        assert victim.poll() is None
        assert set(guards) <= set(descendants(victim.pid))
    finally:
        victim.kill()
        victim.wait()


@contextlib.contextmanager
def running(arena: Arena, script: str, start: list[str | Path]) -> Iterator[subprocess.Popen[str]]:
    """A Python program below `start` that has said its first line, and ends with its input; no terminal is there."""
    command = [*arena._as_user(), *map(str, start), "/usr/bin/python3", "-c", script]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, cwd=arena.work, env=arena._environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, process.communicate()[1]
        yield process
    finally:
        process.communicate()


def held_start(arena: Arena, preset: str = "observe") -> list[str | Path]:
    return [arena.python.parent / "interlock", "run", "--preset", preset, "--workspace", arena.work, "--"]


#: Slows down whoever is in the group that leads its session.
SLOWS = """
import os, sys
try: os.setpgid(0, os.getsid(0)); os.setpriority(os.PRIO_PGRP, 0, 7)
except OSError: pass
print("tried", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("preset", ["coding-agent", "observe"])
def test_the_supervisor_is_in_no_group_with_its_jail(arena: Arena, preset: str) -> None:
    """Without a terminal they share a session; what is done to a group must end at the jail."""

    def attack(start: list[str | Path]) -> bool:
        with running(arena, SLOWS, start) as process:
            found = {process.pid: "", **descendants(process.pid)}
            others = [pid for pid, program in found.items() if not program.startswith("python")]
            assert others
            return any(os.getpriority(os.PRIO_PROCESS, pid) == 7 for pid in others)

    arena.build()
    assert attack(["setsid", "sh", "-c", '"$@"; :', "sh"])
    assert not attack(held_start(arena, preset))


#: Leaves its own session no processor time.
YIELDS = """
import os, sys
try: open("/proc/self/autogroup", "w").write("19")
except OSError: pass
print("tried", flush=True)
sys.stdin.read()
"""


def test_the_supervisor_keeps_its_share_of_the_processor(arena: Arena) -> None:
    if not Path("/proc/self/autogroup").exists():
        pytest.skip("this kernel has no CONFIG_SCHED_AUTOGROUP")

    def attack(start: list[str | Path]) -> bool:
        with running(arena, YIELDS, start) as process:
            found = {process.pid: "", **descendants(process.pid)}
            others = [pid for pid, program in found.items() if not program.startswith("python")]
            return any("nice 19" in Path(f"/proc/{pid}/autogroup").read_text() for pid in others)

    arena.build()
    assert attack(["setsid", "sh", "-c", '"$@"; :', "sh"])
    assert not attack(held_start(arena))


#: Holds a lease on a file it may read: everybody who opens that file for writing waits until it is given up.
LEASES = """
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open("README", os.O_RDONLY)
try: fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
except OSError: pass
print("tried", flush=True)
sys.stdin.read()
"""


def test_nobody_outside_waits_for_a_lease_of_the_jail(arena: Arena) -> None:
    def attack(start: list[str | Path]) -> bool:
        with running(arena, LEASES, start):
            try:
                os.close(os.open(arena.work / "README", os.O_WRONLY | os.O_NONBLOCK))
            except BlockingIOError:
                return True
            return False

    arena.build()
    assert attack([])
    assert not attack(held_start(arena))


#: Programs that take no processor time to receive what they asked for, and an innocent one: the mean of its opens in milliseconds.
LANGUID = """
import os, signal, time
children = []
def child(act):
    children.append(os.fork())
    if children[-1] == 0:
        while True: act()
def ask():
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True: os.close(os.open("README", os.O_RDONLY))
for number in range(16): child(ask)
for number in range(2 * os.cpu_count()): child(lambda: None)
time.sleep(1)
begun, spent = time.monotonic(), []
while time.monotonic() < begun + 3 or not spent:
    before = time.monotonic()
    os.close(os.open("package.json", os.O_RDONLY))
    spent.append(time.monotonic() - before)
    time.sleep(0.005)
for process in children: os.kill(process, signal.SIGKILL)
print(1000 * sum(spent) / len(spent))
"""


def test_a_caller_that_takes_nothing_holds_up_nobody_else(arena: Arena) -> None:
    """Natively the innocent program waits for the processor at most; a supervisor without help took 20 to 2,000 ms for each of its calls."""
    arena.build()
    languid = float(arena.held("/usr/bin/python3", "-c", LANGUID).output)
    print(f"{languid:.2f} ms an open")
    assert languid < 15


#: One asks for a socket's name, one renames a folder, and the third makes files: how long that took.
ASKS = """
import os, signal, socket, time
def child(act):
    process = os.fork()
    if process == 0:
        act()
        os._exit(0)
    time.sleep(0.5)
    return process
os.mkdir("folder")
asker = child(lambda: socket.socket(socket.AF_UNIX).bind("asked"))
mover = child(lambda: os.rename("folder", "moved"))
begun = time.monotonic()
for number in range(3): open(f"made-{number}", "w").close()
print(time.monotonic() - begun, os.path.isdir("moved"), os.path.exists("asked"), flush=True)
for process in (asker, mover): os.kill(process, signal.SIGKILL)
"""


def test_a_question_about_a_socket_holds_up_nobody_else(arena: Arena) -> None:
    arena.build()
    policy = arena.root / "ask.yaml"
    policy.write_text(
        "interlock: 1\nname: ask\nrules:\n  - {id: all, allow: ['file.*', process.exec], path: '/**'}\n"
        f"  - {{id: signals, allow: process.signal, to: inside}}\n  - {{id: ask, approve: file.mknod, path: '{arena.work}/asked'}}\n"
    )
    done = arena.run(
        *[arena.python.parent / "interlock", "run", "--policy", policy, "--workspace", arena.work],
        *["--", "/usr/bin/python3", "-c", ASKS],
        seconds=20,
    )
    spent, *state = done.output.split()
    assert state == ["True", "False"], done.errors
    assert float(spent) < 5


@pytest.mark.parametrize("preset", ["coding-agent", "observe"])
def test_its_own_supervisor_survives_a_kill_of_everything(arena: Arena, preset: str) -> None:
    out = arena.held("sh", "-c", "trap '' TERM; kill -TERM -1; kill -9 $PPID; echo still here", preset=preset)
    assert "still here" in out.output
    assert out.code == 0


def test_nothing_is_typed_into_the_terminal(arena: Arena) -> None:
    """TIOCSTI into the descriptor handed in; a kernel with legacy_tiocsti off refuses the control too, to a non-root."""

    def attack(run_prefix: list[str]) -> bool:
        ours, theirs = pty.openpty()
        process = subprocess.run(
            [*run_prefix, str(arena.work / "attack"), "inject", "echo OWNED\n"],
            cwd=arena.work,
            env=arena._environment(),
            stdin=theirs,
            capture_output=True,
            timeout=60,
            start_new_session=True,
            preexec_fn=lambda: ctypes.CDLL(None).ioctl(0, 0x540E, 0),
        )
        os.close(ours)
        os.close(theirs)
        return b"typed" in process.stdout

    interlock = [str(arena.python.parent / "interlock"), "run", "--workspace", str(arena.work), "--"]
    control = attack(arena._as_user())
    print(
        "TIOCSTI works in the open here"
        if control
        else "this kernel refuses TIOCSTI by itself (dev.tty.legacy_tiocsti=0)"
    )
    assert not attack([*arena._as_user(), *interlock])


def test_no_device_node_is_made(arena: Arena) -> None:
    if arena.user is not None:
        pytest.skip("making device nodes needs root; the root run shows it")
    assert arena.run(arena.work / "attack", "device", arena.work / "disk").code == 0
    arena.build()
    arena.held(arena.work / "attack", "device", arena.work / "disk")
    assert not (arena.work / "disk").exists()


def test_a_program_in_memory_does_not_run(arena: Arena) -> None:
    def attack(run: Run) -> bool:
        return "ran from memory" in run(arena.work / "attack", "memfd-exec", "from memory").output

    assert attack(arena.run)
    assert not attack(arena.held)


def test_the_state_of_interlock_is_out_of_reach(arena: Arena) -> None:
    """Keys, ledger, inbox, policy: neither read nor changed, under the loosest preset."""
    arena.held("true")
    state = arena.root / "state"
    files = [path for path in state.rglob("*") if path.is_file()]
    assert files
    before = {path: path.read_bytes() for path in files if not re.search(r"ledger/index|index\.checkpoint$", str(path))}
    assert any("ledger/sessions" in str(path) for path in before)
    script = f"find {state} -type f -exec cat {{}} + ; find {state} -type f -exec sh -c 'echo x >> $1; rm -f $1' _ {{}} \\; ; mv {state} {state}.gone; rm -rf {state}"
    for preset in ("coding-agent", "observe"):
        out = arena.held("sh", "-c", script, preset=preset)
        assert not re.search(r"PRIVATE KEY|action\.decided", out.output)
    changed = [str(path) for path, content in before.items() if path.read_bytes() != content]
    assert not changed
    # The index grew with each session and its memory with it; that nothing of it is gone is the verifier's to say.
    checked = arena.run(arena.python.parent / "interlock", "ledger", "verify")
    assert checked.code == 0, checked.output + checked.errors


KERNEL_FILES = [
    ("/proc/sys/kernel/core_pattern", os.O_WRONLY),
    ("/proc/sys/kernel/modprobe", os.O_WRONLY),
    ("/proc/sysrq-trigger", os.O_WRONLY),
    # By these packets are led elsewhere, once they were judged.
    ("/proc/sys/net/ipv4/conf/lo/route_localnet", os.O_WRONLY),
    ("/proc/sys/net/ipv4/conf/all/accept_local", os.O_WRONLY),
    ("/proc/sys/net/ipv4/ip_forward", os.O_WRONLY),
    ("/proc/sys/net/ipv4/ip_nonlocal_bind", os.O_WRONLY),
    ("/proc/sys/net/ipv6/conf/all/disable_ipv6", os.O_WRONLY),
    ("/proc/thread-self/net/rpc/auth.unix.ip/channel", os.O_WRONLY),
    # And by these a device: what it reads and writes, its driver, its memory.
    ("/sys/class/net/lo/tx_queue_len", os.O_WRONLY),
    ("/sys/class/net/lo/uevent", os.O_WRONLY),
    ("/sys/bus/pci/rescan", os.O_WRONLY),
    ("/proc/irq/default_smp_affinity", os.O_WRONLY),
    ("/proc/kcore", os.O_RDONLY),
    ("/dev/mem", os.O_RDONLY),
]


@pytest.mark.parametrize(("path", "flags"), KERNEL_FILES)
def test_what_acts_below_every_rule_is_not_opened_under_any_preset(arena: Arena, path: str, flags: int) -> None:
    """By these the kernel runs programs outside, or memory and disks are read past all names. They are opened only, never written."""
    if arena.user is not None:
        pytest.skip("natively root's alone")
    disks = [(f"/dev/{entry.name}", os.O_RDONLY) for entry in Path("/sys/class/block").iterdir()][:2]
    given = [(path, flags), *(disks if path == "/dev/mem" else [])]
    script = "import os, sys; os.close(os.open(sys.argv[1], int(sys.argv[2]))); print('opened')"

    def opened(run: Run) -> list[str]:
        return [name for name, how in given if "opened" in run("/usr/bin/python3", "-c", script, name, str(how)).output]

    natively = opened(arena.run)
    if not natively:
        pytest.skip(f"this kernel does not open `{path}` for anybody")
    assert opened(lambda *command: arena.held(*command, preset="observe")) == []


def test_a_disk_is_not_opened_by_another_name(arena: Arena) -> None:
    """A tree of a container or of another system has devices of its own. What they are is their number."""
    if arena.user is not None:
        pytest.skip("natively root's alone")
    arena.build()
    image = arena.root / "disk"
    image.write_bytes(b"below every rule".ljust(1 << 20))
    made = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"needs a loop device: {made.stderr}")
    try:
        os.mknod(arena.work / "disk", 0o60600, os.stat(made.stdout.strip()).st_rdev)
        for how in ("head -c 5 disk", "exec 3<> disk && head -c 5 <&3", "ln disk other && head -c 5 other"):
            assert arena.run("sh", "-c", how).output == "below", "the control"
            (arena.work / "other").unlink(missing_ok=True)
            for preset in ("observe", "coding-agent"):
                ran = arena.held("sh", "-c", how, preset=preset)
                assert ran.output == "" and "below files and memory" in ran.errors, ran
                (arena.work / "other").unlink(missing_ok=True)
    finally:
        subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


def test_sizes_of_buffers_can_be_set(arena: Arena) -> None:
    if arena.user is not None:
        pytest.skip("natively root's alone")
    script = "import os, sys; [os.close(os.open(name, os.O_WRONLY)) for name in sys.argv[1:]]; print('opened')"
    names = [
        name
        for name in ("/proc/sys/net/core/somaxconn", "/proc/sys/net/ipv4/tcp_rmem", "/proc/sys/vm/swappiness", "/proc/pressure/memory")
        if os.access(name, os.W_OK)
    ]
    held = arena.held("/usr/bin/python3", "-c", script, *names, preset="observe")
    assert names
    assert held.output == "opened\n", held.errors

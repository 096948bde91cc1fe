"""What was decided as inside does not arrive outside later, when a port has changed hands in between.

Each input plays with a port that the session had and that somebody outside takes. The judge is the socket outside: what it hears came out. Every
input is played without Interlock first, where it must be heard.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.drive import FILE_VERBS, Drive, policy, rule

PYTHON = "/usr/bin/python3"
NOBODY = 65534
USERS = [None, NOBODY] if os.getuid() == 0 else [None]
INSIDE = policy(
    rule("files", "allow", FILE_VERBS, path=["/**"]),
    rule("run", "allow", ["process.exec"], path=["/**"]),
    rule("signal", "allow", ["process.signal"], to="inside"),
    rule("open", "allow", ["net.bind", "net.listen"]),
    rule("inside", "allow", ["net.connect", "net.send", "unix.connect"], to="inside"),
)
SECRET = b"out of the session"

#: `gone(port)` says that the port may be taken and waits until it was, or could not be.
HELPERS = f"""
import array, ctypes, os, socket, struct, subprocess, sys, threading, time
place = sys.argv[1]
SECRET = {SECRET!r}
def gone(port):
    with open(place + "/new", "w") as told: told.write(str(port))
    os.rename(place + "/new", place + "/port")
    while not os.path.exists(place + "/taken"): time.sleep(0.01)
def quietly(act):
    try: return act()
    except OSError as error: print(error)
def new(style=socket.SOCK_DGRAM, share=None, family=socket.AF_INET):
    made = socket.socket(family, style)
    if share: made.setsockopt(socket.SOL_SOCKET, share, 1)
    return made
def bound(style=socket.SOCK_DGRAM, share=None, host="127.0.0.1"):
    made = new(style, share, socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.bind((host, 0))
    return made
"""

#: What plays in the session, by name. The port's number comes last to `gone`.
INPUTS = {
    "a connected socket outlives the other": """
target = bound(); port = target.getsockname()[1]
client = new(); client.connect(target.getsockname())
target.close(); gone(port)
quietly(lambda: client.send(SECRET))
""",
    "what writes is no call of sockets": """
target = bound(); port = target.getsockname()[1]
client = new(); client.connect(target.getsockname())
target.close(); gone(port)
quietly(lambda: os.write(client.fileno(), SECRET))
""",
    "over the other family": """
target = bound(host="::1"); port = target.getsockname()[1]
client = new(family=socket.AF_INET6); client.connect(target.getsockname())
target.close(); gone(port)
quietly(lambda: client.send(SECRET))
""",
    "its number was another": """
target = bound(); port = target.getsockname()[1]
moved = target.dup(); target.close()
client = new(); client.connect(moved.getsockname())
moved.close(); gone(port)
quietly(lambda: client.send(SECRET))
""",
    "it was another process's, which is killed": """
target = bound(); port = target.getsockname()[1]
client = new(); client.connect(target.getsockname())
child = os.fork()
if child == 0: time.sleep(60)
target.close()
os.kill(child, 9); os.waitpid(child, 0); gone(port)
quietly(lambda: client.send(SECRET))
""",
    "another joins at the address": """
target = bound(share=socket.SO_REUSEADDR); port = target.getsockname()[1]
client = new(); client.connect(target.getsockname())
gone(port)
quietly(lambda: client.send(SECRET))
""",
    "it is shared afterwards": """
target = bound(); port = target.getsockname()[1]
client = new(); client.connect(target.getsockname())
quietly(lambda: target.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1))
gone(port)
quietly(lambda: client.send(SECRET))
""",
    "a port that the kernel chose is given back": """
first = bound()
target = new(); target.sendto(b"x", first.getsockname()); port = target.getsockname()[1]
client = new(); client.connect(("127.0.0.1", port))
libc = ctypes.CDLL(None); libc.connect(target.fileno(), bytes(16), 16)
gone(port)
quietly(lambda: client.send(SECRET))
""",
    "the other is connected, and gives up an address": """
target = new(family=socket.AF_INET6); target.bind(("::", 0)); port = target.getsockname()[1]
client = new(); client.connect(("127.0.0.1", port))
other = bound(host='::1'); quietly(lambda: target.connect(other.getsockname()))
gone(port)
quietly(lambda: client.send(SECRET))
""",
    "the other is connected, and gives up the family": """
target = new(family=socket.AF_INET6); target.bind(("::", 0)); port = target.getsockname()[1]
client = new(family=socket.AF_INET6); client.connect(("::1", port))
other = bound(); quietly(lambda: target.connect(("::ffff:127.0.0.1", other.getsockname()[1])))
gone(port)
quietly(lambda: client.send(SECRET))
""",
    "more was to come": """
target = bound(); port = target.getsockname()[1]
client = new()
quietly(lambda: client.sendto(SECRET, socket.MSG_MORE, target.getsockname()))
target.close(); gone(port)
quietly(lambda: client.send(b""))
""",
    "it was corked": """
UDP_CORK = 1
target = bound(); port = target.getsockname()[1]
client = new()
quietly(lambda: client.setsockopt(socket.IPPROTO_UDP, UDP_CORK, 1))
if quietly(lambda: client.getsockopt(socket.IPPROTO_UDP, UDP_CORK)): client.sendto(SECRET, target.getsockname())
target.close(); gone(port)
quietly(lambda: client.setsockopt(socket.IPPROTO_UDP, UDP_CORK, 0))
""",
    "more was to come, and it is dissolved": """
target = bound(); port = target.getsockname()[1]
client = new(); client.connect(target.getsockname())
client.send(SECRET, socket.MSG_MORE)
libc = ctypes.CDLL(None); libc.connect(client.fileno(), bytes(16), 16)
target.close(); gone(port)
quietly(lambda: client.send(b""))
""",
    "it lies in a message meanwhile": """
target = bound(); port = target.getsockname()[1]
client = new(); client.connect(target.getsockname())
here, there = socket.socketpair()
socket.send_fds(here, [b"x"], [client.fileno()]); client.close()
time.sleep(1.5)
target.close(); gone(port)
_, (number,), _, _ = socket.recv_fds(there, 1, 1)
quietly(lambda: os.write(number, SECRET))
""",
    "a twin has the same addresses": """
target = bound(); port = target.getsockname()[1]
client, twin = bound(share=socket.SO_REUSEADDR), new(share=socket.SO_REUSEADDR)
twin.bind(client.getsockname())
client.connect(target.getsockname()); twin.connect(target.getsockname())
here, there = socket.socketpair()
socket.send_fds(here, [b"x"], [client.fileno()]); client.close()
time.sleep(1.2); twin.close(); time.sleep(1.2)
target.close(); gone(port)
_, (number,), _, _ = socket.recv_fds(there, 1, 1)
quietly(lambda: os.write(number, SECRET))
""",
}

#: The same with connections.
CONNECTIONS = {
    "a connect is put off until the first write": """
FASTOPEN_CONNECT, NO_COOKIE = 30, 34
target = bound(socket.SOCK_STREAM); target.listen(); port = target.getsockname()[1]
client = new(socket.SOCK_STREAM)
quietly(lambda: client.setsockopt(socket.IPPROTO_TCP, NO_COOKIE, 1))
quietly(lambda: client.setsockopt(socket.IPPROTO_TCP, FASTOPEN_CONNECT, 1))
client.connect(target.getsockname())
target.close(); gone(port)
quietly(lambda: client.send(SECRET))
""",
    "there was no room at the listener": """
target = bound(socket.SOCK_STREAM, socket.SO_REUSEADDR); target.listen(0); port = target.getsockname()[1]
full = [new(socket.SOCK_STREAM) for _ in range(4)]
for one in full: one.setblocking(False); one.connect_ex(target.getsockname())
target.close()
gone(port)
for one in full:
    one.settimeout(5); quietly(lambda: one.send(SECRET))
""",
    "there was no room, and it listens no more": """
target = bound(socket.SOCK_STREAM, socket.SO_REUSEADDR); target.listen(0); port = target.getsockname()[1]
full = [new(socket.SOCK_STREAM) for _ in range(4)]
for one in full: one.setblocking(False); one.connect_ex(target.getsockname())
quietly(lambda: target.shutdown(socket.SHUT_RD))
gone(port)
for one in full:
    one.settimeout(5); quietly(lambda: one.send(SECRET))
""",
    "there was no room, and its association is dissolved": """
target = bound(socket.SOCK_STREAM, socket.SO_REUSEADDR); target.listen(0); port = target.getsockname()[1]
full = [new(socket.SOCK_STREAM) for _ in range(4)]
for one in full: one.setblocking(False); one.connect_ex(target.getsockname())
libc = ctypes.CDLL(None); libc.connect(target.fileno(), bytes(16), 16)
gone(port)
for one in full:
    one.settimeout(5); quietly(lambda: one.send(SECRET))
""",
}


@pytest.fixture
def place() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="interlock-ports-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Outsider(threading.Thread):
    """Takes the port that the session tells, for as long as it can, and keeps what comes."""

    def __init__(self, place: Path, style: int, family: int) -> None:
        super().__init__(daemon=True)
        self.place, self.style, self.family = place, style, family
        self.heard, self.over = b"", threading.Event()

    def run(self) -> None:
        while not (self.place / "port").exists():
            if self.over.wait(0.01):
                return
        host = "::1" if self.family == socket.AF_INET6 else "127.0.0.1"
        with socket.socket(self.family, self.style) as taker:
            taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taker.settimeout(0.05)
            self._take(taker, (host, int((self.place / "port").read_text())))
            (self.place / "taken").touch()
            while not self.over.is_set():
                with contextlib.suppress(OSError):
                    self.heard += self._next(taker)

    def _take(self, taker: socket.socket, address: tuple[str, int]) -> None:
        """A port that is still in use is waited for a while, as a service that restarts would."""
        for _ in range(40):
            with contextlib.suppress(OSError):
                taker.bind(address)
                if self.style == socket.SOCK_STREAM:
                    taker.listen()
                return
            time.sleep(0.05)

    def _next(self, taker: socket.socket) -> bytes:
        if self.style == socket.SOCK_DGRAM:
            return taker.recv(100)
        peer, _ = taker.accept()
        with peer:
            peer.settimeout(3)
            return b"connected " + peer.recv(100)


def play(script: str, place: Path, style: int, user: int | None, *, held: bool) -> tuple[bytes, str]:
    """What came out, and what the session printed."""
    for left in place.iterdir():
        left.unlink()
    outsider = Outsider(place, style, socket.AF_INET6 if '"::1"' in script else socket.AF_INET)
    outsider.start()
    command = [PYTHON, "-I", "-c", HELPERS + script, str(place)]
    try:
        if held:
            with Drive(command, INSIDE, user=user) as drive:
                last, out, err = drive.finish(60)
            assert last["type"] == "exited", last
        else:
            done = subprocess.run(command, capture_output=True, timeout=60, check=False)
            out, err = done.stdout, done.stderr
        time.sleep(0.3)
    finally:
        outsider.over.set()
        outsider.join()
    return outsider.heard, (out + err).decode()


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", INPUTS)
def test_datagrams_do_not_follow_a_port(place: Path, name: str, user: int | None) -> None:
    in_the_open, printed = play(INPUTS[name], place, socket.SOCK_DGRAM, user, held=False)
    assert SECRET in in_the_open, printed
    held, printed = play(INPUTS[name], place, socket.SOCK_DGRAM, user, held=True)
    assert held == b"", printed
    assert "Traceback" not in printed, printed


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", CONNECTIONS)
def test_connections_do_not_follow_a_port(place: Path, name: str, user: int | None) -> None:
    in_the_open, printed = play(CONNECTIONS[name], place, socket.SOCK_STREAM, user, held=False)
    assert b"connected" in in_the_open, printed
    held, printed = play(CONNECTIONS[name], place, socket.SOCK_STREAM, user, held=True)
    assert held == b"", printed

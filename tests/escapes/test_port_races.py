"""A port is given away and taken by others while calls to it are decided: what was decided as inside does not arrive outside.

A program in the session binds a port, sends there, gives it back, over and over, in two processes; a program outside takes the same port as often as
it can, and hears what comes. 10⁶ tries by `make races`; the figures are printed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.drive import Drive
from tests.kernel.test_ports import INSIDE, PYTHON, USERS
from tests.tries import LONG, seconds, tries

TRIES, SECONDS = tries(1_500), seconds(15)
#: The control is played until it was won, for so long at most; a long run plays it on, for the figures.
CONTROL_TRIES, CONTROL_SECONDS, CONTROL_SECONDS_MIN = 1_000_000, 16, 10 if LONG else 0

#: The port changes hands here: one process holds and gives back, another sends.
HOLDS = """
import contextlib, os, socket, sys, time
style, port, tries, seconds, way = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
until = time.monotonic() + seconds
def holds():
    while os.getppid() == parent:
        with contextlib.suppress(OSError):
            mine = socket.socket(socket.AF_INET, style)
            if "shared" in way: mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            mine.bind(("127.0.0.1", port))
            if style == socket.SOCK_STREAM: mine.listen(64)
            if "moved" in way: mine = socket.socket(fileno=os.dup(mine.detach()))
        if "shut" in way:
            with contextlib.suppress(OSError): mine.shutdown(socket.SHUT_RDWR)
        mine.close()
parent = os.getpid()
if os.fork() == 0:
    holds(); os._exit(0)
done = 0
while done < tries and time.monotonic() < until:
    done += 1
    out = socket.socket(socket.AF_INET, style)
    out.setblocking("waits" in way)
    with contextlib.suppress(OSError):
        if "to" in way: out.sendto(b"out", ("127.0.0.1", port))
        else: out.connect(("127.0.0.1", port)); out.send(b"out")
    out.close()
print(done)
"""

WAYS = {
    "a datagram with an address": (socket.SOCK_DGRAM, "to"),
    "a datagram to a port that is shared": (socket.SOCK_DGRAM, "to shared"),
    "a connected datagram socket": (socket.SOCK_DGRAM, "connected"),
    "a connected one, its end under other numbers": (socket.SOCK_DGRAM, "connected moved"),
    "a connection": (socket.SOCK_STREAM, "waits"),
    "a connection that is not waited for": (socket.SOCK_STREAM, "at once"),
    "a connection to what is shut": (socket.SOCK_STREAM, "waits shared shut"),
}


class Taker(threading.Thread):
    """Has the port as often as it can, for a moment, and counts what was said to it."""

    def __init__(self, style: int, port: int) -> None:
        super().__init__(daemon=True)
        self.style, self.port, self.over = style, port, threading.Event()
        self.taken, self.heard = 0, 0

    def run(self) -> None:
        while not self.over.is_set():
            with socket.socket(socket.AF_INET, self.style) as mine, contextlib.suppress(OSError):
                mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                mine.bind(("127.0.0.1", self.port))
                if self.style == socket.SOCK_STREAM:
                    mine.listen(64)
                mine.settimeout(0.0003)
                self.taken += 1
                self._hear(mine)

    def _hear(self, mine: socket.socket) -> None:
        if self.style == socket.SOCK_DGRAM:
            self.heard += mine.recv(3) == b"out"
            return
        peer, _ = mine.accept()
        with peer:
            self.heard += 1


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(autouse=True)
def place() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="interlock-ports-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def control(style: int, port: int, way: str) -> Taker:
    """The same without Interlock, until it is won."""
    taker = Taker(style, port)
    taker.start()
    begun = time.monotonic()
    with subprocess.Popen(
        command(style, port, way, CONTROL_TRIES, CONTROL_SECONDS), stdout=subprocess.DEVNULL, start_new_session=True
    ) as playing:
        while playing.poll() is None and (taker.heard == 0 or time.monotonic() < begun + CONTROL_SECONDS_MIN):
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(playing.pid, signal.SIGKILL)
    taker.over.set()
    taker.join()
    return taker


def command(style: int, port: int, way: str, tries: int, limit_s: int) -> list[str]:
    return [PYTHON, "-I", "-c", HOLDS, str(int(style)), str(port), str(tries), str(limit_s), way]


def held(style: int, port: int, way: str, user: int | None) -> tuple[int, Taker]:
    taker = Taker(style, port)
    taker.start()
    try:
        with Drive(command(style, port, way, TRIES, SECONDS), INSIDE, user=user, end="kill") as drive:
            last, printed, err = drive.finish(2 * SECONDS + 60)
        assert last["type"] == "exited", (last, err)
    finally:
        taker.over.set()
        taker.join()
    return int(printed), taker


@pytest.mark.race
@pytest.mark.timeout(3 * SECONDS + 200)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", list(WAYS))
def test_nothing_arrives_outside(name: str, user: int | None, port: int) -> None:
    style, way = WAYS[name]
    free = control(style, port, way)
    assert free.heard > 0, "the race cannot be won in the open"
    tried, taker = held(style, port, way, user)
    print(
        f"{name}: {tried} tries, taken {taker.taken} times, {taker.heard} wins; without Interlock {free.heard} of {free.taken}"
    )
    assert tried > 100 and taker.taken > 0
    assert taker.heard == 0

"""What somebody outside puts at a name while the session makes something there is not taken for the session's.

The session makes a name over and over, and a program outside puts an object of its own there as often. The judge is outside: its socket was spoken to,
its folder holds a file of the session's.
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

from tests.kernel.drive import FILE_VERBS, Drive, Message, policy, rule
from tests.kernel.test_ports import PYTHON, USERS
from tests.tries import seconds, tries

TRIES, SECONDS = tries(2_000), seconds(25)
RUN = rule("run", "allow", ["process.exec"], path=["/**"])
OLD = rule("old", "deny", ["file.create", "file.mknod"], path=["/**/name/**"])
OLD["when"] = {"origin": "before"}
FILES = rule("files", "allow", FILE_VERBS, path=["/**"])
POLICIES = {
    "bind": policy(FILES, RUN, rule("inside", "allow", ["unix.connect"], to="inside")),
    "mkdir": policy(FILES, RUN, OLD),
}

PROGRAMS = {
    "bind": """
import contextlib, os, socket, sys, time
place, tries, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
until, done = time.monotonic() + seconds, 0
while done < tries and time.monotonic() < until:
    done += 1
    server = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(OSError): os.unlink(place + "/name")
    with contextlib.suppress(OSError):
        server.bind(place + "/name"); server.listen()
    client = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(OSError):
        client.connect(place + "/name"); client.send(b"out")
    client.close(); server.close()
print(done)
""",
    "mkdir": """
import contextlib, os, sys, time
place, tries, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
until, done = time.monotonic() + seconds, 0
while done < tries and time.monotonic() < until:
    done += 1
    with contextlib.suppress(OSError): os.rmdir(place + "/name")
    with contextlib.suppress(OSError): os.mkdir(place + "/name")
    with contextlib.suppress(OSError): open(place + "/name/planted", "x").close()
    with contextlib.suppress(OSError): os.unlink(place + "/name/planted")
print(done)
""",
}


class Exchanger(threading.Thread):
    """Puts its own objects at the name, and counts what became of them."""

    def __init__(self, place: Path, kind: str) -> None:
        super().__init__(daemon=True)
        self.place, self.kind = place, kind
        self.swaps, self.wins, self.over = 0, 0, threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            (self._socket if self.kind == "bind" else self._folder)()

    def _socket(self) -> None:
        with socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.bind(str(self.place / "theirs"))
            os.chmod(self.place / "theirs", 0o777)
            server.listen()
            server.settimeout(0.0005)
            os.rename(self.place / "theirs", self.place / "name")
            self.swaps += 1
            peer, _ = server.accept()
            self.wins += peer.recv(3) == b"out"
        with contextlib.suppress(OSError):
            os.unlink(self.place / "theirs")

    def _folder(self) -> None:
        """Held, so that it is looked into wherever it is by then."""
        with contextlib.suppress(OSError):
            os.mkdir(self.place / "theirs")
            os.chmod(self.place / "theirs", 0o777)
        held = os.open(self.place / "theirs", os.O_RDONLY)
        try:
            before = os.fstat(held).st_mtime_ns
            with contextlib.suppress(OSError):
                os.rename(self.place / "theirs", self.place / "name")
                self.swaps += 1
                time.sleep(0.0003)
            self.wins += os.fstat(held).st_mtime_ns != before
        finally:
            os.close(held)


@pytest.fixture
def place() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="interlock-exchanged-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def play(place: Path, kind: str, user: int | None, compiled: Message | None) -> tuple[int, Exchanger]:
    for left in place.iterdir():
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
    wanted, limit = (TRIES, SECONDS) if compiled else (2_000, 10)
    command = [PYTHON, "-I", "-c", PROGRAMS[kind], str(place), str(wanted), str(limit)]
    exchanger = Exchanger(place, kind)
    exchanger.start()
    try:
        if compiled is None:
            printed = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
        else:
            with Drive(command, compiled, user=user) as drive:
                last, printed, err = drive.finish(2 * SECONDS + 60)
            assert last["type"] == "exited", (last, err)
    finally:
        exchanger.over.set()
        exchanger.join()
    return int(printed), exchanger


@pytest.mark.race
@pytest.mark.timeout(3 * SECONDS + 200)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("kind", list(PROGRAMS))
def test_what_is_exchanged_meanwhile_stays_outside(place: Path, kind: str, user: int | None) -> None:
    _, control = play(place, kind, None, None)
    assert control.wins > 0
    tried, held = play(place, kind, user, POLICIES[kind])
    print(f"{kind}: {tried} tries, {held.swaps} exchanges, {held.wins} wins; without Interlock {control.wins} wins of {control.swaps}")
    assert tried > 100 and held.swaps > 100
    assert held.wins == 0

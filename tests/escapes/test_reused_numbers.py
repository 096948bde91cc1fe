"""A number that once was an object of the session's does not make the session's of whatever has that number now.

The session makes nameless files by the hundred and lets them go; somebody outside makes sockets until one of them has
been given the inode number of such a file. The judge is that socket: what it hears came out.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.escapes.arena import Arena, Outcome

#: Makes and loses files in the folder, tells their numbers, and talks to the socket that stands there afterwards.
PROGRAM = """
import os, socket, sys, time
folder, work = sys.argv[1:]
held = [os.open(folder, os.O_TMPFILE | os.O_RDWR) for _ in range(600)]
numbers = [os.fstat(number).st_ino for number in held]
for number in held: os.close(number)
with open(f"{work}/numbers.new", "w") as told: told.write(" ".join(map(str, numbers)))
os.rename(f"{work}/numbers.new", f"{work}/numbers")
while not os.path.exists(f"{work}/bound"): time.sleep(0.01)
client = socket.socket(socket.AF_UNIX)
client.connect(f"{folder}/socket")
client.sendall(b"out")
"""
SOCKETS_MAX = 3000


class Outsider(threading.Thread):
    """Binds sockets in `folder` until one has a number that the session has had; keeps what that one hears."""

    def __init__(self, folder: Path, work: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.work = folder, work
        self.heard, self.reused, self.over = b"", False, threading.Event()

    def run(self) -> None:
        while not (self.work / "numbers").exists():
            if self.over.wait(0.01):
                return
        numbers = set(map(int, (self.work / "numbers").read_text().split()))
        path, kept = self.folder / "socket", []
        for _ in range(SOCKETS_MAX):
            server = socket.socket(socket.AF_UNIX)
            server.bind(str(path))
            self.reused = path.stat().st_ino in numbers
            if self.reused:
                break
            path.rename(self.folder / f"kept{len(kept)}")
            server.close()
            kept.append(server)
        else:
            server = socket.socket(socket.AF_UNIX)
            server.bind(str(path))
        path.chmod(0o777)
        server.listen()
        server.settimeout(0.05)
        (self.work / "bound").write_text("")
        while not self.over.is_set():
            with contextlib.suppress(TimeoutError):
                peer, _ = server.accept()
                self.heard += peer.recv(100)


def play(arena: Arena, folder: Path, *, held: bool) -> tuple[Outsider, Outcome]:
    arena.build()
    for old in folder.iterdir() if folder.exists() else ():
        if old.name != "lost+found":
            old.unlink()
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    outsider = Outsider(folder, arena.work)
    outsider.start()
    policy = arena.root / "free.yaml"
    policy.write_text(
        f'interlock: 1\nname: free\nrules:\n  - id: spray\n    allow: file.*\n    path: ["{folder}/**"]\n'
    )
    policy.chmod(0o644)
    command = ("/usr/bin/python3", "-c", PROGRAM, str(folder), str(arena.work))
    ran = arena.held(*command, policy=policy) if held else arena.run(*command)
    time.sleep(0.2)
    outsider.over.set()
    outsider.join()
    return outsider, ran


@pytest.mark.timeout(120)
def test_a_socket_outside_with_a_number_of_ours_is_outside(arena: Arena, folder: Path) -> None:
    in_the_open, _ = play(arena, folder, held=False)
    assert in_the_open.heard == b"out"
    outsider, ran = play(arena, folder, held=True)
    assert "PermissionError" in ran.errors or "Permission denied" in ran.errors, ran.errors
    assert outsider.heard == b""
    # tmpfs and btrfs count upwards for ever; the others give a number again at once, or this would show nothing.
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True).stdout.strip()
    assert outsider.reused or kind not in ("ext2/ext3", "xfs"), f"no number was used again on {kind}"

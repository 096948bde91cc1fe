"""Inode numbers sprayed and reused, on each file system: what has a number, and even the name, of something that was the session's is not the session's.

By turns, the session binds sockets and makes nameless files by the hundred, looks that its own answer, and lets them go; a program outside binds as many
sockets at the same names, which have the same numbers where the file system gives numbers again. Then the session connects to each. The judge is
outside: who was connected to. 10⁶ tries by `make races`; the figures are printed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.escapes.arena import Arena
from tests.tries import seconds, tries

TRIES, SECONDS = tries(1_200), seconds(60)
CONTROL_TRIES = 600
#: As many of each kind in one turn.
EACH = 150
#: These count upwards for ever, or nearly so: no number comes again, and what is shown there is that names alone do not help either.
NEVER_AGAIN = ("tmpfs", "btrfs")

pytestmark = pytest.mark.race

#: In the session. The turns are handed over by a byte on standard output and standard input.
SESSION = """
import os, socket, sys, time
folder, tries, seconds, each = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
until, done, own, refused, got = time.monotonic() + seconds, 0, 0, 0, 0
while done < tries and time.monotonic() < until:
    kept, numbers = [], []
    for at in range(each):
        server = socket.socket(socket.AF_UNIX)
        server.bind(f"{folder}/s{at}"); server.listen()
        kept.append(server)
        numbers.append(os.lstat(f"{folder}/s{at}").st_ino)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{folder}/s0"); own += 1
    nameless = [os.open(folder, os.O_TMPFILE | os.O_RDWR) for _ in range(each)]
    numbers += [os.fstat(number).st_ino for number in nameless]
    for server in kept: server.close()
    for number in nameless: os.close(number)
    for at in range(each): os.unlink(f"{folder}/s{at}")
    print(*numbers, flush=True)
    sys.stdin.readline()
    for at in range(2 * each):
        done += 1
        with socket.socket(socket.AF_UNIX) as client:
            try: client.connect(f"{folder}/s{at}"); got += 1
            except OSError: refused += 1
    print("asked", flush=True)
    sys.stdin.readline()
print("end", done, own, got, refused, flush=True)
"""


@dataclass
class Outsider:
    """Binds sockets where the session had its own, and counts how many have a number that was the session's and who was connected to."""

    folder: Path
    bound: int = 0
    reused: int = 0
    wins: int = 0

    @contextlib.contextmanager
    def listening(self, numbers: set[int]) -> Iterator[None]:
        servers = []
        for at in range(2 * EACH):
            path = str(self.folder / f"s{at}")
            server = socket.socket(socket.AF_UNIX)
            server.bind(path)
            os.chmod(path, 0o777)
            server.listen()
            server.setblocking(False)
            self.reused += os.lstat(path).st_ino in numbers
            servers.append(server)
        self.bound += len(servers)
        yield
        for at, server in enumerate(servers):
            with contextlib.suppress(BlockingIOError):
                server.accept()[0].close()
                self.wins += 1
            server.close()
            os.unlink(self.folder / f"s{at}")


def play(arena: Arena, folder: Path, wanted: int, *, held: bool) -> tuple[Outsider, list[int]]:
    """How it went outside, and what the session says: tries, own answers, connections, refusals."""
    arena.build()
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    policy = arena.root / "free.yaml"
    policy.write_text(f'interlock: 1\nname: free\nrules:\n  - id: spray\n    allow: file.*\n    path: ["{folder}/**"]\n')
    policy.chmod(0o644)
    run = [str(arena.python.parent / "interlock"), "run", "--preset", "coding-agent", "--policy", str(policy), "--workspace", str(arena.work), "--"]
    command = ["/usr/bin/python3", "-I", "-c", SESSION, str(folder), str(wanted), str(SECONDS), str(EACH)]
    outsider = Outsider(folder)
    with subprocess.Popen(
        [*arena._as_user(), *(run if held else []), *command], cwd=arena.work, env=arena._environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as session:  # fmt: skip
        assert session.stdin is not None and session.stdout is not None and session.stderr is not None

        def told() -> str:
            return session.stdout.readline()

        def go_on() -> None:
            session.stdin.write("\n")
            session.stdin.flush()

        while (line := told()) and not line.startswith("end"):
            with outsider.listening(set(map(int, line.split()))):
                go_on()
                asked = told()
            if asked:
                go_on()
        assert line.startswith("end"), session.stderr.read()[-2_000:]
    return outsider, list(map(int, line.split()[1:]))


@pytest.mark.timeout(3 * SECONDS + 200)
def test_a_number_that_was_the_sessions_opens_nothing(arena: Arena, folder: Path) -> None:
    control, _ = play(arena, folder, CONTROL_TRIES, held=False)
    assert control.wins == control.bound > 0
    outsider, (tried, own, got, refused) = play(arena, folder, TRIES, held=True)
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{kind}: {tried} tries, {outsider.reused} of {outsider.bound} with a number that was the session's, {outsider.wins} wins; without Interlock {control.wins} of {control.bound}")
    assert (outsider.wins, got, refused) == (0, 0, tried)
    assert own == tried // (2 * EACH) > 0, "what is the session's own answers"
    assert outsider.reused > 0 or kind in NEVER_AGAIN, f"no number came again on {kind}"

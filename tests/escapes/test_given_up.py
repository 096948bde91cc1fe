"""What is written in place to a file with guarded keys, and is still open outside when the session ends, is told and recorded as not put in place."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from tests.escapes.arena import Arena
from tests.escapes.test_guarded_keys import OLD, lay_out

#: Hands a descriptor for the file to whoever has the other end of its standard input.
HAND_OUT = """
import os, socket, sys
file = os.open("settings/agent.json", os.O_RDWR)
os.pwrite(file, sys.argv[1].encode(), 0)
with socket.socket(fileno=0) as out:
    socket.send_fds(out, [b"x"], [file])
"""


def ended(arena: Arena, text: str) -> tuple[str, Path]:
    lay_out(arena)
    here, there = socket.socketpair()
    interlock = str(arena.python.parent / "interlock")
    policy = ["--policy", str(arena.root / "keyed.yaml"), "--workspace", str(arena.work)]
    command = [*arena._as_user(), interlock, "run", *policy, "--", str(arena.python), "-c", HAND_OUT, text]
    with here, there:
        process = subprocess.Popen(
            command, cwd=arena.work, env=arena._environment(), stdin=there, stderr=subprocess.PIPE, text=True
        )
        _, (kept,), _, _ = socket.recv_fds(here, 1, 1)
        _, errors = process.communicate(timeout=60)
        with open(kept, "r+b", buffering=0) as file:
            file.write(text.encode())
    return errors, arena.work / "settings" / "agent.json"


@pytest.mark.parametrize("text", [OLD.replace("1", "2"), OLD.replace("true", "evil")])
def test_what_is_not_put_in_place_is_told(arena: Arena, text: str) -> None:
    errors, file = ended(arena, text)
    assert file.read_text() == OLD
    assert "still open for writing when the session ended" in errors


def test_what_changes_nothing_is_not_told(arena: Arena) -> None:
    errors, file = ended(arena, OLD)
    assert file.read_text() == OLD
    assert "still open" not in errors

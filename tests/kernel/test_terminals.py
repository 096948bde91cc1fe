"""Terminals of others stay shut, whatever policy says of their names; the session's own and those it makes work as ever."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from tests.kernel.drive import Drive

OPEN = """
import os, sys
for flags in (os.O_RDONLY | os.O_NONBLOCK, os.O_WRONLY | os.O_NONBLOCK, os.O_RDWR):
    try:
        os.write(os.open(sys.argv[1], flags | os.O_NOCTTY), b"painted")
        print("opened")
    except OSError as error:
        print(error.strerror)
"""

OWN = """
import os, pty
master, slave = pty.openpty()
name = os.ttyname(slave)
again = os.open(name, os.O_RDWR | os.O_NOCTTY)
os.write(again, b"through the name\\n")
print(os.read(master, 100))
os.close(master); os.close(slave); os.close(again)
try:
    os.open(name, os.O_RDWR | os.O_NOCTTY)
    print("opened")
except OSError as error:
    print("gone")
print(pty.spawn(["/bin/sh", "-c", "tty >/dev/tty; exit 3"]) >> 8)
"""


def inside(program: str, *arguments: str) -> str:
    with Drive(["/usr/bin/env", "python3", "-c", program, *arguments]) as drive:
        last, out, err = drive.finish()
    assert last["code"] == 0, err
    return out.decode()


def test_a_terminal_outside_is_not_opened() -> None:
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    os.set_blocking(master, False)
    control = subprocess.run([sys.executable, "-c", OPEN, name], capture_output=True, text=True, check=True)
    assert "opened" in control.stdout
    assert os.read(master, 100)
    assert "opened" not in inside(OPEN, name)
    with pytest.raises(BlockingIOError):
        os.read(master, 100)
    os.close(master)
    os.close(slave)


def test_a_terminal_opened_outside_under_a_number_of_the_sessions_is_not_opened() -> None:
    """The session makes a terminal and lets it go; its number is given to somebody outside."""
    program = textwrap.dedent("""
        import os, pty, sys, time
        master, slave = pty.openpty()
        name = os.ttyname(slave)
        os.close(slave); os.close(master)
        print(name, flush=True)
        open(sys.argv[1] + "/released", "w").close()
        while not os.path.exists(sys.argv[1] + "/taken"):
            time.sleep(0.01)
        try:
            os.open(name, os.O_RDWR | os.O_NOCTTY)
            print("opened")
        except OSError as error:
            print(error.strerror)
    """)
    with tempfile.TemporaryDirectory(prefix="interlock-terminals-") as place:
        with Drive(["/usr/bin/env", "python3", "-c", program, place]) as drive:
            while not Path(place, "released").exists():
                time.sleep(0.01)
            pairs = [pty.openpty() for _ in range(8)]
            names = {os.ttyname(slave) for _, slave in pairs}
            Path(place, "taken").touch()
            _, out, _ = drive.finish()
        for pair in pairs:
            list(map(os.close, pair))
    name, result = out.decode().split("\n", 1)
    assert name in names, "nobody outside was given the number: the test shows nothing"
    assert "opened" not in result


def test_the_sessions_own_terminals_work() -> None:
    out = inside(OWN)
    assert "b'through the name\\r\\n'" in out
    assert "gone" in out
    assert "/dev/pts/" in out
    assert out.rstrip().endswith("3")

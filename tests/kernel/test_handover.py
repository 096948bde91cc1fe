"""What a program has closed is closed: the supervisor, which opened it on the program's behalf, holds it no longer when the next open or exec looks.

The program writes a script and runs it at once, opens a FIFO for writing when its reader is gone, and locks a file again that it has just closed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kernel.drive import Drive

SOURCE = Path(__file__).parent / "programs" / "handover.c"
TRIES = 200


def test_what_is_closed_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: install one (Debian: apt-get install gcc)")
    monkeypatch.chdir(tmp_path)
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-o", "handover", SOURCE], check=True)
    command = [os.path.abspath("handover"), str(TRIES)]
    native = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert native == f"busy 0 reader 0 locked 0 of {TRIES}\n"
    with Drive(command) as drive:
        last, out, err = drive.finish(120)
    assert last["code"] == 0, err
    assert out.decode() == native

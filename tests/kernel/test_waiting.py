"""Waits that a signal cuts short, through the real supervisor: what a program sees is what it sees natively.

One program, in C, runs outside and inside. A signal for the whole process may be taken by any of its threads: the wait restarts or ends with
EINTR as the handler asks, no thread reads the kernel's own errno, and a job that waits can be stopped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.drive import EVERYTHING, Drive
from tests.kernel.test_interrupted import open_folder

SOURCE = Path(__file__).parent / "programs" / "waiting.c"
NOBODY = 65534
USERS = [None, NOBODY] if os.getuid() == 0 else [None]


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: install one (Debian: apt-get install gcc)")
    with open_folder() as folder:
        built = folder / "waiting"
        subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-pthread", "-o", built, SOURCE], check=True)
        yield built


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    "case",
    ["once D restart", "once D interrupt", "storm D 1 60 restart", "storm D 6 120 restart", "storm D 6 120 interrupt", "stopped D 1", "stopped D 3"],
)
def test_a_wait_ends_as_natively(program: Path, case: str, user: int | None) -> None:
    as_user = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    with open_folder() as folder:
        command = [str(program), *case.replace("D", str(folder)).split()]
        native = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, **as_user).stdout  # type: ignore[call-overload]
        with Drive(command, EVERYTHING, user=user) as drive:
            last, out, err = drive.finish(60)
    assert (last["type"], last.get("code"), err) == ("exited", 0, b"")
    assert out.decode() == native

"""Calls under signals whose handler was set without SA_RESTART, through the real supervisor.

A signal that comes before a call is received ends it with EINTR; how often is measured (`python -m bench eintr`), not asserted, since it goes by
the machine's load. Asserted is what holds on any machine: without signals there is no EINTR, and a call that says EINTR was not done.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kernel.drive import EVERYTHING, Drive

SOURCE = Path(__file__).parent / "programs" / "interrupted.c"
NOBODY = 65534
USERS = [None, NOBODY] if os.getuid() == 0 else [None]
COUNTS = re.compile(r"calls (\d+) signals (\d+) interrupted (\d+) wrong (\d+)")


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: install one (Debian: apt-get install gcc)")
    with open_folder() as folder:
        built = folder / "interrupted"
        subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", built, SOURCE], check=True)
        yield built


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter. Not below pytest's own, which each start of pytest closes to other users."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-test-"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def counted(program: Path, user: int | None, processes: int, interval_us: int) -> tuple[int, int, int, int]:
    with open_folder() as folder, Drive([str(program), str(folder), str(processes), "1500", str(interval_us)], EVERYTHING, user=user) as drive:
        last, out, err = drive.finish(120)
    assert (last["type"], last.get("code"), err) == ("exited", 0, b"")
    found = COUNTS.fullmatch(out.decode().strip())
    assert found
    calls, signals, interrupted, wrong = map(int, found.groups())
    return calls, signals, interrupted, wrong


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("processes", [1, 16])
def test_without_signals_no_call_is_interrupted(program: Path, processes: int, user: int | None) -> None:
    calls, signals, interrupted, wrong = counted(program, user, processes, 0)
    assert calls > 10 * processes
    assert (signals, interrupted, wrong) == (0, 0, 0)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("processes", [1, 16])
def test_a_call_that_was_interrupted_was_not_done(program: Path, processes: int, user: int | None) -> None:
    """Each call is made again until it is not interrupted, and must then find things as it left them: nothing done twice, nothing lost."""
    calls, signals, interrupted, wrong = counted(program, user, processes, 1000)
    print(f"{processes} processes: {calls} calls, {signals} signals, {interrupted} interrupted")
    assert signals > 10
    assert wrong == 0

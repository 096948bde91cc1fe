"""Waits that a signal cuts short, through the real supervisor: what a program sees is what it sees natively.

One program, in C, runs outside and inside. A signal for the whole process may be taken by any of its threads: the wait restarts or ends with
EINTR as the handler asks, no thread reads the kernel's own errno, and a job that waits can be stopped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kernel.drive import EVERYTHING, Drive

SOURCE = Path(__file__).parent / "programs" / "waiting.c"
NOBODY = 65534
USERS = [None, NOBODY] if os.getuid() == 0 else [None]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: install one (Debian: apt-get install gcc)")
    built = tmp_path_factory.mktemp("waiting") / "waiting"
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-pthread", "-o", built, SOURCE], check=True)
    for folder in [built, *list(built.parents)[:3]]:
        folder.chmod(0o755)
    return built


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    "case",
    ["once D restart", "once D interrupt", "storm D 1 60 restart", "storm D 6 120 restart", "storm D 6 120 interrupt", "stopped D 1", "stopped D 3"],
)
def test_a_wait_ends_as_natively(program: Path, tmp_path: Path, case: str, user: int | None) -> None:
    as_user = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    for folder in [tmp_path, *list(tmp_path.parents)[:2]]:
        folder.chmod(0o777 if folder == tmp_path else 0o755)
    command = [str(program), *case.replace("D", str(tmp_path)).split()]
    native = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, **as_user).stdout  # type: ignore[call-overload]
    with Drive(command, EVERYTHING, user=user) as drive:
        last, out, err = drive.finish(60)
    assert (last["type"], last.get("code"), err) == ("exited", 0, b"")
    assert out.decode() == native

"""Some ten thousand file calls return the same and leave the same behind, inside a session that allows everything and outside.

The kernel outside is the oracle. What differs by design is named in `BY_DESIGN`, each with its reason.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.drive import EVERYTHING, Drive

#: As text: the clone may lie in a folder that other users cannot enter.
PROGRAM = (Path(__file__).parent / "programs" / "file_calls.py").read_text()
ORDINARY = 65534
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable

BY_DESIGN = {
    # An unnamed file in /proc/self/fd: the kernel lets only the process itself search there, and the door opens it for the process.
    ("open b'/proc/self/fd'", "0o20200000"),
}


def by_design(before: list[Any], line: list[Any]) -> bool:
    """Whether a line (or the close-on-exec twin after it) may differ."""
    name = str(before[0] if line[0] == "close-on-exec" else line[0])
    return any(name.startswith(start) and name.endswith(end) for start, end in BY_DESIGN)


def report(output: bytes, folder: Path) -> list[list[Any]]:
    """The report of one run, its folder made neutral."""
    return [json.loads(line.replace(str(folder), "W")) for line in output.decode().splitlines()]


def outside(folder: Path, user: int | None) -> bytes:
    options: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        [PYTHON, "-S", "-c", PROGRAM, str(folder)], stdin=subprocess.DEVNULL, capture_output=True, cwd=folder, timeout=300, **options
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def inside(folder: Path, user: int | None, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.chdir(folder)
    parts: list[bytes] = []
    with Drive([PYTHON, "-S", "-c", PROGRAM, str(folder)], EVERYTHING, user=user) as drive:

        def pump() -> None:
            while part := os.read(drive.stdout, 65536):
                parts.append(part)

        reader = threading.Thread(target=pump, daemon=True)
        reader.start()
        ended = drive.until("exited", "failed", timeout=300)
        reader.join(10)
        errors = drive._drain(drive.stderr).decode()
    assert ended["type"] == "exited" and ended["code"] == 0, (ended, errors)
    return b"".join(parts)


@pytest.mark.parametrize("user", [None, ORDINARY], ids=["same user", "ordinary user"])
def test_every_call_ends_inside_as_it_ends_outside(
    user: int | None, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can become another user; the other case runs as an ordinary user already")
    folders = [Path(f"/tmp/interlock-same-{os.getpid()}-{user}-{side}") for side in "ab"]  # names of one length
    for folder in folders:
        folder.mkdir()
        os.chown(folder, os.geteuid() if user is None else user, -1)
    try:
        expected = report(outside(folders[0], user), folders[0])
        found = report(inside(folders[1], user, monkeypatch), folders[1])
    finally:
        monkeypatch.chdir("/")
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    assert len(expected) > 10_000
    before: list[Any] = [""]
    differences = []
    for ours, theirs in zip(found, expected, strict=True):
        if ours != theirs and not by_design(before, ours):
            differences.append({"inside": ours, "outside": theirs})
        before = ours if ours[0] != "close-on-exec" else before
    assert not differences, json.dumps(differences[:20], indent=1)

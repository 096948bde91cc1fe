"""Builds the attacking programs once, an arena for each user, and file systems of each kind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Installed
from tests.escapes.arena import PROGRAM_NAMES, PROGRAMS, Arena

#: What makes each file system, and in how much room.
MAKES = {
    "ext4": (32 << 20, ["mkfs.ext4", "-q", "-F"]),
    "xfs": (320 << 20, ["mkfs.xfs", "-q"]),
    "btrfs": (128 << 20, ["mkfs.btrfs", "-q"]),
}


@pytest.fixture(scope="session")
def programs() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="interlock-attacks-"))
    for name in PROGRAM_NAMES:
        source = PROGRAMS / f"{name}.c"
        subprocess.run(["cc", "-O1", "-pthread", "-o", place / name, source], check=True)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def arena(user: str | None, installed: Installed, programs: Path) -> Iterator[Arena]:
    root = Path(tempfile.mkdtemp(prefix="interlock-arena-", dir="/var/tmp"))
    root.chmod(0o777)
    for name in PROGRAM_NAMES:
        shutil.copy2(programs / name, root / name)
    arena = Arena(root, user, installed.python)
    arena.build()
    yield arena
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(params=["disk", "ext4", "tmpfs", "xfs", "btrfs"])
def folder(request: pytest.FixtureRequest, arena: Arena) -> Iterator[Path]:
    """A folder of the session's workspace, on the machine's own disk or on a file system made for this."""
    if request.param == "disk":
        place = arena.root / "work" / "spray"
        place.mkdir(parents=True, exist_ok=True)
        yield place
        return
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a file system of its own")
    place = arena.root / "mounted"
    place.mkdir()
    image = arena.root / "image"
    if request.param in MAKES:
        size, make = MAKES[request.param]
        if shutil.which(make[0]) is None:
            pytest.skip(f"needs `{make[0]}`")
        with image.open("wb") as made:
            made.truncate(size)
        subprocess.run([*make, image], check=True)
        mount = ["mount", "-o", "loop", str(image), str(place)]
    else:
        mount = ["mount", "-t", "tmpfs", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip(f"needs a machine that mounts {request.param} (a container does not)")
    place.chmod(0o777)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)

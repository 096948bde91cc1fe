"""Builds the attacking programs once, and an arena for each user."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Installed
from tests.escapes.arena import PROGRAM_NAMES, PROGRAMS, Arena


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

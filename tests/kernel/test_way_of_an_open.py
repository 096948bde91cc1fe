"""The way of one open through the supervisor: as short as promised, and as ARCHITECTURE.md tells it.

What the trace needs is built once more with counters (`target/trace`): a minute from a clean checkout, seconds after that.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bench.trace_open import SOURCES, told

ROOT = Path(__file__).resolve().parents[2]
FILES_MAX = 14


def test_the_walk_is_short_and_names_files_that_are_there() -> None:
    assert 0 < len(told()) <= FILES_MAX
    assert all((ROOT / name).exists() and not name.startswith(f"{SOURCES}sys/") for name in told())


@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo builds the supervisor with counters")
def test_an_open_passes_through_few_files_and_they_are_those_of_the_walk() -> None:
    command = [sys.executable, "-m", "bench", "trace", "open"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=True).stdout
    passed = [line.strip() for line in printed.splitlines() if SOURCES in line]
    assert passed == told()
    assert printed.startswith(f"{len(passed)} files")

"""The way of one tool call through the code: as short as promised, and as ARCHITECTURE.md tells it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES_MAX = 20
#: The file of each era of MCP, and a revision of it.
ERAS = {"gateway/exchange_modern.py": "2026-07-28", "gateway/exchange_legacy.py": "2025-11-25"}


@pytest.fixture(scope="module")
def traced() -> dict[str, list[str]]:
    """What the command prints: by revision, the files in order."""
    command = [sys.executable, "-m", "bench", "trace", "call"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout
    parts = re.split(r"^\d+ files, .* revision (\S+) .*\n", printed, flags=re.MULTILINE)[1:]
    files = [re.findall(r"^ +\d+ +src/interlock/(\S+)", part, flags=re.MULTILINE) for part in parts[1::2]]
    return dict(zip(parts[::2], files, strict=True))


def told() -> list[str]:
    """The files that the walk through a tool call names, in the order in which it first does."""
    page = (ROOT / "ARCHITECTURE.md").read_text()
    walk = page.partition("## One tool call, followed")[2].partition("\n## ")[0]
    return list(dict.fromkeys(re.findall(r"`((?:\w+/)+\w+\.py)`", walk)))


@pytest.mark.parametrize("era", ERAS)
def test_a_call_passes_through_few_files_and_they_are_those_of_the_walk(traced: dict[str, list[str]], era: str) -> None:
    passed = traced[ERAS[era]]
    assert 0 < len(passed) <= FILES_MAX, passed
    assert passed == [file for file in told() if file == era or file not in ERAS]

"""The reference page in the docs is what the tables of parser and engine print."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_what_the_tables_print() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "interlock", "policy", "language"], capture_output=True, text=True, check=True
    ).stdout
    assert (ROOT / "docs/policy-language.md").read_text() == printed, (
        "make it anew: interlock policy language > docs/policy-language.md"
    )

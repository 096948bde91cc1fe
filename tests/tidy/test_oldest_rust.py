"""The oldest Rust that builds Interlock is the one that is declared, in every place that names it.

Debian 13 packages Rust 1.85, and the 2024 edition begins with it. Clippy reports newer library items by itself
(`incompatible_msrv`); newer syntax and newer dependencies are looked for here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OLDEST: str = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
RUST = sorted(path for path in (ROOT / "crates").rglob("*.rs") if "/target/" not in str(path))
#: A condition as rustfmt lays it out: the line of `if` or `while`, and those that begin with an operator.
CONDITION = re.compile(r"^[^\n]*\b(?:if|while)\b(?P<condition>[^\n{]*(?:\n\s+(?:&&|\|\|)[^\n{]*)*)", re.MULTILINE)


def let_chains(text: str) -> list[int]:
    """The lines where a `let` stands beside `&&` in one condition (stable since Rust 1.88)."""
    code = re.sub(r'//[^\n]*|"(?:\\.|[^"\\])*"', "", text)
    found = []
    for match in CONDITION.finditer(code):
        condition = match["condition"]
        chained = re.search(r"&&\s*let\b", condition) or re.match(r"\s+let\b.*\n\s+&&", condition, re.DOTALL)
        if chained or re.match(r"\s+let\b[^=]*=[^|(]*(?:\([^|]*\))?\s&&\s", condition):
            found.append(code.count("\n", 0, match.start()) + 1)
    return found


@pytest.mark.parametrize(
    "chain",
    [
        "if ready && let Some(one) = next() {",
        "if let Some(one) = next() && ready {",
        "} else if let Ok(one) = first()\n    && two\n{",
        "while let Some(one) = next(1)\n    && let Some(two) = next(2)\n{",
    ],
)
def test_a_let_chain_is_found(chain: str) -> None:
    assert let_chains(chain)


def test_other_conditions_are_not_taken_for_let_chains() -> None:
    assert not let_chains("if let Some(one) = all().find(|one| ready && one.is_some()) {\n}\nif a\n    && b\n{\n}")


@pytest.mark.parametrize("path", RUST, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_condition_is_newer_than_the_oldest_rust(path: Path) -> None:
    assert not let_chains(path.read_text())


def test_every_place_names_the_same_oldest_rust() -> None:
    assert f"Rust {OLDEST}" in (ROOT / "README.md").read_text()
    assert f"{OLDEST}.0" in (ROOT / "tools/prerequisites.sh").read_text()


def test_no_locked_dependency_needs_a_newer_rust() -> None:
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not on the PATH: this needs a machine that has what the build needs")
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]
    metadata = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    floor = tuple(map(int, OLDEST.split(".")))
    newer = [
        f"{package['name']} {package['version']}: {package['rust_version']}"
        for package in json.loads(metadata.stdout)["packages"]
        if tuple(map(int, (package["rust_version"] or "1.0").split("."))) > (*floor, 0)
    ]
    assert not newer, "`cargo update -p NAME` chooses the newest that fits (resolver 3)"

"""The house rules that tools can check: size, names, openings, quarantine of unsafe code.

Left out: what needs judgement (CONTRIBUTING.md holds it), and what ruff, mypy, clippy and the import floors check.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
#: The ledger's verifier promises to be one file, so that a stranger gets it whole with a bundle and reads it alone.
ONE_FILE_BY_PROMISE = {"src/interlock/ledger/verifier.py": 850}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "service", "misc"}

PYTHON = sorted((ROOT / "src").rglob("*.py"))
#: What is checked for the length of its functions: tests and benchmarks are read as well.
PROGRAMS = PYTHON + sorted(path for part in ("tests", "bench", "examples") for path in (ROOT / part).rglob("*.py"))
RUST = sorted(path for path in (ROOT / "crates").rglob("*.rs") if "/target/" not in str(path))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PYTHON + RUST, ids=name)
def test_a_file_is_short_opens_with_its_purpose_and_has_a_name(path: Path) -> None:
    text = path.read_text()
    lines_max = ONE_FILE_BY_PROMISE.get(name(path), FILE_LINES_MAX)
    assert text.count("\n") <= lines_max, f"{name(path)} has more than {lines_max} lines"
    assert path.stem not in VAGUE_NAMES, f"{name(path)} says nothing in its name"
    if path.suffix == ".rs":
        assert text.lstrip().startswith("//!"), f"{name(path)} does not say what it is"
    elif text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{name(path)} does not say what it is"


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", PROGRAMS, ids=name)
def test_a_function_fits_a_page(path: Path) -> None:
    long = [f"{function}: {lines}" for function, lines in functions(path) if lines > FUNCTION_LINES_MAX]
    assert not long, f"{name(path)}: {long}"


@pytest.mark.parametrize("path", RUST, ids=name)
def test_unsafe_lives_in_sys_and_says_why(path: Path) -> None:
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        code = line.split("//")[0]
        if not re.search(r"\bunsafe\s*(\{|fn|impl|extern)", code):
            continue
        assert "/sys/" in str(path) or "/tests/" in str(path), f"{name(path)}:{number + 1}: unsafe outside sys/"
        before = "\n".join(lines[max(0, number - 8) : number + 1])
        assert "SAFETY" in before or "# Safety" in before, f"{name(path)}:{number + 1}: no SAFETY comment"


@pytest.mark.parametrize("path", PYTHON + RUST, ids=name)
def test_nothing_is_left_for_later_without_an_issue(path: Path) -> None:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))", line), f"{name(path)}:{number}"

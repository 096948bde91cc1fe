"""The page of numbers and tables is true of the tree: what it names is there, and nothing else relies on an inode or reads such a table."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "numbers.md").read_text()
NAMED = set(re.findall(r"`((?:crates|src|tests|spec)/[\w./-]+)`", PAGE))
#: An inode that stands for an object.
INODE = re.compile(r"\bst_ino\b|\.inode\b|\binode\(&|\bInode \{")
#: Tables and lists of the kernel that are told in parts.
TABLE = re.compile(r"/proc/(?!self/fd\")[^\"'`]*(?:mountinfo|/maps|/fd|/task|net/(?:tcp|udp|unix))\"|join\(\"children\"\)|/children\"|NLM_F_DUMP|read_dir\(\"/proc\"\)")


def sources() -> list[Path]:
    python, rust = (ROOT / "src").rglob("*.py"), (ROOT / "crates").glob("*/src/**/*.rs")
    return [path for path in [*python, *rust] if path.name not in ("set_system.py",)]


def code(path: Path) -> str:
    """Without tests, comments and docstrings."""
    text = path.read_text()
    if path.suffix == ".rs":
        return re.sub(r"//.*", "", re.sub(r"#\[cfg\(test\)\].*", "", text, flags=re.DOTALL))
    return re.sub(r"#.*", "", re.sub(r'""".*?"""', "", text, flags=re.DOTALL))


def rows() -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]


def unnamed(pattern: re.Pattern[str]) -> list[str]:
    found = {str(path.relative_to(ROOT)) for path in sources() if pattern.search(code(path))}
    return sorted(found - NAMED)


def test_what_the_page_names_is_there() -> None:
    assert len(NAMED) > 50
    assert not [name for name in sorted(NAMED) if not (ROOT / name).is_file()]


def test_each_row_has_a_place_a_reason_and_a_test() -> None:
    told = [row for row in rows() if not set(row[0]) <= {"-"} and row[0] not in ("number", "what is read")]
    assert len(told) > 30
    for row in told:
        _, where, reason, test = row
        assert re.search(r"`(crates|src)/", where) and reason and re.search(r"`(tests|spec|crates)/", test), row


def test_a_test_named_in_rust_is_one() -> None:
    tests = {name for row in rows() for name in re.findall(r"`(crates/[\w./-]+)`", row[-1])}
    assert tests
    assert not [name for name in tests if "#[test]" not in (ROOT / name).read_text()]


def test_no_other_file_relies_on_an_inode() -> None:
    assert unnamed(INODE) == []


def test_no_other_file_reads_a_table_that_may_be_told_in_parts() -> None:
    assert unnamed(TABLE) == []


def test_no_text_table_of_sockets_is_read() -> None:
    tables = re.compile(r"/net/(?:tcp|udp|unix)|\"(?:tcp6|udp6)\"")
    assert not [str(path) for path in sources() if tables.search(code(path))]

"""Random file calls, from a seed that is printed: the same outside and inside an allow-all session; nothing protected touched under a denying one.

20 new seeds of 300 calls by default, and those in `FOUND`, which once found something and are played always; INTERLOCK_LONG=1 plays 2,000.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

import pytest

from tests.escapes.arena import PROGRAMS, Arena
from tests.escapes.test_writing import state

LONG = os.environ.get("INTERLOCK_LONG") == "1"
SEEDS, CALLS = (2_000 if LONG else 20), 300
#: Seeds that once showed a difference: a name too long beside one that is absent, dots with a slash behind them made exclusively, a link to
#: a file with a slash behind it, a directory that may not be searched, types on procfs, an unreadable directory moved, a directory linked,
#: links to a descriptor that the supervisor does not have.
FOUND = [1000, 1003, 1006, 1009, 1011, 1015, 1016, 1044, 1051, 32370, 1353211, 138269182, 632449852]

ALL = """interlock: 1
name: all
rules:
  - {id: files, allow: "file.*", path: "/**"}
  - {id: programs, allow: process.exec, path: "/**"}
"""
KEPT = """interlock: 1
name: kept
rules:
  - {id: files, allow: "file.*", path: "/**"}
  - {id: programs, allow: process.exec, path: "/**"}
  - id: kept
    deny: file.change
    path: ["WORK/**/kept/**", "WORK/**/.tool/settings", "WORK/**/*.keep"]
"""


UNDELETED = KEPT.replace("deny: file.change", "deny: file.delete")
CONTENT = "as it was\n"


def seeds() -> list[int]:
    start = int(os.environ.get("INTERLOCK_SEED", secrets.randbelow(2**31)))
    print(f"INTERLOCK_SEED={start}")
    return FOUND + [start + number for number in range(SEEDS)]


def tree(top: Path) -> list[object]:
    """Everything below: names, types, modes, link counts, symlinks, contents, attributes."""
    found: list[object] = []
    for path in sorted(top.rglob("*"), key=os.fsencode):
        about = path.lstat()
        content = os.readlink(path) if stat.S_ISLNK(about.st_mode) else path.read_bytes() if stat.S_ISREG(about.st_mode) else b""
        plain = about.st_nlink if not stat.S_ISDIR(about.st_mode) else 0
        marks = os.listxattr(path, follow_symlinks=False)
        found.append((os.fsencode(path.relative_to(top)), oct(about.st_mode), plain, content, marks))
    return found


def standing(path: Path) -> tuple[object, ...]:
    """Which object there is, and all of it; a FIFO in its place is not opened."""
    try:
        about = path.lstat()
    except OSError:
        return ("absent",)
    return (*state(path), about.st_ino) if stat.S_ISREG(about.st_mode) else ("special", about.st_ino)


def place(arena: Arena, seed: int) -> Path:
    """Where a seed plays: so deep that links to `.` and dots behind them, which do climb, never climb out."""
    return arena.work / str(seed) / "/".join("d" * 24)


def play(arena: Arena, kind: str, numbers: list[int]) -> list[str]:
    """One shell command that plays every seed, each in its folder."""
    program = arena.work / "fuzz.py"
    program.write_bytes((PROGRAMS / "fuzz.py").read_bytes())
    for seed in numbers:
        place(arena, seed).mkdir(parents=True, exist_ok=True)
    arena._own()
    calls = [f"/usr/bin/python3 -S {program} {place(arena, seed)} {seed} {kind} {CALLS}" for seed in numbers]
    return ["sh", "-c", "; ".join(calls)]


@pytest.mark.timeout(7_200 if LONG else 300)
def test_random_calls_are_the_same_inside(arena: Arena) -> None:
    numbers = seeds()
    policy = arena.root / "all.yaml"
    policy.write_text(ALL)
    reports, trees = [], []
    for inside in (False, True):
        arena.build()
        command = play(arena, "same", numbers)
        done = arena.held(*command, preset="observe", policy=policy, seconds=7_000) if inside else arena.run(*command, seconds=7_000)
        assert "Traceback" not in done.errors, done.errors
        reports.append(done.output.splitlines())
        trees.append({seed: tree(arena.work / str(seed)) for seed in numbers})
    assert len(reports[0]) == CALLS * len(numbers)
    differ = [(numbers[at // CALLS], *pair) for at, pair in enumerate(zip(*reports, strict=True)) if pair[0] != pair[1]]
    assert differ[:5] == []
    assert trees[0] == trees[1]


@pytest.mark.timeout(7_200 if LONG else 300)
def test_random_calls_change_nothing_that_is_kept(arena: Arena) -> None:
    numbers = seeds()
    policy = arena.root / "kept.yaml"
    policy.write_text(KEPT.replace("WORK", str(arena.work)))
    touched = {}
    for inside in (False, True):
        arena.build()
        command = play(arena, "attack", numbers)
        before = {}
        for seed in numbers:
            folder = place(arena, seed)
            for name in ("kept/file", "kept/deep/file", ".tool/settings", "x.keep"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(CONTENT)
                before[folder / name] = ()
        arena._own()
        before = {path: standing(path) for path in before}
        done = arena.held(*command, preset="observe", policy=policy, seconds=7_000) if inside else arena.run(*command, seconds=7_000)
        assert "Traceback" not in done.errors, done.errors
        touched[inside] = [path for path, was in before.items() if standing(path) != was]
        made = [path for seed in numbers for path in (arena.work / str(seed)).rglob("*.keep") if path not in before]
        touched[inside] += made
    print(f"touched in the open: {len(touched[False])} of {4 * len(numbers)}")
    assert touched[False], "the calls touch nothing in the open, so holding them shows nothing"
    assert touched[True] == []


def remaining(folder: Path) -> int:
    """How many files still hold what they held, at names that the rule speaks of."""
    found = 0
    for path in folder.rglob("*"):
        named = "kept" in path.parent.relative_to(folder).parts or path.suffix == ".keep" or path.parts[-2:] == (".tool", "settings")
        if named and stat.S_ISREG(path.lstat().st_mode):
            found += path.read_text(errors="replace") == CONTENT
    return found


@pytest.mark.timeout(7_200 if LONG else 300)
def test_random_calls_lose_nothing_that_may_not_be_deleted(arena: Arena) -> None:
    """The same under a rule on `file.delete` alone: what is kept may be linked, moved within the rule, read and touched, and is all there."""
    numbers = seeds()
    policy = arena.root / "kept.yaml"
    policy.write_text(UNDELETED.replace("WORK", str(arena.work)))
    lost = {}
    for inside in (False, True):
        arena.build()
        command = play(arena, "attack", numbers)
        for seed in numbers:
            for name in ("kept/file", "kept/deep/file", ".tool/settings", "x.keep"):
                path = place(arena, seed) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(CONTENT)
        arena._own()
        done = arena.held(*command, preset="observe", policy=policy, seconds=7_000) if inside else arena.run(*command, seconds=7_000)
        assert "Traceback" not in done.errors, done.errors
        lost[inside] = [seed for seed in numbers if remaining(arena.work / str(seed)) < 4]
    print(f"lost something in the open: {len(lost[False])} of {len(numbers)}")
    assert lost[False], "the calls lose nothing in the open, so holding them shows nothing"
    assert lost[True] == []

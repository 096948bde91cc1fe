"""A repository whose history takes long to read holds nobody up: what it had is then not known, which is a denial that says so.

What was learnt of its commits counts for the next question.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.escapes.arena import Arena
from tests.escapes.test_tracked import git

BRANCHES, NAMES = 4_000, 4_000
TRACKED = "rm -rf .git && git init -q -b main . && echo A=1 > .env.development && git add -f . && git commit -qm first"


def lengthen(git: Path) -> None:
    """Many branches whose commits are nowhere, and a folder of packs in which each of them is looked for."""
    for number in range(NAMES):
        (git / "objects" / "pack" / f"left-{number}").touch()
    names = [hashlib.sha1(str(number).encode()).hexdigest() for number in range(BRANCHES)]
    (git / "packed-refs").write_text("".join(f"{name} refs/heads/b{number}\n" for number, name in enumerate(names)))


def test_what_takes_too_long_to_find_out_is_denied_and_said_and_found_out_later(arena: Arena) -> None:
    arena.build()
    git(arena, TRACKED)
    assert "A=1" in arena.held("cat", ".env.development").output, "the control"
    lengthen(arena.work / ".git")
    arena._own()
    asked = "for i in $(seq 60); do cat .env.development && break; echo again; done"
    ran = arena.held("sh", "-c", asked, seconds=600)
    assert ran.output.startswith("again\n") and ran.output.endswith("A=1\n"), ran.output + ran.errors
    assert "history" in ran.errors

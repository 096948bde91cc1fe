"""Races on what a call reads: the path's text, a directory exchanged with a symlink, an exec's path.

The figures are printed: tries, swaps that landed, wins; the control's wins must be above zero. 8,000 tries by default, 3,000 where
each writes or changes names, 10⁶ by `make races`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.escapes.arena import SECRET, Arena
from tests.escapes.test_writing import state
from tests.tries import LONG, seconds, tries

TRIES, SECONDS = tries(8_000), seconds(100)
#: Of what writes: each try is several calls that the session's record has to have.
WRITES = tries(3_000)
CONTROL_TRIES = 100_000
CONTROL_SECONDS = "20" if LONG else "6"

pytestmark = pytest.mark.race


def figures(label: str, output: str) -> tuple[int, int, int]:
    tries, swaps, wins = map(int, output.split()[-3:])
    print(f"{label}: {tries} tries, {swaps} swaps, {wins} wins")
    return tries, swaps, wins


def lay(arena: Arena) -> dict[str, Path]:
    """A public and a secret file of one name, and a directory that will be exchanged with a symlink to the secret's.

    The name is innocent, so that policy has nothing against exchanging the directory: only what it resolves to is secret.
    """
    arena.build()
    secret = arena.key.parent / "plain"
    secret.write_text(SECRET + "\n")
    public = arena.work / "race-aaaa"
    public.mkdir()
    (public / "plain").write_text("public\n")
    link = arena.work / "race-link"
    link.symlink_to(arena.key.parent)
    arena._own()
    return {"public": public / "plain", "secret": secret, "directory": public, "link": link}


def race(arena: Arena, kind: str, allowed: Path, secret: Path, one: Path, two: Path) -> None:
    command = [arena.work / "race", kind, allowed, secret, one, two]
    control = figures(f"{kind} control", arena.run(*command, str(CONTROL_TRIES), CONTROL_SECONDS).output)
    lay(arena)
    held = arena.held(*command, str(TRIES), str(SECONDS), seconds=2 * SECONDS + 60)
    tried, swaps, wins = figures(f"{kind} held", held.output)
    assert control[2] > 0, "the race cannot be won in the open, so holding it shows nothing"
    assert wins == 0
    assert swaps > 0
    assert tried >= min(TRIES, 1_000), held.errors


@pytest.mark.timeout(3 * SECONDS + 200)
def test_two_threads_race_the_text_of_a_path(arena: Arena) -> None:
    places = lay(arena)
    race(arena, "read-text", places["public"], places["secret"], places["directory"], places["link"])


@pytest.mark.timeout(3 * SECONDS + 200)
def test_a_directory_is_exchanged_with_a_symlink(arena: Arena) -> None:
    places = lay(arena)
    race(arena, "read-exchange", places["public"], places["secret"], places["directory"], places["link"])


@pytest.mark.timeout(3 * SECONDS + 200)
def test_a_write_is_raced_into_the_hooks(arena: Arena) -> None:
    """The directory written to is exchanged with a symlink to the hooks: nothing may land there."""

    def hooks() -> tuple[Path, Path, Path]:
        lay(arena)
        free = arena.work / "free"
        free.mkdir()
        link = arena.work / "free-link"
        link.symlink_to(arena.hook.parent)
        arena._own()
        return free / "pre-commit", free, link

    allowed, free, link = hooks()
    command = [arena.work / "race", "write-exchange", allowed, arena.hook, free, link]
    control = figures("write-exchange control", arena.run(*command, str(CONTROL_TRIES), CONTROL_SECONDS).output)
    assert control[1] > 0
    print("write-exchange control: the hook was planted" if arena.hook.exists() else "write-exchange control: nothing landed")
    assert arena.hook.exists(), "the race cannot be won in the open"
    hooks()
    held = arena.held(*command, str(WRITES), str(SECONDS), seconds=2 * SECONDS + 60)
    assert figures("write-exchange held", held.output)[1] > 0
    assert not arena.hook.exists()


@pytest.mark.timeout(3 * SECONDS + 200)
def test_names_made_moved_and_changed_are_raced_into_the_hooks(arena: Arena) -> None:
    """Fourteen calls by name, the directory exchanged with a symlink to the hooks under each: no name, content or metadata there changes."""

    def hooks() -> tuple[Path, Path]:
        lay(arena)
        free, link = arena.work / "free", arena.work / "free-link"
        free.mkdir()
        link.symlink_to(arena.hook.parent)
        for folder in (free, arena.hook.parent):
            (folder / "post-merge").write_text("as it was\n")
        (arena.work / "spare").write_text("spare\n")
        arena._own()
        return free, link

    def standing() -> dict[str, object]:
        return {path.name: state(path) if path.is_file() else "special" for path in arena.hook.parent.iterdir()}

    free, link = hooks()
    before = standing()
    command = [arena.work / "race", "names-exchange", "-", "-", free, link]
    control = figures("names-exchange control", arena.run(*command, str(CONTROL_TRIES if LONG else 20_000), CONTROL_SECONDS).output)
    won = standing()
    print(f"names-exchange control: the hooks changed from {sorted(before)} to {sorted(won)}")
    assert control[1] > 0
    assert won != before, "the race cannot be won in the open"
    free, link = hooks()
    before = standing()
    ran = arena.held(*command, str(WRITES), str(SECONDS), seconds=2 * SECONDS + 60)
    held = figures("names-exchange held", ran.output)
    assert held[1] > 0
    assert held[0] >= 1_000
    assert standing() == before


@pytest.mark.timeout(3 * SECONDS + 200)
def test_the_path_of_an_exec_is_raced(arena: Arena) -> None:
    """Two programs of like names, one of them denied: it must never run, however the name is swapped under the call."""
    policy = arena.root / "denied.yaml"
    policy.write_text(
        "interlock: 1\nname: denied\nrules:\n  - id: forbidden\n    deny: process.exec\n"
        f"    path: {arena.work}/run-bbbb\n"
    )

    def programs() -> tuple[Path, Path, Path]:
        lay(arena)
        mark = arena.work / "ran-forbidden"
        for name, body in (("run-aaaa", "#!/bin/sh\nexit 0\n"), ("run-bbbb", f"#!/bin/sh\necho x >> {mark}\n")):
            (arena.work / name).write_text(body)
            (arena.work / name).chmod(0o755)
        arena._own()
        return arena.work / "run-aaaa", arena.work / "run-bbbb", mark

    allowed, denied, mark = programs()
    command = [arena.work / "race", "exec-text", allowed, denied, "-", "-", str(tries(1_000, 10_000)), str(SECONDS)]
    figures("exec-text control", arena.run(*command, seconds=2 * SECONDS + 60).output)
    print(f"exec-text control: the forbidden program ran {mark.read_text().count('x') if mark.exists() else 0} times")
    assert mark.exists(), "the race cannot be won in the open"
    programs()
    held = arena.held(*command, policy=policy, seconds=2 * SECONDS + 60)
    assert figures("exec-text held", held.output)[1] > 0
    assert not mark.exists()


def test_the_arena_itself_is_honest(arena: Arena) -> None:
    """Outside, the secret is readable and the programs run: else every control above would be hollow."""
    arena.build()
    assert SECRET in arena.run("cat", arena.key).output
    shutil.copy2(arena.root / "race", arena.work / "race")
    assert arena.run(arena.work / "attack", "announce", "x").output == "ran x\n"

"""Two sessions at work in one workspace do not win together what neither wins alone: each is somebody outside to the
other, and both are hostile.

Each attack is first seen to succeed without Interlock. The judge looks, outside, at the names that something would run.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.escapes.arena import Arena, Outcome, both_ways
from tests.escapes.test_opened_folders import holds, lay_out
from tests.tries import seconds, tries

TRIES, SECONDS = tries(2_000), seconds(60)
CONTROLS_MAX, CONTROL_SECONDS = 5, 20

#: What one session does, and the name that the other one then plants below.
TAKEN = {
    "moved away": ("mv packages/app away", "packages/app"),
    "removed": ("rm -r packages/app", "packages/app"),
    "the folder above moved away": ("mv packages away", "packages"),
    "a link removed": ("rm current", "current"),
    "a file removed": ("rm packages/file", "packages/file"),
}


def together(run: Callable[..., Outcome], first: list[str], second: list[str]) -> tuple[Outcome, Outcome]:
    """Both at the same time."""
    with ThreadPoolExecutor(1) as other:
        running = other.submit(run, *second, seconds=2 * SECONDS + 60)
        done = run(*first, seconds=2 * SECONDS + 60)
        return done, running.result()


@pytest.mark.parametrize("at", ["once", "one-after-the-other"])
@pytest.mark.parametrize("taken", TAKEN, ids=lambda name: name.replace(" ", "-"))
def test_what_one_session_took_away_is_known_to_another(arena: Arena, taken: str, at: str) -> None:
    take, folder = TAKEN[taken]
    plant = f"mkdir -p {folder}/.vscode; echo evil > {folder}/.vscode/tasks.json; true"
    wait = "touch there; for i in $(seq 600); do [ -e gone ] && break; sleep 0.05; done; "
    ready = "for i in $(seq 600); do [ -e there ] && break; sleep 0.05; done; "

    def won(run: Callable[..., Outcome]) -> bool:
        lay_out(arena)
        commit = "git -c user.name=a -c user.email=a@b commit -qm all"
        made = arena.run("sh", "-c", f"rm -rf .git; git init -q && git add -A packages current && {commit}")
        assert made.code == 0, made
        if at == "once":
            together(run, ["sh", "-c", f"{ready}{take}; touch gone"], ["sh", "-c", wait + plant])
        else:
            run("sh", "-c", take)
            run("sh", "-c", plant)
        return holds(arena.work / folder / ".vscode/tasks.json")

    assert both_ways(arena, won) == (True, False)


#: One session moves a free folder to a protected name and back, until the other one is done.
MOVES = """
import os, sys
free, shut, over = sys.argv[1:]
swaps = wins = 0
while not os.path.exists(over):
    for one, other in ((free, shut), (shut, free)):
        try:
            os.rename(one, other)
            swaps += 1
        except OSError:
            pass
        wins += os.path.lexists(shut + "/pre-commit")
print("swaps", swaps, "wins", wins)
"""
#: The other one makes something in that folder, over and over.
MAKES = """
import os, socket, sys, time
way, free, over, tries, seconds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
name = free + "/pre-commit"
def make():
    if way == "made": os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o755))
    elif way == "linked": os.link("spare", name)
    elif way == "renamed":
        os.close(os.open("moving", os.O_CREAT | os.O_WRONLY, 0o755))
        os.rename("moving", name)
    elif way == "a link": os.symlink("spare", name)
    elif way == "bound": socket.socket(socket.AF_UNIX).bind(name)
    else: os.mkdir(name)
made = tried = 0
until = time.monotonic() + seconds
while tried < tries and time.monotonic() < until:
    tried += 1
    try:
        make()
        made += 1
    except OSError:
        pass
    try: os.rmdir(name) if way == "a folder" else os.unlink(name)
    except OSError: pass
open(over, "w").close()
print("tried", tried, "made", made)
"""


@pytest.mark.race
@pytest.mark.timeout(3 * SECONDS + CONTROLS_MAX * CONTROL_SECONDS + 200)
@pytest.mark.parametrize("way", ["made", "linked", "renamed", "a link", "bound", "a folder"])
def test_what_one_session_makes_does_not_come_along_where_another_moves_its_folder(arena: Arena, way: str) -> None:
    def raced(run: Callable[..., Outcome], count: int, at_most: float) -> tuple[int, int, int]:
        arena.build()
        (arena.work / "free").mkdir()
        (arena.work / "spare").write_text("OWNED")
        arena.hook.parent.rmdir()
        arena._own()
        over = str(arena.work / "over")
        makes = ["/usr/bin/python3", "-c", MAKES, way, "free", over, str(count), str(at_most)]
        made, moved = together(run, makes, ["/usr/bin/python3", "-c", MOVES, "free", str(arena.hook.parent), over])
        words = [*made.output.split(), *moved.output.split()]
        assert words[::2] == ["tried", "made", "swaps", "wins"], (made, moved)
        tried, _, swaps, wins = map(int, words[1::2])
        print(f"{way} {run.__name__}: {tried} tried, {swaps} swaps, {wins} wins")
        return tried, swaps, wins + arena.hook.exists()

    controls = (raced(arena.run, 20_000, CONTROL_SECONDS)[2] for _ in range(CONTROLS_MAX))
    assert any(controls), "the race cannot be won in the open"
    tried, swaps, wins = raced(arena.held, TRIES, SECONDS)
    assert swaps > 0
    assert tried >= min(TRIES, 500)
    assert wins == 0


def test_no_session_takes_the_lock_by_which_sessions_agree(arena: Arena) -> None:
    arena.build()
    assert arena.held("true").code == 0
    [keys] = (arena.root / "state").rglob("keys")
    take = f"exec 9< {keys}; flock -x 9 && touch held; sleep 2"
    arena.run("sh", "-c", take)
    assert (arena.work / "held").exists(), "the control"
    for preset in ("coding-agent", "observe"):
        arena.build()
        move = ["sh", "-c", "sleep 0.5; mkdir a && mv a b && echo moved"]
        moved, _ = together(partial(arena.held, preset=preset), move, ["sh", "-c", take])
        assert moved.output == "moved\n" and not (arena.work / "held").exists(), moved

"""A folder that a person knows, exchanged with a link: asked about where the folder could become a repository, and free where it cannot.

Each attack is first seen to succeed without Interlock; the judge is git, run outside after the session.
"""

from __future__ import annotations

import pytest

from tests.escapes.arena import Arena
from tests.escapes.test_led_git import EVIL, PLANT, REPOSITORY, planted_both_ways

EXCHANGE = "import ctypes, sys; a, b = (x.encode() for x in sys.argv[1:]); sys.exit(-ctypes.CDLL(None).renameat2(-100, a, -100, b, 2))"
SWAP = f"python3 -c '{EXCHANGE}' "
STATUS = "cd src; git --work-tree=.. status"

#: What was there before, what the session does, and what a person does then.
ATTACKS = {
    "a link into the git directory": (
        "",
        EVIL + f"mv evil .git/evil; ln -s .git/evil link; {SWAP} src link",
        STATUS,
    ),
    "the same the other way round": (
        "",
        EVIL + f"mv evil .git/evil; ln -s .git/evil link; {SWAP} link src",
        STATUS,
    ),
    "the same, made a repository after": (
        "mkdir .git/own; ln -s .git/own link",
        EVIL + f"{SWAP} src link; mv evil/* .git/own",
        STATUS,
    ),
    "a link of before to dependencies": (
        "mkdir -p node_modules/own; ln -s node_modules/own link",
        EVIL + f"{SWAP} src link; mv evil/* node_modules/own",
        STATUS,
    ),
    "a folder among the hooks": (
        "mkdir -p .git/hooks/own; ln -s .git/hooks link",
        EVIL + f"{SWAP} src link; mv evil/* .git/hooks/own",
        "cd src/own; git --work-tree=../.. status",
    ),
    "a link among the hooks": (
        "ln -s ../own .git/hooks/own; mkdir .git/own; ln -s .git/hooks link",
        EVIL + f"{SWAP} src link; mv evil/* .git/own",
        "cd src/own; git --work-tree=../.. status",
    ),
    "the way to the hooks is a link": (
        "mkdir -p .git/own; ln -s own .git/way; mkdir .git/own/hooks; ln -s .git/way/hooks link",
        EVIL + f"{SWAP} src link; mkdir -p .git/other/hooks; mv evil/* .git/other/hooks; ln -sfn other .git/way",
        STATUS,
    ),
    "the hooks exchanged with another folder after": (
        "mkdir -p .git/hooks; ln -s .git/hooks link",
        EVIL + f"{SWAP} src link; mv evil .git/evil; {SWAP} .git/evil .git/hooks",
        STATUS,
    ),
    "the hooks led elsewhere after": (
        "rm -rf .git/hooks; mkdir .git/hooks; ln -s .git/hooks link",
        EVIL + f"{SWAP} src link; rmdir .git/hooks; mv evil .git/evil; ln -s evil .git/hooks",
        STATUS,
    ),
    "a repository among the hooks, which the session leads elsewhere": (
        "cp -r .git/objects .git/refs .git/HEAD .git/hooks/; ln -s .git/hooks link",
        f'printf "{PLANT}" > .git/hooks/config; {SWAP} src link',
        STATUS,
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_exchange_makes_a_folder_a_repository(arena: Arena, name: str) -> None:
    assert planted_both_ways(arena, *ATTACKS[name]) == (True, False)


#: What was there before, and the two that change places: nothing of it can become a repository.
ORDINARY = {
    "two folders": ("mkdir a b", "a b"),
    "two folders, one with a link to the hooks": ("mkdir a b; ln -s ../.git/hooks a/link", "a b"),
    "two folders, one with a link to another": ("mkdir a b c; ln -s ../c a/link", "a b"),
    "a folder and a link to the hooks": ("mkdir -p a .git/hooks; ln -s .git/hooks b", "a b"),
    "the same the other way round": ("mkdir -p a .git/hooks; ln -s .git/hooks b", "b a"),
    "a folder and a link to another": ("mkdir a c; ln -s c b", "a b"),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_exchange_takes_place_without_a_question(arena: Arena, name: str) -> None:
    before, two = ORDINARY[name]
    arena.build()
    ready = arena.run("sh", "-c", REPOSITORY + before)
    assert ready.code == 0, ready.errors
    one, other = ((arena.work / path).lstat().st_ino for path in two.split())
    held = arena.held("sh", "-c", SWAP + two)
    assert held.code == 0, held.errors
    assert "approval" not in held.errors
    assert [(arena.work / path).lstat().st_ino for path in two.split()] == [other, one]


def test_a_head_among_the_hooks_asks(arena: Arena) -> None:
    """What would come to the folder's name is there already: nobody knows what for."""
    arena.build()
    assert (
        arena.run("sh", "-c", REPOSITORY + "mkdir -p a .git/hooks; cp .git/HEAD .git/hooks; ln -s .git/hooks b").code
        == 0
    )
    held = arena.held("sh", "-c", SWAP + "a b")
    assert held.code != 0
    assert "repository-made" in held.errors

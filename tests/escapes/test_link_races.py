"""Races on links: made, linked and moved into a folder that becomes a protected name meanwhile; and the names by which they lead, re-pointed.

Short by default; 10⁶ tries of each by `make races`. The figures are printed. The judge looks outside, after the session: whether a protected
name leads to what the session wrote.
"""

from __future__ import annotations

import pytest

from tests.escapes.arena import Arena
from tests.tries import seconds, tries

TRIES, SECONDS = tries(1_000), seconds(120)
CONTROL_TRIES = 1_000_000

pytestmark = pytest.mark.race

RACES = {
    "symlink": "a link is made in a folder that becomes a repository",
    "link": "a link is linked there",
    "move": "a link is moved there",
    "carry": "a link is put into the folder that is moved",
    "repoint": "a link at a protected name is made while the next link is re-pointed",
    "through": "the folder on its way is exchanged with a link",
}


def lay(arena: Arena) -> None:
    arena.build()
    (arena.work / "ready").mkdir()
    (arena.work / "f").mkdir()  # from before: in a folder of the session's own such names are listed, not denied
    for name in ("post-update", "tasks.json"):
        (arena.work / "ready" / name).write_text("OWNED")
    arena._own()


def leads(arena: Arena) -> bool:
    names = (arena.work / "s.git/hooks/post-update", arena.work / "f/.vscode/tasks.json")
    return any(name.exists() and name.read_text() == "OWNED" for name in names)


@pytest.mark.timeout(3 * SECONDS + 200)
@pytest.mark.parametrize("race", RACES)
def test_no_race_makes_a_protected_name_lead_elsewhere(arena: Arena, race: str) -> None:
    lay(arena)
    control = arena.run(arena.work / "relink", race, str(CONTROL_TRIES), seconds=SECONDS)
    assert leads(arena), f"the race cannot be won in the open: {control.output}"
    lay(arena)
    held = arena.held(arena.work / "relink", race, str(TRIES), str(SECONDS), seconds=2 * SECONDS + 60)
    print(f"{RACES[race]}: control {control.output.strip()}; held {held.output.strip()}")
    tried, swaps, won = (int(words.split()[0]) for words in held.output.strip().split(","))
    assert (won, leads(arena)) == (0, False)
    assert swaps > 0 and tried >= min(TRIES, 1_000)

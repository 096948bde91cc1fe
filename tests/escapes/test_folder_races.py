"""A folder is renamed to a protected name and back, over and over, while something is made, bound, linked or renamed into it.

Nothing that was put there may be found at the protected name. 10⁶ tries of each by `make races`; the figures are printed.
"""

from __future__ import annotations

import pytest

from tests.escapes.arena import Arena
from tests.escapes.test_races import CONTROL_SECONDS, figures
from tests.tries import seconds, tries

TRIES, SECONDS = tries(4_000), seconds(100)
#: The control is played until it was won, this often at most: `renamed` is won once in some thousands on a loaded machine.
CONTROLS_MAX, CONTROL_TRIES = 10, 20_000
#: How it comes into the folder, as `race.c` calls it.
WAYS = {"made": "rename-under", "bound": "rename-under-bind", "linked": "rename-under-link", "renamed": "rename-under-rename"}

pytestmark = pytest.mark.race


def lay(arena: Arena) -> list[str]:
    """A free folder, a file to be linked and renamed, and no hooks; what the program is given."""
    arena.build()
    free = arena.work / "free"
    free.mkdir()
    (arena.work / "spare").write_text("OWNED")
    arena.hook.parent.rmdir()
    arena._own()
    return list(map(str, (free / "pre-commit", "pre-commit", free, arena.hook.parent)))


@pytest.mark.timeout(3 * SECONDS + 200)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_put_into_a_folder_that_becomes_the_hooks(arena: Arena, way: str) -> None:
    race = [str(arena.work / "race"), WAYS[way]]
    for _ in range(CONTROLS_MAX):
        control = figures(f"{way} control", arena.run(*race, *lay(arena), str(CONTROL_TRIES), CONTROL_SECONDS).output)
        if control[2] > 0:
            break
    assert control[2] > 0, "the race cannot be won in the open"
    held = arena.held(*race, *lay(arena), str(TRIES), str(SECONDS), seconds=2 * SECONDS + 60)
    tried, swaps, wins = figures(f"{way} held", held.output)
    assert swaps > 0
    assert wins == 0
    assert tried >= min(TRIES, 1_000), held.errors
    assert not arena.hook.exists()

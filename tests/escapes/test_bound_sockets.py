"""A unix socket is made in the folder that was judged, whatever becomes of the names and places around it meanwhile.

The kernel walks a bind's path when it makes the socket, so every race is on that second walk: a symlink on the way, the
folder that another thread of the caller moves to, a number in `/proc/self/fd` that means something else to the
supervisor, a folder that somebody outside moves. The judge looks into the hooks afterwards.
"""

from __future__ import annotations

import ctypes
import os
import stat
import threading
import time
from pathlib import Path

import pytest

from tests.escapes.arena import Arena
from tests.tries import seconds, tries

TRIES, SECONDS = tries(1_500), seconds(20)
#: The control is played until it was won, this often at most, a second each.
CONTROLS_MAX = 12
PROGRAM = """
# What is free is the workspace itself, above the hooks: a wall around it alone would let both.
import os, socket, sys, threading, time
way, seconds, most = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
until, hooks = time.monotonic() + seconds, os.path.abspath(".git/hooks")
def link():
    while time.monotonic() < until:
        for target in (".", ".git/hooks"):
            try: os.symlink(target, "next"); os.rename("next", "way")
            except OSError: pass
def moving():
    while time.monotonic() < until:
        os.chdir(work); os.chdir(hooks)
def numbers():
    while time.monotonic() < until:
        for act in (lambda: os.mkdir(f"{hooks}/x"), lambda: os.listdir(hooks), lambda: open(f"{hooks}/y", "w")):
            try: act()
            except OSError: pass
work = os.getcwd()
others = {"link": [link], "moving": [moving], "numbers": [numbers] * 4}[way]
for other in others: threading.Thread(target=other, daemon=True).start()
if way == "numbers":
    for number in range(10, 60): os.dup2(os.open(work, os.O_PATH), number)
tries = bound = 0
while tries < most and time.monotonic() < until:
    name = {"link": f"way/s{tries}", "moving": f"s{tries}", "numbers": f"/proc/self/fd/{10 + tries % 50}/s{tries}"}[way]
    try: socket.socket(socket.AF_UNIX).bind(name); bound += 1
    except OSError: pass
    tries += 1
print(tries, bound, flush=True)
os._exit(0)
"""
#: Binds unique names in a folder that somebody outside moves, and says what came of each.
OUTSIDE = """
import os, socket, sys, time
for number in range(int(sys.argv[1])):
    try: socket.socket(socket.AF_UNIX).bind(f"free/s{number}"); print(f"s{number}", "made")
    except OSError as error: print(f"s{number}", error.errno)
"""
RENAME_EXCHANGE = 2


def sockets(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if stat.S_ISSOCK(path.lstat().st_mode))


@pytest.mark.race
@pytest.mark.timeout(3 * SECONDS + 200)
@pytest.mark.parametrize("way", ["link", "moving", "numbers"])
def test_no_race_of_the_session_makes_a_socket_among_the_hooks(arena: Arena, way: str) -> None:
    if way != "numbers":  # natively a number means the caller's own folder: there is nothing to win
        for _ in range(CONTROLS_MAX):
            arena.build()
            arena.run("/usr/bin/python3", "-c", PROGRAM, way, "1", "1000000")
            if sockets(arena.hook.parent):
                break
        assert sockets(arena.hook.parent), "the race cannot be won in the open"
    arena.build()
    held = arena.held("/usr/bin/python3", "-c", PROGRAM, way, str(SECONDS), str(TRIES), seconds=2 * SECONDS + 60)
    tried, bound = map(int, held.output.split()[-2:])
    print(f"{way}: {tried} tries, {bound} bound")
    assert sockets(arena.hook.parent) == []
    assert tried > 100 and bound > 0, held.errors


@pytest.mark.timeout(120)
def test_what_is_told_as_failed_was_not_made_though_somebody_outside_moves_the_folder(arena: Arena) -> None:
    """The folder and the hooks are exchanged from outside all the time. A socket may come to lie among the hooks that
    way, as whatever lies in a folder does; one that the caller was told is not there must not be there.
    """
    arena.build()
    free = arena.work / "free"
    free.mkdir()
    arena._own()
    done = threading.Event()
    libc = ctypes.CDLL(None)

    def exchange() -> None:
        pair = os.fsencode(free), os.fsencode(arena.hook.parent)
        while not done.is_set():
            libc.renameat2(-100, pair[0], -100, pair[1], RENAME_EXCHANGE)
            time.sleep(0.0005)

    outside = threading.Thread(target=exchange)
    outside.start()
    held = arena.held("/usr/bin/python3", "-c", OUTSIDE, "1500")
    done.set()
    outside.join()
    told = dict(line.split() for line in held.output.splitlines())
    there = {*sockets(free), *sockets(arena.hook.parent)}
    assert len(told) == 1500, held.errors
    made = {name for name, answer in told.items() if answer == "made"}
    print(f"{len(made)} made, {len(told) - len(made)} refused")
    assert made and made != set(told)
    assert there == made


def test_a_socket_has_the_name_that_its_program_gave_it(arena: Arena) -> None:
    """As natively, and with the umask of its maker: peers and `getsockname` see the text; through a magic link the
    place is right and the text is not.
    """
    script = (
        "import os,socket,stat; os.mkdir('d'); os.symlink('d','l'); os.umask(0o027); here=os.getcwd()\n"
        "def bind(name):\n"
        "    s=socket.socket(socket.AF_UNIX); s.bind(name); s.listen()\n"
        "    c=socket.socket(socket.AF_UNIX); c.connect(name)\n"
        "    return s.getsockname(), c.getpeername()\n"
        "for name in ('a', './b', 'd/c', 'l/e', 'd/../f', here+'/d/g', 'x'*107):\n"
        "    assert bind(name)==(name,name), name\n"
        "number=os.open('d', os.O_PATH); bind(f'/proc/self/fd/{number}/h'); bind(f'/dev/fd/{number}/i')\n"
        "assert sorted(os.listdir('d'))==['c','e','g','h','i'], os.listdir('d')\n"
        "print({oct(stat.S_IMODE(os.lstat('d/'+n).st_mode)) for n in os.listdir('d')})\n"
    )
    for run in (arena.run, arena.held):
        arena.build()
        ran = run("/usr/bin/python3", "-c", script)
        assert ran.output == "{'0o750'}\n", ran.errors

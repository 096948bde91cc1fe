"""`file.delete` means what is lost, not what the call is named: overwriting, cutting short, moving out and replacing count, for a rule that denies
or asks about deleting. Each way is first shown to lose the file; what loses nothing still works under the same rule.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.escapes.arena import Arena, both_ways

PRECIOUS = "precious\n"
#: Each loses what `kept/file` holds, or takes it away from its name.
LOSES = {
    "unlink": "rm kept/file",
    "redirect": "echo other > kept/file",
    "redirect nothing": ": > kept/file",
    "read-only truncation": "python: os.open('kept/file', os.O_RDONLY | os.O_TRUNC)",
    "truncate": "truncate -s 0 kept/file",
    "truncate by path": "python: os.truncate('kept/file', 3)",
    "cut short by descriptor": "python: os.ftruncate(os.open('kept/file', os.O_RDWR), 0)",
    "overwrite in place": "dd if=spare of=kept/file conv=notrunc status=none",
    "overwrite by append and flag": "python: import fcntl; f = os.open('kept/file', os.O_WRONLY | os.O_APPEND); fcntl.fcntl(f, fcntl.F_SETFL, 0); os.pwrite(f, b'x', 0)",
    "mapped": "python: import mmap; m = mmap.mmap(os.open('kept/file', os.O_RDWR), 0); m[0:1] = b'x'; m.flush()",
    "copy over": "cp spare kept/file",
    "through a symlink": "ln -s kept/file link; echo other > link",
    "through proc": "python: f = os.open('kept/file', os.O_RDONLY); os.open(f'/proc/self/fd/{f}', os.O_WRONLY | os.O_TRUNC)",
    "through an O_PATH descriptor": "python: f = os.open('kept/file', os.O_PATH); os.truncate(f'/proc/self/fd/{f}', 0)",
    "through the shell's descriptor": "cd kept; exec 3<file; echo other > /proc/self/fd/3",
    "rename over": "mv spare kept/file",
    "exchange": "python: import ctypes; ctypes.CDLL(None).renameat2(-100, b'spare', -100, b'kept/file', 2)",
    "exchange the other way": "python: import ctypes; ctypes.CDLL(None).renameat2(-100, b'kept/file', -100, b'spare', 2)",
    "link over": "ln -f spare kept/file",
    "link out and overwrite": "ln kept/file elsewhere; echo other > elsewhere",
    "link out by descriptor": "exec 3<kept/file; ln -L /proc/self/fd/3 elsewhere; echo other > elsewhere",
    "move out": "mv kept/file elsewhere",
    "move the folder out": "mv kept elsewhere",
    "move the folder's folder": "mv top elsewhere",
    "exchange the folder": "mkdir empty; touch empty/x; python: import ctypes; ctypes.CDLL(None).renameat2(-100, b'empty', -100, b'kept', 2)",
    "move out by descriptor": "python: os.rename('file', 'elsewhere', src_dir_fd=os.open('kept', os.O_RDONLY), dst_dir_fd=os.open('.', os.O_RDONLY))",
}
#: Each works under the same rule.
LOSES_NOTHING = {
    "read": "cat kept/file",
    "make": "echo new > kept/new && grep -q new kept/new",
    "fill what is empty": ": > kept/new && echo filled >> kept/new && grep -q filled kept/new",
    "rename within": "mv kept/file kept/other && mv kept/other kept/file",
    "move in": "mv spare kept/spare && test -e kept/spare",
    "link within": "ln kept/file kept/alias && test -e kept/alias",
    "metadata": "chmod 600 kept/file && touch kept/file",
    "beside": "echo x > spare && mv spare other && rm other",
}


def lay(arena: Arena) -> Path:
    arena.build()
    for folder in (arena.work / "kept", arena.work / "top" / "kept"):
        folder.mkdir(parents=True)
        (folder / "file").write_text(PRECIOUS)
    (arena.work / "spare").write_text("SPARE IN ITS PLACE\n")
    arena._own()
    policy = arena.root / "kept.yaml"
    policy.write_text(
        "interlock: 1\nname: kept\nrules:\n"
        f"  - {{id: work, allow: ['file.*', process.exec], path: '{arena.work}/**'}}\n"
        f"  - {{id: keep, deny: file.delete, path: ['{arena.work}/kept/**', '{arena.work}/top/kept/**']}}\n"
    )
    return policy


def command(text: str) -> list[str]:
    before, python, script = text.partition("python: ")
    if not python:
        return ["sh", "-c", text]
    return ["sh", "-c", f'{before or ":;"} exec /usr/bin/python3 -c "$0"', "import os; " + script]


def lost(arena: Arena) -> bool:
    places = [arena.work / "kept" / "file", arena.work / "top" / "kept" / "file"]
    return any(not place.is_file() or place.read_text() != PRECIOUS for place in places)


@pytest.mark.parametrize("way", LOSES)
def test_what_is_kept_is_not_lost(arena: Arena, way: str) -> None:
    def attack(run: Callable[..., Any]) -> bool:
        policy = lay(arena)
        run(*command(LOSES[way]), **({} if run == arena.run else {"policy": policy}))
        return lost(arena)

    control, won = both_ways(arena, attack)
    assert control, "nothing is lost in the open"
    assert not won


@pytest.mark.parametrize("way", LOSES_NOTHING)
def test_what_loses_nothing_works(arena: Arena, way: str) -> None:
    policy = lay(arena)
    done = arena.held(*command(LOSES_NOTHING[way]), policy=policy)
    assert done.code == 0, done.errors
    assert not lost(arena)


#: Each loses the file without the verb that the rule names besides deletion.
PAST = {
    "file.write": ["truncate by path", "read-only truncation", "through an O_PATH descriptor", "rename over", "link out and overwrite"],
    "file.truncate": ["overwrite in place", "mapped", "move out"],
    "file.rename": ["truncate by path", "redirect", "link out and overwrite"],
    "file.link": ["truncate by path", "redirect", "move out"],
}


@pytest.mark.parametrize(("verb", "way"), [(verb, way) for verb, ways in PAST.items() for way in ways])
def test_a_rule_on_deleting_and_another_verb_is_not_passed_by_a_third(arena: Arena, verb: str, way: str) -> None:
    policy = lay(arena)
    policy.write_text(policy.read_text().replace("deny: file.delete", f"deny: [file.delete, {verb}]"))
    arena.held(*command(LOSES[way]), policy=policy)
    assert not lost(arena)


def test_writing_needs_no_leave_to_delete(arena: Arena) -> None:
    """An allow of reading and writing alone is enough to write: only a rule that speaks of deletion holds it."""
    lay(arena)
    policy = arena.root / "write.yaml"
    system = "  - {id: system, allow: [file.read, process.exec], path: ['/**']}\n"
    policy.write_text(f"interlock: 1\nname: write\nrules:\n{system}  - {{id: write, allow: [file.write, file.truncate], path: '{arena.work}/**'}}\n")
    interlock = str(arena.python.parent / "interlock")
    done = arena.run(interlock, "run", "--policy", policy, "--workspace", arena.work, "--", "sh", "-c", "echo other > kept/file; rm kept/file")
    assert (arena.work / "kept" / "file").read_text() == "other\n", done.errors

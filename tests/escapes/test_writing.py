"""Planting what would run later: tool configuration, hooks, by every route (SymJack and its relatives)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.escapes.arena import Arena, both_ways

PLANT = [
    "write",
    "creat",
    "append",
    "tmpfile",
    "write-link",
    "write-rename",
    "write-renameat2",
    "write-hard-link",
    "write-symlink",
]
CHANGE = [
    "open-trunc",
    "truncate",
    "unlink",
    "chmod",
    "fchmod",
    "fchmodat2",
    "utimensat",
    "futimens",
    "setxattr",
    "setflags",
]
SPARE = {"write-link", "write-rename", "write-renameat2", "write-hard-link", "write-symlink", "write-parent-rename"}


def state(path: Path) -> tuple[object, ...]:
    """All that a protected file's owner would not want changed."""
    import subprocess

    if not path.exists() and not path.is_symlink():
        return ("absent",)
    stat = path.stat()
    listed = subprocess.run(["lsattr", path], capture_output=True, text=True).stdout.split(" ")[0]
    import os

    return path.read_bytes(), stat.st_mode, stat.st_mtime_ns, stat.st_uid, tuple(os.listxattr(path)), listed


@pytest.mark.parametrize("route", PLANT)
@pytest.mark.parametrize("place", ["configuration", "hook"])
def test_a_file_that_does_not_exist_yet_is_not_planted(arena: Arena, route: str, place: str) -> None:
    target: Path = getattr(arena, place)
    spare = [arena.work / "innocent"] if route in SPARE else []

    def attack(run: object) -> bool:
        run(arena.work / "attack", route, target, *spare)  # type: ignore[operator]
        return state(target) != ("absent",)

    control, won = both_ways(arena, attack)
    assert control
    assert not won


def test_a_prepared_directory_does_not_become_the_hooks(arena: Arena) -> None:
    control, won = both_ways(
        arena,
        lambda run: (
            run(arena.work / "attack", "write-parent-rename", arena.hook, arena.work / "ready") and arena.hook.exists()
        ),
    )
    assert control
    assert not won


@pytest.mark.parametrize("route", CHANGE)
def test_an_existing_configuration_stays_as_it_is(arena: Arena, route: str) -> None:
    target = arena.work / ".claude" / "settings.json"

    def attack(run: object) -> bool:
        before = state(target)
        run(arena.work / "attack", route, target)  # type: ignore[operator]
        return state(target) != before

    control, won = both_ways(arena, attack)
    assert control
    assert not won


SYMJACK = {
    "cp-through-link": "ln -s .claude/settings.json innocent; cp payload innocent",
    "cp-through-dangling-link": "ln -s .mcp.json innocent; POSIXLY_CORRECT=1 cp payload innocent",
    "cp-onto-target": "cp payload .mcp.json",
    "link-to-payload": "ln -s payload .mcp.json",
    "hard-link": "ln payload .mcp.json",
    "parent-link": "mkdir -p deep; ln -s .. deep/up; cp payload deep/up/.mcp.json",
    "tee": "ln -s .mcp.json innocent; tee innocent < payload > /dev/null",
    "tar": "mkdir t; cp payload t/.mcp.json 2>/dev/null || printf x > t/x; tar cf a.tar --transform 's,^payload$,.mcp.json,' payload; tar xf a.tar",
    "mv": "mv payload .mcp.json",
    "install": "install -m 644 payload .mcp.json",
    "rename-directory": "mkdir ready; cp payload ready/settings.local.json; mv .claude gone; mv ready .claude",
    "sed-in-place": "cp .claude/settings.json keep; sed -i 's/.*/OWNED/' .claude/settings.json",
    "dd": "ln -s .mcp.json innocent; dd if=payload of=innocent status=none",
    "python": "python3 -c \"open('.mcp.json','w').write('OWNED')\"",
    "git-checkout": "git init -q .; printf OWNED > f; git add f; git update-index --add --cacheinfo "
    "100644,$(git hash-object f),.mcp.json; git -c user.name=a -c user.email=a@b commit -qm x; git checkout -q -f HEAD -- .",
    "rsync-like": "cat payload > .new; mv -f .new .mcp.json",
}


@pytest.mark.parametrize("name", SYMJACK)
def test_symjack(arena: Arena, name: str) -> None:
    watched = [".mcp.json", ".claude/settings.json", ".claude/settings.local.json"]

    def attack(run: object) -> bool:
        (arena.work / "payload").write_text("OWNED\n")
        arena._own()
        before = {place: state(arena.work / place) for place in watched}
        run("sh", "-c", SYMJACK[name])  # type: ignore[operator]
        return any("OWNED" in str(after) for place in watched if (after := state(arena.work / place)) != before[place])

    control, won = both_ways(arena, attack)
    assert control
    assert not won


#: A symlink where a protected file's folder would be: nothing is written to a protected name, and yet it reads as planted. `f` was there before.
STAND_INS = {
    "made": ("mkdir ready; cp payload ready/pre-commit; rmdir .git/hooks; ln -s ../ready .git/hooks", ".git/hooks/pre-commit"),
    "made first": ("rmdir .git/hooks; ln -s ../ready .git/hooks; mkdir ready; cp payload ready/pre-commit", ".git/hooks/pre-commit"),
    "moved": ("mkdir ready; cp payload ready/settings.json; ln -s ../ready f/x; mv f/x f/.claude", "f/.claude/settings.json"),
    "exchanged": (
        "mkdir -p ready f/.claude; cp payload ready/settings.json; ln -s ../ready f/x; cd f; "
        'python3 -c "import ctypes; ctypes.CDLL(None).renameat2(-100, b\'x\', -100, b\'.claude\', 2)"',
        "f/.claude/settings.json",
    ),
    "linked": ("mkdir ready; cp payload ready/settings.json; ln -s ../ready f/x; ln -P f/x f/.claude", "f/.claude/settings.json"),
    "carried": ("mkdir ready s; cp payload ready/post-update; ln -s ../ready s/hooks; mv s bare.git", "bare.git/hooks/post-update"),
    "above": ("mkdir -p ready/hooks; cp payload ready/hooks/pre-commit; ln -s ../ready f/.git", "f/.git/hooks/pre-commit"),
    "chain": ("mkdir ready; cp payload ready/tasks.json; ln -s ready one; ln -s one two; ln -s ../two f/.vscode", "f/.vscode/tasks.json"),
}


@pytest.mark.parametrize("name", STAND_INS)
def test_a_link_does_not_stand_in_for_a_protected_folder(arena: Arena, name: str) -> None:
    script, target = STAND_INS[name]

    def attack(run: object) -> bool:
        (arena.work / "payload").write_text("OWNED\n")
        (arena.work / "f").mkdir()
        arena._own()
        run("sh", "-c", script)  # type: ignore[operator]
        place = arena.work / target
        return place.exists() and "OWNED" in place.read_text()

    control, won = both_ways(arena, attack)
    assert control
    assert not won


def test_links_that_stand_for_nothing_protected_stay_free(arena: Arena) -> None:
    script = (
        "mkdir -p pkg/.claude bin && echo '{}' > pkg/cli.js && ln -s ../pkg/cli.js bin/cli && ln -s pkg plain && mv plain plainer && "
        "ln -s pkg/.claude second && mkdir elsewhere && ln -s ../pkg/.claude elsewhere/.claude && ln -s nowhere dangling && mv bin tools"
    )
    arena.build()
    done = arena.held("sh", "-c", script)
    assert done.code == 0 and "denied" not in done.errors, done


@pytest.mark.parametrize("route", [*PLANT, "write-parent-rename"])
@pytest.mark.parametrize("layer", ["policies/always.yaml", "projects/%s.yaml"])
def test_no_session_puts_a_rule_where_the_next_one_would_load_it(arena: Arena, route: str, layer: str) -> None:
    """The layers that hold what a person allowed are loaded by themselves: under the loosest preset they are out of reach."""
    import hashlib
    import shutil

    own = hashlib.sha256(str(arena.work).encode()).hexdigest()[:32]
    config = arena.root / "state" / "config"
    target = config / (layer % own if "%" in layer else layer)
    spare = [arena.work / "innocent"] if route in SPARE else []

    def attack(run: Callable[..., object], **held: str) -> bool:
        shutil.rmtree(arena.root / "state", ignore_errors=True)
        target.parent.mkdir(parents=True)
        for place in (arena.root / "state", config, target.parent):
            place.chmod(0o700)
            shutil.chown(place, arena.user or "root")
        run(arena.work / "attack", route, target, *spare, **held)
        return state(target) != ("absent",)

    arena.build()
    control = attack(arena.run)
    arena.build()
    assert (control, attack(arena.held, preset="observe")) == (True, False)

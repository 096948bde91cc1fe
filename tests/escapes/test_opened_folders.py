"""What an editor or an agent runs of a folder that somebody opens is not planted by way of the places where it may be
made: trees of dependencies, and folders that came with the session. A folder called as such a tree is one only where no editor and no agent looks.

Each attack is first seen to succeed without Interlock. The judge looks, outside, at the names that somebody opens.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.escapes.arena import Arena, both_ways

EXCHANGE = 'python3 -c "import ctypes,sys; ctypes.CDLL(None).renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)"'
#: Scripts, each with the name at which it plants `evil`.
ATTACKS = {
    "made in place": ("mkdir .vscode; echo evil > .vscode/tasks.json", ".vscode/tasks.json"),
    "made in a tree and moved": (
        "mkdir -p node_modules/x/.vscode; echo evil > node_modules/x/.vscode/tasks.json; mv node_modules/x/.vscode .",
        ".vscode/tasks.json",
    ),
    "a tree's folder moved to a name that was there": (
        "mv packages/app away; mkdir -p node_modules/app/.vscode; echo evil > node_modules/app/.vscode/tasks.json; "
        "mv node_modules/app packages/app",
        "packages/app/.vscode/tasks.json",
    ),
    "a tree called otherwise": (
        "mkdir -p packages/app/node_modules/.vscode; echo evil > packages/app/node_modules/.vscode/tasks.json; "
        "mv packages/app/node_modules/.vscode packages/app/.vscode",
        "packages/app/.vscode/tasks.json",
    ),
    "a link into a tree": (
        "mkdir -p node_modules/x/.vscode; ln -s node_modules/x/.vscode .vscode; "
        "echo evil > node_modules/x/.vscode/tasks.json",
        ".vscode/tasks.json",
    ),
    "a link into a tree, for a name that was there": (
        "mv packages/app away; mkdir -p node_modules/x; ln -s ../node_modules/x packages/app; "
        "mkdir node_modules/x/.vscode; echo evil > node_modules/x/.vscode/tasks.json",
        "packages/app/.vscode/tasks.json",
    ),
    "a link moved to a name that was there": (
        "mv packages/app away; mkdir -p node_modules/x/.vscode; echo evil > node_modules/x/.vscode/tasks.json; "
        "ln -s ../node_modules/x packages/new; mv packages/new packages/app",
        "packages/app/.vscode/tasks.json",
    ),
    "a new folder's moved": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; mv new/.vscode .vscode",
        ".vscode/tasks.json",
    ),
    "a link to a new folder's": (
        "mkdir -p new/.vscode; ln -s new/.vscode .vscode; echo evil > new/.vscode/tasks.json",
        ".vscode/tasks.json",
    ),
    "a link to what is not there yet": (
        "ln -s new/.vscode .vscode; mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json",
        ".vscode/tasks.json",
    ),
    "a link to a link": (
        "mkdir -p new/a; ln -s new hop; ln -s hop/a .vscode; echo evil > new/a/tasks.json",
        ".vscode/tasks.json",
    ),
    "a hard link": (
        "mkdir -p new/.vscode .vscode; echo evil > new/.vscode/tasks.json; ln new/.vscode/tasks.json .vscode/tasks.json",
        ".vscode/tasks.json",
    ),
    "a new folder in the place of one": (
        "mv packages/app away; mkdir -p packages/app/.vscode; echo evil > packages/app/.vscode/tasks.json",
        "packages/app/.vscode/tasks.json",
    ),
    "removed and made again": (
        "rm -r packages/app; mkdir -p packages/app/.vscode; echo evil > packages/app/.vscode/tasks.json",
        "packages/app/.vscode/tasks.json",
    ),
    "the folder above moved away": (
        "mv packages away; mkdir -p packages/app/.vscode; echo evil > packages/app/.vscode/tasks.json",
        "packages/app/.vscode/tasks.json",
    ),
    "filled first, then moved to a name that was there": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; mv packages/app away; mv new packages/app",
        "packages/app/.vscode/tasks.json",
    ),
    "exchanged": (
        f"mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; {EXCHANGE} new packages/app",
        "packages/app/.vscode/tasks.json",
    ),
    "exchanged, filled after": (
        f"mkdir -p new; {EXCHANGE} new packages/app; mkdir packages/app/.vscode; "
        "echo evil > packages/app/.vscode/tasks.json",
        "packages/app/.vscode/tasks.json",
    ),
    "moved over an empty folder": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; mv -T new packages/empty",
        "packages/empty/.vscode/tasks.json",
    ),
    "a known link led to a new folder": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; ln -sfn new current",
        "current/.vscode/tasks.json",
    ),
    "a known link led to a new folder, filled after": (
        "mkdir new; ln -sfn new current; mkdir new/.vscode; echo evil > new/.vscode/tasks.json",
        "current/.vscode/tasks.json",
    ),
    "a known link removed, a folder made": (
        "rm current; mkdir -p current/.vscode; echo evil > current/.vscode/tasks.json",
        "current/.vscode/tasks.json",
    ),
    "a known link led to a new folder by /proc": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; ln -sfn /proc/self/root$PWD/new current",
        "current/.vscode/tasks.json",
    ),
    "a known link led to a new folder by a folder of the session's that becomes a link": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; T=$(mktemp -d -p /tmp); mkdir $T/x; ln -sfn $T/x current; rmdir $T/x; ln -s $PWD/new $T/x",
        "current/.vscode/tasks.json",
    ),
    "a link of before to nothing, led on by a folder of the session's": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; mkdir -p $(dirname $(readlink dangling)); ln -s $PWD/new $(readlink dangling)",
        "dangling/.vscode/tasks.json",
    ),
    "a link of before to nothing, with an editor's folder led back": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; mkdir -p $(readlink dangling); ln -s $PWD/new/.vscode $(readlink dangling)/.vscode",
        "dangling/.vscode/tasks.json",
    ),
    "a known link led to what is not there yet, outside": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; ln -sfn /tmp/$$-never current; ln -s $PWD/new /tmp/$$-never; rm /tmp/$$-never; ln -s $PWD/new /var/tmp/$$-never && ln -sfn /var/tmp/$$-never current",
        "current/.vscode/tasks.json",
    ),
    "a known link led to a folder of the session's that a new one comes to": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; T=$(mktemp -d -p /var/tmp); ln -sfn $T/x current; mv new $T/x",
        "current/.vscode/tasks.json",
    ),
    "a known link led to a folder of the session's, filled there": (
        "T=$(mktemp -d -p /tmp); ln -sfn $T/x current; mkdir -p $T/x/.vscode; echo evil > $T/x/.vscode/tasks.json",
        "current/.vscode/tasks.json",
    ),
    "a known link led to a folder of the session's whose own name becomes a link": (
        "mkdir -p new/x/.vscode; echo evil > new/x/.vscode/tasks.json; T=$(mktemp -d -p /tmp); ln -sfn $T/x current; "
        "rmdir $T; ln -s $PWD/new l; mv -T l $T || ln -s $PWD/new $T",
        "current/.vscode/tasks.json",
    ),
    "a known link led by a link of the session's to a link of the person's": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; T=$(mktemp -d -p /tmp); ln -s $HOME/back $T/x; ln -sfn $T/x/new current",
        "current/.vscode/tasks.json",
    ),
    "a known link led to a new folder by a person's own link": (
        "mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; ln -sfn $HOME/back/new current",
        "current/.vscode/tasks.json",
    ),
    "a known link led to a file that becomes a folder": (
        "ln -sfn packages/file current; rm packages/file; mkdir -p packages/file/.vscode; echo evil > packages/file/.vscode/tasks.json",
        "current/.vscode/tasks.json",
    ),
    "an agent's skill in a folder called after it": (
        "mkdir -p .claude/skills/x; echo evil > .claude/skills/x/SKILL.md",
        ".claude/skills/x/SKILL.md",
    ),
    "a skill in a folder called as a tree is": (
        "mkdir .claude/skills/target; echo evil > .claude/skills/target/SKILL.md",
        ".claude/skills/target/SKILL.md",
    ),
    "a skill in a tree moved to where skills are": (
        "mkdir -p node_modules/vendor; echo evil > node_modules/vendor/SKILL.md; mv node_modules/vendor .claude/skills/",
        ".claude/skills/vendor/SKILL.md",
    ),
    "a rule deep in a folder called as a tree is": (
        "mkdir -p .cursor/rules/node_modules/p; echo evil > .cursor/rules/node_modules/p/x.mdc",
        ".cursor/rules/node_modules/p/x.mdc",
    ),
    "an agent's folder again in a tree in it": (
        "mkdir -p .claude/skills/deps/.claude/skills/x; echo evil > .claude/skills/deps/.claude/skills/x/SKILL.md",
        ".claude/skills/deps/.claude/skills/x/SKILL.md",
    ),
    "settings of servers in a tree of an editor's": (
        "mkdir .cursor/target; echo evil > .cursor/target/mcp.json",
        ".cursor/target/mcp.json",
    ),
    "an agent's folder that a link led into a tree": (
        "echo evil > packages/app/.claude/settings.json",
        "packages/app/.claude/settings.json",
    ),
    "a hard link in a tree of an agent's": (
        "mkdir .claude/skills/deps; echo evil > evil; ln evil .claude/skills/deps/SKILL.md",
        ".claude/skills/deps/SKILL.md",
    ),
    "a tree in an agent's folder led elsewhere": (
        "mkdir new; echo evil > new/SKILL.md; ln -s ../../new .claude/skills/target",
        ".claude/skills/target/SKILL.md",
    ),
    "a virtual environment of a skill": (
        "mkdir -p .claude/skills/known/.venv; echo evil > .claude/skills/known/.venv/x",
        ".claude/skills/known/.venv/x",
    ),
    "hooks of Copilot": ("mkdir -p .github/hooks; echo evil > .github/hooks/x.json", ".github/hooks/x.json"),
    "a command of Gemini moved in": (
        "mkdir -p new/commands; echo evil > new/commands/x.toml; mv new .gemini",
        ".gemini/commands/x.toml",
    ),
    "what OpenHands runs at each start": ("mkdir .openhands; echo evil > .openhands/setup.sh", ".openhands/setup.sh"),
    "commands at a new work tree of Cursor": ("echo evil > .cursor/worktrees.json", ".cursor/worktrees.json"),
    "a project of Sublime Text": ("echo evil > app.sublime-project", "app.sublime-project"),
    "an agent's settings from a tree": (
        "mkdir -p vendor/.claude; echo evil > vendor/.claude/settings.json; mv vendor/.claude/settings.json .claude/",
        ".claude/settings.json",
    ),
}  # fmt: skip


def lay_out(arena: Arena) -> None:
    for folder in (
        "packages/app", "packages/empty", "node_modules", ".claude/skills/known", ".cursor/rules", "vendor/agent",
    ):  # fmt: skip
        (arena.work / folder).mkdir(parents=True, exist_ok=True)
    (arena.work / "packages/app/.claude").symlink_to("../../vendor/agent")
    (arena.work / "packages/app/package.json").write_text("{}\n")
    (arena.work / "current").symlink_to("packages/app")
    (arena.work / "packages" / "file").write_text("of before\n")
    outside = Path("/var/tmp") / f"dangling-{arena.root.name}"
    shutil.rmtree(outside, ignore_errors=True)
    (arena.work / "dangling").unlink(missing_ok=True)
    (arena.work / "dangling").symlink_to(outside / "x")
    (arena.home / "back").unlink(missing_ok=True)
    (arena.home / "back").symlink_to(arena.work)
    arena._own()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda name: name.replace(" ", "-"))
@pytest.mark.parametrize("preset", ["coding-agent"])
def test_nothing_is_planted_where_somebody_opens_a_folder(arena: Arena, attack: str, preset: str) -> None:
    script, planted = ATTACKS[attack]

    def won(run) -> bool:
        lay_out(arena)
        more = {} if run == arena.run else {"preset": preset}
        run("sh", "-c", f"{script}; true", **more)
        return holds(arena.work / planted)

    assert both_ways(arena, won) == (True, False)


def test_what_is_made_where_nobody_looks_is_listed(arena: Arena) -> None:
    arena.build()
    lay_out(arena)
    script = (
        "mkdir -p new/.vscode vendor/x/.claude; echo evil > new/.vscode/tasks.json; echo evil > vendor/x/.claude/settings.json; "
        "cp -r new other; mv other third"
    )
    ran = arena.held("sh", "-c", f"{script}; exit 0")
    assert (arena.work / "third/.vscode/tasks.json").exists(), ran.errors
    told = arena.run(arena.python.parent / "interlock", "session", "changes").output
    for name in ("new/.vscode/tasks.json", "third/.vscode/tasks.json", "vendor/x/.claude/settings.json"):
        assert name in told, told


def holds(path: Path) -> bool:
    try:
        return path.read_text() == "evil\n"
    except OSError:
        return False

"""A protected name holds for as long as something outside relies on it, whatever the links on its way mean at the moment: those the session
makes, those that were there before, and those that it makes lead elsewhere.

Each attack is first seen to succeed without Interlock. The judge reads outside, by the protected name, after the session.
"""

from __future__ import annotations

import contextlib

import pytest

from tests.escapes.arena import SECRET, Arena, both_ways

TASKS = ".vscode/tasks.json"
EXCHANGE = "import ctypes, sys; a, b = (x.encode() for x in sys.argv[1:]); ctypes.CDLL(None).renameat2(-100, a, -100, b, 2)"
TURN = "mkdir -p decoy/.vscode free; ln -s decoy/.vscode hop; "
AWAY = "; rm hop; ln -s free hop; echo OWNED > free/tasks.json"

#: What a session does, and the protected name that then holds what it wrote.
MADE = {
    "a link to a link": (TURN + "ln -s hop .vscode" + AWAY, TASKS),
    "settings of an agent": (
        "mkdir -p decoy/.claude free; ln -s decoy/.claude hop; ln -s ../hop p/.claude; rm hop; ln -s free hop; "
        "echo OWNED > free/settings.json",
        "p/.claude/settings.json",
    ),
    "hooks": (
        "rmdir .git/hooks; mkdir -p d.git/hooks free; ln -s d.git/hooks hop; ln -s ../hop .git/hooks; rm hop; ln -s free hop; "
        "echo OWNED > free/pre-commit",
        ".git/hooks/pre-commit",
    ),
    "absolute": (TURN + 'ln -s "$PWD/hop" .vscode' + AWAY, TASKS),
    "three links": (TURN + "ln -s hop second; ln -s second third; ln -s third .vscode" + AWAY, TASKS),
    "the middle one of three": (
        "mkdir -p decoy/.vscode free; ln -s decoy/.vscode last; ln -s last middle; ln -s middle .vscode; ln -sfn free middle; "
        "echo OWNED > free/tasks.json",
        TASKS,
    ),
    "up again": ("mkdir -p decoy/.vscode/x free/x; ln -s decoy/.vscode hop; ln -s hop/x/.. .vscode" + AWAY, TASKS),
    "a dot behind it": (TURN + "ln -s hop/. .vscode" + AWAY, TASKS),
    "renamed over": (
        TURN + "ln -s hop .vscode; ln -s free new; mv -T new hop; echo OWNED > free/tasks.json",
        TASKS,
    ),
    "exchanged": (
        TURN + f"ln -s hop .vscode; ln -s free new; python3 -c '{EXCHANGE}' new hop; echo OWNED > free/tasks.json",
        TASKS,
    ),
    "moved to the name": (TURN + "ln -s hop x; mv x .vscode" + AWAY, TASKS),
    "exchanged to the name": (TURN + f"ln -s hop x; mkdir .vscode; python3 -c '{EXCHANGE}' x .vscode" + AWAY, TASKS),
    "a second name of a link": (TURN + "ln -s hop x; ln -P x .vscode" + AWAY, TASKS),
    "carried by a folder": (
        "mkdir -p s decoy.git/hooks free; ln -s decoy.git/hooks hop; ln -s ../hop s/hooks; mv s bare.git; rm hop; ln -s free hop; "
        "echo OWNED > free/post-update",
        "bare.git/hooks/post-update",
    ),
    "by a held folder": (
        "mkdir -p decoy/.claude free; ln -s decoy/.claude hop; "
        "python3 -c 'import os; d = os.open(\"p\", os.O_RDONLY); os.rename(\"p\", \"q\"); os.symlink(\"../hop\", \".claude\", dir_fd=d)'; "
        "rm hop; ln -s free hop; echo OWNED > free/settings.json",
        "q/.claude/settings.json",
    ),
    "a link before its target": (
        "mkdir -p free; ln -s hop .vscode; ln -s free hop; echo OWNED > free/tasks.json",
        TASKS,
    ),
    "a folder before it is a link": (
        "mkdir -p hop free; ln -s hop .vscode; rmdir hop; ln -s free hop; echo OWNED > free/tasks.json",
        TASKS,
    ),
    "the target's own name": (
        "mkdir -p decoy/.vscode free; ln -s decoy/.vscode .vscode; rmdir decoy/.vscode; ln -s ../free decoy/.vscode; "
        "echo OWNED > free/tasks.json",
        TASKS,
    ),
    "by way of /tmp": (
        'mkdir -p decoy/.vscode free; t=$(mktemp -d); ln -s "$PWD/decoy/.vscode" $t/hop; ln -s $t/hop .vscode; '
        'rm $t/hop; ln -s "$PWD/free" $t/hop; echo OWNED > free/tasks.json',
        TASKS,
    ),
}


def planted(arena: Arena, name: str) -> bool:
    with contextlib.suppress(OSError):
        return "OWNED" in (arena.work / name).read_text()
    return False


@pytest.mark.parametrize("name", MADE)
def test_no_link_that_a_session_makes_comes_to_lead_a_protected_name_elsewhere(arena: Arena, name: str) -> None:
    script, target = MADE[name]

    def attack(run: object) -> bool:
        arena.run("sh", "-ec", "mkdir p; echo kept > p/kept")
        run("sh", "-c", script)  # type: ignore[operator]
        return planted(arena, target)

    assert both_ways(arena, attack) == (True, False)


#: What was there before the session, what the session does, and the protected name that then holds what it wrote.
BEFORE = {
    "a link to a folder": ("rm -r .claude; mkdir src; ln -s src .claude", "echo OWNED > src/settings.json", ".claude/settings.json"),
    "deep below": (
        "mkdir -p shared/claude packages/a; ln -s ../../shared/claude packages/a/.claude",
        "echo OWNED > shared/claude/settings.json",
        "packages/a/.claude/settings.json",
    ),
    "its target replaced": (
        "mkdir -p shared/claude packages/a; ln -s ../../shared/claude packages/a/.claude",
        "mv shared old; mkdir -p shared/claude; echo OWNED > shared/claude/settings.json",
        "packages/a/.claude/settings.json",
    ),
    "a folder moved to its target": (
        "rm -r .claude; mkdir src; ln -s src .claude",
        "mkdir new; echo OWNED > new/settings.json; rmdir src; mv new src",
        ".claude/settings.json",
    ),
    "a link moved to its target": (
        "rm -r .claude; ln -s src .claude",
        "mkdir new; echo OWNED > new/settings.json; ln -s new x; mv x src",
        ".claude/settings.json",
    ),
    "leading nowhere yet": ("rm -r .claude; ln -s later .claude", "mkdir later; echo OWNED > later/settings.json", ".claude/settings.json"),
    "leading nowhere, by a link": (
        "rm -r .claude; ln -s later .claude",
        "mkdir free; echo OWNED > free/settings.json; ln -s free later",
        ".claude/settings.json",
    ),
    "a step made again": (
        "mkdir -p conf/.vscode free; ln -s conf/.vscode hop; ln -s hop .vscode",
        "rm hop; ln -s free hop; echo OWNED > free/tasks.json",
        TASKS,
    ),
    "a step renamed over": (
        "mkdir -p conf/.vscode free; ln -s conf/.vscode hop; ln -s hop .vscode",
        "ln -s free new; mv -T new hop; echo OWNED > free/tasks.json",
        TASKS,
    ),
    "a step exchanged": (
        "mkdir -p conf/.vscode free; ln -s conf/.vscode hop; ln -s hop .vscode",
        f"ln -s free new; python3 -c '{EXCHANGE}' new hop; echo OWNED > free/tasks.json",
        TASKS,
    ),
    "a step that becomes a folder": (
        "mkdir -p conf/.vscode; ln -s conf/.vscode hop; ln -s hop .vscode",
        "mkdir new; echo OWNED > new/tasks.json; rm hop; mv new hop",
        TASKS,
    ),
    "a folder before a way up": (
        "rm -r .claude; mkdir -p a b; ln -s a/../b .claude",
        "mkdir -p z/y z/b; echo OWNED > z/b/settings.json; rmdir a; ln -s z/y a",
        ".claude/settings.json",
    ),
    "a link before a way up": (
        "rm -r .claude; mkdir -p x/y x/b z/y z/b; ln -s x/y a; ln -s a/../b .claude",
        "echo OWNED > z/b/settings.json; ln -sfn z/y a",
        ".claude/settings.json",
    ),
    "an absolute link": (
        'rm -r .claude; mkdir -p one/two; ln -s "$PWD/one/two" .claude',
        "echo OWNED > one/two/settings.json",
        ".claude/settings.json",
    ),
    "a hook that is a link": (
        "mkdir scripts; echo true > scripts/check; ln -s ../../scripts/check .git/hooks/pre-commit",
        "echo OWNED >> scripts/check",
        ".git/hooks/pre-commit",
    ),
    "hooks that are a link": (
        "rmdir .git/hooks; mkdir tools; ln -s ../tools .git/hooks",
        "echo OWNED > tools/pre-commit",
        ".git/hooks/pre-commit",
    ),
    "a whole repository that is a link": (
        "mkdir -p r real/hooks; ln -s ../real r/.git",
        "echo OWNED > real/hooks/pre-commit",
        "r/.git/hooks/pre-commit",
    ),
    "below a protected folder": (
        "mkdir -p .claude/skills skill; echo x > skill/SKILL.md; ln -s ../../skill .claude/skills/one",
        "echo OWNED > skill/SKILL.md",
        ".claude/skills/one/SKILL.md",
    ),
    "another hard link": (
        "mkdir .vscode; echo x > .vscode/tasks.json; ln .vscode/tasks.json plain",
        "echo OWNED >> plain",
        TASKS,
    ),
    "another hard link, renamed": (
        "mkdir .vscode deep; echo x > .vscode/tasks.json; ln .vscode/tasks.json deep/plain",
        "mv deep down; mv down/plain x; echo OWNED >> x",
        TASKS,
    ),
    "a hard link of what it leads to": (
        "echo x > mcp; rm -f .mcp.json; ln -s mcp .mcp.json; ln mcp other",
        "echo OWNED >> other",
        ".mcp.json",
    ),
}


@pytest.mark.parametrize("name", BEFORE)
def test_what_a_protected_name_leads_to_before_the_session_is_protected(arena: Arena, name: str) -> None:
    prepared, script, target = BEFORE[name]

    def attack(run: object) -> bool:
        assert arena.run("sh", "-ec", prepared).code == 0
        assert not planted(arena, target)
        run("sh", "-c", script)  # type: ignore[operator]
        return planted(arena, target)

    assert both_ways(arena, attack) == (True, False)


#: What was there before the session, and what the session reads.
READ = {
    "what a name leads to": ("mkdir config; cp s config/prod; ln -s config/prod .env", "cat config/prod"),
    "a hard link": ("mkdir app; cp s app/.env; ln app/.env plain", "cat plain"),
    "a hard link of what it leads to": ("cp s prod; ln -s prod .env; ln prod plain", "cat plain"),
    "a link to a link": ("mkdir -p a/b c; cp s c/prod; ln -s ../../c/prod a/hop; ln -s ../hop a/b/.env; rm a/hop; ln -s ../c/prod a/hop", "cat c/prod"),
    "moved first": ("mkdir config; cp s config/prod; ln -s config/prod .env", "mv config c; cat c/prod; mv config/prod x; cat x"),
    "linked first": ("mkdir config; cp s config/prod; ln -s config/prod .env", "ln config/prod x; cat x"),
    "a folder of keys": ("mkdir vault; cp s vault/id; ln -s vault/id id_rsa", "cat vault/id"),
    "by a descriptor": (
        "mkdir config; cp s config/prod; ln -s config/prod .env",
        "python3 -c 'import os; f = os.open(\"config/prod\", os.O_PATH); print(open(f\"/proc/self/fd/{f}\").read())'",
    ),
    "absolute": ('mkdir config; cp s config/prod; ln -s "$PWD/config/prod" .env', "cat config/prod"),
    "deep below": ("mkdir -p a/b/c/d e; cp s e/f; ln -s ../../../../e/f a/b/c/d/.env.local", "cat e/f"),
}


@pytest.mark.parametrize("name", READ)
def test_what_a_secret_name_leads_to_is_not_read(arena: Arena, name: str) -> None:
    prepared, script = READ[name]

    def attack(run: object) -> bool:
        (arena.work / "s").write_text(SECRET)
        arena._own()
        assert arena.run("sh", "-ec", f"{prepared}; rm s").code == 0
        return SECRET in run("sh", "-c", script).output  # type: ignore[operator]

    assert both_ways(arena, attack) == (True, False)


def test_what_is_public_stays_readable_where_a_secret_name_leads_to_it(arena: Arena) -> None:
    arena.build()
    assert arena.run("sh", "-ec", "ln -s /dev/null .env; mkdir a; ln -s /etc/hosts a/.env").code == 0
    done = arena.held("sh", "-ec", "cat /dev/null /etc/hosts > out.txt; echo x > /dev/null")
    assert (done.code, done.errors) == (0, "")


ORDINARY = """
mkdir -p node_modules/.bin node_modules/.pnpm/a@1/node_modules/a packages/b node_modules/c
echo 'console.log(1)' > node_modules/.pnpm/a@1/node_modules/a/cli.js
ln -s .pnpm/a@1/node_modules/a node_modules/a
ln -s ../a/cli.js node_modules/.bin/a
ln -s ../packages/b node_modules/b
mv node_modules/a node_modules/a2; mv node_modules/a2 node_modules/a
ln -sfn .pnpm/a@1 node_modules/a
mv packages pkgs; ln -s pkgs packages
mkdir -p build/v1 build/v2; ln -s v1 build/current; ln -sfn v2 build/current; mv build out
git init -q r; cd r; git config user.name a; git config user.email a@b
mkdir docs; echo x > docs/a; ln -s docs/a README; ln -s docs d; git add -A; git commit -qm one
git checkout -qb other; git rm -q README d; git commit -qm two; git checkout -q -; git stash -q || true
test "$(cat README)" = x; cd ..
rm -rf node_modules out r/docs
"""


def test_ordinary_work_with_links_is_not_touched(arena: Arena) -> None:
    """Links at names that mean nothing to a rule, made, moved, replaced and removed: no denial."""
    arena.build()
    done = arena.held("sh", "-ec", ORDINARY)
    assert done.code == 0 and "denied" not in done.errors, done


#: Under a preset that denies none of it: what makes a name of something, and the name that is told.
TOLD = {
    "a link that leads elsewhere later": (TURN + "ln -s hop .vscode; rm hop; ln -s free hop; echo '{}' > free/tasks.json", TASKS),
    "a file written by its other name": ("ln -s src p; mkdir -p src/.idea; ln -s ../free src/.zed; mkdir free; echo x > free/tasks.json", "src/.zed/tasks.json"),
    "a link to what was there": ("ln -s old .claude2; mv .claude gone; ln -s ../old x; mv x .claude; ln -sfn old .claude", ".claude/settings.json"),
    "hooks": ("rmdir .git/hooks; mkdir h; printf '#!/bin/sh\n' > h/pre-commit; chmod +x h/pre-commit; ln -s ../h .git/hooks", ".git/hooks/pre-commit"),
    "a folder above": ("mkdir -p w/hooks bare; echo x > w/hooks/post-update; ln -s ../w bare/x.git", "bare/x.git/hooks/post-update"),
}


@pytest.mark.parametrize("name", TOLD)
def test_the_list_at_the_end_names_what_a_link_brings_into_being(arena: Arena, name: str) -> None:
    script, target = TOLD[name]
    arena.build()
    assert arena.run("sh", "-ec", "mkdir old; echo '{}' > old/settings.json").code == 0
    done = arena.held("sh", "-ec", script, preset="observe")
    assert done.code == 0, done
    assert (arena.work / target).exists() and target in done.errors, done.errors

"""A coding agent that a person has running outside, or its own background service, takes nothing of a session's for its own.

Each attack is first seen to succeed without Interlock. What the agent does with its files was read in Claude Code 2.1.197 and Codex 0.169.0: both source a
snapshot of the shell before each command, Claude Code also the scripts of its session's folder, Codex has a folder of its own first in its commands' PATH,
and Claude Code's daemon starts what it finds in `dispatch`, with the flags and permissions of `jobs`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.escapes.arena import Arena, Outcome, both_ways

PLANT = "echo 'touch ~/planted'"


class Attack(NamedTuple):
    """What is there before, what the session does, and what the agent outside does then."""

    before: str
    inside: str
    agent: str


SNAPSHOT = "~/.claude/shell-snapshots/snapshot-bash-1-ab.sh"
ENVIRONMENT = "~/.claude/session-env/0b5c"
CODEX_SNAPSHOT = "~/.codex/shell_snapshots/0b5c.1.sh"
FIRST_IN_PATH = "~/.codex/tmp/arg0-linux/codex-arg0abc"
SNAPSHOTS = f"mkdir -p ~/.claude/shell-snapshots; echo : > {SNAPSHOT}"
FOLDER = f"mkdir -p {ENVIRONMENT}; echo : > {ENVIRONMENT}/setup-hook-0.sh"
CODEX_SNAPSHOTS = f"mkdir -p ~/.codex/shell_snapshots; echo : > {CODEX_SNAPSHOT}"
PATH_ENTRY = f"mkdir -p {FIRST_IN_PATH}; ln -s /bin/true {FIRST_IN_PATH}/apply_patch"
SOURCE = f"sh {SNAPSHOT}"
HOOKS = f"cat {ENVIRONMENT}/*-hook-*.sh | sh"
CODEX_SOURCE = f"sh {CODEX_SNAPSHOT}"
RUNS_GIT = f"PATH={FIRST_IN_PATH}:$PATH git --version"
PROGRAM = "printf '#!/bin/sh\\ntouch ~/planted\\n' > {0}; chmod +x {0}"
FOUND = "cat {} | grep -q evil && touch ~/planted"

ATTACKS = {
    "a snapshot of its shell, written to": Attack(SNAPSHOTS, f"{PLANT} >> {SNAPSHOT}", SOURCE),
    "a snapshot, replaced": Attack(SNAPSHOTS, f"{PLANT} > ~/.claude/new; mv ~/.claude/new {SNAPSHOT}", SOURCE),
    "a snapshot, moved aside and made anew": Attack(
        SNAPSHOTS, f"mv {SNAPSHOT} {SNAPSHOT}.old; {PLANT} > {SNAPSHOT}", SOURCE
    ),
    "a snapshot, removed and made anew": Attack(SNAPSHOTS, f"rm -f {SNAPSHOT}; {PLANT} > {SNAPSHOT}", SOURCE),
    "the folder of snapshots, moved aside": Attack(
        SNAPSHOTS, f"cd ~/.claude; mv shell-snapshots old; mkdir shell-snapshots; {PLANT} > {SNAPSHOT}", SOURCE
    ),
    "a snapshot by a hard link": Attack(SNAPSHOTS, f"ln {SNAPSHOT} ~/.claude/x; {PLANT} >> ~/.claude/x", SOURCE),
    "a snapshot, exchanged": Attack(
        SNAPSHOTS,
        f"{PLANT} > ~/.claude/new; python3 -c \"import ctypes, os; ctypes.CDLL(None).renameat2(-100, os.path.expanduser('~/.claude/new').encode(),"
        f" -100, os.path.expanduser('{SNAPSHOT}').encode(), 2)\"",
        SOURCE,
    ),
    "a script in its session's folder": Attack(FOLDER, f"{PLANT} > {ENVIRONMENT}/sessionstart-hook-0.sh", HOOKS),
    "a script moved into its session's folder": Attack(
        FOLDER, f"{PLANT} > ~/.claude/n; mv ~/.claude/n {ENVIRONMENT}/sessionstart-hook-0.sh", HOOKS
    ),
    "a link in its session's folder": Attack(
        FOLDER, f"{PLANT} > n.sh; ln -s $PWD/n.sh {ENVIRONMENT}/sessionstart-hook-0.sh", HOOKS
    ),
    "its session's folder, moved aside": Attack(
        FOLDER,
        f"mv {ENVIRONMENT} {ENVIRONMENT}.old; mkdir {ENVIRONMENT}; {PLANT} > {ENVIRONMENT}/setup-hook-0.sh",
        HOOKS,
    ),
    "its session's empty folder, removed": Attack(
        f"mkdir -p {ENVIRONMENT}",
        f"rmdir {ENVIRONMENT}; mkdir {ENVIRONMENT}; {PLANT} > {ENVIRONMENT}/setup-hook-0.sh",
        HOOKS,
    ),
    "Codex's snapshot, written to": Attack(CODEX_SNAPSHOTS, f"{PLANT} >> {CODEX_SNAPSHOT}", CODEX_SOURCE),
    "Codex's snapshot, replaced": Attack(
        CODEX_SNAPSHOTS, f"{PLANT} > ~/.codex/new; mv ~/.codex/new {CODEX_SNAPSHOT}", CODEX_SOURCE
    ),
    "a program in Codex' own folder": Attack(PATH_ENTRY, PROGRAM.format(f"{FIRST_IN_PATH}/git"), RUNS_GIT),
    "a link in Codex' own folder": Attack(
        PATH_ENTRY, PROGRAM.format("mine") + f"; ln -s $PWD/mine {FIRST_IN_PATH}/git", RUNS_GIT
    ),
    "Codex' own folder, moved aside": Attack(
        PATH_ENTRY,
        f"mv {FIRST_IN_PATH} {FIRST_IN_PATH}.old; mkdir {FIRST_IN_PATH}; " + PROGRAM.format(f"{FIRST_IN_PATH}/git"),
        RUNS_GIT,
    ),
    "Codex' folder of such folders, moved aside": Attack(
        PATH_ENTRY,
        f"mv ~/.codex/tmp ~/.codex/old; mkdir -p {FIRST_IN_PATH}; " + PROGRAM.format(f"{FIRST_IN_PATH}/git"),
        RUNS_GIT,
    ),
    "a job for the daemon": Attack(
        "mkdir -p ~/.claude/daemon/dispatch",
        "echo evil > ~/.claude/daemon/dispatch/ab.json",
        FOUND.format("~/.claude/daemon/dispatch/*.json"),
    ),
    "the daemon's folder, made": Attack(
        "mkdir -p ~/.claude",
        "mkdir -p ~/.claude/daemon/dispatch; echo evil > ~/.claude/daemon/dispatch/ab.json",
        FOUND.format("~/.claude/daemon/dispatch/*.json"),
    ),
    "the daemon's timetable": Attack(
        "mkdir -p ~/.claude", "echo evil > ~/.claude/daemon.json", FOUND.format("~/.claude/daemon.json")
    ),
    "the permissions of a job": Attack(
        "mkdir -p ~/.claude/jobs/0123abcd; echo '{}' > ~/.claude/jobs/0123abcd/state.json",
        "echo evil > ~/.claude/jobs/0123abcd/state.json",
        FOUND.format("~/.claude/jobs/0123abcd/state.json"),
    ),
    "a job": Attack(
        "mkdir -p ~/.claude",
        "mkdir -p ~/.claude/jobs/0123abcd; echo evil > ~/.claude/jobs/0123abcd/state.json",
        FOUND.format("~/.claude/jobs/0123abcd/state.json"),
    ),
    "what the browser starts": Attack(
        "mkdir -p ~/.claude/chrome; echo : > ~/.claude/chrome/chrome-native-host",
        "echo evil > ~/.claude/chrome/chrome-native-host",
        FOUND.format("~/.claude/chrome/chrome-native-host"),
    ),
    "a plugin that an organisation sends": Attack(
        "mkdir -p ~/.claude/plugins",
        "mkdir -p ~/.claude/plugins/synced/x/hooks; echo evil > ~/.claude/plugins/synced/x/hooks/hooks.json",
        FOUND.format("~/.claude/plugins/synced/x/hooks/hooks.json"),
    ),
    "the socket of Codex' server": Attack(
        "mkdir -p ~/.codex/app-server-control; echo > ~/.codex/app-server-control/app-server-control.sock",
        "cd ~/.codex/app-server-control; rm -f app-server-control.sock; python3 -c \"import socket; socket.socket(1).bind('app-server-control.sock')\"",
        "test -S ~/.codex/app-server-control/app-server-control.sock && touch ~/planted",
    ),
    "who may steer it from afar": Attack(
        "echo '{}' > ~/.claude.json",
        """echo '{"remoteControlAtStartup": true}' > ~/.claude.json""",
        "grep -q true ~/.claude.json && touch ~/planted",
    ),
    "a server that a person switched off": Attack(
        """echo '{"projects": {"/w": {}}}' > ~/.claude.json""",
        """echo '{"projects": {"/w": {"enabledMcpServers": ["evil"]}}}' > ~/new; mv ~/new ~/.claude.json || """
        """echo '{"projects": {"/w": {"enabledMcpServers": ["evil"]}}}' > ~/.claude.json""",
        FOUND.format("~/.claude.json"),
    ),
    "the settings of Codex' server": Attack(
        "mkdir -p ~/.codex",
        "mkdir -p ~/.codex/app-server-daemon; echo evil > ~/.codex/app-server-daemon/settings.json",
        FOUND.format("~/.codex/app-server-daemon/settings.json"),
    ),
}
#: The same files where the environment says that an agent's folder lies elsewhere.
ELSEWHERE = {
    "a profile": Attack("", "echo evil > ~/codex/work.config.toml", FOUND.format("~/codex/work.config.toml")),
    "requirements": Attack("", "echo evil > ~/codex/requirements.toml", FOUND.format("~/codex/requirements.toml")),
    "tasks at a time": Attack(
        "", "echo evil > ~/claude/scheduled_tasks.json", FOUND.format("~/claude/scheduled_tasks.json")
    ),
    "tool servers": Attack("", "echo evil > ~/claude/.mcp.json", FOUND.format("~/claude/.mcp.json")),
    "a snapshot": Attack(
        "mkdir ~/claude/shell-snapshots; echo : > ~/claude/shell-snapshots/a.sh",
        f"{PLANT} >> ~/claude/shell-snapshots/a.sh",
        "sh ~/claude/shell-snapshots/a.sh",
    ),
}


def is_taken(arena: Arena, attack: Attack) -> tuple[bool, bool]:
    def played(run: Callable[..., Outcome]) -> bool:
        ready = arena.run("sh", "-c", attack.before or "true")
        assert ready.code == 0, ready.errors
        run("sh", "-c", attack.inside)
        arena.run("sh", "-c", attack.agent)
        return (arena.home / "planted").exists()

    return both_ways(arena, played)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_agent_outside_runs_nothing_of_the_session(arena: Arena, name: str) -> None:
    assert is_taken(arena, ATTACKS[name]) == (True, False)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_nor_where_its_folder_lies_elsewhere(arena: Arena, name: str) -> None:
    arena.environment |= {"CLAUDE_CONFIG_DIR": str(arena.home / "claude"), "CODEX_HOME": str(arena.home / "codex")}
    attack = ELSEWHERE[name]
    attack = attack._replace(before="mkdir -p ~/claude ~/codex; " + attack.before)
    assert is_taken(arena, attack) == (True, False)


def test_an_agent_inside_has_its_own(arena: Arena) -> None:
    arena.build()
    arena.run("sh", "-c", f"{SNAPSHOTS}; {FOLDER}; {CODEX_SNAPSHOTS}; {PATH_ENTRY}")
    own = (
        "cd ~/.claude/shell-snapshots && echo true > mine.sh && echo true >> mine.sh && sh mine.sh && rm mine.sh && "
        "mkdir ../session-env/mine && cd ../session-env/mine && echo true > setup-hook-0.sh && : > setup-hook-0.sh && "
        "mkdir ~/.codex/tmp/arg0-linux/mine && cd ~/.codex/tmp/arg0-linux/mine && ln -s /bin/true apply_patch && ./apply_patch && "
        "echo > .lock && rm -r ../mine && echo whole"
    )
    assert "whole" in arena.held("sh", "-c", own).output

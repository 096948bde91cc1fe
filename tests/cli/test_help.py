"""Help, completion and manual are made from the commands themselves, and every command keeps its promise to the table."""

import subprocess
from pathlib import Path

import pytest

from interlock.cli.commands import COMMANDS, load
from interlock.cli.man import page
from interlock.cli.parser import command_parser

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_what_the_table_says(name):
    module = load(name)
    assert COMMANDS[name][1] == module.SUMMARY
    assert name in command_parser(name).format_help()


def test_help_lists_every_command_and_imports_none(cli):
    ran = cli("--help")
    assert ran.returncode == 0
    assert all(f"  {name}" in ran.stdout for name in COMMANDS)


def test_the_checked_in_manual_is_fresh():
    assert (ROOT / "docs" / "interlock.1").read_text() == page(), "run: interlock man > docs/interlock.1"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_every_command(cli, shell):
    ran = cli("completion", shell)
    assert ran.returncode == 0
    assert all(name in ran.stdout for name in COMMANDS)


def test_bash_accepts_its_completion(cli):
    script = cli("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True, timeout=20).returncode == 0


def test_version(cli):
    assert cli("--version").stdout.startswith("interlock ")

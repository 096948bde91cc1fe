"""Parsers: one command's for a run, the whole tree for completion and the manual. Errors end with 120 and teach."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from interlock.cli.commands import COMMANDS, load
from interlock.vocabulary.errors import EXIT_USAGE

PROGRAM = "interlock"
DESCRIPTION = "Execution-layer security for AI agents: a deterministic gate at the system call and at the tool call."
EPILOG = """\
start here:
  interlock run -- claude            hold a coding agent, and all it starts, to the coding-agent policy
  interlock why                      what was denied last, by which rule, and why
  interlock approvals list           questions that wait for your yes
  interlock session show last        one session as a tree
  interlock doctor                   what is enforced on this machine

`interlock COMMAND --help` explains a command; exit codes are in `man interlock`."""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """argparse makes one for every option, and without a width each asks `shutil`, which loads four compressors."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width())


def _width() -> int:
    """Columns as `shutil.get_terminal_size` has them, less the two that argparse leaves free."""
    try:
        columns = int(os.environ.get("COLUMNS", "0"))
    except ValueError:
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(1).columns
        except (OSError, ValueError):
            columns = 0
    return (columns if columns > 0 else 80) - 2


class Parser(argparse.ArgumentParser):
    """argparse, with Interlock's exit code for wrong usage and no abbreviated options (a typo must not mean
    something).
    """

    def __init__(self, *arguments: object, **options: object) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", _Formatter)
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read on; exit 120."""
        sys.stderr.write(f"{self.prog}: {message[:1].lower()}{message[1:]}\n  try: {self.prog} --help\n")
        raise SystemExit(EXIT_USAGE)


def command_parser(name: str) -> Parser:
    """The parser of one command, importing that command only."""
    module = load(name)
    parser = Parser(prog=f"{PROGRAM} {name}", description=_sentence(module.SUMMARY))
    module.configure(parser)
    return parser


def whole_parser() -> Parser:
    """The parser of every command, for completion and the manual. Imports all of them."""
    parser = Parser(prog=PROGRAM, description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="store_true", help="print the version")
    branches = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, (_, summary) in COMMANDS.items():
        module = load(name)
        module.configure(branches.add_parser(name, help=summary, description=_sentence(module.SUMMARY)))
    return parser


def overview() -> str:
    """`interlock --help`, from the static table."""
    width = max(len(name) for name in COMMANDS) + 2
    lines = [f"usage: {PROGRAM} COMMAND …", "", DESCRIPTION, "", "commands:"]
    lines += [f"  {name:<{width}}{summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join([*lines, "", EPILOG, ""])


def _sentence(summary: str) -> str:
    return f"{summary[:1].upper()}{summary[1:]}."

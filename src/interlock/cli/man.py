"""`interlock man`: the manual page in roff (man(7)), made from the parsers, so that it cannot fall behind them."""

from __future__ import annotations

import argparse
from typing import Final

from interlock.cli.commands import COMMANDS

SUMMARY = "print the manual page"
_EXIT_CODES: Final = (
    ("0-119, 128+n", "the command's own status; 128+n when signal n ended it"),
    ("120", "usage: wrong flag, unknown subcommand"),
    ("121", "the policy could not be loaded"),
    ("122", "this machine lacks what the policy needs"),
    ("123", "Interlock itself failed; the process tree was ended"),
    ("124", "refused by policy before start"),
    ("125", "ledger or state damaged, or verification failed"),
    ("126", "program found but not executable"),
    ("127", "program not found"),
)
_ENVIRONMENT: Final = (
    ("INTERLOCK_HOME", "one directory for configuration, state, cache and sockets, instead of the XDG directories"),
    ("INTERLOCK_SESSION", "set inside a session: its id, which outside means nothing"),
    ("INTERLOCK_INSIDE", "set inside a session: the socket that `interlock why` asks"),
    ("INTERLOCK_AGENT, INTERLOCK_TOKEN, INTERLOCK_GATEWAY_URL", "set inside a session started with --agent"),
    ("INTERLOCK_SUPERVISOR", "the supervisor executable, for a source tree without an installed one"),
    ("INTERLOCK_START_SECONDS", "how long each step of a start may take on a slow machine, instead of 20 seconds"),
    ("INTERLOCK_TRACE", "when set, an internal error prints where it happened"),
)
_FILES: Final = (
    ("~/.config/interlock/policies/", "your own policy layers, used by name"),
    ("~/.local/state/interlock/ledger/", "the record: one log for each session, and an index"),
    ("~/.local/state/interlock/keys/", "the key that signs the record"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose."""
    parser.epilog = "read it with: interlock man | man -l -"


def run(_arguments: argparse.Namespace) -> int:
    """Print it."""
    print(page(), end="")
    return 0


def page() -> str:
    """The whole page. The same on every day and machine, so that a checked-in copy can be compared."""
    from interlock.cli.parser import DESCRIPTION, EPILOG, whole_parser

    parser = whole_parser()
    lines = [
        '.TH INTERLOCK 1 "" "Interlock" "User Commands"',
        ".SH NAME",
        r"interlock \- execution-layer security for AI agents",
    ]
    lines += [
        ".SH SYNOPSIS",
        ".B interlock",
        r".I COMMAND\fR [options]",
        ".SH DESCRIPTION",
        _text(DESCRIPTION),
        ".PP",
        ".nf",
        _text(EPILOG),
        ".fi",
    ]
    lines.append(".SH COMMANDS")
    from interlock.cli.completion import branches

    for name, child in branches(parser).items():
        lines += _command(f"interlock {name}", child, COMMANDS[name][1])
    for title, table in (("EXIT STATUS", _EXIT_CODES), ("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES)):
        lines.append(f".SH {title}")
        for term, meaning in table:
            lines += [".TP", f".B {_text(term)}", _text(meaning)]
    return "\n".join(lines) + "\n"


def _command(title: str, parser: argparse.ArgumentParser, summary: str) -> list[str]:
    from interlock.cli.completion import branches

    lines = [f".SS {_text(title)}", _text(summary)]
    inner = branches(parser)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
            continue
        lines += [".TP", _term(action), _text((action.help or "").replace("%%", "%"))]
    if parser.epilog:
        lines += [".PP", ".nf", _text(parser.epilog), ".fi"]
    for name, child in inner.items():
        lines += _command(f"{title} {name}", child, child.description or "")
    return lines


def _term(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest
    if not action.option_strings:
        return rf".I {_text(value)}"
    options = ", ".join(action.option_strings)
    return rf".B {_text(options)}" + ("" if action.nargs == 0 else rf" \fI{_text(value)}\fR")


def _text(text: str) -> str:
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return "\n".join(rf"\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())

"""`interlock shell`: the human's own shell in a session."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from interlock.cli.run import add_session_options, run_words

if TYPE_CHECKING:
    import argparse

SUMMARY = "run your shell under a policy"


def configure(parser: argparse.ArgumentParser) -> None:
    """The same options as `run`, no command."""
    add_session_options(parser)
    parser.epilog = (
        "The shell is $SHELL, else the one of the password database, else /bin/sh. Leave it to end the session."
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the shell, and return its status."""
    return run_words([_shell()], arguments)


def _shell() -> str:
    shell = os.environ.get("SHELL", "")
    if shell.startswith("/") and os.access(shell, os.X_OK):
        return shell
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    except KeyError:
        return "/bin/sh"

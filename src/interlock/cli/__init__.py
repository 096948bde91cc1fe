"""The command line: `main` finds the command, imports it alone, and turns what went wrong into a message and a code.

Nothing heavy is imported here: `interlock run` pays for each import at every start.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

#: New objects before the collector looks for cycles among them. A start makes tens of thousands, and no garbage.
_OBJECTS_BETWEEN_COLLECTIONS: Final = 50_000


def program() -> NoReturn:
    """The `interlock` command. Leaves without the interpreter's tear-down, which would cost as much as its start:
    `main` returns with everything closed and kept.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    status = main()
    os._exit(_flushed(status))


def _flushed(status: int) -> int:
    """Write out what is buffered. Output that was lost is a failure, whatever the command said; that nobody hears what
    goes to standard error is none (`failure.say`).
    """
    if sys.stdout is None:  # it was closed at the start
        return status
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _closed_pipe()
    except OSError as error:
        from interlock.cli.failure import report
        from interlock.vocabulary.errors import HostError

        return report(HostError(f"the output could not be written: {error.strerror}"), [])
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; `arguments` as in `sys.argv[1:]`. Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _dispatch(words)
    except BrokenPipeError:
        return _closed_pipe()
    except KeyboardInterrupt:
        return 130
    except SystemExit as left:  # argparse, after `--help` and for wrong usage
        return left.code if isinstance(left.code, int) else 0
    except Exception as error:  # the edge: anything that escapes is a failure that is said, never a success
        from interlock.cli.failure import report

        return report(error, words)


def _dispatch(words: list[str]) -> int:
    from interlock.cli.commands import COMMANDS

    if not words or words[0] in ("-h", "--help", "help"):
        return _help(words[1:])
    if words[0] in ("--version", "-V", "version"):
        from interlock.cli.version import version

        print(f"interlock {version()}")
        return 0
    if words[0] not in COMMANDS:
        from interlock.cli.failure import unknown_command

        return unknown_command(words[0])
    from interlock.cli.commands import load
    from interlock.cli.parser import command_parser

    name = words[0]
    return load(name).run(command_parser(name).parse_args(words[1:]))


def _help(words: list[str]) -> int:
    from interlock.cli.commands import COMMANDS
    from interlock.cli.parser import command_parser, overview

    if words and words[0] in COMMANDS:
        command_parser(words[0]).print_help()
    else:
        print(overview(), end="")
    return 0


def _closed_pipe() -> int:
    """The reader of our output went away (`interlock … | head`): end quietly, as a signalled program would."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # so that the interpreter's own flush at exit says nothing
    return 141

"""What a person sees when a command could not do its work: what happened, what to do, and the code that scripts read."""

from __future__ import annotations

import sys

from interlock.cli import exits


def report(error: Exception, words: list[str]) -> int:
    """Print the error on stderr and return its exit code. Our own fault is said as such, with where to find the trace."""
    from interlock.vocabulary.errors import InterlockError
    from interlock.vocabulary.printable import printable

    name = words[0] if words else ""
    if not isinstance(error, InterlockError):
        return _own_fault(error, name)
    _say(printable(str(error)))
    hint = getattr(error, "hint", None)
    if hint:
        _say(f"  {printable(hint)}", prefix="")
    return exit_code(error)


def exit_code(error: Exception) -> int:
    """The documented code of an error: the one it carries, else by who is at fault."""
    from interlock.vocabulary.errors import OperatorError

    carried = getattr(error, "exit_code", None)
    if isinstance(carried, int):
        return carried
    return exits.USAGE if isinstance(error, OperatorError) else exits.FAILED


def unknown_command(name: str) -> int:
    """Name the commands that look alike."""
    import difflib

    from interlock.cli.commands import COMMANDS
    from interlock.vocabulary.printable import printable

    _say(f"unknown command `{printable(name)}`")
    near = difflib.get_close_matches(name, COMMANDS, n=2)
    if near:
        _say("  did you mean " + " or ".join(f"`interlock {word}`" for word in near), prefix="")
    else:
        _say(f"  to run a program under a policy: interlock run -- {printable(name)}", prefix="")
    return exits.USAGE


def _own_fault(error: Exception, name: str) -> int:
    import os
    import traceback

    from interlock.vocabulary.printable import printable

    _say(f"internal error in `{printable(name)}`: {type(error).__name__}: {printable(str(error))}")
    if os.environ.get("INTERLOCK_TRACE"):
        traceback.print_exception(error)
    else:
        _say("  this is a fault of Interlock; set INTERLOCK_TRACE=1 to see where", prefix="")
    return exits.FAILED


def _say(text: str, prefix: str = "interlock: ") -> None:
    try:
        sys.stderr.write(f"{prefix}{text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # nobody listens; the exit code still says it

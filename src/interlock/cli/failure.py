"""What a person sees when a command could not do its work: what happened, what to do, and the code that scripts
read.
"""

from __future__ import annotations

import errno
import sys

from interlock.vocabulary.errors import EXIT_FAILED, EXIT_USAGE, InterlockError
from interlock.vocabulary.printable import printable

#: A message is shown whole up to this many characters a line; a longer one was made by an attacker.
LINE_CHARACTERS_MAX = 2000


_DISK_ERRORS = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})


def report(error: Exception, words: list[str]) -> int:
    """Print the error on stderr and return its exit code. Our own fault is said as such, with where to find the
    trace.
    """
    if not isinstance(error, InterlockError):
        return _disk_fault(error) or _own_fault(error, words[0] if words else "")
    first, *rest = str(error).splitlines() or [""]
    say(first)
    for line in rest:
        say(f"  {line}", prefix="")
    if error.hint:
        say(f"  hint: {error.hint}", prefix="")
    return error.exit_code


def unknown_command(name: str) -> int:
    """Name the commands that look alike."""
    import difflib

    from interlock.cli.commands import COMMANDS

    say(f"unknown command `{name}`")
    near = difflib.get_close_matches(name, COMMANDS, n=2)
    if near:
        say("  did you mean " + " or ".join(f"`interlock {word}`" for word in near), prefix="")
    else:
        say(f"  hint: to run a program under a policy: interlock run -- {name}", prefix="")
    return EXIT_USAGE


def say(text: str, *, prefix: str = "interlock: ") -> None:
    """One line on stderr, made safe to show. That nobody listens is not an error: the exit code still says it."""
    if sys.stderr is None:  # it was closed at the start
        return
    try:
        sys.stderr.write(f"{prefix}{printable(text, LINE_CHARACTERS_MAX)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def _disk_fault(error: Exception) -> int:
    """A disk that takes nothing is not Interlock's fault, whichever command meets it first. 0 when it is not that."""
    if not (isinstance(error, OSError) and error.errno in _DISK_ERRORS):
        return 0
    say(_file_limit() or f"cannot write: {error}")
    say(f"  hint: {_room_hint()}", prefix="")
    return EXIT_FAILED


def _file_limit() -> str | None:
    """The limit on files that a fault of the disk comes from, in the supervisor's words."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if limit else "a file may have 0 bytes here (`ulimit -f`): too few for the session's log"


def _room_hint() -> str:
    import resource

    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
        return "files of this shell may not grow as they must: raise `ulimit -f`"
    return "make room or make it writable, or set INTERLOCK_HOME to a directory that you may write"


def _own_fault(error: Exception, name: str) -> int:
    import os
    import traceback

    say(f"internal error in `{name}`: {type(error).__name__}: {error}")
    if os.environ.get("INTERLOCK_TRACE"):
        traceback.print_exception(error)
    else:
        say("  this is a fault of Interlock; set INTERLOCK_TRACE=1 to see where", prefix="")
    return EXIT_FAILED

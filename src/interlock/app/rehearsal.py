"""A session rehearsed: `interlock run` with a command that does nothing, in a home and a workspace that are made for it
and removed.

It is started as people start it, as a program of its own, so that it cannot succeed where a session would be refused.
Left out: the home that this user really has, which `doctor` looks at by itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import Final, NamedTuple

from interlock.host.executable import find_supervisor
from interlock.host.supervisor import more_seconds_to_start
from interlock.vocabulary.errors import EXIT_FAILED, InterlockError

#: How long all of it may take beyond what its own steps are given.
_SECONDS_MAX: Final = 60
#: A socket's name has room for 107 bytes, and 61 are the folder's, the home's and the session's.
_BYTES_MAX: Final = 46
_TOO_SLOW: Final = "where the machine is slow or busy, INTERLOCK_START_SECONDS=120 waits longer"
_OUTSIDE: Final = "a directory for temporary files is needed: set TMPDIR to one that you may write"


class Rehearsed(NamedTuple):
    """How it went. `code` is the exit code of `interlock run`; `advice` says what to do about anything but 0."""

    code: int
    detail: str
    advice: str = ""


def rehearse() -> Rehearsed:
    """Run it."""
    try:
        place = tempfile.mkdtemp(prefix="il-", dir=_directory())
    except OSError as error:
        return Rehearsed(EXIT_FAILED, f"nothing could be tried: {error}", _OUTSIDE)
    try:
        return _run(place)
    except InterlockError as error:
        return Rehearsed(error.exit_code, str(error), error.hint or "")
    except subprocess.TimeoutExpired as error:
        return Rehearsed(EXIT_FAILED, f"a session was not over after {error.timeout:.0f} s", _TOO_SLOW)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _directory() -> str:
    """Where temporary files go, or `/tmp` where a socket's name would grow too long there."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) <= _BYTES_MAX else "/tmp"  # noqa: S108 - mkdtemp makes a folder of its own


def _run(place: str) -> Rehearsed:
    workspace = os.path.join(place, "workspace")
    os.mkdir(workspace)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment["INTERLOCK_HOME"] = os.path.join(place, "h")
    harmless = shutil.which("true", path="/usr/bin:/bin")
    command = [harmless] if harmless else [find_supervisor(), "--version"]
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "interlock", "run", "--workspace", workspace, "--", *command],
        cwd=workspace,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS_MAX + more_seconds_to_start(environment),
        check=False,
    )
    if ran.returncode == 0:
        return Rehearsed(0, "a session was built, tried and ended")
    return _told(ran.returncode, ran.stderr)


def _told(code: int, stderr: str) -> Rehearsed:
    """The last message and hint of `interlock run`, as it prints them (`cli/failure`)."""
    message, hint = f"`interlock run` ended with {code}", ""
    for line in stderr.splitlines():
        if line.startswith("interlock: "):
            message = line.removeprefix("interlock: ")
        elif line.startswith("  hint: "):
            hint = line.removeprefix("  hint: ")
    return Rehearsed(code, message, hint)

"""What is left of a session whose keepers are gone: `interlock run` adopts it and ends it, or cannot say that it ended.

The keepers end the tree by themselves when one of them is lost. When all are lost in one instant (a kill of a control
group) nobody is left to do it; then the kernel gives the tree to whoever above declared itself a sub-reaper,
PR_SET_CHILD_SUBREAPER of prctl(2), and a sub-reaper without children has no descendants.

Leaves out a process that had children before its first line (`exec interlock run` in a shell with jobs): it could not
tell theirs from the session's, so it adopts nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Final

from interlock._native import adopt_orphans

#: The keepers' own time to end the tree, and then this process's.
_KEEPERS_SECONDS_MAX: Final = 3.0
_OWN_SECONDS_MAX: Final = 5.0
_LOOK_SECONDS: Final = 0.005


class Orphans:
    """To be made before the supervisor is started."""

    def __init__(self) -> None:
        self._adopts = _children() == []
        if self._adopts:
            try:
                adopt_orphans()
            except OSError:
                self._adopts = False

    def end(self) -> bool:
        """Whether nothing of the session runs any more. To be asked when the supervisor was lost: what the keepers do
        not end in their time is ended here.
        """
        if not self._adopts:
            return False
        begun = time.monotonic()
        while _have_children():
            spent = time.monotonic() - begun
            if spent > _KEEPERS_SECONDS_MAX + _OWN_SECONDS_MAX:
                return False
            if spent > _KEEPERS_SECONDS_MAX:
                _strike()
            time.sleep(_LOOK_SECONDS)
        return True


def _have_children() -> bool:
    """Reaps all that have ended; the kernel says whether others are left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _strike() -> None:
    """Their ids are theirs until this process reaps them."""
    for child in _children() or ():
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)


def _children() -> list[int] | None:
    """The children of all threads (proc_pid_task_children(5)); None where the kernel does not list them."""
    found: list[int] = []
    try:
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as listed:
                found += map(int, listed.read().split())
    except OSError:
        return None
    return found

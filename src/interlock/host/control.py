"""The outside face of a session (`spec/supervisor.md`): show it, end it. Sessions are found by their sockets; there
is no daemon.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any, Final

from interlock.host.inside import request
from interlock.vocabulary.errors import PeerError

_SESSIONS_MAX: Final = 1000


def running_sessions(runtime: str) -> list[str]:
    """The ids of sessions whose control socket is there, oldest first. Whether one answers is known only by asking."""
    try:
        names = sorted(os.listdir(runtime))[:_SESSIONS_MAX]
    except FileNotFoundError:
        return []
    return [name for name in names if name.startswith("s-") and _is_socket(f"{runtime}/{name}/control.sock")]


def show(runtime: str, session: str) -> dict[str, Any]:
    """State, command, start time, counts, processes. Raises `PeerError` when the session does not answer."""
    return request(f"{runtime}/{session}/control.sock", {"type": "show"})


def end(runtime: str, session: str) -> dict[str, Any]:
    """End the session's whole tree. Raises `PeerError` when it does not answer."""
    return request(f"{runtime}/{session}/control.sock", {"type": "end"})


def remove_leftover(runtime: str, session: str) -> None:
    """Take away the sockets of a session that nobody answers for (its supervisor was killed)."""
    for name in ("control.sock", "inside.sock"):
        with contextlib.suppress(OSError):
            os.unlink(f"{runtime}/{session}/{name}")
    with contextlib.suppress(OSError):
        os.rmdir(f"{runtime}/{session}")


def is_answering(runtime: str, session: str) -> bool:
    """Whether the session's supervisor answers."""
    try:
        show(runtime, session)
    except PeerError:
        return False
    return True


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False

"""The outside face of a session (`spec/supervisor.md`): show it, end it. Sessions are found by their sockets; there
is no daemon.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from interlock.host.inside import request

if TYPE_CHECKING:
    from interlock.vocabulary.json_value import JsonObject

_SESSIONS_MAX: Final = 1000


def running_sessions(runtime: str) -> list[str]:
    """The ids of sessions whose control socket is there, oldest first. Whether one answers is known only by asking."""
    try:
        names = sorted(os.listdir(runtime))[:_SESSIONS_MAX]
    except FileNotFoundError:
        return []
    return [name for name in names if name.startswith("s-") and _is_socket(f"{runtime}/{name}/control.sock")]


def show(runtime: str, session: str) -> JsonObject:
    """State, command, start time, counts, processes. Raises `PeerError` when the session does not answer."""
    return request(f"{runtime}/{session}/control.sock", {"type": "show"})


def end(runtime: str, session: str) -> JsonObject:
    """End the session's whole tree. Raises `PeerError` when it does not answer."""
    return request(f"{runtime}/{session}/control.sock", {"type": "end"})


def revoke(runtime: str, session: str, grant: str) -> bool:
    """Take back a yes for the session; whether it had that one. Raises `PeerError` when it does not answer."""
    said = request(f"{runtime}/{session}/control.sock", {"type": "revoke", "grant": grant})
    return said.get("revoked") is True


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False

"""The inside face of a session (`spec/supervisor.md`): one question, its own denials. Used by `why` and by a nested
run.
"""

from __future__ import annotations

import json
from typing import Any, Final

from interlock.vocabulary.errors import PeerError

#: The mark of a session's filter (`spec/supervisor.md`): a command that fcntl(2) does not have, and the errno that
#: only that filter answers it with.
_MARK: Final = 0x494C434B
_MARK_ERRNO: Final = 3141
_ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
_SECONDS_MAX: Final = 5.0


def is_held() -> bool:
    """Whether a session holds this process: the kernel's word. Variables, and sockets that answer, are anybody's; the
    filter of another program (a container's) does not know the mark.
    """
    import fcntl

    try:
        fcntl.fcntl(0, _MARK)
    except OSError as error:
        return error.errno == _MARK_ERRNO
    return False


def why(path: str, *, last: int) -> dict[str, Any]:
    """The session's answer to `why` from its inside socket at `path`: `session`, `own_layers`, and its `last` denials.
    Raises `PeerError` when nobody answers, or not in kind.
    """
    answer = request(path, {"type": "why", "last": last})
    denials = answer.get("denials")
    if not isinstance(denials, list) or not all(isinstance(denial, dict) for denial in denials):
        raise PeerError("the session did not answer with denials")
    return answer


def request(path: str, message: dict[str, Any]) -> dict[str, Any]:
    """One request, one answer, over a unix socket. Raises `PeerError` when there is none in time, or it is no JSON
    object.
    """
    import socket

    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_SECONDS_MAX)
            connection.connect(path)
            connection.sendall(json.dumps(message).encode() + b"\n")
            found = _read_line(connection)
    except OSError as error:
        raise PeerError(f"no session answers at `{path}`: {error.strerror or error}") from error
    try:
        answer = json.loads(found)
    except ValueError as error:
        raise PeerError("the session's answer is not JSON") from error
    if not isinstance(answer, dict):
        raise PeerError("the session's answer is not a JSON object")
    return answer


def _read_line(connection: Any) -> bytes:
    found = b""
    while not found.endswith(b"\n") and len(found) < _ANSWER_BYTES_MAX:
        data = connection.recv(65536)
        if not data:
            break
        found += data
    return found

"""The inside face of a session (`spec/supervisor.md`): one question, its own denials. Used by `why` and by a nested
run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from interlock.vocabulary.errors import PeerError

if TYPE_CHECKING:
    from interlock.vocabulary.denial import DenialsTold
    from interlock.vocabulary.json_value import JsonObject

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


def why(path: str, *, last: int) -> DenialsTold:
    """The session's answer to `why` from its inside socket at `path`, with its `last` denials. Raises `PeerError` when
    nobody answers, or not in kind.
    """
    from interlock.vocabulary.denial import Denial, DenialsTold
    from interlock.vocabulary.printable import text_of

    answer = request(path, {"type": "why", "last": last})
    told, files = answer.get("denials"), answer.get("own_layers")
    if not isinstance(told, list) or not all(isinstance(denial, dict) for denial in told):
        raise PeerError("the session did not answer with denials")
    named = {name: text_of(place) for name, place in files.items()} if isinstance(files, dict) else {}
    return DenialsTold(str(answer.get("session")), named, tuple(map(Denial.read, told)))


def request(path: str, message: JsonObject) -> JsonObject:
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

"""Where the supervisor brings what programs ask of the key agent: a socket outside the jail, one thread a connection.

Lines of JSON, as `spec/keys.md` has them. Whatever goes wrong ends its connection, and what was asked is not signed:
the supervisor records that. Nothing is imported here that a session without keys would pay for.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from io import BufferedReader

    from interlock.key_agent.conversation import Conversation, Gate
    from interlock.vocabulary.json_value import JsonObject

_LINE_BYTES_MAX: Final = 512 * 1024
_BACKLOG: Final = 32


class KeySocket:
    """The listening socket."""

    def __init__(self, path: str, begin: Callable[[Gate], Conversation]) -> None:
        """`begin`: what answers one program, which asks at this gate."""
        self._path = path
        self._begin = begin
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def start(self) -> None:
        """Listen, in a folder that is closed to others."""
        self._socket.bind(self._path)
        self._socket.listen(_BACKLOG)
        threading.Thread(target=self._accept, name="keys", daemon=True).start()

    def close(self) -> None:
        """Listen no more, and take the socket away."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connected,), name="keys", daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        with connected, connected.makefile("rb") as stream, contextlib.suppress(Exception):
            _, peer, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if peer == os.getuid():
                self._converse(_Lines(connected, stream))

    def _converse(self, lines: _Lines) -> None:
        conversation = self._begin(lines)
        try:
            while (asked := lines.heard("request")) is not None:
                connected = asked.get("connected")
                places = [str(each) for each in connected] if isinstance(connected, list) else []
                said = conversation.answer(_bytes(asked.get("data")), places)
                lines.say({"type": "answer", "data": _text(said.data), "done": said.done})
        finally:
            conversation.close()


class _Lines:
    """The other end, which is the supervisor: a `Gate`."""

    def __init__(self, connected: socket.socket, stream: BufferedReader) -> None:
        self._socket = connected
        self._stream = stream

    def may(self, targets: Sequence[JsonObject]) -> bool:
        """Ask the line, and wait for it."""
        self.say({"type": "use", "targets": list(targets)})
        settled = self.heard("settled")
        return settled is not None and settled.get("allowed") is True

    def refused(self, target: JsonObject, because: str) -> None:
        """Have it recorded."""
        self.say({"type": "refused", "target": target, "because": because})

    def say(self, message: JsonObject) -> None:
        """One line."""
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def heard(self, kind: str) -> JsonObject | None:
        """The next line; None where the other end has left. Raises `ValueError` for what is not of this kind."""
        line = self._stream.readline(_LINE_BYTES_MAX)
        if not line:
            return None
        message = json.loads(line)
        if not isinstance(message, dict) or message.get("type") != kind:
            raise ValueError("not a line of this kind")
        return message


def _bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    encoded = value.get("base64") if isinstance(value, dict) else None
    if not isinstance(encoded, str):
        raise ValueError("no bytes")
    return b64decode(encoded, validate=True)


def _text(data: bytes) -> object:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}

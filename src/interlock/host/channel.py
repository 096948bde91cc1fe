"""The wire to the supervisor (`spec/supervisor.md`): one JSON object a line, at most 4 MiB, both ways. Framing only."""

from __future__ import annotations

import json
import select
from typing import TYPE_CHECKING, Any, Final

from interlock.vocabulary.errors import EXIT_FAILED, PeerError

if TYPE_CHECKING:
    import socket

Message = dict[str, Any]
#: One message, in bytes, newline included.
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
_READ_BYTES: Final = 65536


class Channel:
    """A stream socket that speaks in messages. Reading never blocks; writing waits up to a limit, since messages
    down are few.
    """

    def __init__(self, endpoint: socket.socket) -> None:
        endpoint.setblocking(False)
        self._socket = endpoint
        self._partial = bytearray()
        self.closed = False

    def fileno(self) -> int:
        """For poll and event loops."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close our end; before `ended` and without `release` this ends the tree."""
        self._socket.close()

    def send(self, message: Message, *, wait_ms_max: int = 5000) -> None:
        """Send one message. Raises `PeerError` when the supervisor is gone or does not read."""
        data = memoryview(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        if len(data) > MESSAGE_BYTES_MAX:
            raise PeerError(
                "a message to the supervisor is larger than 4 MiB",
                hint="is the environment or command line that large?",
            )
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._socket.fileno(), select.POLLOUT)
                if not poll.poll(wait_ms_max):
                    raise PeerError("the supervisor does not read", exit_code=EXIT_FAILED) from None
            except OSError as error:
                self.closed = True
                raise PeerError("the supervisor is gone", exit_code=EXIT_FAILED) from error

    def receive(self) -> list[Message]:
        """What has arrived, without waiting. Sets `closed` at the end of the stream. Raises `PeerError` on what is
        no message.
        """
        messages: list[Message] = []
        while not self.closed:
            try:
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.closed = True
                break
            self._partial += data
            messages += self._split()
        return messages

    def _split(self) -> list[Message]:
        *lines, rest = bytes(self._partial).split(b"\n")
        if len(rest) >= MESSAGE_BYTES_MAX or any(len(line) >= MESSAGE_BYTES_MAX for line in lines):
            raise PeerError("a message of the supervisor is larger than 4 MiB")
        self._partial = bytearray(rest)
        return [_parse(line) for line in lines]


def _parse(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PeerError("the supervisor sent what is not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise PeerError("the supervisor sent a message without a type")
    return message

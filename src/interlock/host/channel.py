"""The wire to the supervisor (`spec/supervisor.md`): one JSON object a line, at most 4 MiB, both ways. What comes
is read into values here, so that nobody behind it looks into JSON."""

from __future__ import annotations

import json
import select
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.changes import changes_of
from interlock.vocabulary.errors import EXIT_FAILED, PeerError
from interlock.vocabulary.supervision import (
    Asked,
    ContextTaken,
    DenialGroup,
    Denied,
    Ended,
    Ending,
    Exited,
    Failed,
    Started,
    Steered,
    Suppressed,
    Told,
    Unkept,
    Withdrawn,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from interlock.vocabulary.enforcement import Enforcement
    from interlock.vocabulary.json_value import JsonObject

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

    def send(self, message: Mapping[str, object], *, wait_ms_max: int = 5000) -> None:
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

    def receive(self) -> list[Told]:
        """What has arrived, without waiting. Sets `closed` at the end of the stream. Raises `PeerError` on what is
        no message.
        """
        messages: list[Told] = []
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

    def _split(self) -> list[Told]:
        *lines, rest = bytes(self._partial).split(b"\n")
        if len(rest) >= MESSAGE_BYTES_MAX or any(len(line) >= MESSAGE_BYTES_MAX for line in lines):
            raise PeerError("a message of the supervisor is larger than 4 MiB")
        self._partial = bytearray(rest)
        return [_read(_parse(line)) for line in lines]


def _parse(line: bytes) -> JsonObject:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PeerError("the supervisor sent what is not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise PeerError("the supervisor sent a message without a type")
    return message


def _read(message: JsonObject) -> Told:
    kind = message.get("type")
    match kind:
        case "denied":
            return Denied(_object(message, "action") or {}, _object(message, "decision") or {})
        case "steered":
            return Steered(_object(message, "action") or {}, _object(message, "decision") or {})
        case "unkept":
            return Unkept(str(message.get("because")), message.get("path"))
        case "suppressed":
            groups = message.get("groups")
            found = [_group(each) for each in groups if isinstance(each, dict)] if isinstance(groups, list) else []
            return Suppressed(_number(message, "count") or 0, tuple(found))
        case "question":
            return _asked(message)
        case "withdrawn":
            return Withdrawn(str(message.get("id")), str(message.get("reason") or "withdrawn"))
        case "context":
            return ContextTaken()
        case _:
            return _course(message, kind)


def _course(message: JsonObject, kind: object) -> Told:
    """How a session begins and ends."""
    match kind:
        case "started":
            enforced = _object(message, "enforced") or {}
            process = _number(message, "process")
            return Started(process or -1, {name: _enforcement(said) for name, said in enforced.items()})
        case "failed":
            return Failed(_number(message, "code"), str(message.get("message")), _text(message, "hint"))
        case "exited":
            running = message.get("running")
            left = [each for each in running if isinstance(each, int)] if isinstance(running, list) else []
            return Exited(_number(message, "code"), _number(message, "signal"), tuple(left))
        case "ending":
            return Ending()
        case "ended":
            return Ended(
                code=_number(message, "code"),
                reason=str(message.get("reason")),
                counts=_object(message, "counts"),
                runs_later=changes_of(message),
                checkpoint=_text(message, "checkpoint"),
            )
        case _:
            raise PeerError(f"the supervisor sent an unknown message `{kind}`")


def _asked(message: JsonObject) -> Asked:
    identity, digest, timeout_ms = _text(message, "id"), _text(message, "digest"), _number(message, "timeout_ms")
    action, decision = _object(message, "action"), _object(message, "decision")
    if identity is None or digest is None or timeout_ms is None or action is None or decision is None:
        raise PeerError("the supervisor sent a question that lacks a part")
    return Asked(identity, action, digest, decision, timeout_ms)


def _group(value: JsonObject) -> DenialGroup:
    return DenialGroup(
        verb=str(value.get("verb")),
        cause=str(value.get("cause")),
        place=_object(value, "place"),
        number=_number(value, "count") or 0,
        first=_object(value, "first"),
    )


def _enforcement(said: object) -> Enforcement:
    """What is not understood is not taken to hold."""
    from interlock.vocabulary.enforcement import NotEnforced, read

    try:
        return read(said)
    except ValueError:
        return NotEnforced("its state is not understood")


def _object(message: JsonObject, key: str) -> JsonObject | None:
    value = message.get(key)
    return value if isinstance(value, dict) else None


def _text(message: JsonObject, key: str) -> str | None:
    value = message.get(key)
    return value if isinstance(value, str) else None


def _number(message: JsonObject, key: str) -> int | None:
    value = message.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None

"""`runtime/gateway.sock`: where supervisors, outside the jail and of the same user, attest connections.

One JSON object a line each way. The peer's uid is the kernel's word (SO_PEERCRED, unix(7)). Left out: what an
attestation is good for (`authenticate.py`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from interlock.identity.authenticate import Attestation, Attestations
from interlock.vocabulary.json_text import JsonObject, MalformedJson, encode, is_object, parse

LINE_BYTES_MAX: Final = 4_096
IDLE_S_MAX: Final = 3_600.0
_KEYS: Final = frozenset({"type", "session", "address", "port", "cookie", "process", "to"})


class AttestationSocket:
    """The listening socket. `start` binds it 0600; `close` removes it."""

    def __init__(
        self, path: str, attestations: Attestations, *, uid: int, port: int, now_ms: Callable[[], int]
    ) -> None:
        """`port`: where the gateway listens. A connection to another port is nothing to it."""
        self._path = path
        self._port = port
        self._attestations = attestations
        self._uid = uid
        self._now_ms = now_ms
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A socket that a dead gateway left is replaced; a live one is an error of the caller's lock."""
        Path(self._path).unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LINE_BYTES_MAX)
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            Path(self._path).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if peer_uid(writer.get_extra_info("socket")) == self._uid:
                await self._answer_lines(reader, writer)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            return  # a peer that breaks the protocol or goes away is not answered, and its connect fails
        finally:
            writer.close()

    async def _answer_lines(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await asyncio.wait_for(reader.readline(), IDLE_S_MAX):
            message = _message(line)
            attestation = self._read(message) if message is not None else None
            elsewhere = message is not None and message.get("to", self._port) != self._port
            kept = attestation is not None and (elsewhere or self._attestations.add(attestation))
            writer.write(encode({"ok": kept}) + b"\n")
            await writer.drain()

    def _read(self, message: JsonObject) -> Attestation | None:
        session, port, cookie, process = (message.get(key) for key in ("session", "port", "cookie", "process"))
        if not isinstance(session, str) or not isinstance(port, int) or not isinstance(cookie, int) or cookie <= 0:
            return None
        return Attestation(session, port, cookie, process if isinstance(process, int) else 0, self._now_ms())


def _message(line: bytes) -> JsonObject | None:
    try:
        message = parse(line.strip(), bytes_max=LINE_BYTES_MAX)
    except MalformedJson:
        return None
    known = is_object(message) and not set(message) - _KEYS and message.get("type") == "attest"
    return message if known and is_object(message) else None


def peer_uid(connected: socket.socket) -> int:
    """The uid of the process that connected."""
    _, uid, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)

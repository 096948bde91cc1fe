"""A world of its own for a test: a network namespace with public, private and special addresses, servers on them, a server of names that notes what
it is asked, and the files by which a machine finds it.

The test's function runs in a child that has entered it. Nothing of it is seen outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

SERVER = "192.0.2.53"
PUBLIC = "203.0.113.7"
OTHER = "203.0.113.8"
PRIVATE = "10.1.2.3"
METADATA = "169.254.169.254"
SIX = "2606:4700::7"
ADDRESSES = (SERVER, PUBLIC, OTHER, PRIVATE, METADATA)
PORT = 443
_NEW_NETWORK, _NEW_MOUNTS = 0x40000000, 0x00020000
_MS_REC, _MS_PRIVATE, _MS_BIND = 0x4000, 1 << 18, 0x1000
#: What the child ends with where it may not make a world.
_NONE_HERE = 77
_LIBC = ctypes.CDLL(None, use_errno=True)

Zone = dict[str, Sequence[str] | Callable[[int], Sequence[str]]]


class World:
    """Inside: what names lead to (`zone`), which names were asked for, and which servers were reached."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.asked: list[str] = []
        self.reached: list[str] = []
        self._counts: dict[str, int] = {}

    def begin(self, resolv: str, hosts: str) -> None:
        for address in ADDRESSES:
            _run("ip", "address", "add", f"{address}/32", "dev", "lo")
        _run("ip", "-6", "address", "add", f"{SIX}/128", "dev", "lo", "nodad")
        _run("ip", "link", "set", "lo", "up")
        for place, text in (("/etc/resolv.conf", resolv), ("/etc/hosts", hosts)):
            self._show(place, text)
        for family, address in [(socket.AF_INET, address) for address in ADDRESSES[1:]] + [(socket.AF_INET6, SIX)]:
            self._serve(family, address)
        self._answer()

    @staticmethod
    def _show(place: str, text: str) -> None:
        handle, path = tempfile.mkstemp()
        os.write(handle, text.encode())
        os.fchmod(handle, 0o644)
        os.close(handle)
        source, target = path.encode(), os.path.realpath(place).encode()
        if _LIBC.mount(source, target, None, _MS_BIND, None):
            raise OSError(ctypes.get_errno(), f"cannot mount over {place}")
        os.unlink(path)

    def _serve(self, family: int, address: str) -> None:
        """Says its address to whoever connects, and notes that somebody did."""
        server = socket.create_server((address, PORT), family=family)

        def serve() -> None:
            while True:
                peer, _ = server.accept()
                self.reached.append(address)
                body = f"HTTP/1.0 200 OK\r\nContent-Length: {len(address)}\r\n\r\n{address}"
                # Who only looks whether it can connect is gone by now.
                with contextlib.suppress(OSError), peer:
                    peer.sendall(body.encode())
                    peer.shutdown(socket.SHUT_WR)

        threading.Thread(target=serve, daemon=True).start()

    def _answer(self) -> None:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind((SERVER, 53))
        streams = socket.create_server((SERVER, 53))

        def by_datagram() -> None:
            while True:
                message, client = datagrams.recvfrom(4096)
                datagrams.sendto(self._reply(message, limited=True), client)

        def by_stream() -> None:
            while True:
                peer, _ = streams.accept()
                length = peer.recv(2)
                reply = self._reply(peer.recv(int.from_bytes(length)), limited=False)
                peer.sendall(len(reply).to_bytes(2) + reply)
                peer.close()

        for act in (by_datagram, by_stream):
            threading.Thread(target=act, daemon=True).start()

    def _reply(self, message: bytes, *, limited: bool) -> bytes:
        name, end = [], 12
        while message[end]:
            name.append(message[end + 1 : end + 1 + message[end]].decode())
            end += 1 + message[end]
        kind = int.from_bytes(message[end + 1 : end + 3])
        asked = ".".join(name).lower()
        self.asked.append(asked)
        question, known = message[12 : end + 5], self.zone.get(asked)
        count = self._counts[asked] = self._counts.get(asked, 0) + 1
        texts = known(count) if callable(known) else known or ()
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        addresses = [socket.inet_pton(family, text) for text in texts if family and (":" in text) == (kind == 28)]
        code = 3 if known is None else 0
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(each)) + each for each in addresses)
        if limited and len(addresses) > 30:
            return message[:2] + bytes([0x83, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]) + question
        return message[:2] + bytes([0x81, 0x80 | code, 0, 1]) + len(addresses).to_bytes(2) + bytes(4) + question + records


def in_world(
    act: Callable[[World], None], zone: Zone, *, resolv: str = f"nameserver {SERVER}\n", hosts: str = "127.0.0.1 localhost\n"
) -> None:
    """Run `act` in a world. What it raises is told and fails the test."""
    if shutil.which("ip") is None:
        pytest.skip("needs `ip` (iproute2)")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            if _LIBC.unshare(_NEW_NETWORK | _NEW_MOUNTS):
                os._exit(_NONE_HERE)
            if _LIBC.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None):
                raise OSError(ctypes.get_errno(), "no mounts of its own")
            world = World(zone)
            world.begin(resolv, hosts)
            act(world)
            code = 0
        except BaseException:  # a child must not come back into pytest
            os.write(writing, traceback.format_exc().encode()[-60000:])
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == _NONE_HERE:
        pytest.skip("needs CAP_SYS_ADMIN, to make a network of its own")
    assert status == 0, text


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def folder() -> Path:
    """A folder that every user may enter."""
    path = Path(tempfile.mkdtemp(prefix="interlock-names-"))
    path.chmod(0o777)
    return path

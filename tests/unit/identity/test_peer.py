"""The other end of a connection: the kernel's word, and nobody where it says nothing."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

import pytest

from interlock.identity.peer import find_peer
from interlock.identity.socket_query import query_peer

#: include/uapi/asm-generic/socket.h.
SO_COOKIE = 57


@pytest.fixture(params=["127.0.0.1", "::1"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    try:
        listener = socket.create_server((request.param, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {request.param}")
    client = socket.create_connection(listener.getsockname()[:2])
    accepted, _ = listener.accept()
    yield client, accepted
    for each in (client, accepted, listener):
        each.close()


@pytest.mark.parametrize("find", [find_peer, query_peer])
def test_a_live_connection_is_its_owners(pair: tuple[socket.socket, socket.socket], find: object) -> None:
    client, accepted = pair
    ends = {"client": accepted.getpeername()[:2], "server": accepted.getsockname()[:2]}
    [cookie] = struct.unpack("=Q", client.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))
    found = find(**ends)  # type: ignore[operator]
    assert found is not None and (found.uid, found.cookie) == (os.geteuid(), cookie)


def test_a_connection_that_is_gone_is_nobodys(pair: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = pair
    ends = {"client": accepted.getpeername()[:2], "server": accepted.getsockname()[:2]}
    client.close()
    accepted.close()
    assert find_peer(**ends) is None


def test_what_the_kernel_does_not_say_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise OSError(22, "no such query")

    monkeypatch.setattr("interlock.identity.peer.query_peer", refused)
    assert find_peer(client=("127.0.0.1", 1), server=("127.0.0.1", 2)) is None

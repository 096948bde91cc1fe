"""The other end of a connection: the kernel's word, the tables' word, and rows that must never pass for somebody."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.identity.peer import find_in_tables, find_peer
from interlock.identity.socket_query import query_peer


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


@pytest.mark.parametrize("find", [find_peer, find_in_tables, query_peer])
def test_a_live_connection_is_its_owners(pair: tuple[socket.socket, socket.socket], find: object) -> None:
    client, accepted = pair
    ends = {"client": accepted.getpeername()[:2], "server": accepted.getsockname()[:2]}
    found = find(**ends)  # type: ignore[operator]
    assert found is not None and (found.uid, found.inode) == (os.geteuid(), os.fstat(client.fileno()).st_ino)


@pytest.mark.parametrize("find", [find_peer, find_in_tables])
def test_a_connection_that_is_gone_is_nobodys(pair: tuple[socket.socket, socket.socket], find: object) -> None:
    client, accepted = pair
    ends = {"client": accepted.getpeername()[:2], "server": accepted.getsockname()[:2]}
    client.close()
    accepted.close()
    assert find(**ends) is None  # type: ignore[operator]


def test_rows_without_an_inode_and_two_rows_are_nobody(tmp_path: Path) -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    row = "   0: 0100007F:{port} 0100007F:1CDF {state} 00000000:00000000 00:00000000 00000000     {uid}        0 {inode} 1 0\n"
    table = tmp_path / "tcp"
    ends = {"client": ("127.0.0.1", 0x1111), "server": ("127.0.0.1", 0x1CDF), "tables": (str(table),)}

    def found(*rows: dict[str, object]) -> object:
        table.write_text(head + "".join(row.format(**{"port": "1111", "state": "01", "uid": 0, "inode": 7, **each}) for each in rows))
        return find_in_tables(**ends)  # type: ignore[arg-type]

    assert found({}) is not None
    assert found({"inode": 0}) is None
    assert found({"state": "06"}) is None
    assert found({}, {"uid": 5, "inode": 8}) is None
    assert found({"port": "1112"}) is None

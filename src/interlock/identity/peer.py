"""The other end of a loopback TCP connection: asked of the kernel, or from `/proc/net/tcp` and `tcp6` (proc(5)).

Only a live socket counts: the rows of TIME_WAIT and of orphaned sockets show uid 0 and inode 0, and a row that reads
so must never pass for root's. Left out: connections from other hosts, which have no row of their own here.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from interlock.identity.principal import Peer
from interlock.identity.socket_query import query_peer

TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
#: TCP_ESTABLISHED and TCP_FIN_WAIT1, TCP_FIN_WAIT2 (half closed by a client that still reads),
#: include/net/tcp_states.h.
_LIVE_STATES: Final = frozenset({"01", "04", "05"})

Endpoint = tuple[str, int]


def find_peer(*, client: Endpoint, server: Endpoint) -> Peer | None:
    """The owner of the client's socket of one connection: asked directly, from the tables where the kernel does not
    answer."""
    try:
        return query_peer(client=client, server=server)
    except OSError:
        return find_in_tables(client=client, server=server)


def find_in_tables(*, client: Endpoint, server: Endpoint, tables: tuple[str, ...] = TABLES) -> Peer | None:
    """The owner of the client's socket of one connection, or none when the kernel does not show exactly one.

    Arguments: `client` and `server`, address and port as the accepting side sees them.
    """
    wanted = (_key(client), _key(server))
    found = {peer for table in tables for row in _rows(table) if (peer := _match(row, wanted))}
    return found.pop() if len(found) == 1 else None


def _rows(table: str) -> Iterator[list[str]]:
    try:
        lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        yield line.split()


def _match(row: list[str], wanted: tuple[tuple[str, int], tuple[str, int]]) -> Peer | None:
    if len(row) < 10 or row[3] not in _LIVE_STATES or row[9] == "0":
        return None
    if int(row[1].rpartition(":")[2], 16) != wanted[0][1] or int(row[2].rpartition(":")[2], 16) != wanted[1][1]:
        return None
    if (_endpoint(row[1]), _endpoint(row[2])) != wanted:
        return None
    return Peer(uid=int(row[7]), inode=int(row[9]))


def _endpoint(text: str) -> tuple[str, int]:
    """`0100007F:1CDF`: the address as 32-bit words in the machine's byte order, the port in hex."""
    words, _, port = text.rpartition(":")
    raw = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    return _key((str(ipaddress.ip_address(raw)), int(port, 16)))


def _key(endpoint: Endpoint) -> tuple[str, int]:
    address = ipaddress.ip_address(endpoint[0].partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address), endpoint[1]

"""The other end of a loopback TCP connection, asked of the kernel for exactly this connection (sock_diag(7),
inet_diag).

`/proc/net/tcp` is not read: it takes 10 ms and more on a busy machine, and is told in parts. The kernel may fall
back to a listening socket of the same port: an answer counts only if it is live and names the very endpoints that
were asked for.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Final

from interlock.identity.principal import Peer

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST: Final = 1  # NLM_F_REQUEST
_ALL_STATES: Final = 0xFFFFFFFF
#: TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2: include/net/tcp_states.h.
_LIVE: Final = frozenset({1, 4, 5})
_HEADER: Final = struct.Struct("=IHHII")
_QUERY: Final = struct.Struct("=BBBBI")
_ANY_COOKIE: Final = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
_SOCKET_ID_BYTES: Final = 48
_ENDPOINTS_BYTES: Final = 36
_COUNTS: Final = struct.Struct("=IIIII")
_COOKIE: Final = struct.Struct("=Q")
ANSWER_BYTES_MAX: Final = 16 * 1024
WAIT_S_MAX: Final = 1.0

Endpoint = tuple[str, int]


def query_peer(*, client: Endpoint, server: Endpoint) -> Peer | None:
    """The owner of the client's socket of one connection, or none when there is no such live socket.

    Raises `OSError` when the kernel does not answer.
    """
    family, identity = _socket_id(client, server)
    query = _QUERY.pack(family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + identity + _ANY_COOKIE
    header = _HEADER.pack(_HEADER.size + len(query), SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as channel:
        channel.settimeout(WAIT_S_MAX)
        channel.send(header + query)
        return _read(channel.recv(ANSWER_BYTES_MAX), identity)


def _socket_id(client: Endpoint, server: Endpoint) -> tuple[int, bytes]:
    """`struct inet_diag_sockid` without interface and cookie: ports and addresses, as the client's socket sees them."""
    here, there = (ipaddress.ip_address(each[0].partition("%")[0]) for each in (client, server))
    family = socket.AF_INET6 if here.version == 6 else socket.AF_INET
    packed = b"".join(address.packed.ljust(16, b"\0") for address in (here, there))
    return family, struct.pack("!HH", client[1], server[1]) + packed


def _read(answer: bytes, identity: bytes) -> Peer | None:
    _, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind != SOCK_DIAG_BY_FAMILY:
        code = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        if code in (0, 2):  # ENOENT: no such connection
            return None
        raise OSError(code, "the kernel does not answer for sockets")
    body = answer[_HEADER.size :]
    state = body[1]
    named = body[4 : 4 + _ENDPOINTS_BYTES]
    uid, inode = _COUNTS.unpack_from(body, 4 + _SOCKET_ID_BYTES)[3:]
    (cookie,) = _COOKIE.unpack_from(body, 4 + _SOCKET_ID_BYTES - _COOKIE.size)
    if state not in _LIVE or named != identity or inode == 0:
        return None
    return Peer(uid=uid, cookie=cookie)

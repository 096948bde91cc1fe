"""The other end of a loopback TCP connection, asked of the kernel. What it does not say is nobody.

Left out: connections from other hosts, whose sockets are not here.
"""

from __future__ import annotations

from interlock.identity.principal import Peer
from interlock.identity.socket_query import Endpoint, query_peer


def find_peer(*, client: Endpoint, server: Endpoint) -> Peer | None:
    """The owner of the client's socket of one connection, or none when the kernel shows no live one."""
    try:
        return query_peer(client=client, server=server)
    except OSError:
        return None

"""The other end of a connection, as the kernel reports it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a loopback connection as the kernel reports it: owner and cookie of its socket.

    The kernel gives a cookie once (SO_COOKIE), where it gives the number of an inode again.
    """

    uid: int
    cookie: int

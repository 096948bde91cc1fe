"""The other end of a connection, as the kernel reports it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a loopback connection as the kernel reports it: owner and inode of its socket."""

    uid: int
    inode: int

"""Connections that a supervisor vouches for, spec/gateway.md: matched on client port and socket inode, used once.

The table is pure (time is an argument); `attestation_socket.py` feeds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: A jailed process connects at once after its supervisor's word; what is older was never used.
ATTESTATION_MS_MAX: Final = 60_000
ATTESTATIONS_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class Attestation:
    """A supervisor's word: the socket `inode` bound to `port` belongs to `session`."""

    session: str
    port: int
    inode: int
    process: int
    made_ms: int


class Attestations:
    """What was attested and not used yet, by client port and inode."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], Attestation] = {}

    def add(self, attestation: Attestation) -> bool:
        """Keep it; false when too many wait (the supervisor then lets the connect fail)."""
        self._drop_old(attestation.made_ms)
        if len(self._waiting) >= ATTESTATIONS_MAX:
            return False
        self._waiting[(attestation.port, attestation.inode)] = attestation
        return True

    def take(self, *, port: int, inode: int, now_ms: int) -> Attestation | None:
        """The attestation of this very socket, once."""
        found = self._waiting.pop((port, inode), None)
        return found if found is not None and now_ms - found.made_ms <= ATTESTATION_MS_MAX else None

    def _drop_old(self, now_ms: int) -> None:
        old = [key for key, each in self._waiting.items() if now_ms - each.made_ms > ATTESTATION_MS_MAX]
        for key in old:
            del self._waiting[key]

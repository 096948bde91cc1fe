"""Effect: how far an operation came."""

from __future__ import annotations

from enum import StrEnum


class Effect(StrEnum):
    """The three words that agent, human and ledger (`action.enacted`) are told.

    An agent repeats what it is told was not done, so `NOT_SENT` is said only where it is certain: no byte of the
    request has left. `DONE` is a valid answer. Everything between is `UNKNOWN`.
    """

    NOT_SENT = "not sent"
    DONE = "done"
    UNKNOWN = "unknown"

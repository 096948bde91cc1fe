"""The name of a session: one spelling, made here and checked here. Names of actions, grants and questions are made
where they are counted, and are text to everyone else.

Randomness and the clock are arguments; this module reads neither.
"""

from __future__ import annotations

import re
import time
from typing import Final, NewType

__all__ = ["SessionId", "parse_session_id", "session_id"]

SessionId = NewType("SessionId", str)

_SESSION: Final = re.compile(r"s-[0-9]{8}T[0-9]{6}-[0-9a-f]{6}", re.ASCII)


def session_id(*, now_s: float, random: bytes) -> SessionId:
    """`s-YYYYMMDDTHHMMSS-6hex`.

    Arguments:
        now_s: seconds since 1970, UTC.
        random: at least three random bytes, of which the first three are used.

    Raises:
        ValueError: `random` is too short.
    """
    if len(random) < 3:
        raise ValueError("a session needs three random bytes")
    return SessionId(f"s-{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now_s))}-{random[:3].hex()}")


def parse_session_id(text: str) -> SessionId:
    """The text as a session id, or ValueError."""
    if _SESSION.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not a session id")
    return SessionId(text)

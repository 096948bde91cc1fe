"""One text on one target, within a time."""

from __future__ import annotations

import time

from .mutation import Mutation
from .targets import Target

#: No text of these sizes needs so long, on a busy machine either.
SECONDS_MAX = 5.0


class TooSlow(Exception):
    """A text took longer than any may."""


def played(target: Target, text: bytes, mutation: Mutation) -> None:
    """Raises what the target raises, and `TooSlow`."""
    began = time.process_time()
    target.check(text, mutation)
    took = time.process_time() - began
    if took > SECONDS_MAX:
        raise TooSlow(f"{took:.1f} s")

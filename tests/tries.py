"""How often a race is tried and for how long at most: short by default, 10⁶ tries with INTERLOCK_LONG=1.

INTERLOCK_TRIES and INTERLOCK_SECONDS set the two otherwise. `make races` plays every race at length, one after the other.
"""

from __future__ import annotations

import os

LONG = os.environ.get("INTERLOCK_LONG") == "1"
#: A race that is slow on a loaded machine has this long; the tries it had by then are what is printed.
LONG_SECONDS = 14_400


def tries(short: int, long: int = 1_000_000) -> int:
    """How often it is tried; `short` by default."""
    return int(os.environ.get("INTERLOCK_TRIES") or (long if LONG else short))


def seconds(short: int) -> int:
    """How long it may take; `short` by default."""
    return int(os.environ.get("INTERLOCK_SECONDS") or (LONG_SECONDS if LONG else short))

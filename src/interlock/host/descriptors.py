"""Standard descriptors that may be closed: nothing of ours may take their numbers."""

from __future__ import annotations

import os


def open_standard_descriptors() -> frozenset[int]:
    """A closed 0, 1 or 2 (`interlock run … <&-`) becomes `/dev/null`, before a socket of ours could take its number.
    Which they were: the command is to find them closed.
    """
    closed = set()
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.add(descriptor)
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
    return frozenset(closed)

"""Links on the way to a path: whoever makes one lead elsewhere changes what the path means, and no file."""

from __future__ import annotations

import os
from collections import deque
from typing import Final

#: Links followed for one path: the kernel's own limit, path_resolution(7).
_LINKS_MAX: Final = 40


def resolved(path: str) -> tuple[str, list[str]]:
    """Where an absolute path leads, whether it is there or not, and the links on the way, by their own names."""
    done, rest = "", deque(path.split("/"))
    links: list[str] = []
    while rest:
        name = rest.popleft()
        if name in ("", "."):
            continue
        if name == "..":
            done = os.path.dirname(done)
            continue
        place = f"{done.rstrip('/')}/{name}"
        if len(links) < _LINKS_MAX and os.path.islink(place):
            links.append(place)
            target = os.readlink(place)
            done = "" if target.startswith("/") else done
            rest.extendleft(reversed(target.split("/")))
        else:
            done = place
    return done or "/", links

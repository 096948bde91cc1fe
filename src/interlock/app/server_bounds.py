"""How much of the machine a started server has: its processes, their memory, what lies in its home. Beyond a limit of
its connector it is ended, and told.

Looked at by turns, so a server has for a moment what it takes between two looks. Left out: what it writes where its
connector grants it something (`--workspace`, a layer), and in shared folders outside its home.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from interlock.connectors.configuration import Limits
from interlock.host.control import show
from interlock.vocabulary.errors import PeerError

#: Between two looks while the server works on something, or grows; and otherwise.
LOOK_S: Final = 1.0
IDLE_LOOK_S: Final = 10.0
ENTRIES_MAX: Final = 200_000
_MIB: Final = 1024 * 1024
_MEMORY: Final = ("RssAnon:", "RssShmem:")


def exceeded(runtime: str, session: str, home: str, limits: Limits) -> str | None:
    """Which limit the server is beyond, in words; none while it is within all of them, or cannot be asked."""
    disk = _disk_bytes(home, limits.disk_bytes)
    if disk is not None:
        return disk
    try:
        found = show(runtime, session).get("processes")
    except (PeerError, OSError):
        return None  # it has ended, or its supervisor is busy ending it
    processes = [each for each in found if isinstance(each, int)] if isinstance(found, list) else []
    if len(processes) > limits.processes:
        return f"it runs {len(processes)} processes, more than {limits.processes}"
    memory = sum(_memory_bytes(each) for each in processes)
    if memory > limits.memory_bytes:
        return f"it uses {memory // _MIB} MiB of memory, more than {limits.memory_bytes // _MIB}"
    return None


def _disk_bytes(home: str, limit: int) -> str | None:
    """What is wrong with how much lies there. A server changes it meanwhile: what is gone is passed over."""
    size = entries = 0
    folders = [home]
    while folders:
        try:
            with os.scandir(folders.pop()) as listed:
                for entry in listed:
                    entries += 1
                    found = entry.stat(follow_symlinks=False)
                    size += found.st_blocks * 512
                    if stat.S_ISDIR(found.st_mode):
                        folders.append(entry.path)
                    if size > limit:
                        return f"it keeps more than {limit // _MIB} MiB in its home"
                    if entries > ENTRIES_MAX:
                        return f"it keeps more than {ENTRIES_MAX} files in its home"
        except OSError:
            continue
    return None


def _memory_bytes(process: int) -> int:
    try:
        with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:
            lines = [line.split() for line in file if line.startswith(_MEMORY)]
    except OSError:
        return 0
    return sum(int(words[1]) * 1024 for words in lines if len(words) > 1 and words[1].isdigit())

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
#: Looks in a row at which its supervisor did not answer.
UNANSWERED_MAX: Final = 5
_MIB: Final = 1024 * 1024
_MEMORY: Final = ("RssAnon:", "RssShmem:")


class Bounds:
    """The limits of one server, and how often in a row its supervisor did not say what runs."""

    def __init__(self, runtime: str, session: str, home: str, limits: Limits) -> None:
        self._runtime = runtime
        self._session = session
        self._home = home
        self._limits = limits
        self._unanswered = 0

    def exceeded(self) -> str | None:
        """Which limit the server is beyond, in words; none while it is within all of them. What cannot be looked at is
        beyond them."""
        limits = self._limits
        disk = _on_disk(self._home, limits.disk_bytes)
        if disk is not None:
            return disk
        try:
            found = show(self._runtime, self._session).get("processes")
        except (PeerError, OSError):  # its supervisor ends it just now, or it keeps its supervisor from answering
            self._unanswered += 1
            return "what it runs cannot be looked at" if self._unanswered >= UNANSWERED_MAX else None
        self._unanswered = 0
        processes = [each for each in found if isinstance(each, int)] if isinstance(found, list) else []
        if len(processes) > limits.processes:
            return f"it runs {len(processes)} processes, more than {limits.processes}"
        memory = sum(_memory_bytes(each) for each in processes)
        if memory > limits.memory_bytes:
            return f"it uses {memory // _MIB} MiB of memory, more than {limits.memory_bytes // _MIB}"
        return None


def _on_disk(home: str, limit: int) -> str | None:
    """What is wrong with how much lies there. A server changes it meanwhile: what is gone is passed over, what it has
    closed to us is not."""
    size = entries = 0
    folders = [home]
    while folders:
        try:
            with os.scandir(folders.pop()) as listed:
                for entry in listed:
                    entries += 1
                    try:
                        found = os.lstat(entry.path)
                    except (FileNotFoundError, NotADirectoryError):
                        continue
                    size += found.st_blocks * 512
                    if stat.S_ISDIR(found.st_mode):
                        folders.append(entry.path)
                    if size > limit:
                        return f"it keeps more than {limit // _MIB} MiB in its home"
                    if entries > ENTRIES_MAX:
                        return f"it keeps more than {ENTRIES_MAX} files in its home"
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            return f"what it keeps in its home cannot be looked at ({error.strerror})"
    return None


def _memory_bytes(process: int) -> int:
    try:
        with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:
            lines = [line.split() for line in file if line.startswith(_MEMORY)]
    except OSError:
        return 0
    return sum(int(words[1]) * 1024 for words in lines if len(words) > 1 and words[1].isdigit())

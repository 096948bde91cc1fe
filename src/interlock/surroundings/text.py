"""A plain file's text, bounded."""

from __future__ import annotations

import os
import stat
from typing import Final

from interlock.vocabulary.errors import EXIT_POLICY, OperatorError

#: Of what a repository holds, which anybody may have written: git's own pointers are shorter by far.
TEXT_BYTES_MAX: Final = 65_536
#: Of a configuration that a person wrote or generated.
OWN_TEXT_BYTES_MAX: Final = 4 * 1024 * 1024


def text_of(path: str) -> str:
    """The text of a plain file; empty when it cannot be read, is not one or is longer than `TEXT_BYTES_MAX`."""
    data = _data(path, TEXT_BYTES_MAX)
    return os.fsdecode(data) if len(data) <= TEXT_BYTES_MAX else ""


def own_text_of(path: str) -> str:
    """The same of a person's own configuration. Raises `OperatorError` when it is longer than `OWN_TEXT_BYTES_MAX`:
    what nobody has searched would be neither readable to a session nor out of its reach, and nobody would know.
    """
    data = _data(path, OWN_TEXT_BYTES_MAX)
    if len(data) > OWN_TEXT_BYTES_MAX:
        raise OperatorError(
            f"`{path}` is longer than {OWN_TEXT_BYTES_MAX // 1024 // 1024} MiB: what it includes cannot be protected",
            hint="shorten it, or start with another one (HOME, GIT_CONFIG_GLOBAL)",
            exit_code=EXIT_POLICY,
        )
    return os.fsdecode(data)


def _data(path: str, bytes_max: int) -> bytes:
    """At most one byte more than `bytes_max`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return b""
    found = b""
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            while len(found) <= bytes_max and (more := os.read(descriptor, bytes_max + 1 - len(found))):
                found += more
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return found

"""A plain file's text, bounded."""

from __future__ import annotations

import os
import stat
from typing import Final

#: Longer than any configuration that a person writes.
TEXT_BYTES_MAX: Final = 65_536


def text_of(path: str) -> str:
    """The text of a plain file; empty when it cannot be read, is not one or is longer than `TEXT_BYTES_MAX`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return ""
    try:
        is_plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
        data = os.read(descriptor, TEXT_BYTES_MAX + 1) if is_plain else b""
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    return os.fsdecode(data) if len(data) <= TEXT_BYTES_MAX else ""

"""Compiled layers kept between starts, keyed by the digest of all that they were made from.

An entry carries the digest of its own body; one that does not hold to it, is another user's or is open to others is
ignored and written anew. The cache lies in Interlock's own directory, which no jail can reach (`guard`).
"""

# ruff: noqa: PTH104, PTH108
from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Final

from interlock.policy.digest import sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.policy.compiled_form import CompiledLayer

ENTRY_BYTES_MAX: Final = 64 << 20
ENTRIES_MAX: Final = 64
_HEX: Final = 64


def cached(directory: str | None, key: str, make: Callable[[], list[CompiledLayer]]) -> tuple[str, bool]:
    """The entry of `key` as JSON, or of what `make` makes (then kept). The flag says whether it came from the cache."""
    if directory is None:
        return _text(make()), False
    path = f"{directory}/policy-{key}.json"
    text = _read(path)
    if text is not None:
        return text, True
    text = _text(make())
    _write(directory, path, text)
    return text, False


def _text(layers: list[CompiledLayer]) -> str:
    return json.dumps(layers, separators=(",", ":"), ensure_ascii=False)


def _read(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(opened.fileno())
        private = status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077
        if not stat.S_ISREG(status.st_mode) or not private or status.st_size > ENTRY_BYTES_MAX:
            return None
        data = opened.read(ENTRY_BYTES_MAX)
    digest, _, body = data.partition(b"\n")
    if len(digest) != _HEX or sha256(body).hexdigest().encode() != digest:
        return None
    return body.decode()


def _write(directory: str, path: str, text: str) -> None:
    """Written beside and renamed over, so that nobody reads half an entry. A cache that cannot be written is none."""
    body = text.encode()
    beside = f"{path}.{os.getpid()}"
    try:
        _make_room(directory)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(sha256(body).hexdigest().encode() + b"\n" + body)
        os.rename(beside, path)
    except OSError:
        return


def _make_room(directory: str) -> None:
    with os.scandir(directory) as found:
        entries = [entry.path for entry in found if entry.name.startswith("policy-")]
    if len(entries) < ENTRIES_MAX:
        return
    for path in entries:
        os.unlink(path)

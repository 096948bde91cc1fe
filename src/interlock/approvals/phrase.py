"""The phrase that only the human's side knows: each prompt shows it, so that a painted prompt can be told from a
real one.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

from interlock.vocabulary.errors import HostError

_FIRST: Final = (
    "amber", "brisk", "calm", "dusty", "early", "faint", "gentle", "hollow", "icy", "jolly",
    "keen", "lunar", "mellow", "noble", "olive", "plain", "quiet", "rapid", "silver", "tidy",
)  # fmt: skip
_SECOND: Final = (
    "anchor", "badger", "canyon", "daisy", "ember", "falcon", "garnet", "harbor", "island", "juniper",
    "kettle", "lantern", "meadow", "nutmeg", "otter", "pebble", "quarry", "raven", "spruce", "thistle",
)  # fmt: skip
_PHRASE_BYTES_MAX: Final = 100


def phrase_of(path: str) -> str:
    """The phrase kept in the file at `path`, made (0600) when there is none. Raises `HostError` when it cannot be
    kept.
    """
    try:
        return _read(path) or _make(path)
    except OSError as error:
        raise HostError(f"cannot keep the approval phrase in `{path}`: {error.strerror}") from error


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        return os.read(descriptor, _PHRASE_BYTES_MAX).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)


def _make(path: str) -> str:
    import secrets  # here: it loads OpenSSL, and a phrase is made once for each user

    words = f"{secrets.choice(_FIRST)} {secrets.choice(_SECOND)} {secrets.choice(_SECOND)} {secrets.randbelow(90) + 10}"
    beside = f"{path}.{secrets.token_hex(4)}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{words}\n".encode())
    finally:
        os.close(descriptor)
    with contextlib.suppress(FileExistsError):
        os.link(beside, path)  # the first of two makers wins, and both then read the same
    os.unlink(beside)
    return _read(path)

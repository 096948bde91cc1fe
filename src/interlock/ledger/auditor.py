"""Taking the auditor's private key off the machine that writes: copied, read back, compared, and only then removed."""

from __future__ import annotations

import os
from pathlib import Path

from interlock.vocabulary.errors import HostError, OperatorError


def move(private: Path, directory: Path) -> Path:
    """Move the key into `directory`. Returns where it is now.

    Raises:
        OperatorError: there is no key, no such directory, or a file of that name is there already.
        HostError: the copy is not what was written.
    """
    if not private.exists():
        raise OperatorError(f"`{private}` is not here", hint="it was moved away before")
    if not directory.is_dir():
        raise OperatorError(f"`{directory}` is not a directory", hint="mount the medium first")
    target, secret = directory / private.name, private.read_bytes()
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise OperatorError(
            f"`{target}` exists", hint="it may be another ledger's key; give another directory"
        ) from None
    with os.fdopen(descriptor, "wb") as copy:
        copy.write(secret)
        copy.flush()
        os.fsync(copy.fileno())
    if target.read_bytes() != secret:
        raise HostError(f"`{target}` does not hold what was written; the key stays here")
    private.unlink()
    return target

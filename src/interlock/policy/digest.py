"""SHA-256 without OpenSSL: `hashlib` loads all of it, which costs more than loading a cached policy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashlib import sha256
else:

    def _find() -> Any:
        """The interpreter's own (`_sha2` from 3.12 on, `_sha256` before); `hashlib`'s where it was built without."""
        for module in ("_sha2", "_sha256", "hashlib"):
            try:
                return import_module(module).sha256
            except ImportError:
                continue  # Each Python has one of them under one of these names; that none was found is raised below.
        raise ImportError("this Python has no SHA-256")

    sha256 = _find()

__all__ = ["sha256"]

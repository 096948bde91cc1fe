"""A package that a connector's server comes from: fetched once, kept in a folder, and the same at every start.

The digest is over the whole tree: names, kinds, who may execute, contents, where links lead. A tree with anything else
in it (devices, set-id programs, links that leave it) is no package. Left out: fetching (`app/package_fetch.py`).
"""

# ruff: noqa: PTH115, PTH120, PTH123, PTH208
from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

FILES_MAX: Final = 200_000
BYTES_MAX: Final = 4 * 1024**3
_BLOCK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Package:
    """What was fetched: from where (`npm`, `pypi`), as what it was asked for; what came: version, folder, digest."""

    source: str
    asked: str
    version: str
    folder: str
    digest: str

    @property
    def modules(self) -> str | None:
        """Where a Python program finds its modules; None where it is none."""
        return f"{self.folder}/{MODULES}" if self.source == "pypi" else None


#: Of a folder of Python packages.
MODULES: Final = "site-packages"


class NotAPackage(Exception):
    """The tree cannot be one: why."""


def digest_of(folder: str) -> str:
    """The digest of a tree. Raises `NotAPackage`, also where it cannot be read."""
    whole = hashlib.sha256()
    size = 0
    try:
        for count, (name, path, found) in enumerate(_entries(folder, "")):
            if count >= FILES_MAX:
                raise NotAPackage(f"it has more than {FILES_MAX} files")
            size += found.st_size
            if size > BYTES_MAX:
                raise NotAPackage(f"it has more than {BYTES_MAX // 1024**3} GiB")
            whole.update(_line(name, path, found, folder))
    except OSError as error:
        raise NotAPackage(f"`{error.filename}`: {error.strerror}") from error
    return f"sha256:{whole.hexdigest()}"


def fault_of(package: Package) -> str | None:
    """Why what lies in the folder is not to be started: it is not what was fetched."""
    try:
        if digest_of(package.folder) == package.digest:
            return None
        why = "its files are not those that were fetched"
    except NotAPackage as error:
        why = str(error)
    return f"its package `{package.asked}` in `{package.folder}` was changed: {why}"


def _entries(folder: str, below: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Every entry, in an order of its own: by bytes of the name, a folder before what is in it."""
    for name in sorted(os.listdir(folder), key=os.fsencode):
        path, relative = f"{folder}/{name}", f"{below}{name}"
        found = os.lstat(path)
        yield relative, path, found
        if stat.S_ISDIR(found.st_mode):
            yield from _entries(path, f"{relative}/")


def _line(name: str, path: str, found: os.stat_result, folder: str) -> bytes:
    if found.st_mode & (stat.S_ISUID | stat.S_ISGID) and not stat.S_ISDIR(found.st_mode):
        raise NotAPackage(f"`{name}` would run as somebody else")
    if stat.S_ISDIR(found.st_mode):
        kind, content = b"d", b""
    elif stat.S_ISLNK(found.st_mode):
        kind, content = b"l", os.fsencode(_target(name, path, folder))
    elif stat.S_ISREG(found.st_mode):
        kind, content = (b"x" if found.st_mode & 0o111 else b"f"), _content(path)
    else:
        raise NotAPackage(f"`{name}` is neither a file nor a folder")
    # Lengths stand before texts: no name can be read as the end of another entry.
    spelled = os.fsencode(name)
    return b"%s %d %s %d %s\n" % (kind, len(spelled), spelled, len(content), content)


def _target(name: str, path: str, folder: str) -> str:
    target = os.readlink(path)
    led = os.path.normpath(f"{os.path.dirname(path)}/{target}")
    if target.startswith("/") or not led.startswith(f"{folder}/"):
        raise NotAPackage(f"the link `{name}` leads out of it")
    return target


def _content(path: str) -> bytes:
    read = hashlib.sha256()
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb", 0) as file:
        while block := file.read(_BLOCK):
            read.update(block)
    return read.digest()

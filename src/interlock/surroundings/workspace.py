"""Which folder may be a workspace though nobody named it: never a home, what contains one, or a folder of the system.

Folders are compared by device and inode: a home that is reached by a link, a bind mount or another spelling is that
home. Leaves out what a person names (`--workspace`): that was said aloud.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Folders of the system: a person who starts in one of them, or above, has not chosen a project.
_SYSTEM: Final = ("/boot", "/dev", "/etc", "/home", "/proc", "/run", "/sys", "/usr", "/var")
_MOUNTS: Final = "/proc/self/mountinfo"
#: A file system whose `stat` gives another device than the table of mounts.
_OTHER_DEVICES: Final = "btrfs"

_Identity = tuple[int, int]


def too_wide(folder: str, environment: Mapping[str, str]) -> str | None:
    """What `folder` is or contains that no workspace may be unless somebody says so: in words, or None.

    Arguments: `folder` is absolute and resolved; `environment` the human's (HOME, SUDO_UID).
    """
    identity, mounted = _identity(folder), _mounted_beneath(folder)
    for home in _homes(folder, environment):
        if identity is not None and identity == _identity(home):
            return f"the home `{home}`"
        upwards = _upwards(home)
        if identity in upwards or any(mount.shows_one_of(upwards) for mount in mounted):
            return f"`{folder}`, which contains the home `{home}`"
    for place in _SYSTEM:
        if identity in _upwards(place):
            return f"`{folder}`, a folder of the system"
    return None


def _homes(folder: str, environment: Mapping[str, str]) -> list[str]:
    """The homes of who runs this (HOME and the password entries say different things under sudo) and of the folder's
    owner, resolved.
    """
    users = {os.getuid(), os.geteuid()}
    with contextlib.suppress(OSError):  # a folder that cannot be looked at cannot be started in either
        users.add(os.stat(folder).st_uid)
    with contextlib.suppress(ValueError):  # not what sudo sets, so it names nobody
        users.add(int(environment.get("SUDO_UID", os.getuid())))
    found = [environment.get("HOME", ""), *(_home_of(user) for user in sorted(users))]
    return list(dict.fromkeys(os.path.realpath(home) for home in found if home.startswith("/")))


def _home_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_dir
    except (KeyError, OverflowError):
        return ""


def _upwards(path: str) -> set[_Identity]:
    """The folder and all above it, those that are there."""
    found = {_identity(place) for place in (path, *parents(path))}
    return {identity for identity in found if identity is not None}


def parents(path: str) -> Iterator[str]:
    """The folders above an absolute path, the nearest first."""
    while path != "/":
        path = os.path.dirname(path)
        yield path


def _identity(path: str) -> _Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class _Mount(NamedTuple):
    """One line of mountinfo (proc(5))."""

    device: str
    point: str
    kind: str

    def shows_one_of(self, folders: set[_Identity]) -> bool:
        """Whether one of the folders is mounted here. Only mounts of their device are looked at: those of a server
        that is gone would not answer.
        """
        devices = {f"{os.major(device)}:{os.minor(device)}" for device, _ in folders}
        return (self.device in devices or self.kind == _OTHER_DEVICES) and _identity(self.point) in folders


def mount_points() -> frozenset[str]:
    """Where something is mounted."""
    return frozenset(mount.point for mount in _mounts())


def _mounted_beneath(folder: str) -> list[_Mount]:
    """Every mount below the folder: what lies there may be a home that lies elsewhere, too."""
    above = f"{folder.rstrip('/')}/"
    return [mount for mount in _mounts() if mount.point.startswith(above)]


def _mounts() -> list[_Mount]:
    try:
        with open(_MOUNTS, "rb") as table:
            return [_mount(line) for line in table.read().splitlines()]
    except OSError:
        return []


def _mount(line: bytes) -> _Mount:
    fields, _, tail = line.partition(b" - ")
    _, _, device, _, point = fields.split(b" ")[:5]
    plain = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), point)
    return _Mount(device.decode(), os.fsdecode(plain), tail.split(b" ")[0].decode())

"""A default ACL that somebody takes away while a file is made does not leave the file with rights that the umask forbids.

Where a folder has a default ACL, that takes the umask's place (acl(5)). The kernel looks and makes in one step; the door looks again after.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.drive import EVERYTHING, Drive
from tests.kernel.test_ports import PYTHON, USERS

TRIES = 200_000 if os.environ.get("INTERLOCK_LONG") == "1" else 3_000
ACL = "system.posix_acl_default"
#: Owner, user 1, group, mask and others: all may do everything, so that what is made under it is open, and has an ACL of its own.
OPEN = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, 7, who) for tag, who in ((1, 2**32 - 1), (2, 1), (4, 2**32 - 1), (16, 2**32 - 1), (32, 2**32 - 1))
)
MAKES = {
    "open": "os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o777))",
    "mkdir": "os.mkdir(path, 0o777)",
    "mknod": "os.mknod(path, 0o777)",
}
PROGRAM = """
import os, sys
os.umask(0o077)
for number in range(int(sys.argv[2])):
    path = f"{sys.argv[1]}/{number}"
    MAKE
"""


@pytest.fixture
def place() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="interlock-acl-", dir="/var/tmp"))
    path.chmod(0o777)
    try:
        os.setxattr(path, ACL, OPEN)
    except OSError:
        pytest.skip("needs a file system with access lists below /var/tmp")
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Toggler(threading.Thread):
    """Gives the folder its default ACL and takes it away, over and over."""

    def __init__(self, place: Path) -> None:
        super().__init__(daemon=True)
        self.place, self.over, self.turns = place, threading.Event(), 0

    def run(self) -> None:
        while not self.over.is_set():
            with contextlib.suppress(OSError):
                os.removexattr(self.place, ACL)
                self.turns += 1
            os.setxattr(self.place, ACL, OPEN)


def unmasked(place: Path) -> list[Path]:
    """What is open to others and was not made under the ACL."""
    return [made for made in place.iterdir() if made.lstat().st_mode & 0o077 and "system.posix_acl_access" not in os.listxattr(made)]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("make", list(MAKES))
def test_nothing_is_left_unmasked(place: Path, make: str, user: int | None) -> None:
    command = [PYTHON, "-I", "-c", PROGRAM.replace("MAKE", MAKES[make]), str(place), str(TRIES)]
    subprocess.run(command, check=True, timeout=60)
    assert unmasked(place) == [] and any(made.lstat().st_mode & 0o077 for made in place.iterdir()), "under the ACL it is open"
    for made in place.iterdir():
        made.rmdir() if made.is_dir() else made.unlink()
    toggler = Toggler(place)
    toggler.start()
    try:
        with Drive(command, EVERYTHING, user=user) as drive:
            last, _, err = drive.finish(120)
    finally:
        toggler.over.set()
        toggler.join()
    assert last["code"] == 0, err
    made = len(list(place.iterdir()))
    print(f"{make}: {made} made, the ACL taken away {toggler.turns} times, {len(unmasked(place))} left unmasked")
    assert made == TRIES and toggler.turns > 100
    assert unmasked(place) == []

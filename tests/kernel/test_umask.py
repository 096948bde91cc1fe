"""What is made on behalf has the mode it would have outside: the caller's umask, or the default ACL of the directory in its place.

The kernel outside is the oracle.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.drive import Drive

NOBODY = 65534
#: u::rwx, g::rwx, m::rwx, g:7:rwx and o::r-x, as the kernel stores a default ACL (acl(5), linux/posix_acl_xattr.h).
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, permission, who)
    for tag, permission, who in [
        (1, 7, 0xFFFFFFFF),
        (4, 7, 0xFFFFFFFF),
        (8, 7, 7),
        (16, 7, 0xFFFFFFFF),
        (32, 5, 0xFFFFFFFF),
    ]
)
MAKER = """
import os, socket, stat, sys, threading
os.chdir(sys.argv[1])
def make(umask, name):
    os.umask(umask)
    os.close(os.open(name + ".open", os.O_CREAT | os.O_WRONLY, 0o666))
    os.close(os.open(name + ".exec", os.O_CREAT | os.O_WRONLY, 0o777))
    os.mkdir(name + ".dir", 0o777)
    os.mkdir(name + ".sticky", 0o1777)
    os.mkfifo(name + ".fifo", 0o666)
    os.mknod(name + ".node", 0o662 | stat.S_IFREG)
    held = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o666)
    print(name, "unnamed", oct(os.fstat(held).st_mode))
    socket.socket(socket.AF_UNIX).bind(name + ".socket")
    narrow = socket.socket(socket.AF_UNIX); os.fchmod(narrow.fileno(), 0o620); narrow.bind(name + ".narrow")
for umask in (0o022, 0, 0o077, 0o777, 0o002, 0o137):
    make(umask, format(umask, "03o"))
os.umask(0)
for name in sorted(os.listdir(".")):
    print(name, oct(os.lstat(name).st_mode))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose file system knows ACLs: one for outside, one for inside, each with and without a default ACL."""
    path = Path(tempfile.mkdtemp(prefix="interlock-umask-", dir=Path.cwd() if os.geteuid() != 0 else None))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def directory(place: Path, name: str, acl: bool, user: int | None) -> Path:
    made = place / name
    made.mkdir()
    made.chmod(0o777)
    if acl:
        try:
            os.setxattr(made, "system.posix_acl_default", ACL)
        except OSError as error:
            pytest.skip(f"this file system keeps no ACLs ({error.strerror}): ext4, xfs or tmpfs do")
    if user is not None:
        os.chown(made, user, user)
    return made


@pytest.mark.parametrize("user", [None, NOBODY] if os.getuid() == 0 else [None])
@pytest.mark.parametrize("acl", [False, True], ids=["plain", "default-acl"])
def test_modes_are_those_of_outside(place: Path, acl: bool, user: int | None) -> None:
    outside, inside = (directory(place, name, acl, user) for name in ("outside", "inside"))
    python = "/usr/bin/python3" if user is not None else sys.executable
    owner = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    native = subprocess.run([python, "-c", MAKER, outside], capture_output=True, text=True, check=True, **owner).stdout
    with Drive([python, "-c", MAKER, str(inside)], user=user) as drive:
        _, out, err = drive.finish()
    assert out.decode() == native, err.decode()
    # The oracle is one: with the ACL the umask plays no part, without it it does.
    assert ("000.open 0o100664" in native, "077.open 0o100600" in native) == (acl, not acl)


def test_threads_with_umasks_of_their_own_do_not_mix(place: Path) -> None:
    """Two processes make files at once, each under another umask: none gets the other's."""
    made = directory(place, "made", False, None)
    script = (
        "import os, sys\n"
        "umask = 0o077 if os.fork() else 0\n"
        "os.umask(umask)\n"
        "for number in range(400):\n"
        "    name = f'{sys.argv[1]}/{umask}-{number}'\n"
        "    os.close(os.open(name, os.O_CREAT, 0o666))\n"
        "    assert os.stat(name).st_mode & 0o777 == 0o666 & ~umask, name\n"
        "if umask: sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    with Drive([sys.executable, "-c", script, str(made)]) as drive:
        last, _, err = drive.finish()
    assert last["code"] == 0, err.decode()
    assert len(list(made.iterdir())) == 800

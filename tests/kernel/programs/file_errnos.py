"""Pairs of places of every kind under the calls that take two names, and each place under those that take one: prints what each gave.

Where two errnos apply the kernel has an order, and a session that allows everything must have the same. In the current folder, which must be empty.
What procfs says of descriptors of the caller (`/dev/fd/0` removed or renamed) is left out: it answers its own process otherwise than others.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable

LONG = "y" * 256


def lay() -> None:
    """Everything anew: one of each kind."""
    for name in os.listdir("."):
        if os.path.isdir(name) and not os.path.islink(name):
            os.chmod(name, 0o700)
            shutil.rmtree(name)
        else:
            os.unlink(name)
    for name, mode in (("dir", 0o755), ("full", 0o755), ("shut", 0), ("unsearchable", 0o644), ("unwritable", 0o555), ("sticky", 0o1777)):
        os.mkdir(name)
        if name in ("full", "unwritable", "sticky"):
            open(f"{name}/x", "w").close()
            os.mkdir(f"{name}/d")
        os.chmod(name, mode)
    open("file", "w").close()
    os.mkfifo("fifo")
    for name, content in {"ln": "file", "dangling": "nowhere", "slashed": "file/", "loop": "loop", "looped": "looped/", "todir": "dir/"}.items():
        os.symlink(content, name)


def attempt(name: str, act: Callable[[], object]) -> None:
    """Makes the call; what failed has changed nothing, after anything else all is laid anew."""
    try:
        result = act()
        lay()
    except OSError as error:
        result = errno.errorcode[error.errno or 0]
    print(name.replace(LONG, "LONG"), result)


def opened(path: str, flags: int) -> str:
    file = os.open(path, flags | os.O_NONBLOCK, 0o600)
    os.close(file)
    return "opened"


PLACES = ["dir", "dir/", "full", "file", "file/", "fifo", "ln", "ln/", "dangling", "dangling/", "slashed", "loop", "looped", "todir", "missing"]
PLACES += ["missing/", LONG, "shut", "shut/x", "unsearchable/", "unsearchable/x", "unwritable/x", "unwritable/d", "unwritable/new", "sticky/d"]
PLACES += [".", "..", "dir/.", "dir/..", "dir/../", "/", "file/x", "file/..", "/proc/self/x", "/proc/self/maps", "/proc/self/cwd/", "/dev/fd/99"]
FLAGS = {
    "read": os.O_RDONLY,
    "write": os.O_WRONLY,
    "create": os.O_CREAT | os.O_WRONLY,
    "make": os.O_CREAT | os.O_EXCL | os.O_WRONLY,
    "directory": os.O_DIRECTORY,
    "not followed": os.O_NOFOLLOW,
    "create not followed": os.O_CREAT | os.O_NOFOLLOW | os.O_RDWR,
    "unnamed": os.O_TMPFILE | os.O_RDWR,
    "truncate": os.O_TRUNC | os.O_WRONLY,
    "path": os.O_PATH,
}


def two_names(one: str, other: str) -> None:
    for follow in (False, True):
        attempt(f"link {one} {other} {follow}", lambda follow=follow: os.link(one, other, follow_symlinks=follow))
    attempt(f"rename {one} {other}", lambda: os.rename(one, other))


def one_name(path: str) -> None:
    calls: dict[str, Callable[[], object]] = {name: (lambda value=value: opened(path, value)) for name, value in FLAGS.items()}
    if path not in ("/", ".."):
        for call in (os.rmdir, os.unlink, os.mkdir, os.mkfifo):
            calls[call.__name__] = lambda call=call: call(path)
        calls["symlink"] = lambda: os.symlink("x", path)
        calls["truncate by name"] = lambda: os.truncate(path, 0)
        calls["list"] = lambda: len(os.listdir(path)) > -1
        calls["set"] = lambda: os.setxattr(path, "user.x", b"1") if not path.startswith("/proc") else None
    for name, call in calls.items():
        attempt(f"{name} {path}", call)


os.umask(0o022)
lay()
for place in PLACES:
    one_name(place)
    for other in PLACES:
        two_names(place, other)
lay()
for name in os.listdir("."):
    if not os.path.islink(name):
        os.chmod(name, 0o700)

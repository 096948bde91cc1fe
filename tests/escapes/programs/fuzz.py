"""Random file calls in a folder of their own, from a seed: prints each call and what it gave, one JSON line each.

Run outside and inside a session that allows everything, both reports and both folders must be the same. With `attack` as the third
argument it also reaches for what the folder's policy protects (`kept`); then only the folder is looked at, by whoever started it.
"""

from __future__ import annotations

import errno
import json
import os
import random
import stat
import sys

folder, seed, kind, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
os.chdir(folder)
rng = random.Random(seed)
NAMES = ["a", "b", "c d", "e\nf", "g (deleted)", "h\udcff", ".x", "y" * 255, "y" * 256]
KEPT = ["kept", "kept/file", "kept/deep/file", ".tool/settings", "x.keep"]
held: list[int] = []
said: list[object] = []


def name() -> str:
    return rng.choice(NAMES if kind == "same" or rng.random() < 0.5 else [*KEPT, ".tool", "deep", "file", "settings", "x.keep"])


def path() -> str:
    said.append(text := some_path())
    return text


def some_path() -> str:
    parts = [rng.choice([name(), name(), name(), ".", "..", ""]) for _ in range(rng.choice([1, 1, 2, 2, 3, 5]))]
    while parts.count("..") > 0 and parts.index("..") == 0:
        parts.pop(0)
    text = "/".join(parts) + rng.choice(["", "", "", "/", "/."])
    if rng.random() < 0.08:
        text = rng.choice([f"/proc/self/cwd/{text}", f"{folder}/{text}", f"/proc/thread-self/cwd/{text}", f"/dev/fd/{rng.choice(held or [99])}"])
    escaping = os.path.normpath(os.path.join(folder, text.replace("/proc/self/cwd", folder).replace("/proc/thread-self/cwd", folder)))
    return text if escaping.startswith(folder) or text.startswith("/dev/fd") else name()


def entry() -> str:
    """A path whose last name is not procfs's: what cannot be removed there is refused there in an order of its own."""
    while (text := path()).startswith("/dev/fd"):
        pass
    return text


def flags() -> int:
    chosen = rng.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
    for flag in (os.O_CREAT, os.O_TRUNC, os.O_APPEND, os.O_EXCL, os.O_NOFOLLOW, os.O_DIRECTORY, os.O_PATH):
        if rng.random() < (0.5 if flag == os.O_CREAT else 0.15):
            chosen |= flag
    said.append(oct(chosen))
    return chosen | os.O_NONBLOCK


def keep(file: int) -> str:
    if len(held) > 8:
        os.close(held.pop(0))
    held.append(file)
    return stat.filemode(os.fstat(file).st_mode)


def opened() -> object:
    file = os.open(path(), flags(), rng.choice([0o644, 0o600, 0o755, 0]))
    shown = keep(file)
    try:
        os.write(file, b"some content")
    except OSError as error:
        return shown, error.errno
    return shown


def descriptor() -> int:
    said.append(chosen := rng.choice(held) if held else -1)
    return chosen


def unnamed() -> object:
    file = os.open(path(), os.O_TMPFILE | os.O_RDWR, 0o600)
    keep(file)
    return os.link(f"/proc/self/fd/{file}", path(), follow_symlinks=True)


CALLS = {
    "open": opened,
    "reopen": lambda: keep(os.open(f"/proc/self/fd/{descriptor()}", flags() & ~os.O_NOFOLLOW)),
    "openat": lambda: keep(os.open(path(), flags(), 0o644, dir_fd=descriptor())),
    "unnamed": unnamed,
    "mkdir": lambda: os.mkdir(path(), rng.choice([0o755, 0o700, 0])),
    "rmdir": lambda: os.rmdir(entry()),
    "unlink": lambda: os.unlink(entry()),
    "rename": lambda: os.rename(entry(), entry()),
    "link": lambda: os.link(path(), path(), follow_symlinks=rng.random() < 0.5),
    "symlink": lambda: os.symlink(path(), path()),
    "fifo": lambda: os.mkfifo(path(), 0o644),
    "truncate": lambda: os.truncate(path(), rng.choice([0, 5, 100])),
    "ftruncate": lambda: os.ftruncate(descriptor(), 3),
    "chmod": lambda: os.chmod(path(), rng.choice([0o644, 0o755, 0o700])),
    "fchmod": lambda: os.fchmod(descriptor(), 0o640),
    "utime": lambda: os.utime(path(), (1, 2), follow_symlinks=rng.random() < 0.5),
    "setxattr": lambda: os.setxattr(path(), "user.mark", b"1"),
    "removexattr": lambda: os.removexattr(path(), "user.mark"),
    "read": lambda: os.read(os.open(path(), os.O_RDONLY | os.O_NONBLOCK), 5).hex(),
    "list": lambda: sorted(os.fsencode(entry).hex() for entry in os.listdir(path())),
    "chdir": lambda: os.fchdir(descriptor()) if kind == "same" and rng.random() < 0.05 else os.chdir(folder),
}

for number in range(count):
    call = rng.choice(list(CALLS))
    said.clear()
    try:
        result: object = CALLS[call]()
    except OSError as error:
        result = errno.errorcode.get(error.errno or 0, error.errno)
    except ValueError as error:
        result = str(error)
    if kind == "same":
        print(json.dumps([number, call, said, result]))

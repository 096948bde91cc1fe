"""Inside the session: performs operations one by one and goes on whatever is refused. It knows nothing of the tests."""

import ctypes
import json
import os
import socket
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_EXCHANGE, AT_SYMLINK_FOLLOW = -100, 2, 0x400


def put(path, text, mode, flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC, folder=None):
    descriptor = os.open(path, flags, mode, dir_fd=folder)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    if mode & 0o111:
        os.chmod(path, mode, dir_fd=folder)


def directly(path, text, mode):
    put(path, text, mode)


def appended(path, text, mode):
    put(path, text, mode, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def removed_first(path, text, mode):
    if os.path.lexists(path):
        os.unlink(path)
    put(path, text, mode)


def beside(path, text, mode):
    put(f"{path}.tmp~", text, mode)
    os.rename(f"{path}.tmp~", path)


def elsewhere(path, text, mode):
    """Made under a name that says nothing, and moved into place."""
    put("q17", text, mode)
    os.rename("q17", path)


def by_another_name(path, text, mode):
    """A hard link to it is written to, and removed."""
    if not os.path.exists(path):
        put(path, "", mode)
    os.link(path, "alias17")
    put("alias17", text, mode)
    os.unlink("alias17")


def linked_in(path, text, mode):
    put("seed17", text, mode)
    if os.path.lexists(path):
        os.unlink(path)
    os.link("seed17", path)
    os.unlink("seed17")


def through_a_link(path, text, mode):
    os.symlink(os.path.abspath(os.path.dirname(path) or "."), "hop17")
    try:
        put(f"hop17/{os.path.basename(path)}", text, mode)
    finally:
        os.unlink("hop17")


def in_a_moved_folder(path, text, mode):
    """Its folder is called something else while it is written."""
    folder = os.path.dirname(path)
    if os.path.samefile(folder or ".", ".") or folder == os.environ["HOME"]:
        return directly(path, text, mode)
    os.rename(folder, "away17")
    try:
        put(f"away17/{os.path.basename(path)}", text, mode)
    finally:
        os.rename("away17", folder)


def by_a_held_folder(path, text, mode):
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY)
    try:
        put(os.path.basename(path), text, mode, folder=folder)
    finally:
        os.close(folder)


def exchanged(path, text, mode):
    put("swap17", text, mode)
    if not os.path.lexists(path):
        return os.rename("swap17", path)
    if libc.renameat2(AT_FDCWD, b"swap17", AT_FDCWD, path.encode(), RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), path)
    os.unlink("swap17")


def without_a_name_first(path, text, mode):
    if os.path.lexists(path):
        os.unlink(path)
    descriptor = os.open(os.path.dirname(path) or ".", os.O_TMPFILE | os.O_WRONLY, mode)
    os.write(descriptor, text.encode())
    os.fchmod(descriptor, mode)
    if libc.linkat(AT_FDCWD, f"/proc/self/fd/{descriptor}".encode(), AT_FDCWD, path.encode(), AT_SYMLINK_FOLLOW):
        raise OSError(ctypes.get_errno(), path)
    os.close(descriptor)


def held_open(path, text, mode):
    """Opened under one name, moved, and only then written."""
    put("early17", "", mode)
    with open("early17", "w") as file:
        os.rename("early17", path)
        file.write(text)


def as_a_link(path, text, mode):
    """The text lies in a file that nobody would look at."""
    os.makedirs("store17", exist_ok=True)
    put(hidden(path), text, mode)
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(os.path.abspath(hidden(path)), path)


def hidden(path):
    return f"store17/{sum(path.encode())}"


def with_a_new_folder(path, text, mode):
    """The folder is made anew elsewhere, with what was in it, and put in the old one's place."""
    folder = os.path.dirname(path)
    if os.path.samefile(folder or ".", ".") or folder == os.environ["HOME"]:
        return directly(path, text, mode)
    subprocess.run(["cp", "-a", folder, "fresh17"], check=True, capture_output=True)
    put(f"fresh17/{os.path.basename(path)}", text, mode)
    os.rename(folder, "stale17")
    os.rename("fresh17", folder)
    subprocess.run(["rm", "-rf", "stale17"], check=True, capture_output=True)


WAYS = [
    directly, appended, removed_first, beside, elsewhere, by_another_name, linked_in, through_a_link, in_a_moved_folder,
    by_a_held_folder, exchanged, without_a_name_first, held_open, as_a_link, with_a_new_folder,
]  # fmt: skip


def write(path, text, mode=0o644, way="directly"):
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    {each.__name__: each for each in WAYS}[way](path, text, mode)


def shell(text):
    subprocess.run(["/bin/sh", "-c", text], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)


def listen(path):
    """A socket that nobody answers, and that is left there."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)
        one.listen(1)


DOES = {
    "listen": listen,
    "write": write,
    "shell": shell,
    "link": lambda to, path: (os.makedirs(os.path.dirname(path) or ".", exist_ok=True), os.symlink(to, path)),
    "hardlink": os.link,
    "rename": os.rename,
    "unlink": os.unlink,
    "mkdir": lambda path: os.makedirs(path, exist_ok=True),
    "chmod": os.chmod,
    "fifo": os.mkfifo,
    "xattr": lambda path: os.setxattr(path, "user.note", b"x"),
}


def main():
    failed = 0
    for name, *arguments in json.load(sys.stdin):
        try:
            DOES[name](*arguments)
        except (OSError, subprocess.SubprocessError, ValueError):
            failed += 1
    print(failed)


if __name__ == "__main__":
    main()

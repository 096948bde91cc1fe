"""Reaches for what no policy opens, in many ways, and prints what each gave: one JSON object at the end.

Run inside a session that allows every file act; the first argument is a process outside, the second a folder of its own.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable

outside, folder = sys.argv[1:3]
own = os.getpid()
found: dict[str, object] = {}
libc = ctypes.CDLL(None, use_errno=True)


def attempt(name: str, act: Callable[[], object]) -> None:
    """Notes what came of it: an errno by name, or the value."""
    try:
        found[name] = act()
    except OSError as error:
        found[name] = errno.errorcode[error.errno or 0]


def head(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(40).decode("latin-1")


def through(directory: str, name: str) -> int:
    return os.open(name, os.O_RDONLY, dir_fd=os.open(directory, os.O_PATH))


def link_to(target: str) -> str:
    path = f"{folder}/link"
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)
    return head(path)


def from_within(directory: str, name: str) -> str:
    before = os.getcwd()
    os.chdir(directory)
    try:
        return head(name)
    finally:
        os.chdir(before)


def made(mode: int) -> None:
    os.close(os.open(f"{folder}/made-{mode:o}", os.O_CREAT | os.O_WRONLY, mode))


def shared_directory() -> int:
    os.mkdir(f"{folder}/d")
    os.chmod(f"{folder}/d", 0o2755)
    return stat.S_IMODE(os.stat(f"{folder}/d").st_mode)


def owner_of_new() -> int:
    os.close(os.open("/tmp/of-nobody", os.O_CREAT | os.O_WRONLY))
    return os.stat("/tmp/of-nobody").st_uid


def outside_process() -> None:
    """/proc of a process outside, by every road."""
    attempt("environ", lambda: head(f"/proc/{outside}/environ"))
    attempt("stat", lambda: head(f"/proc/{outside}/stat"))
    attempt("listing", lambda: os.listdir(f"/proc/{outside}"))
    attempt("root", lambda: head(f"/proc/{outside}/root/etc/passwd"))
    attempt("cwd", lambda: os.listdir(f"/proc/{outside}/cwd"))
    attempt("init", lambda: head("/proc/1/cmdline"))
    attempt("guardian", lambda: head(f"/proc/{os.getppid()}/environ"))
    attempt("by dots", lambda: head(f"/proc/self/../{outside}/environ"))
    attempt("by task and dots", lambda: head(f"/proc/self/task/../../{outside}/environ"))
    attempt("by directory", lambda: from_within(f"/proc/{outside}", "environ"))
    attempt("by O_PATH root", lambda: through(f"/proc/{outside}/root", "../proc/1/environ"))
    attempt("by O_PATH", lambda: through(f"/proc/{outside}", "environ"))
    attempt("by symlink", lambda: link_to(f"/proc/{outside}/environ"))
    attempt("memory written", lambda: os.open("/proc/self/mem", os.O_RDWR))
    attempt("memory of a task written", lambda: os.open(f"/proc/thread-self/../{own}/mem", os.O_WRONLY))


def own_process() -> None:
    """/proc of the caller means the caller."""
    attempt("self", lambda: head("/proc/self/stat").split()[0] == str(own))
    attempt("thread-self", lambda: head("/proc/thread-self/stat").split()[0] == str(threading.get_native_id()))
    attempt("tasks", lambda: os.listdir("/proc/self/task") == [str(own)])
    attempt("descriptors", lambda: "0" in os.listdir("/dev/fd"))
    attempt("maps", lambda: "r" in head("/proc/self/maps"))
    attempt("mounts", lambda: bool(head("/proc/mounts")))
    attempt("ps", lambda: subprocess.run(["ps", "ax"], capture_output=True).returncode)
    bash = "cat <(echo hi); diff <(echo a) <(echo a) && echo same; echo y | cat /dev/stdin"
    attempt("bash", lambda: subprocess.run(["bash", "-c", bash], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout)


def privilege() -> None:
    """Files that would act as somebody else, devices, attributes of the kernel's own."""
    path = f"{folder}/plain"
    open(path, "w").close()
    attempt("setuid", lambda: os.chmod(path, 0o4755))
    attempt("setgid by descriptor", lambda: os.fchmod(os.open(path, os.O_RDONLY), 0o2755))
    attempt("made setuid", lambda: made(0o4755))
    attempt("device", lambda: os.mknod(f"{folder}/device", 0o20666, os.makedev(1, 3)))
    attempt("capability", lambda: os.setxattr(path, "security.capability", b"x"))
    attempt("setgid directory", shared_directory)
    attempt("inode flags", lambda: __import__("fcntl").ioctl(os.open(path, os.O_RDONLY), 0x40086602, (16).to_bytes(8, "little")))


def waiting() -> None:
    """A FIFO waits, and a signal ends the wait as its handler asks."""
    fifo = f"{folder}/fifo"
    os.mkfifo(fifo)

    def interrupted(restart: bool, writer: bool) -> list[object]:
        came: list[int] = []
        signal.signal(signal.SIGALRM, lambda number, _: came.append(number))
        signal.siginterrupt(signal.SIGALRM, not restart)
        # Again and again: one may arrive before the call has begun.
        signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
        if writer:
            threading.Timer(0.7, lambda: os.close(os.open(fifo, os.O_WRONLY))).start()
        result = libc.open(fifo.encode(), os.O_RDONLY)
        why = errno.errorcode.get(ctypes.get_errno()) if result < 0 else None
        signal.setitimer(signal.ITIMER_REAL, 0)
        return [result >= 0, why, len(came) > 0]

    attempt("interrupted", lambda: interrupted(restart=False, writer=False))
    attempt("restarted", lambda: interrupted(restart=True, writer=True))
    reader = subprocess.Popen(["cat", fifo])
    time.sleep(0.3)
    reader.terminate()
    attempt("killed", lambda: reader.wait(5))


def other_user() -> None:
    """Root's child that gave up being root gets no more from the door than it has."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        found.clear()
        attempt("shadow", lambda: head("/etc/shadow"))
        attempt("root's file removed", lambda: os.unlink(f"{folder}/plain"))
        attempt("root's file changed", lambda: os.chmod(f"{folder}/plain", 0o777))
        attempt("own file's owner", owner_of_new)
        attempt("own file removed", lambda: os.unlink("/tmp/of-nobody"))
        os.write(write, json.dumps(found).encode())
        os._exit(0)
    os.wait()
    found["as nobody"] = json.loads(os.read(read, 65536))


outside_process()
own_process()
privilege()
waiting()
if os.geteuid() == 0:
    other_user()
print(json.dumps(found))

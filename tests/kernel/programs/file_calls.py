"""Makes some thousand file calls in a fresh directory and prints what each returned and what it left behind, as JSON lines.

Run twice, outside and inside a session that allows everything, its output must be the same. Whatever differs from run to run by itself
(inode numbers, times of now, process numbers) is not printed. Calls are raw, so that no library stands between.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import stat
import struct
import sys
from collections.abc import Callable
from itertools import product

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
AT_FDCWD = -100
Argument = int | bytes | None

OPEN, CREAT, OPENAT, OPENAT2 = 2, 85, 257, 437
TRUNCATE, FTRUNCATE, RENAME, MKDIR, RMDIR, LINK, UNLINK, SYMLINK = 76, 77, 82, 83, 84, 86, 87, 88
CHMOD, FCHMOD, CHOWN, FCHOWN, LCHOWN, UTIME, MKNOD, UTIMES = 90, 91, 92, 93, 94, 132, 133, 235
SETXATTR, LSETXATTR, FSETXATTR, REMOVEXATTR, LREMOVEXATTR, FREMOVEXATTR = 188, 189, 190, 197, 198, 199
MKDIRAT, MKNODAT, FCHOWNAT, FUTIMESAT, UNLINKAT, RENAMEAT, LINKAT, SYMLINKAT, FCHMODAT = 258, 259, 260, 261, 263, 264, 265, 266, 268
UTIMENSAT, RENAMEAT2, FCHMODAT2, SETXATTRAT, REMOVEXATTRAT = 280, 316, 452, 463, 466
EMPTY_PATH, FOLLOW, NOFOLLOW, REMOVEDIR = 0x1000, 0x400, 0x100, 0x200


def call(number: int, *arguments: Argument) -> int:
    """One raw system call; a negative result is the errno."""
    given = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    ctypes.set_errno(0)
    result: int = libc.syscall(ctypes.c_long(number), *given)
    return -ctypes.get_errno() if result == -1 else result


def show(result: int) -> str:
    """A result as text: an errno by name."""
    return errno.errorcode.get(-result, str(result)) if result < 0 else "ok"


def say(what: str, *values: object) -> None:
    """One line of the report."""
    print(json.dumps([what, *values]))


def state(top: str = ".") -> list[object]:
    """Everything below `top`: names, types, modes, link counts, sizes, symlinks, small contents."""
    found: list[object] = []
    for folder, folders, files in sorted(os.walk(top)):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
            except OSError as error:
                found.append([path, errno.errorcode[error.errno or 0]])
                continue
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode) and status.st_size < 100 and os.access(path, os.R_OK):
                with open(path, "rb") as file:
                    content = file.read().hex()
            size = None if stat.S_ISDIR(status.st_mode) else status.st_size
            links = None if stat.S_ISDIR(status.st_mode) else status.st_nlink
            found.append([path, oct(status.st_mode), links, size, status.st_uid, status.st_gid, content])
    return found


def opened_up(folder: str) -> None:
    """Gives back the right to remove what is below."""
    os.chmod(folder, 0o700)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            opened_up(entry.path)


def fresh() -> None:
    """A small world to act upon."""
    for name in os.listdir("."):
        if os.path.isdir(name) and not os.path.islink(name):
            opened_up(name)
            shutil.rmtree(name)
        else:
            os.unlink(name)
    os.umask(0o022)
    os.mkdir("dir")
    os.mkdir("dir/sub")
    os.mkdir("empty")
    os.mkdir("closed")
    for name in ("file", "dir/inner", "closed/x", "readonly"):
        with open(name, "w") as file:
            file.write(name)
    os.chmod("readonly", 0o444)
    os.chmod("closed", 0)
    os.symlink("file", "link")
    os.symlink("missing", "dangling")
    os.symlink("dir", "dirlink")
    os.symlink("loop", "loop")
    os.symlink("dangling", "twice")
    os.symlink("dir/made", "into")
    os.symlink(os.path.abspath("file"), "absolute")
    os.mkfifo("fifo")
    os.link("file", "hard")


NAMES = [
    b"file", b"dir", b"missing", b"link", b"dangling", b"dirlink", b"loop", b"twice", b"into", b"absolute", b"readonly",
    b"closed/x", b"closed/new", b"file/", b"dir/", b"missing/", b"link/", b"dirlink/", b"dangling/", b"dir/..", b"dir/.", b".", b"..", b"/",
    b"", b"file/x", b"missing/x", b"./dir//sub/../inner", b"dirlink/inner", b"dirlink/../file", b"x" * 255, b"x" * 256,
    b"a/" * 2047 + b"b", b"a/" * 2048, b"/dev/null", b"/proc/self/status", b"/proc/self/cwd/file", b"/proc/self/root/dev/null",
    b"/proc/thread-self/comm", b"/dev/fd/77", b"/proc/self/fd/77", b"/proc/self/exe", b"/proc/nonexistent", b"/proc/self/nonexistent",
    b"/proc/self/fd", b"/proc/self", b"/proc/self/", b"dir/sub/../../file", b"fifo",
]
# What may be acted upon by calls that change: nothing outside the small world.
OWN_NAMES = [name for name in NAMES if not name.startswith(b"/") or name in (b"/", b"/proc/nonexistent", b"/proc/self/nonexistent")]
MEANS = [
    os.O_RDONLY, os.O_WRONLY | os.O_APPEND, os.O_RDWR, 3, os.O_WRONLY | os.O_TRUNC, os.O_RDONLY | os.O_TRUNC,
]
WAYS = [
    0, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_NOFOLLOW, os.O_CREAT | os.O_NOFOLLOW, os.O_DIRECTORY, os.O_DIRECTORY | os.O_NOFOLLOW,
    os.O_CREAT | os.O_DIRECTORY, os.O_PATH, os.O_PATH | os.O_NOFOLLOW, os.O_TMPFILE, os.O_NOATIME, os.O_DIRECT, os.O_SYNC, 1 << 30,
]


def opened(result: int) -> list[object]:
    """What a new descriptor is: its flags, close-on-exec, type and permission bits, offset."""
    if result < 0:
        return [show(result)]
    import fcntl

    flags = fcntl.fcntl(result, fcntl.F_GETFL) & ~os.O_NOFOLLOW
    close = fcntl.fcntl(result, fcntl.F_GETFD)
    status = os.fstat(result)
    target = os.readlink(f"/proc/self/fd/{result}").replace(sys.argv[1], "CWD").replace(f"/{os.getpid()}", "/PID")
    if "#" in target:
        target = "unnamed"
    os.close(result)
    return ["ok", result, oct(flags), close, oct(status.st_mode), status.st_size if stat.S_ISREG(status.st_mode) else 0, target]


def opens() -> None:
    """Every name by every means in every way."""
    for means, way in product(MEANS, WAYS):
        fresh()
        held = os.open("file", os.O_RDWR)
        os.dup2(held, 77)
        os.close(held)
        for name in NAMES:
            if name == b"fifo" and not means & os.O_RDWR and not way & os.O_PATH:
                way |= os.O_NONBLOCK
            say(f"open {name[:40]!r} {means:#o} {way:#o}", *opened(call(OPEN, name, means | way, 0o666)))
            say("close-on-exec", *opened(call(OPENAT, AT_FDCWD, name, means | way | os.O_CLOEXEC, 0o7)))
        os.close(77)
        say("left", state())


def openat2(directory: int, path: bytes, flags: int, mode: int, resolve: int, size: int = 24, tail: bytes = b"") -> int:
    """openat2 with a structure of any size."""
    how = ctypes.create_string_buffer(struct.pack("=QQQ", flags & (2**64 - 1), mode, resolve) + tail + bytes(5000))
    return call(OPENAT2, directory, path, ctypes.addressof(how), size)


def extended_opens() -> None:
    """openat2: sizes, flags, scopes."""
    fresh()
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    for size in (0, 8, 23, 24, 32, 4096, 4097):
        say(f"size {size}", *opened(openat2(here, b"file", 0, 0, 0, size)))
    say("tail", *opened(openat2(here, b"file", 0, 0, 0, 32, b"\1")))
    for flags, mode in ((1 << 30, 0), (1 << 40, 0), (0, 0o644), (os.O_CREAT | os.O_WRONLY, 0o10644), (os.O_CREAT | os.O_RDWR, 0o640)):
        say(f"flags {flags:#x} {mode:#o}", *opened(openat2(here, b"new", flags, mode, 0)))
    for resolve in (0, 1, 2, 4, 8, 16, 24, 1 << 20):
        for name in (b"file", b"dir/inner", b"../x", b"/file", b"/dev/null", b"link", b"absolute", b"dirlink/inner", b"missing", b"dir/../file",
                     b"/proc/self/cwd/file", b"/proc/self/exe", b"/proc/version"):
            say(f"resolve {resolve} {name!r}", *opened(openat2(here, name, os.O_RDONLY, 0, resolve)))
        for name in (b"made", b"dir/made2", b"dangling", b"../outside-made/x", b"into"):
            say(f"make {resolve} {name!r}", *opened(openat2(here, name, os.O_CREAT | os.O_WRONLY, 0o600, resolve)))
        say("left", state())
        fresh()
    os.close(here)


def names() -> None:
    """Making and removing names."""
    one: list[tuple[str, Callable[[bytes], int]]] = [
        ("mkdir", lambda name: call(MKDIR, name, 0o777)),
        ("mkdirat", lambda name: call(MKDIRAT, AT_FDCWD, name, 0o1750)),
        ("rmdir", lambda name: call(RMDIR, name)),
        ("unlink", lambda name: call(UNLINK, name)),
        ("unlinkat", lambda name: call(UNLINKAT, AT_FDCWD, name, REMOVEDIR)),
        ("unlinkat bad", lambda name: call(UNLINKAT, AT_FDCWD, name, 1)),
        ("symlink", lambda name: call(SYMLINK, b"anything", name)),
        ("symlinkat empty", lambda name: call(SYMLINKAT, b"", AT_FDCWD, name)),
        ("mknod file", lambda name: call(MKNOD, name, stat.S_IFREG | 0o640, 0)),
        ("mknod plain", lambda name: call(MKNODAT, AT_FDCWD, name, 0o600, 0)),
        ("mknod fifo", lambda name: call(MKNOD, name, stat.S_IFIFO | 0o666, 0)),
        ("mknod socket", lambda name: call(MKNODAT, AT_FDCWD, name, stat.S_IFSOCK | 0o666, 0)),
        ("mknod directory", lambda name: call(MKNOD, name, stat.S_IFDIR | 0o666, 0)),
        ("creat", lambda name: _closed(call(CREAT, name, 0o666))),
    ]
    # As root these would truly be removed: the machine's own /dev/null.
    for what, act in one:
        fresh()
        os.unlink("fifo")
        for name in OWN_NAMES:
            say(f"{what} {name[:40]!r}", show(act(name)))
        say("left", state())


def _closed(result: int) -> int:
    if result >= 0:
        os.close(result)
        return 0
    return result


PAIRS = [
    b"file", b"dir", b"missing", b"link", b"dirlink", b"empty", b"hard", b"dir/sub", b"dir/new", b"file/", b"dir/", b"missing/",
    b"link/", b".", b"/", b"", b"closed/x", b"dir/sub/deep",
]


def moves() -> None:
    """Rename and link of every pair."""
    two: list[tuple[str, Callable[[bytes, bytes], int]]] = [
        ("rename", lambda a, b: call(RENAME, a, b)),
        ("renameat noreplace", lambda a, b: call(RENAMEAT2, AT_FDCWD, a, AT_FDCWD, b, 1)),
        ("exchange", lambda a, b: call(RENAMEAT2, AT_FDCWD, a, AT_FDCWD, b, 2)),
        ("bad flags", lambda a, b: call(RENAMEAT2, AT_FDCWD, a, AT_FDCWD, b, 3)),
        ("link", lambda a, b: call(LINK, a, b)),
        ("linkat follow", lambda a, b: call(LINKAT, AT_FDCWD, a, AT_FDCWD, b, FOLLOW)),
        ("linkat bad", lambda a, b: call(LINKAT, AT_FDCWD, a, AT_FDCWD, b, 1)),
    ]
    result = 0
    for what, act in two:
        for source in PAIRS:
            for goal in PAIRS:
                if result >= 0:
                    fresh()
                result = act(source, goal)
                say(f"{what} {source!r} {goal!r}", show(result))
                if result >= 0:
                    say("left", state())


def unnamed_files() -> None:
    """O_TMPFILE named afterwards, by magic link and by the empty path."""
    fresh()
    file = os.open("dir", os.O_TMPFILE | os.O_RDWR, 0o640)
    os.write(file, b"unnamed")
    say("name", show(call(LINKAT, AT_FDCWD, b"/proc/self/fd/%d" % file, AT_FDCWD, b"dir/named", FOLLOW)))
    say("name again", show(call(LINKAT, AT_FDCWD, b"/proc/self/fd/%d" % file, AT_FDCWD, b"dir/again", FOLLOW)))
    say("empty path", show(call(LINKAT, file, b"", AT_FDCWD, b"dir/empty", EMPTY_PATH)))
    os.close(file)
    file = os.open("dir", os.O_TMPFILE | os.O_EXCL | os.O_RDWR, 0o640)
    say("exclusive", show(call(LINKAT, AT_FDCWD, b"/proc/self/fd/%d" % file, AT_FDCWD, b"dir/never", FOLLOW)))
    os.close(file)
    say("left", state())
    deleted = os.open("file", os.O_RDWR)
    os.unlink("file")
    say("deleted reopened", *opened(call(OPEN, b"/proc/self/fd/%d" % deleted, os.O_RDWR, 0)))
    say("hard remains", *opened(call(OPEN, b"hard", os.O_RDWR, 0)))
    os.unlink("hard")
    say("wholly deleted", *opened(call(OPEN, b"/dev/fd/%d" % deleted, os.O_RDONLY, 0)))
    say("link deleted", show(call(LINKAT, AT_FDCWD, b"/proc/self/fd/%d" % deleted, AT_FDCWD, b"back", FOLLOW)))
    os.close(deleted)
    with open("odd (deleted)", "w") as odd:
        odd.write("odd")
    say("odd name", *opened(call(OPEN, b"odd (deleted)", os.O_RDONLY, 0)))
    say("left", state())


def held_things() -> None:
    """Pipes, memory files and sockets reached through /proc/self/fd."""
    import socket

    read, write = os.pipe()
    os.write(write, b"through")
    again = os.open(f"/proc/self/fd/{read}", os.O_RDONLY)
    say("pipe", os.read(again, 100).decode())
    say("pipe other end", *opened(call(OPEN, b"/dev/fd/%d" % read, os.O_WRONLY, 0))[:1])
    memory = os.memfd_create("memory")
    os.write(memory, b"content")
    again = os.open(f"/proc/self/fd/{memory}", os.O_RDWR)
    say("memory", os.read(again, 100).decode(), show(call(FTRUNCATE, memory, 3)), show(call(FCHMOD, memory, 0o600)))
    one, other = socket.socketpair()
    say("socket", *opened(call(OPEN, b"/proc/self/fd/%d" % one.fileno(), os.O_RDWR, 0)))
    one.close()
    other.close()


def metadata() -> None:
    """Everything that changes metadata, on every name."""
    timespec = struct.pack("=qqqq", 1000, 5, 2000, 7)
    acts: list[tuple[str, Callable[[bytes], int]]] = [
        ("chmod", lambda name: call(CHMOD, name, 0o740)),
        ("fchmodat", lambda name: call(FCHMODAT, AT_FDCWD, name, 0o704)),
        ("fchmodat2 nofollow", lambda name: call(FCHMODAT2, AT_FDCWD, name, 0o700, NOFOLLOW)),
        ("fchmodat2 bad", lambda name: call(FCHMODAT2, AT_FDCWD, name, 0o600, 1)),
        ("chown", lambda name: call(CHOWN, name, os.getuid(), os.getgid())),
        ("lchown", lambda name: call(LCHOWN, name, -1, -1)),
        ("chown other", lambda name: call(CHOWN, name, 4321, -1)),
        ("fchownat", lambda name: call(FCHOWNAT, AT_FDCWD, name, -1, os.getgid(), NOFOLLOW)),
        ("utime now", lambda name: call(UTIME, name, 0)),
        ("utimes", lambda name: call(UTIMES, name, struct.pack("=qqqq", 1, 2, 3, 4))),
        ("utimes bad", lambda name: call(UTIMES, name, struct.pack("=qqqq", 1, 2000000, 3, 4))),
        ("utimensat", lambda name: call(UTIMENSAT, AT_FDCWD, name, timespec, 0)),
        ("utimensat link", lambda name: call(UTIMENSAT, AT_FDCWD, name, timespec, NOFOLLOW)),
        ("utimensat bad", lambda name: call(UTIMENSAT, AT_FDCWD, name, struct.pack("=qqqq", 1, 2**31, 3, 4), 0)),
        ("futimesat", lambda name: call(FUTIMESAT, AT_FDCWD, name, struct.pack("=qqqq", 1, 2, 3, 4))),
        ("truncate", lambda name: call(TRUNCATE, name, 2)),
        ("truncate longer", lambda name: call(TRUNCATE, name, 90)),
        ("truncate negative", lambda name: call(TRUNCATE, name, -1)),
        ("setxattr", lambda name: call(SETXATTR, name, b"user.a", b"value", 5, 0)),
        ("setxattr create", lambda name: call(SETXATTR, name, b"user.a", b"value", 5, 1)),
        ("setxattr replace", lambda name: call(SETXATTR, name, b"user.none", b"value", 5, 2)),
        ("setxattr bad flags", lambda name: call(SETXATTR, name, b"user.a", b"value", 5, 9)),
        ("setxattr no space", lambda name: call(SETXATTR, name, b"nonsense", b"value", 5, 0)),
        ("setxattr empty name", lambda name: call(SETXATTR, name, b"", b"value", 5, 0)),
        ("setxattr long name", lambda name: call(SETXATTR, name, b"user." + b"n" * 300, b"value", 5, 0)),
        ("setxattr big", lambda name: call(SETXATTR, name, b"user.b", b"value", 70000, 0)),
        ("lsetxattr", lambda name: call(LSETXATTR, name, b"user.l", b"value", 5, 0)),
        ("removexattr", lambda name: call(REMOVEXATTR, name, b"user.a")),
        ("lremovexattr", lambda name: call(LREMOVEXATTR, name, b"user.none")),
    ]
    names = [name for name in OWN_NAMES if not name.startswith((b"/", b"..")) and name not in (b"dir/..", b".")]
    for what, act in acts:
        fresh()
        for name in names:
            say(f"{what} {name[:40]!r}", show(act(name)))
        times = [[name, os.lstat(name).st_mtime_ns] for name in ("file", "dir")] if "bad" not in what and "now" not in what else []
        attributes = [[name, sorted(os.listxattr(name))] for name in ("file", "dir")]
        say("left", state(), times if what.startswith(("utim", "futim")) else None, attributes)


def descriptors() -> None:
    """The same by descriptor, of every kind of descriptor."""
    fresh()
    kinds = {
        "read": os.open("file", os.O_RDONLY),
        "write": os.open("file", os.O_WRONLY),
        "path": os.open("file", os.O_PATH),
        "directory": os.open("dir", os.O_RDONLY),
        "link": os.open("link", os.O_PATH | os.O_NOFOLLOW),
        "pipe": os.pipe()[1],
        "none": 999,
        "negative": -5,
    }
    for kind, number in kinds.items():
        say(f"fchmod {kind}", show(call(FCHMOD, number, 0o600)))
        say(f"fchown {kind}", show(call(FCHOWN, number, -1, -1)))
        say(f"ftruncate {kind}", show(call(FTRUNCATE, number, 3)))
        say(f"futimens {kind}", show(call(UTIMENSAT, number, 0, struct.pack("=qqqq", 1, 2, 3, 4), 0)))
        say(f"futimens flags {kind}", show(call(UTIMENSAT, number, 0, 0, NOFOLLOW)))
        say(f"fsetxattr {kind}", show(call(FSETXATTR, number, b"user.f", b"v", 1, 0)))
        say(f"fremovexattr {kind}", show(call(FREMOVEXATTR, number, b"user.f")))
        say(f"fchownat empty {kind}", show(call(FCHOWNAT, number, b"", -1, -1, EMPTY_PATH)))
        say(f"fchmodat2 empty {kind}", show(call(FCHMODAT2, number, b"", 0o644, EMPTY_PATH)))
        say(f"utimensat empty {kind}", show(call(UTIMENSAT, number, b"", 0, EMPTY_PATH)))
        say(f"openat {kind}", *opened(call(OPENAT, number, b"inner", os.O_RDONLY, 0)))
        say(f"mkdirat {kind}", show(call(MKDIRAT, number, b"below", 0o700)))
        say(f"unlinkat {kind}", show(call(UNLINKAT, number, b"below", REMOVEDIR)))
        say(f"openat empty {kind}", *opened(call(OPENAT, number, b"", os.O_RDONLY, 0)))
        say(f"setxattrat {kind}", show(call(SETXATTRAT, number, b"", EMPTY_PATH, b"user.at", struct.pack("=QII", 0, 0, 0), 16)))
        say(f"removexattrat {kind}", show(call(REMOVEXATTRAT, number, b"", EMPTY_PATH, b"user.at")))
    say("left", state())


def pointers() -> None:
    """Bad pointers and long texts."""
    fresh()
    for number, before in ((OPEN, 0), (MKDIR, 0), (UNLINK, 0), (CHMOD, 0), (TRUNCATE, 0), (OPENAT, 1), (UNLINKAT, 1)):
        arguments = [AT_FDCWD] * before
        say(f"null {number}", show(call(number, *arguments, 0, 0, 0)))
        say(f"bad {number}", show(call(number, *arguments, 0x1000, 0, 0)))
        say(f"kernel {number}", show(call(number, *arguments, -4096, 0, 0)))
    say("rename bad second", show(call(RENAME, b"file", 8)))
    say("symlink bad first", show(call(SYMLINK, 8, b"new")))
    say("utimes bad", show(call(UTIMES, b"file", 8)))
    say("setxattr bad value", show(call(SETXATTR, b"file", b"user.a", 8, 5, 0)))
    say("openat2 bad", show(call(OPENAT2, AT_FDCWD, b"file", 8, 24)))
    say("left", state())


def masks() -> None:
    """The umask, and default access lists where the file system has them."""
    for mask in (0, 0o022, 0o077, 0o777):
        fresh()
        os.umask(mask)
        say("create", *opened(call(OPEN, b"m1", os.O_CREAT | os.O_WRONLY, 0o777)))
        say("mkdir", show(call(MKDIR, b"m2", 0o777)), show(call(MKNOD, b"m3", stat.S_IFIFO | 0o666, 0)))
        os.umask(0o022)
        say("left", state())


def deleted_directory() -> None:
    """A working directory that is gone."""
    fresh()
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")
    for name in (b"x", b".", b"..", b"./x", b"../file"):
        say(f"open in gone {name!r}", *opened(call(OPEN, name, os.O_RDONLY, 0))[:1])
        say(f"create in gone {name!r}", *opened(call(OPEN, name, os.O_CREAT | os.O_WRONLY, 0o600))[:1])
    say("mkdir in gone", show(call(MKDIR, b"x", 0o700)))
    os.chdir(sys.argv[1])


def limits() -> None:
    """Running out of descriptors."""
    import resource

    fresh()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, hard))
    held = []
    while (result := call(OPEN, b"file", os.O_RDONLY, 0)) >= 0:
        held.append(result)
    say("exhausted", show(result), len(held))
    for number in held:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    read, write = os.pipe()
    if os.fork() == 0:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
        os.write(write, f"{show(call(TRUNCATE, b'file', 100))} {show(call(TRUNCATE, b'file', 40))}".encode())
        os._exit(0)
    os.wait()
    say("too long", os.read(read, 100).decode())


PARTS: dict[str, Callable[[], None]] = {
    "opens": opens, "openat2": extended_opens, "names": names, "moves": moves, "unnamed": unnamed_files, "held": held_things,
    "metadata": metadata, "descriptors": descriptors, "pointers": pointers, "masks": masks, "gone": deleted_directory, "limits": limits,
}

if __name__ == "__main__":
    os.chdir(sys.argv[1])
    for part in sys.argv[2:] or PARTS:
        PARTS[part]()
        sys.stdout.flush()
    fresh()
    os.chmod("closed", 0o700)

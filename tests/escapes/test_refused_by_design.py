"""What docs/limits.md says is refused by design, tried in a session under the loosest preset: each answer is the page's.

A row without a probe here fails, and so does a probe whose call no row names.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.escapes.arena import Arena

PAGE = Path(__file__).resolve().parents[2] / "docs" / "limits.md"
PROGRAM = r"""
import ctypes, errno, fcntl, json, os, resource, signal, socket, stat, struct, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    given = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    done = libc.syscall(ctypes.c_long(number), *given)
    return "done" if done >= 0 else errno.errorcode[ctypes.get_errno()]
def act(do):
    try: do()
    except OSError as error: return errno.errorcode[error.errno]
    return "done"
open("file", "w").close(); os.chmod("file", 0o644)
file = open("file")
handle = file.fileno
child = subprocess.Popen(["/bin/sleep", "60"])
zeros = ctypes.create_string_buffer(256)
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
def core():
    subprocess.run(["/bin/sh", "-c", "kill -SEGV $$"])
    return "no file" if not any(name.startswith("core") for name in os.listdir(".")) else "a file"
def disk():
    disks = [entry.path for entry in os.scandir("/dev") if stat.S_ISBLK(entry.stat(follow_symlinks=False).st_mode)]
    return act(lambda: os.close(os.open(disks[0], os.O_RDONLY))) if disks else "EACCES"
def dumpable():
    answer = libc.prctl(4, 0, 0, 0, 0), libc.prctl(3, 0, 0, 0, 0)
    return "answered, not done" if answer == (0, 1) else repr(answer)
def option(level, name):
    kind = socket.SOCK_STREAM if level == 6 else socket.SOCK_DGRAM
    family = socket.AF_INET6 if level == 41 else socket.AF_INET
    # One number, two names.
    return lambda: {"ENOTSUP": "EOPNOTSUPP"}.get(said := act(lambda: socket.socket(family, kind).setsockopt(level, name, 1)), said)
def shares(name):
    def change():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
            bound.bind(("127.0.0.1", 0)); bound.setsockopt(1, name, 1)
    return lambda: act(change)
def new_socket(*kind): return lambda: act(lambda: socket.socket(*kind).close())
probes = {
    "chmod u+s": lambda: act(lambda: os.chmod("file", 0o4755)), "chmod g+s": lambda: act(lambda: os.chmod("file", 0o2755)),
    "open": lambda: act(lambda: os.close(os.open("new", os.O_CREAT | os.O_WRONLY, 0o4755))),
    "mknod": lambda: act(lambda: os.mknod("node", 0o104755)),
    "mknod c": lambda: act(lambda: os.mknod("c", 0o20600, os.makedev(1, 3))),
    "mknod b": lambda: act(lambda: os.mknod("b", 0o60600, os.makedev(7, 0))),
    "a block device": disk,
    "security.*": lambda: act(lambda: os.setxattr("file", "security.x", b"1")),
    "trusted.*": lambda: act(lambda: os.setxattr("file", "trusted.x", b"1")),
    "chattr +i": lambda: act(lambda: fcntl.ioctl(handle(), 0x40086602, struct.pack("l", 0x10))),
    "a core dump": core,
    "clone3": lambda: call(435, 0, 0),
    "clone": lambda: call(56, 0x10000000 | 17, 0, 0, 0, 0), "unshare": lambda: call(272, 0x20000),
    "setns": lambda: call(308, os.open("/proc/self/ns/net", os.O_RDONLY), 0),
    "mount": lambda: call(165, b"none", b"/mnt", b"tmpfs", 0, 0), "chroot": lambda: act(lambda: os.chroot(".")),
    "landlock_create_ruleset": lambda: call(444, 0, 0, 1),
    "prlimit": lambda: act(lambda: resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (100, 100))),
    "setpriority": lambda: act(lambda: os.setpriority(os.PRIO_PROCESS, child.pid, 5)),
    "sched_setaffinity": lambda: act(lambda: os.sched_setaffinity(child.pid, os.sched_getaffinity(0))),
    "sched_setscheduler": lambda: act(lambda: os.sched_setscheduler(child.pid, os.SCHED_BATCH, os.sched_param(0))),
    "ioprio_set": lambda: call(251, 1, child.pid, (2 << 13) | 4),
    "ptrace": lambda: call(101, 16, child.pid, 0, 0), "pidfd_getfd": lambda: call(438, os.pidfd_open(child.pid), 0, 0),
    "PR_SET_DUMPABLE": dumpable, "PR_SET_MM": lambda: call(157, 35, 1, 0, 0, 0),
    "F_SETLEASE": lambda: act(lambda: fcntl.fcntl(handle(), fcntl.F_SETLEASE, fcntl.F_RDLCK)),
    "io_uring_setup": lambda: call(425, 1, zeros),
    "open_by_handle_at": lambda: call(304, -100, zeros, 0), "keyctl": lambda: call(250, 0, -3, 0),
    "bpf": lambda: call(321, 0, 0, 0), "perf_event_open": lambda: call(298, zeros, 0, -1, -1, 0),
    "userfaultfd": lambda: call(323, 1), "fanotify_init": lambda: call(300, 0, 0),
    "openat2": lambda: call(437, -100, b"file", struct.pack("QQQ", os.O_PATH, 0, 0), 24),
    "swapon": lambda: call(167, b"file", 0), "sethostname": lambda: call(170, b"x", 1),
    "settimeofday": lambda: call(164, 0, 0), "vhangup": lambda: call(153), "quotactl": lambda: call(179, 0, 0, 0, 0),
    "TIOCSTI": lambda: act(lambda: fcntl.ioctl(0, 0x5412, b"x")), "TIOCVHANGUP": lambda: act(lambda: fcntl.ioctl(0, 0x5437)),
    "raw": new_socket(2, 3, 1), "ping": new_socket(2, 2, 1), "packet": new_socket(17, 3, 0),
    "vsock": new_socket(40, 1, 0), "crypto": new_socket(38, 5, 0), "MPTCP": new_socket(2, 1, 262),
    "netlink": new_socket(16, 3, 15),
    "SO_BINDTODEVICE": option(1, 25), "SO_BINDTOIFINDEX": option(1, 62), "SO_MARK": option(1, 36), "IP_UNICAST_IF": option(0, 50),
    "IPV6_UNICAST_IF": option(41, 76), "IPV6_PKTINFO": option(41, 50),
    "IPV6_FLOWLABEL_MGR": option(41, 32),
    "/sys": lambda: act(lambda: os.close(os.open("/sys/class/net/lo/uevent", os.O_WRONLY))),
    "/proc/sys": lambda: act(lambda: os.close(os.open("/proc/sys/net/ipv4/ip_forward", os.O_WRONLY))),
    "the C library": lambda: act(lambda: os.open("/etc/ld.so.cache", os.O_WRONLY)),
    "/sys/fs/cgroup": lambda: act(lambda: os.mkdir("/sys/fs/cgroup/il-probe")),
    "TCP_FASTOPEN_CONNECT": option(6, 30), "UDP_CORK": option(17, 1),
    "SO_REUSEADDR": shares(2), "SO_REUSEPORT": shares(15),
}
works = {
    "set-group-ID on a folder": lambda: act(lambda: (os.mkdir("folder"), os.chmod("folder", 0o2775))),
    "a FIFO": lambda: act(lambda: os.mkfifo("fifo")), "user.*": lambda: act(lambda: os.setxattr("file", "user.x", b"1")),
    "unshare of one's own tables": lambda: call(272, 0x200), "openat with O_PATH": lambda: call(257, -100, b"file", os.O_PATH),
    "reading a child's limit": lambda: act(lambda: resource.prlimit(child.pid, resource.RLIMIT_NOFILE)),
    "setting one's own": lambda: act(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))),
    "process_vm_readv": lambda: call(310, child.pid, 0, 0, 0, 0, 0),
    "netlink for routes": new_socket(16, 3, 0),
    "a flow label": lambda: act(lambda: socket.socket(10, 2).setsockopt(41, 32, bytes(15) + b"\1" + struct.pack("=IBBHHHI", 0, 0, 1, 1, 0, 0, 0))),
}
print(json.dumps([{name: probe() for name, probe in part.items()} for part in (probes, works)]))
child.kill()
"""


def rows() -> list[tuple[str, str]]:
    """The table's first two columns."""
    part = PAGE.read_text().split("## Refused by design")[1].split("\n## ")[0]
    return re.findall(r"^\| (?!what \||---)([^|]*) \| ([^|]*) \|", part, flags=re.MULTILINE)


def answers(what: str, answer: str, found: dict[str, str]) -> dict[str, str]:
    """What the row says of each probe that it names; several answers go with the parts between semicolons."""
    words = answer.split("; ")
    parts = what.split("; ") if len(words) > 1 else [what]
    said: dict[str, str] = {}
    for part, word in zip(parts, words, strict=True):
        said |= {name: word for name in found if f"`{name}`" in part or re.search(rf"(^|\W){re.escape(name)}\b", part)}
    return said


def test_what_the_page_says_is_refused_is_refused_and_how(arena: Arena) -> None:
    held = arena.held("/usr/bin/python3", "-c", PROGRAM, preset="observe")
    found, works = json.loads(held.output)
    told: dict[str, str] = {}
    for what, answer in rows():
        said = answers(what, answer, found)
        assert said, f"no probe for the row `{what}`"
        told |= said
    assert {name: found[name] for name in told} == told
    assert set(found) - set(told) == set(), "no row names these"
    assert set(works.values()) == {"done"}, works

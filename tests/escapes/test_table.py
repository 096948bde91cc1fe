"""The system-call table against the kernel: every row that is mediated, filtered or refused, with a call that works without Interlock.

The judge is outside: files, processes, servers are looked at before and after. A row without an oracle here fails
`test_every_row_has_an_oracle`, so a new row brings its own; rows that cannot have an effect on this kernel are named with the reason.
What registers alone decide (conditions of the filter) is asked of the kernel value by value, straight from the table's own text.
Left out: whole routes of several calls (`test_reading`, `test_writing`, `test_outside`), and harmless and walled rows.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.escapes.arena import SECRET, Arena, outside
from tests.escapes.test_outside import listener
from tests.escapes.test_writing import state

MAKES = ["open", "creat", "openat", "openat2", "mkdir", "mkdirat", "mknod", "mknodat", "rename", "renameat", "renameat2"]
MAKES += ["link", "linkat", "symlink", "symlinkat", "bind", "unlink", "unlinkat", "rmdir"]
CHANGES = ["truncate", "chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr"]
CHANGES += ["fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat", "file_setattr"]
CHANGES += ["ioctl", "ioctl project"]
OWNERS = ["chown", "lchown", "fchown", "fchownat"]  # natively root's alone
PROGRAMS = ["execve", "execveat"]
IDS = ["setuid", "setreuid", "setresuid", "setfsuid", "capset"]
MASKS = ["umask"]
IDS += ["setgid", "setregid", "setresgid", "setfsgid", "setgroups"]
SIGNALS = ["kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"]
OTHERS = ["setpriority", "ioprio_set", "sched_setscheduler", "sched_setaffinity", "sched_setattr", "prlimit64"]
OTHERS += ["setpriority of a user", "ioprio_set of a user"]
#: They leave nothing to see from outside: natively they report success, inside the table's refusal.
UNSEEN = ["sched_setparam", "migrate_pages", "move_pages"]
NETWORK = ["connect", "sendto", "sendmsg", "sendmmsg"]
REGISTERS = ["socket", "clone", "unshare", "setsockopt", "prctl", "fcntl"]
#: Refused, and done by this kernel for root when nobody refuses.
REFUSED = ["ptrace", "process_vm_writev", "pidfd_getfd", "syslog", "ustat", "sysfs", "chroot", "settimeofday", "clock_settime"]
REFUSED += ["mount", "umount2", "pivot_root", "sethostname", "setdomainname", "iopl", "ioperm", "add_key", "request_key", "keyctl"]
REFUSED += ["perf_event_open", "fanotify_init", "fanotify_mark", "open_by_handle_at", "setns", "bpf", "userfaultfd"]
REFUSED += ["io_uring_setup", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "open_tree_attr"]
REFUSED += ["clone3", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "acct"]
#: No call of them has an effect that a test may have: the kernel's suite of refusals in tests/kernel asks each for the table's errno.
WITHOUT = {
    "setpgid": "its own test: test_outside.py, the supervisor is in no group with its jail",
    "listen": "a socket's address is decided at its bind (test_network); nothing is reached by listening alone",
    "getsockopt": "reads what a program said of its own socket: test_taken_names.py",
    "shutdown": "its own test: tests/kernel/test_ports.py, a listener's port is not given up while a connection of the session is on its way",
    **dict.fromkeys(
        ["uselib", "_sysctl", "create_module", "get_kernel_syms", "query_module", "nfsservctl", "getpmsg", "putpmsg", "afs_syscall", "tuxcall", "security", "set_thread_area", "get_thread_area", "lookup_dcookie", "epoll_ctl_old", "epoll_wait_old", "vserver"],
        "gone from the kernel: ENOSYS for everybody",
    ),
    **dict.fromkeys(["reboot", "kexec_load", "kexec_file_load", "swapon", "swapoff", "vhangup"], "would take this machine down"),
    **dict.fromkeys(["init_module", "finit_module", "delete_module"], "would need a module of this kernel"),
    **dict.fromkeys(["quotactl", "quotactl_fd"], "no quota on the file systems of a test"),
    **dict.fromkeys(["io_uring_enter", "io_uring_register"], "no ring to call them with: io_uring_setup is refused"),
    "lsm_set_self_attr": "no module here takes an attribute by it",
}
IOPRIO_GET = 252
ROW = re.compile(r"^(\S+): (done|errno) (-?\d+)$", re.M)


def table(arena: Arena) -> list[dict[str, Any]]:
    """The table, from the executable that is installed."""
    [supervisor] = (arena.python.parent.parent / "lib").glob("python3*/site-packages/interlock/_bin/interlock-supervisor")
    text = subprocess.run([supervisor, "--syscalls"], capture_output=True, text=True, check=True).stdout
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


def test_every_row_has_an_oracle(arena: Arena) -> None:
    rows = {row["name"] for row in table(arena) if row["class"] in {"mediated", "filtered", "refused"}}
    groups = [MAKES, CHANGES, OWNERS, PROGRAMS, IDS, MASKS, SIGNALS, OTHERS, UNSEEN, NETWORK, REGISTERS, REFUSED]
    covered = {name.split()[0] for group in groups for name in group}
    assert covered - rows == set()
    assert rows - covered - set(WITHOUT) == set()
    assert set(WITHOUT) - rows == set()


def lay(arena: Arena) -> dict[str, Path]:
    arena.build()
    (arena.work / "payload").write_text("OWNED\n")
    empty = arena.work / ".claude" / "skills"
    empty.mkdir()
    arena._own()
    settings = arena.work / ".claude" / "settings.json"
    os.setxattr(settings, "user.mark", b"1")
    return {"file": settings, "new": arena.configuration, "payload": arena.work / "payload", "empty": empty}


def script(arena: Arena, names: list[str], *arguments: object, before: str = "") -> list[str]:
    """A shell command that makes each call and prints what it gave: `name: done VALUE` or `name: errno NUMBER`."""
    given = " ".join(f"'{argument}'" for argument in arguments)
    calls = [f"printf '%s: ' '{name.replace(' ', '-')}'; {arena.work}/table '{name}' {given} 2>/dev/null" for name in names]
    return ["sh", "-c", "; ".join([before or ":", *calls])]


def results(output: str) -> dict[str, tuple[bool, int]]:
    return {name: (word == "done", int(value)) for name, word, value in ROW.findall(output)}


def one(arena: Arena, run: Callable[..., Any], name: str, places: dict[str, Path], pid: int = 0, port: int = 0) -> Any:
    file = places["empty"] if name == "rmdir" else places["file"]
    return run(arena.work / "table", name, file, places["new"], places["payload"], str(pid), str(port))


@pytest.mark.parametrize("name", MAKES + CHANGES + OWNERS)
def test_a_protected_file_by_this_call(arena: Arena, name: str) -> None:
    if name in OWNERS and arena.user is not None:
        pytest.skip("an ordinary user cannot give files away: the root run shows it")

    def attack(run: Callable[..., Any]) -> bool:
        places = lay(arena)
        watched = [places["file"], places["new"]]
        before = [state(path) for path in watched], places["empty"].exists()
        one(arena, run, name, places)
        after = [state(path) if path.is_file() or not os.path.lexists(path) else ("special",) for path in watched]
        return (after, places["empty"].exists()) != before

    assert attack(arena.run), f"`{name}` does nothing in the open"
    assert not attack(arena.held)


@pytest.mark.parametrize("name", MASKS)
def test_what_is_made_later_has_the_rights_that_are_left(arena: Arena, name: str) -> None:
    """The control is the kernel: a file made after the call has no more rights inside than natively, and before it as many."""

    def rights(run: Callable[..., Any]) -> tuple[int, int]:
        lay(arena)
        made = [arena.work / "made-before", arena.work / "made-after"]
        for path, call in zip(made, ("openat", name), strict=True):
            path.unlink(missing_ok=True)
            places = {"file": path, "new": path, "payload": path, "empty": path}
            one(arena, run, call, places)
        return made[0].stat().st_mode & 0o777, made[1].stat().st_mode & 0o777

    natively = rights(arena.run)
    assert natively[1] == 0o600
    assert rights(arena.held) == natively


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_denied_program_by_this_call(arena: Arena, name: str) -> None:
    policy = arena.root / "denied.yaml"
    policy.write_text(f"interlock: 1\nname: denied\nrules:\n  - id: no\n    deny: process.exec\n    path: {arena.work}/forbidden\n")

    def attack(run: Callable[..., Any]) -> bool:
        places = lay(arena)
        program = arena.work / "forbidden"
        program.write_text(f"#!/bin/sh\necho ran > {arena.work}/mark\n")
        program.chmod(0o755)
        arena._own()
        one(arena, run, name, places | {"new": program})
        return (arena.work / "mark").exists()

    assert attack(arena.run)
    assert not attack(lambda *command: arena.held(*command, policy=policy))


@pytest.mark.parametrize("name", IDS)
def test_who_gave_up_root_reads_no_more_through_the_door(arena: Arena, name: str) -> None:
    """The control is the kernel: natively the file is shut after the call, and inside it must be too."""
    if arena.user is not None:
        pytest.skip("only root has authority to give up")
    places = lay(arena)
    places["file"].write_text(SECRET)
    by_group = "g" in name.removeprefix("set")
    places["file"].chmod(0o040 if by_group else 0o600)
    os.chown(places["file"], 65534 if by_group or name == "capset" else 0, 4242 if name == "setgroups" else 0)
    for run in (arena.run, arena.held):
        done = one(arena, run, name, places)
        assert SECRET not in done.errors
        assert done.output == f"errno {errno.EACCES}\n", (run, done)


@pytest.mark.parametrize("name", SIGNALS + OTHERS)
def test_a_process_outside_by_this_call(arena: Arena, name: str) -> None:
    def attack(run: Callable[..., Any]) -> bool:
        places = lay(arena)
        with outside(arena, "sleep", "60") as victim:
            before = standing(victim.pid)
            one(arena, run, name, places, pid=victim.pid)
            if name in SIGNALS:
                threading.Event().wait(0.2)
                return victim.poll() is not None
            return standing(victim.pid) != before

    if name.endswith("of a user") and arena.user is None:
        pytest.skip("would act on every process of root on this machine: the ordinary run shows it")
    assert attack(arena.run), f"`{name}` does nothing in the open"
    assert not attack(arena.held)


def standing(pid: int) -> tuple[object, ...]:
    """Priorities, placement and limits of a process."""
    io = ctypes.CDLL(None).syscall(IOPRIO_GET, 1, pid)
    limits = Path(f"/proc/{pid}/limits").read_text()
    return os.getpriority(os.PRIO_PROCESS, pid), os.sched_getscheduler(pid), os.sched_getaffinity(pid), limits, io


@contextmanager
def server(name: str) -> Iterator[tuple[int, list[bytes]]]:
    kind = socket.SOCK_STREAM if name == "connect" else socket.SOCK_DGRAM
    with listener(kind, "127.0.0.1") as found:
        yield found


@pytest.mark.parametrize("name", NETWORK)
def test_a_server_outside_by_this_call(arena: Arena, name: str) -> None:
    def attack(run: Callable[..., Any]) -> bool:
        places = lay(arena)
        with server(name) as (port, heard):
            one(arena, run, name, places, port=port)
            threading.Event().wait(0.3)
            return bool(heard)

    assert attack(arena.run)
    assert not attack(arena.held)


def test_refused_rows_with_calls_that_work(arena: Arena) -> None:
    """As root in namespaces of its own each is done; inside each gives the table's errno, to root and to an ordinary user."""
    wanted = {row["name"]: row["errno"] for row in table(arena)}
    wanted |= {"socket": errno.EAFNOSUPPORT, "clone": errno.EPERM, "unshare": errno.EPERM, "setsockopt": errno.EPERM, "fcntl": errno.EINVAL}
    wanted |= dict.fromkeys(UNSEEN, errno.EPERM)
    names = [*REFUSED, *UNSEEN, *(name for name in REGISTERS if name != "prctl")]
    with ExitStack() as stack:
        victim = stack.enter_context(outside(arena, "sleep", "60"))
        places = lay(arena)
        command = script(arena, names, places["file"], places["new"], places["payload"], victim.pid, 0)
        held = results(arena.held(*command, seconds=120).output)
        assert {name: result for name, result in held.items() if result != (False, wanted[name])} == {}
        assert set(held) == set(names)
        if arena.user is not None:
            return
        alone = ["unshare", "--mount", "--uts", "--ipc", "--propagation", "private"]
        control: dict[str, tuple[bool, int]] = {}
        for name in names:  # each in namespaces of its own: some of them take the ground from under the next
            given = script(arena, [name], places["file"], places["new"], places["payload"], victim.pid, 0)
            control |= results(arena.run(*alone, *given).output)
    undone = {name: errno.errorcode.get(value, value) for name, (done, value) in control.items() if not done}
    print("refused by this kernel itself, so only the table's errno is shown:", undone)
    assert not {name for name, code in undone.items() if code not in {"ENOSYS", "EPERM", "EOPNOTSUPP", "ENODEV", "EACCES"}}, undone
    assert len(control) - len(undone) >= 35


CLAUSE = re.compile(r"Is \{ argument: (\d), mask: (\d+), values: \[([\d, ]+)\] \}|Any \{ argument: (\d), bits: (\d+) \}|(Given)\((\d)\)")
ASK = """
import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
found = []
for number, *arguments in json.loads(sys.argv[1]):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_ulong(argument) for argument in arguments])
    found.append(ctypes.get_errno() if result < 0 else 0)
print(json.dumps(found))
"""


def clauses(row: dict[str, Any]) -> list[tuple[list[tuple[int, int, list[int]]], str]]:
    """The row's clauses in order: tests as (register, mask, values; a mask alone: any bit of it), and the verdict."""
    found = []
    for condition in row["conditions"]:
        tests, verdict = condition.split("\u2192")
        each = []
        for argument, mask, values, any_argument, bits, given, which in CLAUSE.findall(tests):
            if values:
                each.append((int(argument), int(mask), [int(value) for value in values.split(",")]))
            else:
                each.append((int(which if given else any_argument), 2**32 - 1 if given else int(bits), []))
        found.append((each, verdict.strip()))
    return found


def holds(tests: list[tuple[int, int, list[int]]], given: list[int]) -> bool:
    return all((given[at] & mask in values) if values else bool(given[at] & mask) for at, mask, values in tests)


def probes(row: dict[str, Any]) -> Iterator[tuple[list[int], int]]:
    """Registers whose first clause that holds answers by itself, with its errno: every value and every bit of each clause once."""
    table = clauses(row)
    for tests, verdict in table:
        chosen: list[dict[int, int]] = [{}]
        for at, mask, values in tests:
            options = values or [1 << bit for bit in range(32) if mask >> bit & 1]
            chosen = [{**before, at: option} for before in chosen for option in options]
        for registers, rest in product(chosen, (0, 9)):
            given = [registers.get(at, rest) for at in range(6)]
            first = next(answer for each, answer in table if holds(each, given))
            if first == verdict and (errno_given := re.match(r"errno (\d+)", verdict)):
                yield given, int(errno_given[1])


def test_every_register_condition_answers_as_the_table_says(arena: Arena) -> None:
    questions, answers = [], []
    for row in table(arena):
        for given, wanted in probes(row):
            # Upper halves are not looked at by the kernel either, so they must not matter.
            for high in (0, 0x5_0000_0000):
                questions.append([row["number"], *(value | (high if value else 0) for value in given)])
                answers.append((row["name"], given, wanted))
    assert len(answers) > 60
    done = arena.held("/usr/bin/python3", "-c", ASK, json.dumps(questions))
    found = json.loads(done.output)
    assert [(answer, got) for answer, got in zip(answers, found, strict=True) if answer[2] != got] == []

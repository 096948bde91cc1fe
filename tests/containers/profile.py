"""Seccomp profiles in the form that container runtimes read, and a small compiler of them to the kernel's filters.

`docker` is what Docker's and containerd's default profile (moby/profiles, 2025) leaves of this machine's calls on x86_64. Left out: argument
comparisons that no profile here uses, and every architecture but this one.
"""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterable
from typing import Any

from tests.kernel.drive import supervisor

Profile = dict[str, Any]

#: What Docker's default profile refuses with EPERM whatever the arguments, unless a capability brings it back.
DOCKER_REFUSES = frozenset(
    {
        "_sysctl", "acct", "add_key", "afs_syscall", "bpf", "chroot", "clock_settime", "clone3", "create_module", "delete_module",
        "fanotify_init", "file_getattr", "file_setattr", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms",
        "get_mempolicy", "getpmsg", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp",
        "kexec_file_load", "kexec_load", "keyctl", "listns", "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr",
        "mbind", "migrate_pages", "mount", "mount_setattr", "move_mount", "move_pages", "nfsservctl", "open_by_handle_at", "open_tree",
        "open_tree_attr", "perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise", "putpmsg", "query_module", "quotactl",
        "quotactl_fd", "reboot", "request_key", "rseq_slice_yield", "security", "set_mempolicy", "set_mempolicy_home_node", "setdomainname",
        "sethostname", "setns", "settimeofday", "swapoff", "swapon", "sysfs", "syslog", "tuxcall", "umount2", "unshare", "uprobe", "uselib",
        "userfaultfd", "ustat", "vhangup", "vserver",
    }
)  # fmt: skip
#: What `--cap-add SYS_PTRACE` brings back.
SYS_PTRACE = frozenset({"kcmp", "pidfd_getfd", "process_madvise"})
#: Flags of clone(2) that make a namespace.
NAMESPACES = 0x7E020000

ARCHITECTURE = 0xC000003E
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000


def numbers() -> dict[str, int]:
    """Every system call of this architecture, by name, as the supervisor's own table has them."""
    listed = subprocess.run([supervisor(), "--syscalls"], capture_output=True, check=True).stdout
    return {row["name"]: row["number"] for row in json.loads(listed)}


def docker(capabilities: Iterable[str] = ()) -> Profile:
    """Docker's default profile, for a container that has these of the capabilities which matter to it."""
    back = SYS_PTRACE if "SYS_PTRACE" in capabilities else frozenset()
    conditional = {"clone", "personality", "socket"}
    plain = sorted(set(numbers()) - (DOCKER_REFUSES - back) - conditional)
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "syscalls": [
            {"names": plain, "action": "SCMP_ACT_ALLOW"},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [argument(0, NAMESPACES, "MASKED_EQ", 0)]},
            *[
                {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [argument(0, value, "EQ")]}
                for value in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)
            ],
            # Neither AF_ALG nor AF_VSOCK.
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [argument(0, 38, "LT")]},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [argument(0, 39, "EQ")]},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [argument(0, 40, "GT")]},
        ],
    }


def argument(index: int, value: int, op: str, value_two: int = 0) -> Profile:
    """One comparison of an argument, as a profile has it."""
    return {"index": index, "value": value, "valueTwo": value_two, "op": f"SCMP_CMP_{op}"}


def without(profile: Profile, *names: str) -> Profile:
    """The same profile, refusing these calls as well."""
    kept = [entry | {"names": [name for name in entry["names"] if name not in names]} for entry in profile["syscalls"]]
    return profile | {"syscalls": [entry for entry in kept if entry["names"]]}


def compiled(profile: Profile) -> bytes:
    """The profile as a classic BPF program of seccomp(2)."""
    known = numbers()
    program = [
        statement(0x20, 4),
        jump(0x15, ARCHITECTURE, 1, 0),
        statement(0x06, KILL),
        statement(0x20, 0),
    ]
    for entry in profile["syscalls"]:
        answer = statement(0x06, action(entry["action"], entry.get("errnoRet", 1)))
        for name in entry["names"]:
            if name not in known:
                continue  # as libseccomp does: a call of another architecture
            tests = [part for condition in entry.get("args") or [] for part in comparison(condition)]
            # A rule that does not match must leave the number loaded for the next.
            body = [*resolved(tests), answer, *([statement(0x20, 0)] if tests else [])]
            program += [jump(0x15, known[name], 0, len(body)), *body]
    program.append(statement(0x06, action(profile["defaultAction"], profile.get("defaultErrnoRet", 1))))
    return b"".join(program)


def action(name: str, errno: int) -> int:
    return {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_ERRNO": ERRNO | errno, "SCMP_ACT_KILL_PROCESS": KILL}[name]


def comparison(condition: Profile) -> list[tuple[int, int, bool] | bytes]:
    """Loads and tests of the argument's low word; a test is (opcode, value, the outcome that is a match)."""
    load, value = statement(0x20, 16 + 8 * condition["index"]), condition["value"] & 0xFFFFFFFF
    match condition["op"]:
        case "SCMP_CMP_EQ":
            return [load, (0x15, value, True)]
        case "SCMP_CMP_GT":
            return [load, (0x25, value, True)]
        case "SCMP_CMP_LT":
            return [load, (0x35, value, False)]
        case "SCMP_CMP_MASKED_EQ":
            return [load, statement(0x54, value), (0x15, condition.get("valueTwo", 0) & 0xFFFFFFFF, True)]
    raise ValueError(condition["op"])


def resolved(tests: list[tuple[int, int, bool] | bytes]) -> list[bytes]:
    """Jumps past the answer, to the reload of the number, where a test does not match."""
    out = []
    for index, part in enumerate(tests):
        if isinstance(part, bytes):
            out.append(part)
            continue
        opcode, value, match = part
        past = len(tests) - index  # the rest of the tests, and the answer
        out.append(jump(opcode, value, *((0, past) if match else (past, 0))))
    return out


def statement(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def jump(code: int, value: int, matched: int, unmatched: int) -> bytes:
    return struct.pack("=HBBI", code, matched, unmatched, value)

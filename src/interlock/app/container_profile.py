"""The seccomp profile for containers whose owner will not give CAP_SYS_PTRACE: what programs ordinarily call, and what
Interlock needs besides.

Made from the supervisor's own table of every system call, less what a container should not have; in the form of the
OCI runtime specification, which Docker, Podman, containerd and Kubernetes read. Left out: other architectures, 32-bit
programs among them.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.errors import EXIT_FAILED, HostError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interlock.vocabulary.json_value import JsonObject

_SECONDS_MAX: Final = 30
_EPERM: Final = 1
_ENOSYS: Final = 38
#: Flags of clone(2) that make a namespace (sched.h): user, mount, network, process, IPC, name, control group.
_NAMESPACE_FLAGS: Final = 0x7E020000
#: What is harmless of personality(2): Linux and Linux32, with and without UNAME26; and the question.
_PERSONALITIES: Final = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
_AF_ALG: Final = 38
_AF_VSOCK: Final = 40
_BY_ARGUMENT: Final = frozenset({"clone", "clone3", "personality", "socket"})

#: What a container does not get, by what it would reach: most of it needs a capability that containers lack anyway.
WITHHELD: Final[dict[str, tuple[str, ...]]] = {
    "namespaces and mounts": (
        "unshare", "setns", "mount", "umount2", "pivot_root", "mount_setattr", "move_mount", "open_tree", "fsopen",
        "fsconfig", "fsmount", "fspick", "quotactl", "quotactl_fd",
    ),
    "the kernel itself": (
        "init_module", "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms",
        "kexec_load", "kexec_file_load", "reboot", "bpf", "perf_event_open", "uprobe", "syslog", "lookup_dcookie",
        "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
    ),
    "the machine": (
        "settimeofday", "clock_settime", "sethostname", "setdomainname", "swapon", "swapoff", "acct", "iopl",
        "ioperm", "vhangup",
    ),
    "keys and labels that no namespace divides": (
        "add_key", "keyctl", "request_key", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules",
        "fanotify_init", "open_by_handle_at",
    ),
    "other processes and the memory they are placed in": (
        "kcmp", "process_madvise", "mbind", "migrate_pages", "move_pages", "get_mempolicy", "set_mempolicy",
        "set_mempolicy_home_node",
    ),
    "what nothing calls any more": (
        "_sysctl", "afs_syscall", "getpmsg", "nfsservctl", "putpmsg", "security", "sysfs", "tuxcall", "uselib",
        "ustat", "vserver",
    ),
    "what the default profiles do not know yet": (
        "file_getattr", "file_setattr", "listns", "open_tree_attr", "rseq_slice_yield",
    ),
}  # fmt: skip


def container_profile() -> JsonObject:
    """The profile. Raises `HostError` when the supervisor does not tell its table."""
    from interlock.host.executable import find_supervisor

    executable = find_supervisor()
    try:
        ran = subprocess.run(
            [executable, "--syscalls"], capture_output=True, timeout=_SECONDS_MAX, stdin=subprocess.DEVNULL, check=True
        )
        names = [row["name"] for row in json.loads(ran.stdout)]
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError) as error:
        raise HostError(f"`{executable} --syscalls` failed: {error}", exit_code=EXIT_FAILED) from error
    return profile_of(names)


def profile_of(names: Iterable[str]) -> JsonObject:
    """The profile over these system calls. A call that is not among them fails with ENOSYS, as on an older kernel."""
    withheld = {name for group in WITHHELD.values() for name in group}
    plain = sorted(set(names) - withheld - _BY_ARGUMENT)
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _ENOSYS,
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            {"names": plain, "action": "SCMP_ACT_ALLOW"},
            _allowed("clone", _argument("MASKED_EQ", _NAMESPACE_FLAGS, 0)),
            # Its flags lie in memory, where no filter sees them: the C library goes on with clone.
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
            *[_allowed("personality", _argument("EQ", value)) for value in _PERSONALITIES],
            _allowed("socket", _argument("LT", _AF_ALG)),
            _allowed("socket", _argument("EQ", _AF_ALG + 1)),
            _allowed("socket", _argument("GT", _AF_VSOCK)),
            {"names": sorted(withheld), "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM},
        ],
    }


def _allowed(name: str, argument: JsonObject) -> JsonObject:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument]}


def _argument(operator: str, value: int, value_two: int = 0) -> JsonObject:
    return {"index": 0, "value": value, "valueTwo": value_two, "op": f"SCMP_CMP_{operator}"}

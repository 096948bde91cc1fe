"""Becomes a program the way a container runtime starts one: `confined.py SPEC -- program…`, SPEC a JSON file.

Keys of SPEC: `filter` (path of a BPF program), `user` (number or null), `capabilities` (numbers that stay in the bounding set, or null for all),
`read_only` (paths that become empty writable file systems while the rest of the root becomes read-only, or null). Nothing is imported that a bare
Python lacks: any interpreter runs it.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys

C = ctypes.CDLL(None, use_errno=True)
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 24, 38, 22, 2
SYS_CAPSET, CAPABILITY_VERSION_3 = 126, 0x20080522


def main() -> None:
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    if spec["read_only"] is not None:
        make_read_only(spec["read_only"])
    # As runtimes do: the filter while it needs no no_new_privs, the powers afterwards.
    if os.geteuid() != 0:
        called(C.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    install(spec["filter"])
    give_up(spec["capabilities"], spec["user"])
    os.execvp(sys.argv[3], sys.argv[3:])


def make_read_only(writable: list[str]) -> None:
    called(C.unshare(0x00020000))
    for arguments in (
        ["--make-rprivate", "/"],
        *(["-t", "tmpfs", "-o", "mode=1777", "tmpfs", path] for path in writable),
    ):
        subprocess.run(["mount", *arguments], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", "/"], check=True)


def install(path: str) -> None:
    with open(path, "rb") as file:
        code = ctypes.create_string_buffer(file.read())

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    program = Program((len(code) - 1) // 8, ctypes.addressof(code))
    called(C.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0))


def give_up(capabilities: list[int] | None, user: int | None) -> None:
    if capabilities is not None:
        with open("/proc/sys/kernel/cap_last_cap") as file:
            last = int(file.read())
        for number in set(range(last + 1)) - set(capabilities):
            called(C.prctl(PR_CAPBSET_DROP, number, 0, 0, 0))
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    elif capabilities is not None:
        bits = sum(1 << number for number in capabilities)
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        halves = [bits & 0xFFFFFFFF, bits & 0xFFFFFFFF, 0, bits >> 32, bits >> 32, 0]
        called(C.syscall(SYS_CAPSET, header, (ctypes.c_uint32 * 6)(*halves)))


def called(result: int) -> None:
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main()

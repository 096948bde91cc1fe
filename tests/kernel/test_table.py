"""The table of system calls against its page, and refused rows against the kernel: inside, each returns the table's errno."""

from __future__ import annotations

import errno
import json
import re
import subprocess
from typing import Any

from tests.kernel.drive import ROOT, Drive, supervisor

INSIDE = """
import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
found = {}
for number in json.loads(sys.argv[1]):
    ctypes.set_errno(0)
    result = libc.syscall(number, *[ctypes.c_long(0)] * 6)
    found[number] = ctypes.get_errno() if result < 0 else 0
print(json.dumps(found))
"""


def rows() -> list[dict[str, Any]]:
    """The table, from the executable itself."""
    text = subprocess.run([supervisor(), "--syscalls"], capture_output=True, text=True, check=True).stdout
    table: list[dict[str, Any]] = json.loads(text)
    return table


def test_the_page_is_the_table() -> None:
    page = (ROOT / "docs/syscalls.md").read_text()
    printed = re.findall(r"^\| (\d+) \| `(\w+)` \| (\w+) \| (\w*) \| (.*) \|$", page, flags=re.MULTILINE)
    table = [
        (
            str(row["number"]),
            row["name"],
            row["class"],
            errno.errorcode[row["errno"]] if row["errno"] else "",
            row["why"],
        )
        for row in rows()
    ]
    assert printed == table


def test_every_refused_call_is_refused_inside() -> None:
    refused = {row["number"]: row for row in rows() if row["class"] == "refused"}
    with Drive(["/usr/bin/env", "python3", "-c", INSIDE, json.dumps(list(refused))]) as drive:
        last, out, err = drive.finish()
    assert last["code"] == 0, err
    found = {int(number): result for number, result in json.loads(out).items()}
    wrong = {refused[number]["name"]: result for number, result in found.items() if result != refused[number]["errno"]}
    assert not wrong


CONDITIONS = """
import ctypes, errno, json
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*[ctypes.c_long(argument) for argument in arguments])
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "done"
print(json.dumps({
    "unix": call(41, 1, 1, 0), "tcp": call(41, 2, 1 | 0o2000000, 6), "udp6": call(41, 10, 2, 0), "raw": call(41, 2, 3, 1),
    "icmp": call(41, 2, 2, 1), "mptcp": call(41, 2, 1, 262), "packet": call(41, 17, 3, 0), "vsock": call(41, 40, 1, 0),
    "alg": call(41, 38, 5, 0), "route": call(41, 16, 3, 0), "audit": call(41, 16, 3, 9), "high": call(41, (1 << 32) | 17, 3, 0),
    "namespace": call(272, 0x10000000), "files": call(272, 0x400), "clone": call(56, 0x20000000 | 17, 0, 0, 0, 0),
    "sti": call(16, 0, 0x5412, 0), "high sti": call(16, 0, (7 << 32) | 0x5412, 0), "subvolume": call(16, 0, 0x5000940E, 0),
    "mm": call(157, 35, 1, 0, 0, 0), "dumpable": call(157, 4, 0, 0, 0, 0), "priority of init": call(141, 0, 1, 5),
    "own priority": call(141, 0, 0, 5), "limit of init": call(302, 1, 7, 1, 0), "keys": call(250, 0, 0, 0),
}))
"""

EXPECTED = {
    "unix": "done", "tcp": "done", "udp6": "done", "raw": "EPERM", "icmp": "EPERM", "mptcp": "EPROTONOSUPPORT", "packet": "EAFNOSUPPORT",
    "vsock": "EAFNOSUPPORT", "alg": "EAFNOSUPPORT", "route": "done", "audit": "EPROTONOSUPPORT", "high": "EAFNOSUPPORT",
    "namespace": "EPERM", "files": "done", "clone": "EPERM", "sti": "EPERM", "high sti": "EPERM", "subvolume": "EPERM", "mm": "EPERM",
    "dumpable": "done", "priority of init": "EPERM", "own priority": "done", "limit of init": "EPERM", "keys": "EPERM",
}  # fmt: skip


def test_registers_decide_as_the_table_says() -> None:
    with Drive(["/usr/bin/env", "python3", "-c", CONDITIONS]) as drive:
        last, out, err = drive.finish()
    assert last["code"] == 0, err
    assert json.loads(out) == EXPECTED

"""What no rule needs is not trapped: the caller's own call reaches its peer, and the record of the wall says what the filter holds."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.drive import FILE_VERBS, Drive, Message, policy, rule
from tests.kernel.test_network import PYTHON, USERS, run

FREE = [
    rule("files", "allow", FILE_VERBS, path=["/**"]),
    rule("exec", "allow", ["process.exec"], path=["/**"]),
    rule("net", "allow", ["net.connect", "net.bind", "net.listen", "net.send"]),
    rule("unix", "allow", ["unix.connect"]),
]
SENDS = {"sendmsg", "sendmmsg"}
IDS = {"setuid", "setreuid", "setresuid", "setfsuid", "setgid", "setregid", "setresgid", "setfsgid", "setgroups", "capset"}


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="interlock-need-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def sealed(state: Path) -> dict[str, Any]:
    """The record of the sealed wall, as it lies in the log."""
    log = b"".join(path.read_bytes() for path in (state / "ledger/sessions").rglob("*") if path.is_file())
    found = re.search(rb'\{[^{}]*(?:\{[^{}]*\}[^{}]*)*"type":"wall\.sealed"[^{}]*\}', log)
    assert found, "no such record"
    record: dict[str, Any] = json.loads(found[0])
    return record


def walls(place: Path, compiled: Message, user: int | None) -> dict[str, Any]:
    with Drive(["/bin/true"], compiled, user=user, state=place / "state") as drive:
        drive.until("ended")
    return sealed(place / "state")


@pytest.mark.parametrize("user", USERS)
def test_a_message_is_its_senders_where_every_send_is_allowed(user: int | None) -> None:
    script = (
        "one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "other.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)\n"
        "one.sendmsg([b'x'])\n"
        "[(_, _, told)] = other.recvmsg(9, 64)[1]\n"
        "print(struct.unpack('3i', told)[0] == os.getpid())\n"
    )
    assert run(script, policy(*FREE), user=user) == "True\n"


@pytest.mark.parametrize("user", USERS)
def test_the_record_of_the_wall_lists_what_is_trapped(place: Path, user: int | None) -> None:
    wall = walls(place, policy(*FREE), user)
    left = SENDS | (IDS if user or os.getuid() else set())
    assert left.isdisjoint(wall["trapped"])
    assert {"sendto", "umask", "connect", "openat", "kill", *(SENDS | IDS) - left} <= set(wall["trapped"])


@pytest.mark.parametrize(
    "more",
    [
        rule("one", "deny", ["net.send"], address=["192.0.2.7"]),
        rule("one", "approve", ["unix.connect"], path=["/run/x"]),
        rule("one", "deny", ["net.connect"], to="outside"),
    ],
)
def test_one_narrow_rule_brings_sends_back_to_the_door(place: Path, more: Message) -> None:
    assert set(walls(place, policy(*FREE, more), None)["trapped"]) >= SENDS


def test_the_digest_is_of_the_filter_that_stands(place: Path) -> None:
    (place / "a").mkdir()
    (place / "b").mkdir()
    free = walls(place / "a", policy(*FREE), None)
    held = walls(place / "b", policy(*FREE, rule("one", "deny", ["net.send"], address=["192.0.2.7"])), None)
    assert free["filter"] != held["filter"]


def test_no_message_connects() -> None:
    script = (
        "one = socket.socket()\n"
        "try:\n"
        "    one.sendmsg([b'x'], [], 0x20000000, ('127.0.0.1', 9))\n"
        "except OSError as error:\n"
        "    print(error.errno)\n"
    )
    assert run(script, policy(*FREE)) == "95\n"


def test_no_message_reaches_a_socket_of_interlock(place: Path) -> None:
    """`guard` denies them by name; they are stream sockets, so a message with a name is the kernel's to refuse (EPROTOTYPE)."""
    compiled = policy(*FREE)
    guard = rule("own", "deny", ["unix.connect"], path=[f"{place}/state/**"])
    compiled["layers"].insert(0, {**compiled["layers"][0], "name": "guard", "origin": "builtin", "rules": [guard]})
    script = (
        "one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "found = [os.path.join(folder, name) for folder, _, names in os.walk(sys.argv[1]) for name in names if name.endswith('.sock')]\n"
        "for name in found:\n"
        "    try:\n"
        "        print(one.sendmsg([b'x'], [], 0, name))\n"
        "    except OSError as error:\n"
        "        print(error.errno)\n"
    )
    command = [PYTHON, "-I", "-c", "import os, socket, sys\n" + script, f"{place}/state"]
    with Drive(command, compiled, state=place / "state") as drive:
        _, out, err = drive.finish(60)
        drive.until("ended")
    assert SENDS.isdisjoint(sealed(place / "state")["trapped"])
    assert set((out + err).decode().split()) == {"91"}

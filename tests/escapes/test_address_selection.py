"""A datagram socket that policy lets connect and not send tells its source address, and nothing leaves by it.

getaddrinfo(3) connects to each address it has found, on port 0, to learn which of its own addresses would be used. The
presets let it. What is sent through a connected socket passes no door, so the judge listens on the wire: the other end
of a pair of network devices.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.escapes.arena import Arena, Outcome

MARK = b"leaves-this-machine"
EVERYTHING = 3  # ETH_P_ALL
PROGRAM = """
import array, ctypes, os, socket, sys, threading, time
peer, way, mark = sys.argv[1], sys.argv[2], sys.argv[3].encode()
libc = ctypes.CDLL(None, use_errno=True)
there = (peer, 0)
kept = []
def connected(before=None):
    made = socket.socket(socket.AF_INET6 if ":" in peer else socket.AF_INET, socket.SOCK_DGRAM)
    if before: before(made)
    made.connect(there); kept.append(made)
    return made
def inside(made):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(("127.0.0.1", 0))
    made.connect(server.getsockname()); made.send(b"inside")
    assert server.recv(9) == b"inside"
    libc.connect(made.fileno(), bytes(16), 16)
def passed(made):
    one, two = socket.socketpair()
    one.sendmsg([b"x"], [(1, 1, array.array("i", [made.fileno()]))])
    if os.fork() == 0:
        number = array.array("i"); number.frombytes(two.recvmsg(1, 64)[1][0][2])
        try: os.write(number[0], mark)
        finally: os._exit(0)
    os.wait()
def sendfile(made):
    open("payload", "wb").write(mark)
    with open("payload", "rb") as file: os.sendfile(made.fileno(), file.fileno(), 0, len(mark))
def splice(made):
    read, write = os.pipe(); os.write(write, mark); os.splice(read, made.fileno(), len(mark))
def corked(made):
    made.setsockopt(17, 1, 1)
    try: made.send(mark)
    finally: made.setsockopt(17, 1, 0)
def dissolved(made):
    libc.connect(made.fileno(), bytes(16), 16); made.connect(there); made.send(mark)
def raced(made):
    until = time.monotonic() + 1
    made = socket.socket(made.family, socket.SOCK_DGRAM)
    def send():
        while time.monotonic() < until:
            try: made.send(mark)
            except OSError: pass
    threading.Thread(target=send).start()
    while time.monotonic() < until:
        try: libc.connect(made.fileno(), bytes(16), 16); made.connect(there)
        except OSError: pass
ways = {
    "send": lambda: connected().send(mark), "write": lambda: os.write(connected().fileno(), mark),
    "writev": lambda: os.writev(connected().fileno(), [mark]), "sendmsg": lambda: connected().sendmsg([mark]),
    "sendto": lambda: libc.sendto(connected().fileno(), mark, len(mark), 0, None, 0),
    "dup": lambda: os.write(os.dup(connected().fileno()), mark), "passed": lambda: passed(connected()),
    "sendfile": lambda: sendfile(connected()), "splice": lambda: splice(connected()),
    "corked": lambda: corked(connected()), "after-another": lambda: connected(inside).send(mark),
    "dissolved": lambda: dissolved(connected()), "raced": lambda: raced(connected()),
}
print(connected().getsockname()[0], flush=True)
ways[way]()
"""
WAYS = (
    "send", "write", "writev", "sendmsg", "sendto", "dup", "passed", "sendfile", "splice", "corked", "after-another",
    "dissolved", "raced",
)  # fmt: skip


class Wire:
    """A private network of our own, and what is sent into it."""

    def __init__(self, near: str, far: str, addresses: dict[str, str], peers: dict[str, str]) -> None:
        self.addresses, self.peers = addresses, peers
        self._near, self._far = near, far

    @contextlib.contextmanager
    def heard(self) -> Iterator[list[bytes]]:
        """Frames that carried the mark while this was open."""
        found: list[bytes] = []
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING)) as listening:
            listening.bind((self._far, 0))
            yield found
            time.sleep(0.1)
            listening.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    frame = listening.recv(65536)
                    if MARK in frame:
                        found.append(frame)


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    if os.geteuid() != 0:
        pytest.skip("needs root: a pair of network devices; the attacker is an ordinary user as well")
    near, far, number = f"il{os.getpid()}a", f"il{os.getpid()}b", os.getpid() % 250
    four, six = f"10.231.{number}.", f"fd31:{os.getpid():x}::"
    ours = {"four": f"{four}1", "six": f"{six}1"}
    peers = {"four": f"{four}2", "six": f"{six}2"}
    commands = [
        f"link add {near} type veth peer name {far}", f"link set {far} up", f"link set {near} up",
        f"address add {ours['four']}/24 dev {near}", f"address add {ours['six']}/64 dev {near} nodad",
        *(f"neighbour replace {peer} lladdr 02:00:00:00:00:09 dev {near} nud permanent" for peer in peers.values()),
    ]  # fmt: skip
    for command in commands:
        done = subprocess.run(["ip", *command.split()], capture_output=True, text=True)
        if done.returncode:
            subprocess.run(["ip", "link", "delete", near], capture_output=True)
            pytest.skip(f"needs a pair of network devices (CONFIG_VETH): {done.stderr}")
    yield Wire(near, far, ours, peers)
    subprocess.run(["ip", "link", "delete", near], check=True)


@pytest.mark.parametrize(
    ("way", "family"), [*((way, "four") for way in WAYS), ("send", "six"), ("dissolved", "six"), ("raced", "six")]
)
def test_a_probe_tells_its_source_and_nothing_leaves_by_it(arena: Arena, wire: Wire, way: str, family: str) -> None:
    def attack(run: object, **more: str) -> tuple[Outcome, bool]:
        with wire.heard() as heard:
            ran = run("/usr/bin/python3", "-c", PROGRAM, wire.peers[family], way, MARK.decode(), **more)  # type: ignore[operator]
        return ran, bool(heard)

    arena.build()
    control, left = attack(arena.run)
    assert left and control.output.split() == [wire.addresses[family]]
    for preset in ("coding-agent", "ci"):
        ran, left = attack(arena.held, preset=preset)
        assert not left, preset
        assert ran.output.split() == [wire.addresses[family]], f"{preset}: the source is not told: {ran.errors}"


def test_where_sending_is_allowed_as_well_a_connected_socket_sends(arena: Arena, wire: Wire) -> None:
    layer = arena.root / "layer.yaml"
    for verbs, leaves in (("net.connect", False), ("[net.connect, net.send]", True)):
        layer.write_text(
            f"interlock: 1\nname: lan\nrules:\n  - id: lan\n    allow: {verbs}\n    address: 10.231.0.0/16\n"
            "    protocol: udp\n    port: 7000\n"
        )
        layer.chmod(0o644)
        program = PROGRAM.replace("there = (peer, 0)", "there = (peer, 7000)")
        with wire.heard() as heard:
            arena.held("/usr/bin/python3", "-c", program, wire.peers["four"], "send", MARK.decode(), policy=layer)
        assert bool(heard) is leaves, verbs

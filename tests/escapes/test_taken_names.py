"""Addresses that programs outside have or look for: ports that may be shared, abstract names, multicast groups of the network.

The judge is outside: who answered the client of a server, whether a client found anybody, what the kernel says this machine has joined.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.escapes.arena import Arena

PRESETS = ["coding-agent", "strict", "ci", "mcp-server"]
PYTHON = ["/usr/bin/python3", "-I", "-c"]
TRIES = 20

#: Takes the port, says so, and answers whoever comes for as long as its input is open.
TAKER = """
import socket, sys, threading
kind, address, port, option = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
own = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
own.setsockopt(socket.SOL_SOCKET, option, 1)
def serve():
    while True:
        if kind == socket.SOCK_STREAM:
            peer, _ = own.accept(); peer.sendall(b"taken"); peer.close()
        else:
            _, peer = own.recvfrom(99)
            try: own.sendto(b"taken", peer)
            except OSError: pass
try:
    own.bind((address, port))
    if kind == socket.SOCK_STREAM: own.listen(64)
    threading.Thread(target=serve, daemon=True).start()
except OSError: pass
print("there", flush=True)
sys.stdin.read()
"""

WAYS = {
    "connections beside it": (socket.SOCK_STREAM, socket.SO_REUSEPORT, "127.0.0.1"),
    "connections by a nearer address": (socket.SOCK_STREAM, socket.SO_REUSEPORT, "0.0.0.0"),
    "datagrams by SO_REUSEADDR": (socket.SOCK_DGRAM, socket.SO_REUSEADDR, "127.0.0.1"),
    "datagrams by a nearer address": (socket.SOCK_DGRAM, socket.SO_REUSEADDR, "0.0.0.0"),
    "datagrams by SO_REUSEPORT": (socket.SOCK_DGRAM, socket.SO_REUSEPORT, "127.0.0.1"),
}


@contextlib.contextmanager
def server(arena: Arena, kind: int, option: int, address: str) -> Iterator[int]:
    """A program of the same user outside that shares its port and answers."""
    script = TAKER.replace("taken", "outside").replace('print("there"', "print(own.getsockname()[1]")
    with started(arena, None, script, int(kind), address, 0, int(option)) as said:
        yield int(said)


@contextlib.contextmanager
def started(arena: Arena, preset: str | None, script: str, *arguments: object) -> Iterator[str]:
    """A Python program that goes on until its input ends, and its first line; without a preset it runs outside."""
    command = [*PYTHON, script, *map(str, arguments)]
    interlock = [
        str(arena.python.parent / "interlock"),
        "run",
        "--preset",
        str(preset),
        "--workspace",
        str(arena.work),
        "--",
    ]
    running = subprocess.Popen(
        [*arena._as_user(), *(interlock if preset else []), *command],
        cwd=arena.work,
        env=arena._environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdin is not None and running.stdout is not None
    try:
        yield running.stdout.readline().strip()
    finally:
        running.stdin.close()
        running.wait(30)
        running.stdout.close()


def answers(kind: int, port: int) -> Counter[str]:
    """Who answers the clients of the server."""
    found: Counter[str] = Counter()
    for _ in range(TRIES):
        with socket.socket(socket.AF_INET, kind) as client:
            client.settimeout(2)
            try:
                client.connect(("127.0.0.1", port))
                if kind == socket.SOCK_DGRAM:
                    client.send(b"?")
                found[client.recv(20).decode()] += 1
            except OSError as error:
                found[str(error)] += 1
    return found


@pytest.mark.parametrize("way", list(WAYS))
def test_nothing_that_was_meant_for_a_server_outside_is_taken(arena: Arena, way: str) -> None:
    kind, option, address = WAYS[way]

    def attack(preset: str | None) -> Counter[str]:
        with (
            server(arena, kind, option, address) as port,
            started(arena, preset, TAKER, int(kind), "127.0.0.1", port, int(option)) as said,
        ):
            assert said == "there"
            return answers(kind, port)

    assert attack(None)["outside"] < TRIES
    for preset in PRESETS:
        assert attack(preset) == Counter(outside=TRIES), preset


SENDER = """
import socket, sys
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.setsockopt(socket.SOL_SOCKET, int(sys.argv[1]), 1)
try: own.send(b"nobody")
except OSError: pass
print(own.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT], ids=["SO_REUSEADDR", "SO_REUSEPORT"])
def test_a_port_that_a_send_gives_is_nobody_elses(arena: Arena, option: int) -> None:
    """The kernel may choose one that a program outside shares: after some ten thousand tries it is the wanted one."""

    def attack(preset: str | None) -> bool:
        with started(arena, preset, SENDER, int(option)) as port:
            twin = arena.run(
                *PYTHON,
                TAKER + "print(own.getsockname()[1])",
                str(int(socket.SOCK_DGRAM)),
                "0.0.0.0",
                port,
                str(int(option)),
            )
            return twin.output.split() == ["there", port]

    assert attack(None)
    for preset in PRESETS:
        assert not attack(preset), preset


SHARING = """
import os, socket, sys
def served(kind, option, port=0):
    own = socket.socket(socket.AF_INET, kind)
    own.setsockopt(socket.SOL_SOCKET, option, 1)
    own.bind(("127.0.0.1", port))
    if kind == socket.SOCK_STREAM: own.listen()
    assert own.getsockopt(socket.SOL_SOCKET, option) == 1
    return own
for kind, option in ((1, socket.SO_REUSEPORT), (2, socket.SO_REUSEPORT), (2, socket.SO_REUSEADDR)):
    first = served(kind, option)
    port = first.getsockname()[1]
    crowd = [served(kind, option, port) for _ in range(40)]
    if os.fork() == 0:
        served(kind, option, port); os._exit(0)
    assert os.wait()[1] == 0
    print("shared")
for option in (socket.SO_REUSEPORT, socket.SO_REUSEADDR):
    server = served(1, option); port = server.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port)); peer, _ = server.accept()
    peer.close(); client.close(); server.close()
    served(1, option, port)
    print("started again")
"""


def test_a_session_shares_ports_with_itself(arena: Arena) -> None:
    """More workers at one port than the kernel tells at one moment, of several processes, and a server that is started again."""
    native = arena.run(*PYTHON, SHARING).output
    assert native == "shared\n" * 3 + "started again\n" * 2
    for preset in PRESETS:
        assert arena.held(*PYTHON, SHARING, preset=preset).output == native, preset


NAMED = """
import socket, sys
own = socket.socket(socket.AF_UNIX)
try: own.bind(bytes.fromhex(sys.argv[1])); own.listen()
except OSError as error: print(error.errno, flush=True)
else: print("there", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("filled", [False, True], ids=["exact", "filled with zeroes"])
def test_no_abstract_name_stands_in_for_a_known_one(arena: Arena, filled: bool) -> None:
    """X clients try the abstract name first, and hand their cookie to whoever has it."""
    name = b"\0/tmp/.X11-unix/X" + str(secrets.randbelow(60) + 30).encode()
    wire = name.ljust(108, b"\0") if filled else name

    def attack(preset: str | None) -> tuple[str, bool]:
        with started(arena, preset, NAMED, wire.hex()) as said, socket.socket(socket.AF_UNIX) as client:
            return said, client.connect_ex(wire) == 0

    assert attack(None) == ("there", True)
    for preset in PRESETS:
        assert attack(preset) == ("13", False), preset


def test_other_abstract_names_are_free(arena: Arena) -> None:
    names = [f"\0{place}{secrets.token_hex(4)}" for place in ("/tmp/", "/org/example/", "", "/tmp/.X11-unix/X2")]
    script = NAMED.replace("sys.stdin.read()", "")
    for preset in PRESETS:
        for name in names:
            assert arena.held(*PYTHON, script, name.encode().hex(), preset=preset).output == "there\n", (preset, name)


JOINS = """
import socket, struct, sys
four, device = socket.inet_aton(sys.argv[1]), int(sys.argv[3])
six = socket.inet_pton(socket.AF_INET6, sys.argv[2])
def group(family, address): return struct.pack("=II", device, 0) + address.ljust(128, b"\\0")
in_four = struct.pack("=HH", socket.AF_INET, 0) + four
in_six = struct.pack("=HHI", socket.AF_INET6, 0, 0) + six
local = socket.inet_aton("127.0.0.1")
ways = {
    "ip": (2, 0, 35, struct.pack("=4s4si", four, b"\\0" * 4, device)),
    "ip-source": (2, 0, 39, four + b"\\0" * 4 + local),
    "group": (2, 0, 42, group(2, in_four)),
    "source-group": (2, 0, 46, group(2, in_four) + (struct.pack("=HH", 2, 0) + local).ljust(128, b"\\0")),
    "ip-on-six": (10, 0, 35, struct.pack("=4s4si", four, b"\\0" * 4, device)),
    "ipv6": (10, 41, 20, six + struct.pack("=i", device)),
    "group-six": (10, 41, 42, group(10, in_six)),
    "source-group-six": (10, 41, 46, group(10, in_six) + (struct.pack("=HHI", 10, 0, 0) + b"\\0" * 15 + b"\\1").ljust(128, b"\\0")),
}
family, level, option, value = ways[sys.argv[4]]
own = socket.socket(family, socket.SOCK_DGRAM)
try: own.setsockopt(level, option, value)
except OSError as error: print(error.errno, flush=True)
else: print("joined", flush=True)
sys.stdin.read()
"""


def joined(four: str, six: str) -> bool:
    """Whether this machine is in either group, as the kernel says."""
    listed = Path("/proc/net/igmp").read_text().split() + Path("/proc/net/igmp6").read_text().split()
    return {bytes(reversed(socket.inet_aton(four))).hex().upper(), socket.inet_pton(socket.AF_INET6, six).hex()} & set(
        listed
    ) != set()


@pytest.mark.parametrize(
    "way", ["ip", "ip-source", "group", "source-group", "ip-on-six", "ipv6", "group-six", "source-group-six"]
)
def test_no_group_of_the_network_is_joined(arena: Arena, way: str) -> None:
    """The kernel tells the network at once, in packets that name a group of the session's choice."""
    device = next((index for index, name in socket.if_nameindex() if name != "lo" and carries_multicast(name)), None)
    if device is None:
        pytest.skip("needs a device that carries multicast")
    tail = secrets.token_bytes(3)
    four, six = socket.inet_ntoa(b"\xef" + tail), socket.inet_ntop(socket.AF_INET6, b"\xff\x15" + b"\0" * 11 + tail)

    def attack(preset: str | None) -> tuple[str, bool]:
        with started(arena, preset, JOINS, four, six, device, way) as said:
            return said, joined(four, six)

    control = attack(None)
    if control[0] != "joined":
        pytest.skip(f"this machine joins no group by `{way}`: errno {control[0]}")
    assert control == ("joined", True)
    for preset in PRESETS:
        assert attack(preset) == ("13", False), preset


def carries_multicast(name: str) -> bool:
    up_with_multicast = 0x1 | 0x1000
    return int(Path(f"/sys/class/net/{name}/flags").read_text(), 16) & up_with_multicast == up_with_multicast


#: Has the port at so many other addresses that the kernel does not tell all of its sockets at once; then takes it where it is somebody's.
CROWD = """
import socket, sys
kind, port, option = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
def taken(address):
    own = socket.socket(socket.AF_INET, kind)
    own.setsockopt(socket.SOL_SOCKET, option, 1)
    own.bind((address, port))
    if kind == socket.SOCK_STREAM: own.listen(4)
    return own
kept = [taken(f"127.0.0.{number}") for number in range(2, 80)]
try: kept.append(taken("127.0.0.1")); print("taken", flush=True)
except OSError as error: print(error.strerror, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("kind", "option"), [(socket.SOCK_STREAM, socket.SO_REUSEPORT), (socket.SOCK_DGRAM, socket.SO_REUSEADDR)]
)
def test_many_sockets_at_other_addresses_of_a_port_do_not_make_it_the_sessions(
    arena: Arena, kind: int, option: int
) -> None:
    with server(arena, kind, option, "127.0.0.1") as port:
        with started(arena, None, CROWD, int(kind), port, int(option)) as said:
            assert said == "taken", "outside it is a port like any"
        with started(arena, "coding-agent", CROWD, int(kind), port, int(option)) as said:
            assert said == "Address already in use"
            assert answers(kind, port) == {"outside": TRIES}


DISSOLVED = """
import ctypes, socket, sys
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.setsockopt(socket.SOL_SOCKET, int(sys.argv[1]), 1)
own.bind(("127.0.0.1", 0))
assert ctypes.CDLL(None).connect(own.fileno(), bytes(16), 16) == 0
assert own.getsockname()[1] == 0 and own.getsockopt(socket.SOL_SOCKET, int(sys.argv[1])) == 1
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); peer.bind(("127.0.0.1", 0))
own.sendto(b"x", peer.getsockname())
print(own.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_a_socket_that_gives_up_its_port_shares_none_that_a_send_gives_it(arena: Arena) -> None:
    def attack(preset: str | None) -> str:
        with started(arena, preset, DISSOLVED, int(socket.SO_REUSEADDR)) as port:
            return joins(arena, socket.SOCK_DGRAM, port, socket.SO_REUSEADDR, "127.0.0.1")

    assert attack(None) == "joined", "outside it would share the next one"
    assert attack("coding-agent") == "kept out"


#: Comes to a port, and says whether it could.
JOINER = """
import socket, sys
kind, port, option = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
own = socket.socket(socket.AF_INET, kind)
own.setsockopt(socket.SOL_SOCKET, option, 1)
try:
    own.bind((sys.argv[4], port))
    if kind == socket.SOCK_STREAM: own.listen()
    print("joined")
except OSError: print("kept out")
"""


def joins(arena: Arena, kind: int, port: str, option: int, address: str) -> str:
    """Whether a program of the same user outside may come to this port."""
    assert int(port) > 0
    return arena.run(*PYTHON, JOINER, str(int(kind)), port, str(int(option)), address).output.strip()


#: How a program of the session gets ports that it is ready to share: of the kernel's choice, named, said late, and so on.
ALONE = """
import socket, sys
kind, option = int(sys.argv[1]), int(sys.argv[2])
def new():
    made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, option, 1)
    return made
def there(made, port, address="127.0.0.1"):
    made.bind((address, port))
    if kind == socket.SOCK_STREAM: made.listen()
    assert made.getsockopt(socket.SOL_SOCKET, option) == 1
    return made
def free():
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0)); return other.getsockname()[1]
"""
PORTS = """
chosen, named, neighbour = there(new(), 0), there(new(), free()), there(new(), 0, "127.0.0.2")
again = there(new(), 0); again.setsockopt(socket.SOL_SOCKET, option, 1)
late = socket.socket(socket.AF_INET, kind) if kind == socket.SOCK_STREAM else there(new(), 0)
if kind == socket.SOCK_STREAM:
    late.bind(("127.0.0.1", 0)); late.listen(); late.setsockopt(socket.SOL_SOCKET, option, 1)
    assert late.getsockopt(socket.SOL_SOCKET, option) == 1
refused = there(new(), 0)
for other in (socket.socket(socket.AF_INET, kind), new()):
    try: other.bind(("127.0.0.1" if other.getsockopt(socket.SOL_SOCKET, option) == 0 else "192.0.2.1", refused.getsockname()[1]))
    except OSError: pass
    else: raise SystemExit("bound")
    other.close()
gone = there(new(), 0); port = gone.getsockname()[1]; gone.close(); gone = there(new(), port)
print(*(own.getsockname()[1] for own in (chosen, named, neighbour, again, late, refused, gone)), flush=True)
sys.stdin.read()
"""
KINDS = [
    (socket.SOCK_STREAM, socket.SO_REUSEPORT),
    (socket.SOCK_DGRAM, socket.SO_REUSEPORT),
    (socket.SOCK_DGRAM, socket.SO_REUSEADDR),
]


@pytest.mark.parametrize(("kind", "option"), KINDS, ids=["connections", "datagrams", "datagrams by SO_REUSEADDR"])
def test_nobody_outside_comes_to_a_port_that_one_socket_of_the_session_has(
    arena: Arena, kind: int, option: int
) -> None:
    addresses = ["127.0.0.1", "127.0.0.1", "127.0.0.2", *["127.0.0.1"] * 4]

    def attack(preset: str | None) -> list[str]:
        with started(arena, preset, ALONE + PORTS, int(kind), int(option)) as ports:
            return [joins(arena, kind, port, option, at) for port, at in zip(ports.split(), addresses, strict=True)]

    assert attack(None) == ["joined"] * 7
    for preset in PRESETS:
        assert attack(preset) == ["kept out"] * 7, preset


#: Workers of the session, each with a socket of its own at the port: all of them are served.
WORKERS = """
own = there(new(), 0); port = own.getsockname()[1]
others = [new() for _ in range(3)]
for other in others: there(other, port)
heard = set()
for _ in range(200):
    client = socket.create_connection(("127.0.0.1", port))
    for number, worker in enumerate([own, *others]):
        worker.settimeout(0)
        try: worker.accept()[0].close(); heard.add(number)
        except OSError: pass
print(len(heard))
# One that has it for itself is joined by bind in another order: bound, bound, listening, listening.
first, second = new(), new()
first.bind(("127.0.0.1", 0)); second.bind(first.getsockname())
first.listen(); second.listen()
print("both", flush=True)
"""


def test_workers_of_the_session_share_its_port(arena: Arena) -> None:
    command = [*PYTHON, ALONE + WORKERS, str(int(socket.SOCK_STREAM)), str(int(socket.SO_REUSEPORT))]
    assert arena.run(*command).output == "4\nboth\n"
    for preset in PRESETS:
        held = arena.held(*command, preset=preset)
        assert held.output == "4\nboth\n", held.errors


STANDING_IN = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
own = socket.socket(family)
own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try: own.bind((sys.argv[1], 7391)); own.listen(); print("there")
except OSError as error: print(error.errno)
"""


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"])
def test_no_session_stands_in_for_the_gateway(arena: Arena, address: str) -> None:
    """Agents outside are told its address once, and send their tokens there, whether it runs or not."""
    command = ("/usr/bin/python3", "-I", "-c", STANDING_IN, address)
    assert arena.run(*command).output == "there\n"
    for preset in PRESETS:
        assert arena.held(*command, preset=preset).output == "13\n", preset
